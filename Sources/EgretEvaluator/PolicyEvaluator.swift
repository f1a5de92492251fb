// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Says what a policy set does with a flow: the reference that the data plane is tested against.
///
/// The tiers are asked in order: admin, workload, baseline. In a tier the policies are asked by priority and
/// name, and their rules in order; the first rule that matches decides, and `pass` leaves the tier. What no rule
/// of the workload tier matched gets that tier's default if any workload policy is present, and the baseline
/// tier is then not asked. What no tier decided gets the network's default.
///
/// The answer is a function of the set and the flow alone. Building an evaluator sorts addresses once;
/// ``decide(_:)`` then walks the rules.
public struct PolicyEvaluator: Sendable {
    /// The set that decides.
    public let policies: PolicySet
    private let tiers: [(tier: EgressPolicy.Tier, rules: [PreparedRule])]
    private let statedDefault: (policy: String, action: DefaultAction)?

    /// Prepares a policy set.
    ///
    /// - Complexity: O(*n* log *n*) in the number of address blocks.
    public init(policies: PolicySet) {
        self.policies = policies
        statedDefault = policies.workloadDefault.map { ($0.policy.name, $0.action) }
        tiers = EgressPolicy.Tier.allCases.sorted().map { tier in
            let rules = policies.policies.filter { $0.tier == tier }.flatMap { policy in
                policy.rules.enumerated().map { index, rule in
                    PreparedRule(
                        rule, clause: .rule(policy: policy.name, index: index), groups: policies.groups
                    )
                }
            }
            return (tier, rules)
        }
    }

    /// Decides about the first packet of a connection.
    ///
    /// - Complexity: O(*r* log *n*) in the rules asked and their address blocks.
    public func decide(_ flow: Flow) -> Decision {
        decide(flow, ignoring: [])
    }

    /// Decides as if some clauses were not there: what would happen without the rule that decides now.
    ///
    /// An ignored default is as if its policy had no part in the tier's default; if none is left, the baseline
    /// tier is asked. The network's default cannot be ignored.
    public func decide(_ flow: Flow, ignoring ignored: Set<DecidingClause>) -> Decision {
        var passed: [DecidingClause] = []
        for (tier, rules) in tiers {
            let rule = rules.first { $0.matches(flow) && !ignored.contains($0.clause) }
            if let rule {
                guard rule.action == .pass else { return Decision(rule.action, by: rule.clause, passed: passed) }
                passed.append(rule.clause)
            } else if tier == .workload, let (policy, action) = workloadDefault(ignoring: ignored) {
                return Decision(action, by: .policyDefault(policy: policy), passed: passed)
            }
        }
        return Decision(policies.networkDefault, by: .networkDefault, passed: passed)
    }

    private func workloadDefault(ignoring ignored: Set<DecidingClause>) -> (policy: String, action: DefaultAction)? {
        guard let statedDefault, ignored.contains(.policyDefault(policy: statedDefault.policy)) else {
            return statedDefault
        }
        let left = policies.policies.filter { !ignored.contains(.policyDefault(policy: $0.name)) }
        return PolicySet(policies: left).workloadDefault.map { ($0.policy.name, $0.action) }
    }
}

extension Decision {
    /// The decision of a rule that does not pass.
    fileprivate init(_ action: RuleAction, by clause: DecidingClause, passed: [DecidingClause]) {
        switch action {
        case .allow: self.init(verdict: .allow, clause: clause, passed: passed)
        case .audit: self.init(verdict: .allow, isAudited: true, clause: clause, passed: passed)
        case .reject: self.init(verdict: .reject, clause: clause, passed: passed)
        case .deny, .pass: self.init(verdict: .deny, clause: clause, passed: passed)
        }
    }

    /// The decision of a default.
    fileprivate init(_ action: DefaultAction, by clause: DecidingClause, passed: [DecidingClause]) {
        switch action {
        case .allow: self.init(verdict: .allow, clause: clause, passed: passed)
        case .audit: self.init(verdict: .allow, isAudited: true, clause: clause, passed: passed)
        case .reject: self.init(verdict: .reject, clause: clause, passed: passed)
        case .deny: self.init(verdict: .deny, clause: clause, passed: passed)
        }
    }
}
