// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Chooses workloads: every part that is given must hold.
///
/// A workload that uses the host's network is never chosen: its addresses are the machine's.
public struct WorkloadSelector: Hashable, Sendable {
    /// The selector that chooses every workload.
    public static let everything = WorkloadSelector()

    /// Names: `name`, `namespace/name`, or `kind/namespace/name` with the kind in lower case. Any one suffices; empty means
    /// every name.
    public var names: [String]
    /// Names of namespaces. Any one suffices; empty means every namespace.
    public var namespaces: [String]
    /// What must hold of the namespace's labels.
    public var namespaceLabels: LabelSelector
    /// What must hold of the workload's labels.
    public var labels: LabelSelector

    /// Creates a selector.
    public init(
        names: [String] = [],
        namespaces: [String] = [],
        namespaceLabels: LabelSelector = .everything,
        labels: LabelSelector = .everything
    ) {
        self.names = names
        self.namespaces = namespaces
        self.namespaceLabels = namespaceLabels
        self.labels = labels
    }

    /// Whether the selector chooses the workload.
    ///
    /// - Parameters:
    ///   - workload: The workload.
    ///   - inventory: Where its namespace's labels are.
    /// - Returns: Whether every part holds.
    public func matches(_ workload: Workload, in inventory: Inventory) -> Bool {
        if workload.usesHostNetwork { return false }
        let id = workload.id
        return isNamed(id)
            && (namespaces.isEmpty || namespaces.contains(id.namespace))
            && labels.matches(workload.labels)
            && namespaceLabels.matches(inventory.namespaceLabels(of: workload))
    }

    /// Whether one of the names is the workload's, or none is asked for.
    public func isNamed(_ id: Workload.ID) -> Bool {
        names.isEmpty || names.contains(id.name) || names.contains(id.description) || names.contains(id.withKind)
    }
}
