// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution

/// Finds workloads that may reach something, but no name server.
///
/// A cluster's name servers are seldom among the manifests of an application: nothing is said of a workload that a rule lets
/// ask pods which the files do not have.
enum NameServiceReach {
    private static let names = ServiceSet([.ports(.udp, PortRange(53)), .ports(.tcp, PortRange(53))])

    static func find(_ resolver: inout PolicyResolver, _ moments: [Int64?]) -> [Diagnostic] {
        var classes: [PolicyResolver.Key: [Int]] = [:]
        var order: [PolicyResolver.Key] = []
        for (place, workload) in resolver.inventory.workloads.enumerated() where !workload.usesHostNetwork {
            let key = resolver.key(of: place, .egress)
            if classes[key] == nil { order.append(key) }
            classes[key, default: []].append(place)
        }
        let servers = askedWorkloads(resolver.catalog)
        return order.compactMap { key in
            guard let places = classes[key], let first = places.first else { return nil }
            let policies = resolver.policies(of: first, .egress)
            guard let policy = policies.policies.first, isCutOff(policies, moments) else { return nil }
            let asked = resolver.policyNames(of: first, .egress).flatMap { servers[$0] ?? [] }
            if asked.contains(where: { resolver.workloads(chosenBy: $0).isEmpty }) { return nil }
            let name = resolver.inventory.workloads[first].id.description
            let others = places.count == 1 ? "" : " and \(places.count - 1) more"
            return Diagnostic(
                .warning, code: DiagnosticCode.noNameService, at: policy.location,
                "\(name)\(others) may reach something, but no address on port 53, and cannot look up names",
                suggestion: "allow 53/udp and 53/tcp to the name servers"
            )
        }
    }

    /// Whether something may be reached at some time, and name servers at none.
    private static func isCutOff(_ policies: PolicySet, _ moments: [Int64?]) -> Bool {
        // Names that rules allow are asked for it, whatever server it may reach.
        if !policies.nameClauses.isEmpty { return false }
        let evaluator = PolicyEvaluator(policies: policies)
        var allowed = ServiceSet.nothing
        for moment in moments {
            for isHost in [false, true] {
                for set in HeaderSpace(evaluator, isHost: isHost, at: moment).allowed { allowed = allowed.union(set) }
            }
        }
        let streams = ServiceSet([.any(.tcp), .any(.udp)])
        return allowed.overlaps(streams) && !allowed.overlaps(names)
    }

    /// The workloads that policies let others ask for names, by the policies' names.
    private static func askedWorkloads(_ catalog: PolicyCatalog) -> [String: [WorkloadSelector]] {
        var asked: [String: [WorkloadSelector]] = [:]
        for policy in catalog.egressPolicies {
            let rules = policy.rules.filter { rule in
                rule.action != .deny && rule.action != .reject && mayAskNames(rule.services, rule.portNames)
            }
            asked[policy.name] = rules.flatMap(\.workloads)
        }
        for policy in catalog.networkPolicies {
            let rules = policy.egress.filter { mayAskNames($0.services, $0.portNames) }
            asked[policy.reference] = rules.flatMap(\.peers).compactMap { $0.selector(in: policy.namespace) }
        }
        for policy in catalog.clusterPolicies {
            let rules = policy.egress.filter { $0.action != .deny && mayAskNames($0.services, $0.portNames) }
            asked[policy.reference] = rules.flatMap(\.peers).compactMap { peer -> WorkloadSelector? in
                if case .pods(let pods) = peer { return pods.selector }
                return nil
            }
        }
        return asked
    }

    /// Whether a rule with these ports may be about port 53. Which number a name has, absent workloads do not tell.
    private static func mayAskNames(_ services: [Service], _ portNames: [PortName]) -> Bool {
        !portNames.isEmpty || ServiceSet(services).overlaps(names)
    }
}
