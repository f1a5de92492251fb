// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What selectors choose from: workloads, the namespaces they are in, and the machines they run on.
public struct Inventory: Hashable, Sendable {
    /// A machine of a cluster.
    public struct Node: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Its labels.
        public var labels: [String: String]
        /// Its addresses.
        public var addresses: [IPAddress]

        /// Creates a node.
        public init(_ name: String, labels: [String: String] = [:], addresses: [IPAddress] = []) {
            self.name = name
            self.labels = labels
            self.addresses = addresses
        }
    }

    /// The label with its name that every namespace carries (Kubernetes, KEP-2161).
    public static let nameLabel = "kubernetes.io/metadata.name"

    /// The workloads, by identity.
    public private(set) var workloads: [Workload]
    /// The labels of each namespace, the one with its name included.
    public private(set) var namespaces: [String: [String: String]]
    /// The machines, by name.
    public private(set) var nodes: [Node]
    /// Addresses of workloads that only stand in for those that nobody knows: a block that leaves something out is not
    /// about them.
    public private(set) var placeholders: [IPPrefix]

    /// Creates an inventory; namespaces of workloads that are not among `namespaces` are added with their name alone.
    public init(
        workloads: [Workload] = [], namespaces: [String: [String: String]] = [:], nodes: [Node] = [],
        placeholders: [IPPrefix] = []
    ) {
        self.placeholders = placeholders
        self.workloads = workloads.sorted { $0.id < $1.id }
        self.nodes = nodes.sorted { $0.name < $1.name }
        var all = namespaces
        for workload in workloads where all[workload.id.namespace] == nil { all[workload.id.namespace] = [:] }
        for name in all.keys { all[name]?[Inventory.nameLabel] = name }
        self.namespaces = all
    }

    /// The labels of a workload's namespace.
    public func namespaceLabels(of workload: Workload) -> [String: String] {
        namespaces[workload.id.namespace] ?? [Inventory.nameLabel: workload.id.namespace]
    }
}
