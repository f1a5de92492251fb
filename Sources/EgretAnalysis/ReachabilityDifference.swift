// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// What one map allows and another does not, and the other way round.
///
/// Workloads are the same if their namespaces, names and kinds are. What a workload that only one map has may do is all
/// gained, or all lost.
public struct ReachabilityDifference: Sendable {
    /// Services that come and go.
    public struct Change: Hashable, Sendable {
        /// What was not allowed and now is.
        public var gained: ServiceSet
        /// What was allowed and now is not.
        public var lost: ServiceSet

        init(from old: ServiceSet, to new: ServiceSet) {
            gained = new.subtracting(old)
            lost = old.subtracting(new)
        }

        /// Whether nothing comes or goes.
        public var isEmpty: Bool { gained.isEmpty && lost.isEmpty }
    }

    /// A pair of workloads whose services change.
    public struct Pair: Hashable, Sendable {
        /// The one that begins.
        public var source: Workload.ID
        /// The other.
        public var target: Workload.ID
        /// Over which addresses; `nil` if the change is the same over both, or the pair has one family only.
        public var family: AddressFamily?
        /// What changes.
        public var change: Change
    }

    /// A block of addresses outside whose services change for a workload.
    public struct Outside: Hashable, Sendable {
        /// The workload.
        public var workload: Workload.ID
        /// Who begins: the workload in `egress`, the outside in `ingress`.
        public var direction: TrafficDirection
        /// The addresses.
        public var prefix: IPPrefix
        /// What changes.
        public var change: Change
    }

    /// A block of addresses by which a workload's own machine offers it other services than before.
    public struct Host: Hashable, Sendable {
        /// The workload, which begins.
        public var workload: Workload.ID
        /// The addresses.
        public var prefix: IPPrefix
        /// What changes.
        public var change: Change
    }

    /// Names whose services change for a workload.
    public struct Names: Hashable, Sendable {
        /// The workload.
        public var workload: Workload.ID
        /// The names.
        public var pattern: DomainPattern
        /// What changes.
        public var change: Change
    }

    /// The names that change, by workload, in the order of the rules.
    public let names: [Names]
    /// The pairs that change, by source and target.
    public let pairs: [Pair]
    /// The blocks that change, by workload, direction and address.
    public let outside: [Outside]
    /// The blocks by which the machine's services change, by workload and address.
    public let host: [Host]
    /// Workloads that only the new map has.
    public let added: [Workload.ID]
    /// Workloads that only the old map has.
    public let removed: [Workload.ID]

    /// Whether nothing changes.
    public var isEmpty: Bool {
        pairs.isEmpty && outside.isEmpty && host.isEmpty && names.isEmpty && added.isEmpty && removed.isEmpty
    }

    /// Compares two maps.
    public init(from old: ReachabilityMap, to new: ReachabilityMap) {
        let before = old.places
        let after = new.places
        let all = Set(before.keys).union(after.keys).sorted()
        added = all.filter { before[$0] == nil }
        removed = all.filter { after[$0] == nil }
        pairs = ReachabilityDifference.pairs(all, from: (old, before), to: (new, after))
        names = all.flatMap { id in
            ReachabilityDifference.names(
                of: id, from: before[id].flatMap(old.names(of:)), to: after[id].flatMap(new.names(of:)))
        }
        let addresses = InventoryAddresses(old.inventory, new.inventory)
        var overlays = OverlayCache(old: old, new: new, addresses: addresses)
        outside = all.flatMap { id in
            TrafficDirection.allCases.flatMap { direction in
                overlays.blocks(before[id], after[id], direction).map {
                    Outside(workload: id, direction: direction, prefix: $0.prefix, change: $0.change)
                }
            }
        }
        host = all.flatMap { id in
            overlays.blocks(before[id], after[id], .egress, withHost: true).map {
                Host(workload: id, prefix: $0.prefix, change: $0.change)
            }
        }
    }

    private static func names(of workload: Workload.ID, from old: NameReach?, to new: NameReach?) -> [Names] {
        var known: Set<DomainPattern> = []
        return ((new?.patterns ?? []) + (old?.patterns ?? [])).compactMap { pattern in
            guard known.insert(pattern).inserted else { return nil }
            let change = Change(
                from: old?.services(of: pattern) ?? .nothing, to: new?.services(of: pattern) ?? .nothing)
            return change.isEmpty ? nil : Names(workload: workload, pattern: pattern, change: change)
        }
    }

    private static func pairs(
        _ all: [Workload.ID], from old: (map: ReachabilityMap, places: [Workload.ID: Int]),
        to new: (map: ReachabilityMap, places: [Workload.ID: Int])
    ) -> [Pair] {
        var pairs: [Pair] = []
        var (rows, newRows) = (PairRows(old.map), PairRows(new.map))
        let before = all.map { old.places[$0] }
        let after = all.map { new.places[$0] }
        for source in all.indices {
            if let place = before[source] { rows.begin(place) }
            if let place = after[source] { newRows.begin(place) }
            for target in all.indices {
                let left = before[source] == nil ? nil : before[target].flatMap { rows.services(with: $0) }
                let right = after[source] == nil ? nil : after[target].flatMap { newRows.services(with: $0) }
                if left != right { pairs += self.pairs(all[source], all[target], from: left, to: right) }
            }
        }
        return pairs
    }

