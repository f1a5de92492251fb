// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution

/// Finds cluster policies of one tier and priority that say different things of the same traffic: which of them is asked
/// first is undefined in Kubernetes.
enum OpposingPolicies {
    private struct Rank: Hashable {
        var tier: EgressPolicy.Tier
        var priority: Int
    }

    /// What a policy alone does with some traffic.
    private enum Outcome: String {
        case accepts
        case denies
        case passes = "passes on"
    }

    /// A policy by itself, as a workload obeys it.
    private struct Part: Hashable {
        var policy: String
        var workload: Int
        var direction: TrafficDirection
    }

    static func find(_ catalog: PolicyCatalog, _ resolver: inout PolicyResolver) -> [Diagnostic] {
        var found: [Diagnostic] = []
        var spaces: [Part: HeaderSpace] = [:]
        let ranks = Dictionary(grouping: catalog.clusterPolicies) { Rank(tier: $0.tier, priority: $0.priority) }
        for policies in ranks.values where policies.count > 1 {
            for (place, first) in policies.enumerated() {
                let chosen = Set(resolver.workloads(chosenBy: first.subject.selector))
                for second in policies.dropFirst(place + 1) {
                    let shared = resolver.workloads(chosenBy: second.subject.selector).first(where: chosen.contains)
                    guard let shared else { continue }
                    if let diagnostic = compare(first, second, shared, &resolver, &spaces) { found.append(diagnostic) }
                }
            }
        }
        return found
    }

    private static func compare(
        _ first: ClusterPolicy, _ second: ClusterPolicy, _ workload: Int, _ resolver: inout PolicyResolver,
        _ spaces: inout [Part: HeaderSpace]
    ) -> Diagnostic? {
        func space(_ policy: ClusterPolicy, _ direction: TrafficDirection) -> HeaderSpace {
            let part = Part(policy: policy.reference, workload: workload, direction: direction)
            if let space = spaces[part] { return space }
            let space = HeaderSpace(resolver.policies(of: workload, direction).only(policy.reference))
            spaces[part] = space
            return space
        }
        for direction in TrafficDirection.allCases
        where ![first, second].contains(where: { $0.rules(direction).isEmpty }) {
            let one = space(first, direction)
            let two = space(second, direction)
            guard let clash = clash(one, two) else { continue }
            let end = direction == .egress ? "to" : "from"
            return Diagnostic(
                .warning, code: DiagnosticCode.opposingPolicies, at: second.location,
                "\(second.reference) \(clash.two.rawValue) what \(first.reference) \(clash.one.rawValue), at the same "
                    + "priority \(first.priority) of the \(first.tier.rawValue) tier: for example \(clash.service) "
                    + "\(end) \(clash.address)",
                suggestion: "give them different priorities: which of the two is asked first is undefined"
            )
        }
        return nil
    }

    private static func clash(
        _ left: HeaderSpace, _ right: HeaderSpace
    ) -> (one: Outcome, two: Outcome, address: IPAddress, service: ServiceSet)? {
        for family in AddressFamily.allCases {
            let starts = Set(left.steps(family).starts + right.steps(family).starts).sorted()
            for start in starts {
                let address = IPAddress(family: family, rawValue: start)
                for one in left.cases(at: address) {
                    guard let first = outcome(one.decision) else { continue }
                    for two in right.cases(at: address) {
                        guard let second = outcome(two.decision), first != second else { continue }
                        let both = one.services.intersection(two.services)
                        if !both.isEmpty { return (first, second, address, both) }
                    }
                }
            }
        }
        return nil
    }

    private static func outcome(_ decision: Decision) -> Outcome? {
        if !decision.passed.isEmpty { return .passes }
        guard case .rule = decision.clause else { return nil }
        return decision.verdict == .allow ? .accepts : .denies
    }
}

extension PolicySet {
    fileprivate func only(_ name: String) -> PolicySet {
        PolicySet(
            policies: policies.filter { $0.name == name }, groups: Array(groups.values), networkDefault: networkDefault)
    }
}
