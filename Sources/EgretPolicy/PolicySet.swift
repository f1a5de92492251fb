// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Everything that decides about one endpoint's traffic in one direction, in the order in which it is asked.
///
/// Rules name no workloads and no ports by name: a resolver has turned them into addresses and numbers. A rule that
/// does all the same matches nothing where it lets traffic out, and everything where it holds it back.
public struct PolicySet: Hashable, Sendable {
    /// The policies, by tier, priority and name.
    public let policies: [EgressPolicy]
    /// The destination groups that rules may name, less those whose feed has not been read: nothing opens by them.
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
        self.policies = policies.map(PolicySet.closed).sorted {
            ($0.tier, $0.priority, $0.name) < ($1.tier, $1.priority, $1.name)
        }
        self.groups = Dictionary(
            groups.filter(\.isLoaded).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.networkDefault = networkDefault
    }

    /// The limits of the policies that decide: all hold.
    public var limits: [TrafficLimit] {
        policies.filter { $0.mode == .enforce }.flatMap { policy in
            policy.limits.map { limit in
                var limit = limit
                limit.policy = policy.name
                return limit
            }
        }
    }
    /// The routes of the policies that decide, in the order in which they are asked.
    public var routes: [EgressRoute] { policies.filter { $0.mode == .enforce }.flatMap(\.routes) }

    /// The policy with each unresolved rule removed, or widened, so that nothing opens by it.
    private static func closed(_ policy: EgressPolicy) -> EgressPolicy {
        if policy.rules.allSatisfy(\.isResolved) { return policy }
        var closed = policy
        closed.rules = policy.rules.enumerated().compactMap { index, rule in
            if rule.isResolved { return rule.at(index) }
            guard rule.action == .deny || rule.action == .reject else { return nil }
            return EgressRule(
                name: rule.name, action: rule.action, schedule: rule.schedule, clauseIndex: rule.clauseIndex ?? index,
                location: rule.location)
        }
        return closed
    }

    /// The set without the policies in audit mode: what really happens.
    public var enforcing: PolicySet {
        PolicySet(
            policies: policies.filter { $0.mode == .enforce }, groups: Array(groups.values),
            networkDefault: networkDefault)
    }

    /// The names that a rule is about: its own, and those of the groups that it refers to.
    public func patterns(of rule: EgressRule) -> [DomainPattern] {
        PolicySet.patterns(of: rule, in: groups)
    }

    /// The names that a rule is about: its own, and those of the groups that it refers to.
    public static func patterns(of rule: EgressRule, in groups: [String: DestinationGroup]) -> [DomainPattern] {
        rule.domains + patterns(ofGroupsIn: rule.destinations, groups)
    }

    /// The names of the groups among some destinations.
    static func patterns(
        ofGroupsIn destinations: [Destination], _ groups: [String: DestinationGroup]
    ) -> [DomainPattern] {
        destinations.flatMap { destination -> [DomainPattern] in
            guard case .group(let name) = destination else { return [] }
            return groups[name]?.domains ?? []
        }
    }

    /// Whether a rule is about names, in whatever policy.
    public var hasDomains: Bool {
        policies.contains { $0.rules.contains { !patterns(of: $0).isEmpty } }
    }

    /// Whether a policy is in audit mode.
    public var audits: Bool { policies.contains { $0.mode == .audit } }

    /// Whether a rule holds at some times only.
    public var hasSchedules: Bool { policies.contains(where: \.hasSchedules) }

    /// Whether a limit holds at some times only.
    public var hasTimedLimits: Bool { policies.contains(where: \.hasTimedLimits) }

    /// Whether a rule's time may end connections that it has let through.
    public var cutsByTime: Bool {
        policies.contains { $0.rules.contains { $0.schedule?.onClose == .cut } }
    }

    /// The rule of a clause; `nil` if the clause is a default, or there is no such rule.
    public func rule(of clause: DecidingClause) -> EgressRule? {
        guard case .rule(let name, let index) = clause else { return nil }
        return policies.first { $0.name == name }?.rule(ofClause: index)
    }

    /// What the workload tier does with traffic that none of its rules matched, with the policy that says so.
    ///
    /// `nil` if no enforcing workload policy is present. Where defaults differ, the strictest wins: deny, then reject,
    /// then audit, then allow; among equals the policy asked first.
    public var workloadDefault: (policy: EgressPolicy, action: DefaultAction)? {
        PolicySet.workloadDefaults(of: policies.filter { $0.mode == .enforce }).first
    }

    /// The defaults of the workload tier's policies, the strictest first; among equals in the order given.
    public static func workloadDefaults(of policies: [EgressPolicy]) -> [(policy: EgressPolicy, action: DefaultAction)]
    {
        let defaults = policies.filter { $0.tier == .workload }.map { (policy: $0, action: $0.defaultAction ?? .deny) }
        return defaults.enumerated().sorted { left, right in
            (strictness(right.element.action), left.offset) < (strictness(left.element.action), right.offset)
        }.map(\.element)
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
