// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

extension Decision {
    /// Tells which clause decided and where it is written, as one sentence without a full stop.
    ///
    /// `allowed by rule 2 "reference-works" of the policy build-jobs (workload tier), policy.yaml:12:5`. The text
    /// is put together here, when it is read.
    public func reason(in policies: PolicySet) -> String {
        let steps = passed.map { "passed on by \(Decision.describe($0, in: policies))" }
        return (steps + ["\(outcome) by \(Decision.describe(clause, in: policies))"]).joined(separator: ", then ")
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
        guard let policy = policies.policies.first(where: { $0.name == name }), policy.rules.indices.contains(index)
        else { return "rule \(index + 1) of the policy \(name)" }
        let rule = policy.rules[index]
        if let flag = rule.location, flag.line == 0 { return flag.description }
        let label = rule.name.map { " \"\($0)\"" } ?? ""
        return "rule \(index + 1)\(label) of the policy \(name) (\(policy.tier.rawValue) tier)\(place(rule.location))"
    }

    private static func place(_ location: SourceLocation?) -> String {
        location.map { ", \($0)" } ?? ""
    }
}
