// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution

/// Finds rules that decide about nothing: whatever they match, others have decided before.
enum IdleRules {
    /// Looks at the whole set that each workload obeys.
    static func find(
        _ catalog: PolicyCatalog, _ resolver: inout PolicyResolver, _ moments: [Int64?]
    ) -> [Diagnostic] {
        var found: [Diagnostic] = []
        let additive = Set(catalog.sources.filter(\.isAdditive).map(\.name))
        for direction in TrafficDirection.allCases {
            let sets = distinctSets(&resolver, direction)
            var asked: Set<DecidingClause> = []
            var places: [String: [Int]] = [:]
            for (place, policies) in sets.enumerated() {
                asked.formUnion(askedClauses(policies, direction, moments))
                for policy in policies.policies { places[policy.name, default: []].append(place) }
            }
            for source in catalog.sources {
                guard let obeyed = places[source.name]?.map({ sets[$0] }) else { continue }
                for (index, rule) in (source.rules[direction] ?? []).enumerated() {
                    let clause = DecidingClause.rule(policy: source.name, index: index)
                    if asked.contains(clause) { continue }
                    if source.isAdditive {
                        let isAsked = obeyed.contains { set in
                            let alone = set.keeping(clause, without: additive)
                            return askedClauses(alone, direction, moments).contains(clause)
                        }
                        if isAsked { continue }
                    }
                    found.append(diagnostic(rule, clause, obeyed))
                }
            }
        }
        return found
    }

    /// Looks at one policy by itself, as far as its rules name no workloads.
    static func find(in policy: EgressPolicy, _ catalog: PolicyCatalog, _ moments: [Int64?]) -> [Diagnostic] {
        let set = PolicySet(policies: [policy], groups: catalog.groups, networkDefault: catalog.networkDefault)
        let asked = askedClauses(set, .egress, moments)
        return policy.rules.enumerated().compactMap { index, rule in
            let clause = DecidingClause.rule(policy: policy.name, index: index)
            guard rule.isResolved, !asked.contains(clause) else { return nil }
            return diagnostic(.init(name: rule.name, location: rule.location), clause, [set])
        }
    }

    /// The policy sets that workloads obey, each once.
    private static func distinctSets(_ resolver: inout PolicyResolver, _ direction: TrafficDirection) -> [PolicySet] {
        var seen: Set<PolicyResolver.Key> = []
        var sets: [PolicySet] = []
        for (place, workload) in resolver.inventory.workloads.enumerated() where !workload.usesHostNetwork {
            if seen.insert(resolver.key(of: place, direction)).inserted {
                sets.append(resolver.policies(of: place, direction))
            }
        }
        return sets
    }

    /// The rules that decide at one of the moments; those in audit mode as if they were enforced.
    private static func askedClauses(
        _ policies: PolicySet, _ direction: TrafficDirection, _ moments: [Int64?]
    ) -> Set<DecidingClause> {
        // Whether a name is asked for depends on nothing that is known here.
        var asked = Set(direction == .egress ? policies.nameClauses.map(\.clause) : [])
        var sets = [policies]
        if policies.audits { sets.append(policies.enforcingAll) }
        for set in sets {
            let evaluator = PolicyEvaluator(policies: set)
            for moment in moments {
                asked.formUnion(HeaderSpace(evaluator, at: moment).askedClauses)
                if direction == .egress {
                    asked.formUnion(HeaderSpace(evaluator, isHost: true, at: moment).askedClauses)
                }
            }
        }
        return asked
    }

    private static func diagnostic(
        _ rule: LintSource.Rule, _ clause: DecidingClause, _ obeyed: [PolicySet]
    ) -> Diagnostic {
        let label = rule.name.map { "the rule \"\($0)\"" } ?? "this rule"
        let taker = obeyed.lazy.compactMap { decider(insteadOf: clause, in: $0) }.first
        guard let taker else {
            let isThere = obeyed.contains { $0.rule(of: clause) != nil }
            return Diagnostic(
                .warning, code: DiagnosticCode.idleRule, at: rule.location,
                isThere
                    ? "\(label) never decides: no packet is left for it"
                    : "\(label) matches nothing: it chooses no workload, or no port that one has",
                suggestion: isThere ? "remove it" : "compare its selectors with the workloads' labels"
            )
        }
        return Diagnostic(
            .warning, code: DiagnosticCode.idleRule, at: rule.location,
            "\(label) never decides: for all that it matches, rules asked earlier do, as \(taker)",
            suggestion: "move it before them, give its policy a lower priority number, or remove it"
        )
    }

    /// The rule that decides about a flow that a rule matches, in words.
    private static func decider(insteadOf clause: DecidingClause, in policies: PolicySet) -> String? {
        guard let rule = policies.rule(of: clause) else { return nil }
        let wanted = ServiceSet(rule.services)
        let prepared = PreparedRule(rule, clause: clause, groups: policies.groups)
        let space = HeaderSpace(policies)
        for family in AddressFamily.allCases {
            for range in prepared.ranges(family, isHost: false) {
                let hit = space.cases(at: .init(family: family, rawValue: range.lowerBound))
                    .first { $0.services.overlaps(wanted) }
                guard let decision = hit?.decision else { continue }
                let by = decision.passed.first ?? decision.clause
                guard by != clause, case .rule(let policy, let index) = by else { continue }
                let place = policies.location(of: by).map { " at \($0)" } ?? ""
                return "rule \(index + 1) of \(policy)\(place)"
            }
        }
        return nil
    }
}

extension PolicySet {
    /// The set with one rule of all those policies that only add.
    fileprivate func keeping(_ clause: DecidingClause, without additive: Set<String>) -> PolicySet {
        let kept = policies.compactMap { policy -> EgressPolicy? in
            guard additive.contains(policy.name) else { return policy }
            guard case .rule(policy.name, let index) = clause else { return nil }
            var single = policy
            single.rules = policy.rules.enumerated().filter { ($1.clauseIndex ?? $0) == index }.map { $1.at($0) }
            return single
        }
        return PolicySet(policies: kept, groups: Array(groups.values), networkDefault: networkDefault)
    }

    /// The set with the policies in audit mode enforced.
    fileprivate var enforcingAll: PolicySet {
        let enforced = policies.map { policy in
            var policy = policy
            policy.mode = .enforce
            return policy
        }
        return PolicySet(policies: enforced, groups: Array(groups.values), networkDefault: networkDefault)
    }
}
