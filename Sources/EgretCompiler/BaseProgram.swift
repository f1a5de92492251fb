// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

/// The objects that every endpoint of a host shares: the hooks, and the maps that lead packets to their endpoint.
public enum BaseProgram {
    /// The table for packets.
    public static let table = Table.egret
    /// The table for frames: one ingress chain for each endpoint's interface.
    public static let frameTable = Table.egretFrames

    /// The map from the interface a packet came in by to its endpoint's chain.
    static let senders = "from"
    /// The map from the interface a packet leaves by to its endpoint's chain.
    static let receivers = "to"
    /// The addresses of all endpoints, by family.
    static let addresses: [AddressFamily: String] = [.ipv4: "sources4", .ipv6: "sources6"]

    /// What the packet table holds before the first endpoint.
    ///
    /// The filter hooks run just before the place where other tools filter (priority 0). Order does not decide:
    /// a packet leaves only if every table accepts it, so another tool's accept cannot undo a drop here.
    public static let program: TableProgram = {
        var program = TableProgram(table: table)
        program.chains = [
            Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -10)),
            Chain("input", base: BaseChain(kind: .filter, hook: .input, priority: -10)),
            Chain("postrouting", base: BaseChain(kind: .nat, hook: .postrouting, priority: 90)),
        ]
        program.sets = [
            Set(senders, keyType: .interfaceIndex, mapsToVerdict: true),
            Set(receivers, keyType: .interfaceIndex, mapsToVerdict: true),
            Set("sources4", keyType: .ipv4Address),
            Set("sources6", keyType: .ipv6Address),
        ]
        program.rules = [
            Rule(in: "forward", [.verdictMap(.inputInterface, senders)]),
            Rule(in: "forward", [.verdictMap(.outputInterface, receivers)]),
            Rule(in: "input", [.verdictMap(.inputInterface, senders)]),
            // Endpoints see each other's own addresses; the rest of the world sees the host's.
            Rule(
                in: "postrouting",
                [
                    .equal(.networkProtocol, 2), .inSet(.ipv4Source, "sources4"),
                    .notInSet(.ipv4Destination, "sources4"), .masquerade,
                ]
            ),
            Rule(
                in: "postrouting",
                [
                    .equal(.networkProtocol, 10), .inSet(.ipv6Source, "sources6"),
                    .notInSet(.ipv6Destination, "sources6"), .masquerade,
                ]
            ),
        ]
        return program
    }()
}
