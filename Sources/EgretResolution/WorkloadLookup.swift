// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Where rules' peers are looked up when they become addresses.
protocol WorkloadLookup {
    /// The machines of the cluster.
    var nodes: [Inventory.Node] { get }
    /// Addresses of workloads that only stand in for those that nobody knows.
    var placeholders: [IPPrefix] { get }
    /// The places of the workloads that a selector chooses, by identity.
    mutating func workloads(chosenBy selector: WorkloadSelector) -> [Int]
    /// The places of all workloads that selectors can choose, by identity.
    mutating func everyWorkload() -> [Int]
    /// The workload of a place.
    func workload(at place: Int) -> Workload
    /// Whether one place's identity is before another's.
    func precedes(_ left: Int, _ right: Int) -> Bool
}

extension WorkloadLookup {
    /// The places that any of the selectors chooses, by identity.
    mutating func workloads(chosenByAnyOf selectors: [WorkloadSelector]) -> [Int] {
        if let only = selectors.first, selectors.count == 1 { return workloads(chosenBy: only) }
        var places = Set<Int>()
        for selector in selectors { places.formUnion(workloads(chosenBy: selector)) }
        return places.sorted(by: precedes)
    }
}

extension WorkloadIndex: WorkloadLookup {
    var nodes: [Inventory.Node] { inventory.nodes }
    var placeholders: [IPPrefix] { inventory.placeholders }

    func everyWorkload() -> [Int] {
        inventory.workloads.indices.filter { !inventory.workloads[$0].usesHostNetwork }
    }

    func workload(at place: Int) -> Workload { inventory.workloads[place] }

    func precedes(_ left: Int, _ right: Int) -> Bool { left < right }
}
