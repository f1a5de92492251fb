// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Says which policies concern a workload, with everything looked up: selectors become addresses, names of ports
/// become numbers, and the kinds of Kubernetes become tiers, priorities and rules.
///
/// What comes out is a `PolicySet` for one workload and one direction, which the evaluator answers for and the
/// compiler compiles. Of a connection between two workloads both ends decide: the egress of the one that begins it
/// and the ingress of the other.
///
/// The kinds of `policy.networking.k8s.io` are in the admin and the baseline tier, by their priorities among Egret's
/// own policies. `NetworkPolicy` stands at the end of the workload tier: what any of them allows is allowed, and a
/// workload that one selects for a direction is isolated in that direction. The directions do not touch each other:
/// a policy for ingress alone leaves the baseline tier in force for egress.
public struct PolicyResolver: Sendable {
    /// Which policies decide: equal keys mean equal policy sets.
    public struct Key: Hashable, Sendable {
        var policies: [Int]
        /// The workload's own ports by name, where a rule about its ingress may ask for them; empty otherwise.
        public var namedPorts: [Workload.NamedPort]
    }

    /// The place in the order of asking that follows every priority: where `NetworkPolicy` stands in its tier.
    static let lastPriority = 1_001

    /// What was written.
    public let catalog: PolicyCatalog
    /// What selectors choose from.
    public var inventory: Inventory { index.inventory }

    private var index: WorkloadIndex
    private let sources: [Source]
    private let groups: [DestinationGroup]
    /// The IPv6 forms of the placeholders that groups are not about.
    private let groupForms: [String: [AddressBlock]]
    private var policiesOf: [TrafficDirection: [[Int]]] = [:]
    private var lowered: [Lowering: EgressPolicy] = [:]

    private struct Lowering: Hashable {
        var source: Int
        var direction: TrafficDirection
        var namedPorts: [Workload.NamedPort]
    }

    /// Looks up which policies concern which workloads.
    ///
    /// - Complexity: O(*p* + *w* + *m*) for *p* policies, *w* workloads and *m* pairs of a policy and a workload that
    ///   it selects.
    public init(_ catalog: PolicyCatalog, inventory: Inventory) {
        self.catalog = catalog
        index = WorkloadIndex(inventory)
        let spared = catalog.groups.map { $0.sparing(inventory.placeholders) }
        groups = spared
        let forms = zip(catalog.groups, spared).filter { $0 != $1 }.map { written, _ in
            (written.name, written.blocks.formsOfSpared(inventory.placeholders))
        }
        groupForms = Dictionary(forms, uniquingKeysWith: { first, _ in first })
        sources =
            catalog.egressPolicies.map { .egress($0) } + catalog.clusterPolicies.map { .cluster($0) }
            + catalog.networkPolicies.map { .network($0) }
        for direction in TrafficDirection.allCases {
            var lists = [[Int]](repeating: [], count: inventory.workloads.count)
            for (place, source) in sources.enumerated() where source.concerns(direction) {
                for workload in index.workloads(chosenBy: source.selector) { lists[workload].append(place) }
            }
            policiesOf[direction] = lists
        }
    }

    /// The key of the policies that decide about a workload's traffic.
    ///
    /// - Parameters:
    ///   - workload: Its place in `inventory.workloads`.
    ///   - direction: The direction.
    /// - Returns: A key that workloads with the same policies share.
    public func key(of workload: Int, _ direction: TrafficDirection) -> Key {
        let policies = policiesOf[direction]?[workload] ?? []
        let asksForNames = direction == .ingress && policies.contains { sources[$0].namesPorts(direction) }
        return Key(policies: policies, namedPorts: asksForNames ? inventory.workloads[workload].namedPorts : [])
    }

    /// The policies that decide about a workload's traffic.
    ///
    /// - Parameters:
    ///   - workload: Its place in `inventory.workloads`.
    ///   - direction: The direction.
    /// - Returns: The set, with addresses and numbers only. Without any policy it holds the network's default, and
    ///   for ingress, which only Kubernetes' kinds speak of, it allows.
    public mutating func policies(of workload: Int, _ direction: TrafficDirection) -> PolicySet {
        let key = key(of: workload, direction)
        return PolicySet(
            policies: key.policies.map { lower($0, direction, key.namedPorts) },
            groups: groups,
            networkDefault: direction == .ingress ? .allow : catalog.networkDefault
        )
    }

    /// The names of the policies that select a workload for a direction, in the catalog's order.
    public func policyNames(of workload: Int, _ direction: TrafficDirection) -> [String] {
        key(of: workload, direction).policies.map { sources[$0].name }
    }

    /// The workloads that a policy selects, as places in `inventory.workloads`.
    public mutating func workloads(chosenBy selector: WorkloadSelector) -> [Int] {
        index.workloads(chosenBy: selector)
    }

    private mutating func lower(
        _ place: Int, _ direction: TrafficDirection, _ namedPorts: [Workload.NamedPort]
    ) -> EgressPolicy {
        let source = sources[place]
        let lowering = Lowering(
            source: place, direction: direction, namedPorts: source.namesPorts(direction) ? namedPorts : [])
        if let policy = lowered[lowering] { return policy }
        var lowerer = RuleLowering(
            index: index, direction: direction, ownPorts: namedPorts, groupForms: groupForms)
        // Only one of the two holds the index, or it would be copied.
        index = WorkloadIndex(Inventory())
        let policy = lowerer.policy(source)
        index = lowerer.index
        lowered[lowering] = policy
        return policy
    }
}

/// A policy of any kind.
enum Source: Hashable, Sendable {
    case egress(EgressPolicy)
    case network(NetworkPolicy)
    case cluster(ClusterPolicy)

    var name: String {
        switch self {
        case .egress(let policy): policy.name
        case .network(let policy): policy.reference
        case .cluster(let policy): policy.reference
        }
    }

    /// Where it stands among others: by tier, priority and name.
    var rank: (EgressPolicy.Tier, Int, String) {
        switch self {
        case .egress(let policy): (policy.tier, policy.priority, policy.name)
        case .network(let policy): (.workload, PolicyResolver.lastPriority, policy.reference)
        case .cluster(let policy): (policy.tier, policy.priority, policy.reference)
        }
    }

    /// Which workloads obey it.
    var selector: WorkloadSelector {
        switch self {
        case .egress(let policy): policy.selects ?? .everything
        case .network(let policy): WorkloadSelector(namespaces: [policy.namespace], labels: policy.podSelector)
        case .cluster(let policy): policy.subject.selector
        }
    }

    /// Whether it has anything to say about the direction.
    func concerns(_ direction: TrafficDirection) -> Bool {
        switch self {
        case .egress: direction == .egress
        case .network(let policy): policy.directions.contains(direction)
        case .cluster(let policy): !policy.rules(direction).isEmpty
        }
    }

    /// Whether a rule names machines of the cluster.
    var namesNodes: Bool {
        if case .cluster(let policy) = self { return policy.namesNodes }
        return false
    }

    /// Whether a rule of the direction names a port.
    func namesPorts(_ direction: TrafficDirection) -> Bool {
        switch self {
        case .egress(let policy): policy.rules.contains { !$0.portNames.isEmpty }
        case .network(let policy): policy.rules(direction).contains { !$0.portNames.isEmpty }
        case .cluster(let policy): policy.rules(direction).contains { !$0.portNames.isEmpty }
        }
    }
}
