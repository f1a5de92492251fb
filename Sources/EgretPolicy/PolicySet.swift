// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Everything that decides about one endpoint's traffic, in the order in which it is asked.
public struct PolicySet: Hashable, Sendable {
    /// The policies, by tier, priority and name.
    public let policies: [EgressPolicy]
    /// The destination groups that rules may name.
    public let groups: [String: DestinationGroup]
    /// What happens to traffic that no policy decided.
    public let networkDefault: DefaultAction

    /// Creates a set; the order of `policies` does not matter.
    ///
    /// Names of policies are unique and every group that a rule names exists: the reader of documents has
    /// checked both. A name that is unknown all the same matches nothing in a rule that lets traffic out and
    /// everything in a rule that holds it back.
    public init(
        policies: [EgressPolicy],
        groups: [DestinationGroup] = [],
        networkDefault: DefaultAction = .deny
    ) {
        self.policies = policies.sorted { ($0.tier, $0.priority, $0.name) < ($1.tier, $1.priority, $1.name) }
        self.groups = Dictionary(groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.networkDefault = networkDefault
    }

    /// What the workload tier does with traffic that none of its rules matched, with the policy that says so.
    ///
    /// `nil` if no workload policy is present. Where defaults differ, the strictest wins: deny, then reject,
    /// then audit, then allow; among equals the policy asked first.
    public var workloadDefault: (policy: EgressPolicy, action: DefaultAction)? {
        let defaults = policies.filter { $0.tier == .workload }.map { ($0, $0.defaultAction ?? .deny) }
        return defaults.min { PolicySet.strictness($0.1) > PolicySet.strictness($1.1) }
    }

    private static func strictness(_ action: DefaultAction) -> Int {
        switch action {
        case .allow: 0
        case .audit: 1
        case .reject: 2
        case .deny: 3
        }
    }
}

/// Which clause of a policy set decided.
public enum DecidingClause: Hashable, Sendable {
    /// A rule: the policy's name and the rule's place in it, counted from 0.
    case rule(policy: String, index: Int)
    /// The workload tier's default, as this policy states it.
    case policyDefault(policy: String)
    /// The network's default: no policy decided.
    case networkDefault
}
