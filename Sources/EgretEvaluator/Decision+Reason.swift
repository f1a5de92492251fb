// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

extension Decision {
    /// Tells which clause decided and where it is written, as one sentence without a full stop.
    ///
    /// `allowed by rule 2 "reference-works" of the policy build-jobs (workload tier), policy.yaml:12:5`. The text
    /// is put together here, when it is read.
    ///
    /// - Parameters:
    ///   - policies: The set that decided.
    ///   - unixTime: The time it decided for; with it, the sentence says until when a rule with a schedule holds.
    /// - Returns: The sentence.
    public func reason(in policies: PolicySet, at unixTime: Int64? = nil) -> String {
        let steps = passed.map { "passed on by \(Decision.describe($0, in: policies))" }
        let last = "\(outcome) by \(Decision.describe(clause, in: policies))"
        let end = unixTime.flatMap { Decision.end(of: clause, in: policies, at: $0) } ?? ""
        return (steps + [last + end]).joined(separator: ", then ")
    }

    /// A sentence for each rule that would have been asked at another time: `closed now: rule 1 …, opens 2026-11-23 09:00
    /// +01:00`.
    ///
    /// - Parameters:
    ///   - policies: The set that decided.
    ///   - unixTime: The time it decided for.
    /// - Returns: The sentences, in the order in which the rules would have been asked.
    public func closedReasons(in policies: PolicySet, at unixTime: Int64) -> [String] {
        closed.map { clause in
            let name = Decision.describe(clause, in: policies)
            guard let schedule = policies.rule(of: clause)?.schedule else { return "closed now: \(name)" }
            let next = schedule.nextChange(after: unixTime)
            return "closed now: \(name), \(next.map { "opens \(schedule.zone.text(of: $0))" } ?? "opens no more")"
        }
    }

    /// What policies in audit mode would have done, as a sentence; `nil` if nothing else.
    public func auditReason(in policies: PolicySet) -> String? {
        auditRefusal.map { refusal in
            let outcome = refusal.verdict == .reject ? "rejected" : "denied"
            return "would be \(outcome) by \(Decision.describe(refusal.clause, in: policies)), were it enforced"
        }
    }

    private static func end(of clause: DecidingClause, in policies: PolicySet, at time: Int64) -> String? {
        guard let schedule = policies.rule(of: clause)?.schedule else { return nil }
        return schedule.nextChange(after: time).map { ", open until \(schedule.zone.text(of: $0))" }
            ?? ", open from now on"
    }

    private var outcome: String {
        switch verdict {
        case .allow: isAudited ? "allowed and reported" : "allowed"
        case .deny: "denied"
        case .reject: "rejected"
        }
    }

    private static func describe(_ clause: DecidingClause, in policies: PolicySet) -> String {
        switch clause {
        case .rule(let policy, let index): return rule(index, of: policy, in: policies)
        case .policyDefault(let policy):
            guard let policy = policies.policies.first(where: { $0.name == policy }) else {
                return "the default of the policy \(policy)"
            }
            if let flags = policy.location, flags.line == 0 { return "the default of \(flags): no rule matched" }
            return "the default of the policy \(policy.name)\(place(policy.location)): no rule matched"
        case .networkDefault:
            return policies.workloadDefault == nil
                ? "the network's default: no rule matched and no workload policy is present"
                : "the network's default: no rule decided"
        }
    }

    private static func rule(_ index: Int, of name: String, in policies: PolicySet) -> String {
        guard let policy = policies.policies.first(where: { $0.name == name }), let rule = policy.rule(ofClause: index)
        else { return "rule \(index + 1) of the policy \(name)" }
        if let flag = rule.location, flag.line == 0 { return flag.description }
        let label = rule.name.map { " \"\($0)\"" } ?? ""
        return "rule \(index + 1)\(label) of the policy \(name) (\(policy.tier.rawValue) tier)\(place(rule.location))"
    }

    private static func place(_ location: SourceLocation?) -> String {
        location.map { ", \($0)" } ?? ""
    }
}
