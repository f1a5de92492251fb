// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Finds uses of names that the language has and this version cannot keep.
package enum NameRuleProblems {
    /// The mistakes of some policies whose groups are known.
    package static func find(
        in policies: [EgressPolicy], groups: [DestinationGroup]
    ) -> [Diagnostic] {
        let named = Dictionary(groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let withNames = Set(groups.filter { !$0.domains.isEmpty }.map(\.name))
        return policies.flatMap { policy -> [Diagnostic] in
            let rules = policy.rules.filter { !PolicySet.patterns(of: $0, in: named).isEmpty }
            let budgets = policy.budgets.filter { !$0.patterns(named).isEmpty }
            let ofRules: [Diagnostic] = rules.compactMap { problem($0, of: policy) }
            let ofRoutes: [Diagnostic] = policy.routes.compactMap { problem($0, withNames) }
            return ofRules + ofRoutes + budgets.compactMap { problem($0, of: policy) }
        }
    }

    private static func problem(_ rule: EgressRule, of policy: EgressPolicy) -> Diagnostic? {
        if policy.mode == .audit {
            return diagnostic(
                rule.location, "domains in a policy with mode audit are not supported yet",
                "enforce the policy, or write action audit in its rules")
        }
        switch rule.action {
        case .allow, .audit: return nil
        case .pass:
            return diagnostic(
                rule.location, "domains in a rule that passes are not supported yet",
                "write domains in rules that allow, audit, deny or reject")
        case .deny, .reject:
            let fields = [
                rule.services.isEmpty && rule.portNames.isEmpty ? nil : "ports", rule.schedule.map { _ in "when" },
            ]
            .compactMap(\.self)
            if fields.isEmpty { return nil }
            return diagnostic(
                rule.location,
                "\(Spelling.list(fields, conjunction: "and")) in a rule that denies domains is not supported yet",
                "remove it, as a name is denied altogether, or write in other rules what is allowed")
        }
    }

    /// Answers about names would go out otherwise, by a policy that is only to count.
    private static func problem(_ budget: TrafficBudget, of policy: EgressPolicy) -> Diagnostic? {
        guard policy.mode == .audit else { return nil }
        return diagnostic(
            budget.location, "a budget for domains in a policy with mode audit is not supported yet",
            "write the budget in a policy that is enforced; with onExhausted: alert it holds nothing back")
    }

    private static func problem(_ route: EgressRoute, _ withNames: Set<String>) -> Diagnostic? {
        for destination in route.destinations {
            guard case .group(let name) = destination, withNames.contains(name) else { continue }
            return diagnostic(
                route.location, "a route to domains, which the group \(name) has, is not supported yet",
                "write cidr, or a group without domains")
        }
        return nil
    }

    private static func diagnostic(
        _ location: SourceLocation?, _ message: String, _ suggestion: String
    ) -> Diagnostic {
        Diagnostic(
            .error, code: DiagnosticCode.notSupportedYet, at: location ?? SourceLocation(file: "", line: 0, column: 1),
            message, suggestion: suggestion)
    }
}
