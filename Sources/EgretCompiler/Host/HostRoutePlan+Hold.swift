// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension HostRoutePlan {
    /// What keeps new connections of members from leaving while the table is made anew in one transaction.
    ///
    /// Until that is over, a connection may find nobody to choose its way, as ``HostHold`` explains, and would leave by the
    /// main table. Those that have a way, or had none before, are not held back.
    public var hold: TableProgram {
        var program = TableProgram(table: HostRoutePlan.table)
        let arrivals = members.compactMap { member -> SetElement? in
            switch member.attachment {
            case .link(_, let index): SetElement(UInt128(index))
            case .port(_, _, let bridge): SetElement(UInt128(bridge))
            case .cgroup: nil
            }
        }
        if arrivals.isEmpty { return program }
        let (chain, set) = ("hold", "held")
        // Behind the guard: what passes here before the new table holds has been led by the former one.
        program.chains = [Chain(chain, base: BaseChain(kind: .filter, hook: .forward, priority: -19))]
        program.sets = [
            Set(set, keyType: .interfaceIndex, contents: .elements(Swift.Set(arrivals).sorted()))
        ]
        program.rules = [
            [HostRoutePlan.has(HostRouteMark.led), .verdict(.accept)],
            [.connectionStatus(in: .confirmed), .verdict(.accept)],
            [.inSet(.inputInterface, set), .verdict(.drop)],
        ].map { Rule(in: chain, $0) }
        return program
    }
}
