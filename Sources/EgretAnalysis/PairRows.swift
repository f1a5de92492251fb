// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// What one workload after another may ask of every other.
///
/// What the source's policies say of the targets is looked up once for a list of policies, and what the targets' say of the
/// source once for a list, however many workloads share it. Where one end allows nothing, the other is not asked.
struct PairRows {
    private let map: ReachabilityMap
    /// The service sets by number, those that two ends have in common included.
    private(set) var table: ServiceTable
    private var source = 0
    private var rows4: FamilyRows
    private var rows6: FamilyRows

    init(_ map: ReachabilityMap) {
        self.map = map
        table = map.services
        rows4 = FamilyRows(map, .ipv4)
        rows6 = FamilyRows(map, .ipv6)
    }

    /// Begins with another source.
    mutating func begin(_ source: Int) {
        self.source = source
        rows4.begin(source, map, &table)
        rows6.begin(source, map, &table)
    }

    /// The number of what the source may ask of a target over one family; `nil` if one of them does not speak it.
    mutating func number(with target: Int, _ family: AddressFamily) -> Int32? {
        if target == source && !map.inventory.workloads[source].isTemplate { return nil }
        return family == .ipv4 ? rows4.number(with: target, map, &table) : rows6.number(with: target, map, &table)
    }

    /// Whether the source may ask anything of a target.
    mutating func hasServices(with target: Int) -> Bool {
        (number(with: target, .ipv4) ?? ServiceTable.nothing) != ServiceTable.nothing
            || (number(with: target, .ipv6) ?? ServiceTable.nothing) != ServiceTable.nothing
    }

    /// What the source may ask of a target; `nil` if they are the same, unless that stands for several pods.
    mutating func services(with target: Int) -> ReachabilityMap.PairServices? {
        if target == source && !map.inventory.workloads[source].isTemplate { return nil }
        let ipv4 = number(with: target, .ipv4).map { table[$0] }
        let ipv6 = number(with: target, .ipv6).map { table[$0] }
        return ReachabilityMap.PairServices(ipv4: ipv4, ipv6: ipv6)
    }
}

/// The pairs of one source over one family.
private struct FamilyRows {
    private static let unknown: Int32 = -1

    private let family: AddressFamily
    /// The addresses of each workload; none if it does not speak the family.
    private let addresses: [[UInt128]]
    private var source = 0
    /// What the source's list of policies allows with each target.
    private var row: [Int32] = []
    private var rowClass: Int?
    /// What each list of policies allows the source to ask of those that obey it.
    private var answers: [Int32] = []

    init(_ map: ReachabilityMap, _ family: AddressFamily) {
        self.family = family
        addresses = map.inventory.workloads.map { workload in
            workload.addresses.filter { $0.family == family }.map(\.rawValue)
        }
    }

    mutating func begin(_ source: Int, _ map: ReachabilityMap, _ table: inout ServiceTable) {
        self.source = source
        if addresses[source].isEmpty { return }
        answers = [Int32](repeating: FamilyRows.unknown, count: map.classCount)
        let place = map.classPlace(of: source, .egress)
        if rowClass == place { return }
        rowClass = place
        let steps = map.classes[place].steps(family)
        row = addresses.map { FamilyRows.number($0, steps, &table) }
    }

    mutating func number(with target: Int, _ map: ReachabilityMap, _ table: inout ServiceTable) -> Int32? {
        if addresses[source].isEmpty || addresses[target].isEmpty { return nil }
        let asked = row[target]
        if asked == ServiceTable.nothing { return asked }
        let place = map.classPlace(of: target, .ingress)
        if answers[place] == FamilyRows.unknown {
            answers[place] = FamilyRows.number(addresses[source], map.classes[place].steps(family), &table)
        }
        return table.intersection(asked, answers[place])
    }

    /// What is allowed with any of the addresses.
    private static func number(_ addresses: [UInt128], _ steps: AddressSteps, _ table: inout ServiceTable) -> Int32 {
        var result: Int32?
        for address in addresses {
            let number = steps.value(at: address)
            guard let one = result, one != number else {
                result = number
                continue
            }
            result = table.number(table[one].union(table[number]))
        }
        return result ?? ServiceTable.nothing
    }
}
