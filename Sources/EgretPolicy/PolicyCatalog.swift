// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Every policy that somebody wrote, of whatever kind, before it is asked which of them concern a workload.
public struct PolicyCatalog: Hashable, Sendable {
    /// Egret's own.
    public var egressPolicies: [EgressPolicy]
    /// Kubernetes' of `networking.k8s.io/v1`.
    public var networkPolicies: [NetworkPolicy]
    /// Kubernetes' of `policy.networking.k8s.io`.
    public var clusterPolicies: [ClusterPolicy]
    /// The destination groups that rules may name.
    public var groups: [DestinationGroup]
    /// What happens to traffic that no policy decided.
    public var networkDefault: DefaultAction
    /// What traffic costs; says nothing of what may pass.
    public var priceLists: [PriceList]

    /// Creates a catalog.
    public init(
        egressPolicies: [EgressPolicy] = [], networkPolicies: [NetworkPolicy] = [],
        clusterPolicies: [ClusterPolicy] = [], groups: [DestinationGroup] = [], networkDefault: DefaultAction = .deny,
        priceLists: [PriceList] = []
    ) {
        self.egressPolicies = egressPolicies
        self.networkPolicies = networkPolicies
        self.clusterPolicies = clusterPolicies
        self.groups = groups
        self.networkDefault = networkDefault
        self.priceLists = priceLists
    }

    /// Whether a policy selects a workload by one of its labels: it would not if the workload had no label of that key.
    ///
    /// - Parameters:
    ///   - workload: The workload. What policies ask of the labels of its namespace is not looked at.
    ///   - key: The label's key.
    /// - Returns: Whether there is such a policy, of whatever kind.
    public func selects(_ workload: Workload, by key: String) -> Bool {
        let others = workload.labels.filter { $0.key != key }
        var selectors = egressPolicies.compactMap(\.selects)
        selectors += networkPolicies.map { WorkloadSelector(namespaces: [$0.namespace], labels: $0.podSelector) }
        selectors += clusterPolicies.map(\.subject.selector)
        return selectors.contains { selector in
            selector.isNamed(workload.id)
                && (selector.namespaces.isEmpty || selector.namespaces.contains(workload.id.namespace))
                && selector.labels.matches(workload.labels) && !selector.labels.matches(others)
        }
    }
}
