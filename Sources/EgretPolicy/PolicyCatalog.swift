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
}
