// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

package import EgretPolicy

/// Policies made ready to be asked: their rules in order, tier by tier, and their defaults.
package struct PreparedTiers: Sendable {
    /// Whether any rule holds at some times only.
    let hasSchedules: Bool
    /// The rules in the order in which they are asked.
    package let tiers: [(tier: EgressPolicy.Tier, rules: [PreparedRule])]
    /// Names and defaults of the workload tier's policies, the strictest first.
    package let defaults: [(policy: String, action: DefaultAction)]
    /// What happens to traffic that no policy decided.
    package let networkDefault: DefaultAction

    init(_ policies: [EgressPolicy], of set: PolicySet) {
        tiers = EgressPolicy.Tier.allCases.sorted().map { tier in
            let rules = policies.filter { $0.tier == tier }.flatMap { policy in
                policy.rules.enumerated().map { index, rule in
                    PreparedRule(
                        rule, clause: .rule(policy: policy.name, index: rule.clauseIndex ?? index), groups: set.groups)
                }
            }
            return (tier, rules)
        }
        hasSchedules = policies.contains(where: \.hasSchedules)
        defaults = PolicySet.workloadDefaults(of: policies).map { ($0.policy.name, $0.action) }
        networkDefault = set.networkDefault
    }

    /// Decides as if some clauses were not there.
    ///
    /// - Parameters:
    ///   - flow: The flow.
    ///   - held: By which of the flow's names each rule may reach its address.
    ///   - time: When.
    ///   - beginning: When the connection began, if it is open: rules whose schedules drain hold as they did then. `nil` for
    ///     one that begins.
    ///   - ignored: The clauses to leave out.
    /// - Returns: The decision.
    func decide(
        _ flow: Flow, holding held: HeldNames, at time: Int64?, since beginning: Int64? = nil,
        ignoring ignored: Set<DecidingClause>
    ) -> Decision {
        var passed: [DecidingClause] = []
        var closed: [DecidingClause] = []
        var isAnswered = false
        for (tier, rules) in tiers {
            let rule = first(
                of: rules, for: flow, held, at: time, since: beginning, ignoring: ignored, &closed, &isAnswered)
            if let rule {
                guard rule.action == .pass else {
                    return Decision(rule.action, by: rule.clause, passed: passed, closed: closed)
                }
                passed.append(rule.clause)
            } else if tier == .workload {
                let stated = defaults.first { !ignored.contains(.policyDefault(policy: $0.policy)) }
                if let (policy, action) = stated {
                    return Decision(
                        isAnswered ? action.answered : action, by: .policyDefault(policy: policy), passed: passed,
                        closed: closed)
                }
            }
        }
        return Decision(
            isAnswered ? networkDefault.answered : networkDefault, by: .networkDefault, passed: passed, closed: closed)
    }

    private func first(
        of rules: [PreparedRule], for flow: Flow, _ held: HeldNames, at time: Int64?, since beginning: Int64?,
        ignoring ignored: Set<DecidingClause>,
        _ closed: inout [DecidingClause], _ isAnswered: inout Bool
    ) -> PreparedRule? {
        for rule in rules where !ignored.contains(rule.clause) {
            let names = held[rule.clause] ?? []
            if rule.answers(flow, holding: names) && rule.isOpen(at: time, since: beginning) { isAnswered = true }
            if !rule.matches(flow, holding: names) { continue }
            if rule.isOpen(at: time, since: beginning) { return rule }
            if closed.last != rule.clause { closed.append(rule.clause) }
        }
        return nil
    }
}

extension DefaultAction {
    /// The same, with an answer where it refuses.
    fileprivate var answered: DefaultAction { self == .deny ? .reject : self }
}

extension Decision {
    /// The decision of a rule that does not pass.
    package init(
        _ action: RuleAction, by clause: DecidingClause, passed: [DecidingClause], closed: [DecidingClause]
    ) {
        let verdict: Verdict =
            switch action {
            case .allow, .audit: .allow
            case .reject: .reject
            case .deny, .pass: .deny
            }
        self.init(verdict: verdict, isAudited: action == .audit, clause: clause, passed: passed, closed: closed)
    }

    /// The decision of a default.
    package init(
        _ action: DefaultAction, by clause: DecidingClause, passed: [DecidingClause], closed: [DecidingClause]
    ) {
        let verdict: Verdict =
            switch action {
            case .allow, .audit: .allow
            case .reject: .reject
            case .deny: .deny
            }
        self.init(verdict: verdict, isAudited: action == .audit, clause: clause, passed: passed, closed: closed)
    }
}
