// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// Looks for a connection of which something holds, among all that two parties can have with each other.
struct ConnectionSearch {
    /// A connection, and the services that are looked for.
    struct Hit {
        var source: ProofFlow.End
        var target: ProofFlow.End
        /// The addresses that the policies are asked about: placeholders where nobody knows better.
        var sourceAddress: IPAddress?
        var targetAddress: IPAddress
        var isHost = false
        var services: ServiceSet
    }

    private let map: ReachabilityMap
    /// What is looked for in the services that a connection may have; `nil` or nothing goes on.
    private let test: (ServiceSet) -> ServiceSet?
    private var rows: PairRows
    private let owners: [(address: IPAddress, workloads: [Int])]
    private var tested: [Int32: ServiceSet?] = [:]
    /// Whether any connection was looked at.
    private(set) var hasLooked = false

    init(_ map: ReachabilityMap, test: @escaping (ServiceSet) -> ServiceSet?) {
        self.map = map
        self.test = test
        rows = PairRows(map)
        var owners: [IPAddress: [Int]] = [:]
        for (place, workload) in map.inventory.workloads.enumerated() {
            for address in workload.addresses { owners[address, default: []].append(place) }
        }
        self.owners = owners.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    // MARK: - Workloads with workloads

    mutating func find(from sources: [Int], to targets: [Int]) -> Hit? {
        for source in sources {
            rows.begin(source)
            for target in targets {
                for family in AddressFamily.allCases {
                    guard let allowed = rows.number(with: target, family) else { continue }
                    hasLooked = true
                    guard let services = tested(allowed) else { continue }
                    if let hit = hit(source, target, family, services) { return hit }
                }
            }
        }
        return nil
    }

    /// The pair of the workloads' addresses that shows it: with several there may be some that do not.
    private func hit(_ source: Int, _ target: Int, _ family: AddressFamily, _ services: ServiceSet) -> Hit? {
        let ends = map.inventory.workloads[source].addresses.filter { $0.family == family }
        let others = map.inventory.workloads[target].addresses.filter { $0.family == family }
        for from in ends {
            for to in others {
                let allowed = map.allowed(.egress, of: source, with: to)
                    .intersection(map.allowed(.ingress, of: target, with: from))
                if let services = tested(allowed) {
                    return Hit(
                        source: end(source, from), target: end(target, to), sourceAddress: from, targetAddress: to,
                        services: services)
                }
            }
        }
        return nil
    }

    // MARK: - Workloads with addresses

    mutating func find(from sources: [Int], to party: AddressParty) -> Hit? {
        let owned = owned(by: party)
        for source in sources {
            if party.isHost {
                if let hit = findHost(from: [source]) { return hit }
                continue
            }
            for family in map.families(of: source) {
                let own = map.inventory.workloads[source].addresses.first { $0.family == family }
                if let found = findOutside(source, .egress, party, family) {
                    return Hit(
                        source: end(source, own), target: .init(address: found.address), sourceAddress: own,
                        targetAddress: found.address, services: found.services)
                }
            }
            if let hit = findOwners(source, .egress, owned) { return hit }
        }
        return nil
    }

    mutating func find(from party: AddressParty, to targets: [Int]) -> Hit? {
        let owned = owned(by: party)
        for target in targets {
            for family in map.families(of: target) {
                guard let found = findOutside(target, .ingress, party, family) else { continue }
                let own = map.inventory.workloads[target].addresses.first { $0.family == family }
                // A workload that nobody knows the address of still has one.
                return Hit(
                    source: .init(address: found.address), target: end(target, own), sourceAddress: found.address,
                    targetAddress: own ?? found.address, services: found.services)
            }
            if let hit = findOwners(target, .ingress, owned) { return hit }
        }
        return nil
    }

    /// A connection to the machine that a workload runs on, by an address of the party, if there is one.
    mutating func findHost(from sources: [Int], with party: AddressParty? = nil) -> Hit? {
        for source in sources {
            let own = map.inventory.workloads[source].addresses.first
            for range in map.host(of: source) {
                let family = range.prefix.family
                let block = range.prefix.address.rawValue...range.prefix.upperBound
                let meant = party?.ranges(family) ?? [block]
                guard let overlap = meant.first(where: { $0.overlaps(block) })?.clamped(to: block) else { continue }
                hasLooked = true
                guard let services = tested(range.services) else { continue }
                // What is said of a block is not said of the workloads' addresses in it.
                let address =
                    freeAddress(in: overlap, family) ?? IPAddress(family: family, rawValue: overlap.lowerBound)
                return Hit(
                    source: end(source, own), target: .init(address: address), sourceAddress: own,
                    targetAddress: address, isHost: true, services: services)
            }
        }
        return nil
    }

    /// An address of the party that is no workload's.
    private mutating func findOutside(
        _ workload: Int, _ direction: TrafficDirection, _ party: AddressParty, _ family: AddressFamily
    ) -> (address: IPAddress, services: ServiceSet)? {
        let steps = map.class(of: workload, direction).steps(family)
        for range in party.ranges(family) {
            var piece = steps.piece(at: range.lowerBound)
            while piece < steps.starts.count, steps.starts[piece] <= range.upperBound {
                let first = max(steps.starts[piece], range.lowerBound)
                let last = min(steps.end(of: piece), range.upperBound)
                let number = steps.values[piece]
                piece += 1
                guard let address = freeAddress(in: first...last, family) else { continue }
                hasLooked = true
                if let services = tested(number) { return (address, services) }
            }
        }
        return nil
    }

    /// Addresses of the party that are workloads', if it is about these.
    private func owned(by party: AddressParty) -> [(address: IPAddress, workloads: [Int])] {
        party.includesWorkloads ? owners.filter { party.contains($0.address) } : []
    }

    /// Workloads that have an address of the party.
    private mutating func findOwners(
        _ workload: Int, _ direction: TrafficDirection, _ owned: [(address: IPAddress, workloads: [Int])]
    ) -> Hit? {
        for (address, workloads) in owned {
            for other in workloads where other != workload {
                for own in map.inventory.workloads[workload].addresses where own.family == address.family {
                    hasLooked = true
                    let opposite: TrafficDirection = direction == .egress ? .ingress : .egress
                    let allowed = map.allowed(direction, of: workload, with: address)
                        .intersection(map.allowed(opposite, of: other, with: own))
                    guard let services = tested(allowed) else { continue }
                    let isSource = direction == .egress
                    return Hit(
                        source: isSource ? end(workload, own) : end(other, address),
                        target: isSource ? end(other, address) : end(workload, own),
                        sourceAddress: isSource ? own : address, targetAddress: isSource ? address : own,
                        services: services)
                }
            }
        }
        return nil
    }

    // MARK: - Parts

    private func tested(_ allowed: ServiceSet) -> ServiceSet? {
        guard let services = test(allowed), !services.isEmpty else { return nil }
        return services
    }

    private mutating func tested(_ number: Int32) -> ServiceSet? {
        if let known = tested[number] { return known }
        let result = tested(rows.table[number])
        tested[number] = .some(result)
        return result
    }

    private func end(_ workload: Int, _ address: IPAddress?) -> ProofFlow.End {
        .init(workload: workload, address: map.placeholders[workload] == nil ? address : nil)
    }

    /// An address of the range that no workload has, one that people know if there is such.
    private func freeAddress(in range: ClosedRange<UInt128>, _ family: AddressFamily) -> IPAddress? {
        let taken = map.addresses[family]
        let known: [UInt128] = family == .ipv4 ? [0xcb00_7101] : [0x2001_0db8 << 96 | 1]
        for value in known where range.contains(value) && !map.addresses.contains(value, family) {
            return IPAddress(family: family, rawValue: value)
        }
        var candidate = range.lowerBound
        var low = 0
        var high = taken.count
        while low < high {
            let middle = (low + high) / 2
            if taken[middle] < candidate { low = middle + 1 } else { high = middle }
        }
        while low < taken.count, taken[low] == candidate {
            if candidate == range.upperBound { return nil }
            candidate += 1
            low += 1
        }
        return IPAddress(family: family, rawValue: candidate)
    }
}

extension ReachabilityMap {
    /// What a workload's own policies allow with an address.
    func allowed(_ direction: TrafficDirection, of workload: Int, with address: IPAddress) -> ServiceSet {
        services[self.class(of: workload, direction).steps(address.family).value(at: address.rawValue)]
    }
}
