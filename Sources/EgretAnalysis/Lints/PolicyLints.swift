// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretEvaluator
public import EgretPolicy
import EgretResolution

/// Finds what is right by the grammar, and does nothing or something else than its author meant.
///
/// The answers are exact: they come from the header spaces of the policies that each workload really obeys.
public enum PolicyLints {
    /// The warnings about some policies and workloads.
    ///
    /// Without workloads nobody knows which policies meet: each of Egret's own is then looked at by itself.
    ///
    /// - Parameters:
    ///   - catalog: The policies.
    ///   - inventory: The workloads.
    ///   - unixTime: Where time begins for rules with a schedule, in seconds since 1970-01-01T00:00Z.
    ///   - known: Warnings that somebody has given already: a rule that one is about is not complained of again.
    /// - Returns: The warnings, by their places.
    public static func find(
        _ catalog: PolicyCatalog, inventory: Inventory, from unixTime: Int64 = 0, besides known: [Diagnostic] = []
    ) -> [Diagnostic] {
        let moments = TimeCases.moments(of: catalog, from: unixTime)
        var found: [Diagnostic] = []
        if inventory.workloads.isEmpty {
            for policy in catalog.egressPolicies { found += IdleRules.find(in: policy, catalog, moments) }
            found += NameServiceRules.find(in: catalog)
        } else {
            var resolver = PolicyResolver(catalog, inventory: inventory.withPlaceholders().inventory)
            found += emptySelections(catalog, &resolver)
            found += IdleRules.find(catalog, &resolver, moments)
            found += OpposingPolicies.find(catalog, &resolver)
            found += NameServiceReach.find(&resolver, moments)
        }
        let places = Set(known.filter { $0.code == DiagnosticCode.unreachableRule }.compactMap(\.location))
        return found.filter { !($0.code == DiagnosticCode.idleRule && $0.location.map(places.contains) ?? false) }
            .enumerated().sorted { key($0.element, $0.offset) < key($1.element, $1.offset) }.map(\.element)
    }

    private static func key(_ diagnostic: Diagnostic, _ offset: Int) -> (String, Int, Int, Int) {
        let place = diagnostic.location
        return (place?.file ?? "", place?.line ?? 0, place?.column ?? 0, offset)
    }

    private static func emptySelections(_ catalog: PolicyCatalog, _ resolver: inout PolicyResolver) -> [Diagnostic] {
        catalog.sources.filter { resolver.workloads(chosenBy: $0.selector).isEmpty }.map { source in
            Diagnostic(
                .warning, code: DiagnosticCode.selectsNothing, at: source.location,
                "\(source.name) selects no workload: nothing obeys it",
                suggestion: "compare its selector with the workloads' namespaces and labels"
            )
        }
    }
}

/// What lints ask of a policy of any kind.
struct LintSource {
    /// A rule as it was written.
    struct Rule {
        var name: String?
        var location: SourceLocation?
    }

    var name: String
    var selector: WorkloadSelector
    var location: SourceLocation?
    var rules: [TrafficDirection: [Rule]]
    /// Whether its rules only add to what others of the kind allow, in no order.
    var isAdditive = false
}

extension PolicyCatalog {
    /// Every policy, under the name that decisions give it.
    var sources: [LintSource] {
        let own = egressPolicies.map { policy in
            LintSource(
                name: policy.name, selector: policy.selects ?? .everything, location: policy.location,
                rules: [.egress: policy.rules.map { .init(name: $0.name, location: $0.location) }])
        }
        let cluster = clusterPolicies.map { policy in
            LintSource(
                name: policy.reference, selector: policy.subject.selector, location: policy.location,
                rules: [
                    .egress: policy.egress.map { .init(name: $0.name, location: $0.location) },
                    .ingress: policy.ingress.map { .init(name: $0.name, location: $0.location) },
                ])
        }
        let namespaced = networkPolicies.map { policy in
            LintSource(
                name: policy.reference,
                selector: WorkloadSelector(namespaces: [policy.namespace], labels: policy.podSelector),
                location: policy.location,
                rules: [
                    .egress: policy.egress.map { .init(location: $0.location) },
                    .ingress: policy.ingress.map { .init(location: $0.location) },
                ],
                isAdditive: true
            )
        }
        return own + cluster + namespaced
    }
}
