// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// Elements of one set of one of the tables.
struct Membership: Hashable {
    var table: Table
    /// The set, with the elements as its contents.
    var set: EgretNftables.Set

    init(_ set: EgretNftables.Set, in table: Table = HostBase.table) {
        self.set = set
        self.table = table
    }

    var elements: [SetElement] {
        if case .elements(let elements) = set.contents { return elements }
        return []
    }
}

extension HostEndpoint {
    var bridgeIndex: UInt32? {
        if case .port(_, _, let bridge) = attachment { return bridge }
        return nil
    }

    /// What leads packets to the chains that decide about the endpoint's traffic.
    ///
    /// - Parameter number: The number of the chains.
    /// - Returns: One element for each map and address.
    func memberships(profile number: Int) -> [Membership] {
        let from = Verdict.jump(HostProfileProgram.fromChain(number))
        let to = Verdict.jump(HostProfileProgram.toChain(number))
        var result: [Membership] = []
        switch attachment {
        case .link(_, let index):
            result += [(HostBase.senders, from), (HostBase.receivers, to)].map { map, verdict in
                Membership(
                    Set(
                        map, keyType: .interfaceIndex, mapsToVerdict: true,
                        contents: .elements([SetElement(UInt128(index), verdict: verdict)])))
            }
        case .port(_, let index, let bridge):
            // Of a port the kernel sees no packets but the bridge's; should somebody take it out, it has no rules.
            result += [HostBase.senders, HostBase.receivers].map { map in
                Membership(
                    Set(
                        map, keyType: .interfaceIndex, mapsToVerdict: true,
                        contents: .elements([SetElement(UInt128(index), verdict: .drop)])))
            }
            for address in addresses {
                let family = address.family
                for (map, verdict) in [(HostBase.senders(family), from), (HostBase.receivers(family), to)] {
                    let element = SetElement(UInt128(bridge), [address.rawValue], verdict: verdict)
                    result.append(
                        Membership(
                            Set(map, concatenating: .interfaceIndex, [family.dataType], contents: [element])))
                }
            }
            result.append(
                Membership(
                    Set(
                        HostBase.ports, keyType: .interfaceIndex,
                        contents: .elements([SetElement(UInt128(index))])), in: HostBase.bridgeTable))
        case .cgroup(let id, let level):
            result.append(
                Membership(
                    Set(
                        HostOutput.map(level), keyType: .cgroup, mapsToVerdict: true,
                        contents: .elements([SetElement(UInt128(id), verdict: from)]))))
        }
        for family in AddressFamily.allCases {
            let own = addresses.filter { $0.family == family }
            if own.isEmpty { continue }
            result.append(
                Membership(
                    Set(
                        HostBase.members(family), keyType: family.dataType,
                        contents: .elements(own.map { SetElement($0) }))))
            result.append(Membership(family.selves(of: own)))
        }
        return result
    }

    /// What leads the packets of a bridge to the look-up by address.
    static func memberships(ofBridge index: UInt32) -> [Membership] {
        [(HostBase.senders, HostBase.bridgeSenders), (HostBase.receivers, HostBase.bridgeReceivers)].map { map, chain in
            Membership(
                Set(
                    map, keyType: .interfaceIndex, mapsToVerdict: true,
                    contents: .elements([SetElement(UInt128(index), verdict: .jump(chain))])))
        }
    }

    /// The name of its chain for frames, and the beginning of its counters' names.
    var frameChain: String { "endpoint-\(slot)" }

    /// The checks on its frames.
    func frames(_ logGroup: UInt16) -> TableProgram {
        guard let interface else { return TableProgram(table: HostBase.frameTable) }
        return FrameChecks(
            table: HostBase.frameTable, chain: frameChain, device: interface.rawValue,
            hardwareAddress: hardwareAddress, addresses: addresses, isOfRun: false, queueIndex: queueIndex
        ).program(logGroup: logGroup)
    }
}

/// Elements that come and go, gathered by set.
struct ElementChanges {
    private struct Place: Hashable {
        var table: Table
        var set: String
    }

    private var deleted: [Place: [Membership]] = [:]
    private var added: [Place: [Membership]] = [:]

    mutating func change(from old: [Membership], to new: [Membership]) {
        let (before, after) = (ElementChanges.byPlace(old), ElementChanges.byPlace(new))
        for (place, memberships) in before {
            let kept = Swift.Set(after[place]?.flatMap(\.elements) ?? [])
            for membership in memberships {
                deleted[place, default: []] += membership.with(membership.elements.filter { !kept.contains($0) })
            }
        }
        for (place, memberships) in after {
            let present = Swift.Set(before[place]?.flatMap(\.elements) ?? [])
            for membership in memberships {
                added[place, default: []] += membership.with(membership.elements.filter { !present.contains($0) })
            }
        }
    }

    /// The steps, all that takes away before all that adds: an address may change hands.
    var steps: [Transaction.Step] {
        ElementChanges.joined(deleted).map { Transaction.Step(.deleteElements($0.set), in: $0.table) }
            + ElementChanges.joined(added).map { Transaction.Step(.addElements($0.set), in: $0.table) }
    }

    private static func byPlace(_ memberships: [Membership]) -> [Place: [Membership]] {
        Dictionary(grouping: memberships) { Place(table: $0.table, set: $0.set.name) }
    }

    private static func joined(_ changes: [Place: [Membership]]) -> [Membership] {
        changes.sorted { ($0.key.table, $0.key.set) < ($1.key.table, $1.key.set) }.compactMap { _, memberships in
            guard var all = memberships.first else { return nil }
            all.set.contents = .elements(memberships.flatMap(\.elements))
            return all
        }
    }
}

extension Membership {
    /// The same with other elements; nothing if there are none.
    fileprivate func with(_ elements: [SetElement]) -> [Membership] {
        if elements.isEmpty { return [] }
        var other = self
        other.set.contents = .elements(elements)
        return [other]
    }
}
