// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// Finds the workloads that a selector chooses without asking each of them.
struct WorkloadIndex: Sendable {
    private struct Label: Hashable {
        var key: String
        var value: String
    }

    let inventory: Inventory
    private var byLabel: [Label: [Int]] = [:]
    private var byNamespace: [String: [Int]] = [:]
    private var byName: [String: [Int]] = [:]
    private var found: [WorkloadSelector: [Int]] = [:]

    init(_ inventory: Inventory) {
        self.inventory = inventory
        for (index, workload) in inventory.workloads.enumerated() where !workload.usesHostNetwork {
            byNamespace[workload.id.namespace, default: []].append(index)
            byName[workload.id.name, default: []].append(index)
            for (key, value) in workload.labels { byLabel[Label(key: key, value: value), default: []].append(index) }
        }
    }

    /// The places in the inventory of the workloads that the selector chooses, rising.
    ///
    /// - Complexity: O(*c*) in the workloads that share the selector's rarest label, name or namespace, once for each
    ///   selector.
    mutating func workloads(chosenBy selector: WorkloadSelector) -> [Int] {
        if let places = found[selector] { return places }
        let places = candidates(for: selector).filter { place in
            selector.matches(inventory.workloads[place], in: inventory)
        }
        found[selector] = places
        return places
    }

    /// A short list of workloads that holds every one the selector can choose.
    private func candidates(for selector: WorkloadSelector) -> [Int] {
        var lists: [[Int]] = []
        for requirement in selector.labels.requirements where requirement.operation == .isIn {
            lists.append(union(requirement.values.map { byLabel[Label(key: requirement.key, value: $0)] ?? [] }))
        }
        if !selector.names.isEmpty {
            let names = selector.names.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
            lists.append(union(names.map { byName[$0] ?? [] }))
        }
        if let namespaces = namespaces(of: selector) {
            lists.append(union(namespaces.map { byNamespace[$0] ?? [] }))
        }
        return lists.min { $0.count < $1.count } ?? Array(inventory.workloads.indices)
    }

    /// The namespaces that a selector is limited to; `nil` for all of them.
    private func namespaces(of selector: WorkloadSelector) -> [String]? {
        if !selector.namespaces.isEmpty { return selector.namespaces }
        if selector.namespaceLabels.requirements.isEmpty { return nil }
        return inventory.namespaces.filter { selector.namespaceLabels.matches($0.value) }.keys.sorted()
    }

    private func union(_ lists: [[Int]]) -> [Int] {
        if let only = lists.first, lists.count == 1 { return only }
        return Set(lists.joined()).sorted()
    }
}