    private static func pairs(
        _ source: Workload.ID, _ target: Workload.ID, from old: ReachabilityMap.PairServices?,
        to new: ReachabilityMap.PairServices?
    ) -> [Pair] {
        let changes = AddressFamily.allCases.compactMap { family -> Pair? in
            if old?[family] == nil && new?[family] == nil { return nil }
            let change = Change(from: old?[family] ?? .nothing, to: new?[family] ?? .nothing)
            return Pair(source: source, target: target, family: family, change: change)
        }
        if Set(changes.map(\.change)).count == 1, var only = changes.first {
            only.family = nil
            return only.change.isEmpty ? [] : [only]
        }
        return changes.filter { !$0.change.isEmpty }
    }
}

extension ReachabilityMap {
    fileprivate var places: [Workload.ID: Int] {
        Dictionary(inventory.workloads.enumerated().map { ($1.id, $0) }) { first, _ in first }
    }
}

/// Lays what an old and a new list of policies allow over each other, once for each two lists.
private struct OverlayCache {
    struct Block {
        var prefix: IPPrefix
        var change: ReachabilityDifference.Change
    }

    struct Key: Hashable {
        var old: Int?
        var new: Int?
        var family: AddressFamily
        var withHost: Bool
    }

    let old: ReachabilityMap
    let new: ReachabilityMap
    let addresses: InventoryAddresses
    private var known: [Key: [Block]] = [:]

    init(old: ReachabilityMap, new: ReachabilityMap, addresses: InventoryAddresses) {
        self.old = old
        self.new = new
        self.addresses = addresses
    }

    /// The blocks of the rest of the world that change, or with `withHost` those of the machine.
    mutating func blocks(
        _ before: Int?, _ after: Int?, _ direction: TrafficDirection, withHost: Bool = false
    ) -> [Block] {
        AddressFamily.allCases.flatMap { family -> [Block] in
            let key = Key(
                old: before.flatMap { old.classPlace(of: $0, direction, family) },
                new: after.flatMap { new.classPlace(of: $0, direction, family) }, family: family, withHost: withHost)
            if let blocks = known[key] { return blocks }
            let blocks = overlay(key)
            known[key] = blocks
            return blocks
        }
    }

    private func overlay(_ key: Key) -> [Block] {
        let left = key.old.map { old.classes[$0].steps(key.family, withHost: key.withHost) }
        let right = key.new.map { new.classes[$0].steps(key.family, withHost: key.withHost) }
        var changes: [ReachabilityDifference.Change] = []
        var places: [UInt64: Int32] = [:]
        let steps = AddressSteps.overlay(left, right, key.family) { one, two in
            let pair = UInt64(UInt32(bitPattern: one)) << 32 | UInt64(UInt32(bitPattern: two))
            if let place = places[pair] { return place }
            let change = ReachabilityDifference.Change(from: old.services[one], to: new.services[two])
            let place = Int32(truncatingIfNeeded: changes.firstIndex(of: change) ?? changes.count)
            if Int(place) == changes.count { changes.append(change) }
            places[pair] = place
            return place
        }
        let ignored = key.withHost ? addresses.guests(key.family) : addresses[key.family]
        return AddressCover(steps, ignoring: ignored).blocks
            .map { Block(prefix: $0.prefix, change: changes[Int($0.value)]) }.filter { !$0.change.isEmpty }
    }
}

extension ReachabilityClass {
    func steps(_ family: AddressFamily, withHost: Bool = false) -> AddressSteps {
        if withHost { return family == .ipv4 ? hostSteps4 : hostSteps6 }
        return family == .ipv4 ? steps4 : steps6
    }
}

extension AddressSteps {
    /// Two functions together; one that is not there is 0 throughout.
    static func overlay(
        _ left: AddressSteps?, _ right: AddressSteps?, _ family: AddressFamily, _ combine: (Int32, Int32) -> Int32
    ) -> AddressSteps {
        let left = left ?? AddressSteps(family, 0)
        let right = right ?? AddressSteps(family, 0)
        var result = AddressSteps(family, combine(left.values[0], right.values[0]))
        var one = 0
        var two = 0
        while one + 1 < left.starts.count || two + 1 < right.starts.count {
            let next = one + 1 < left.starts.count ? left.starts[one + 1] : nil
            let other = two + 1 < right.starts.count ? right.starts[two + 1] : nil
            guard let start = [next, other].compactMap({ $0 }).min() else { break }
            if next == start { one += 1 }
            if other == start { two += 1 }
            result.append(from: start, combine(left.values[one], right.values[two]))
        }
        return result
    }
}
