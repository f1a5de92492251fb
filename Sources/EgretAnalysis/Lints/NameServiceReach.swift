// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution

/// Finds workloads that may reach something, but no name server.
enum NameServiceReach {
    static func find(_ resolver: inout PolicyResolver, _ moments: [Int64?]) -> [Diagnostic] {
        var classes: [PolicyResolver.Key: [Int]] = [:]
        var order: [PolicyResolver.Key] = []
        for (place, workload) in resolver.inventory.workloads.enumerated() where !workload.usesHostNetwork {
            let key = resolver.key(of: place, .egress)
            if classes[key] == nil { order.append(key) }
            classes[key, default: []].append(place)
        }
        return order.compactMap { key in
            guard let places = classes[key], let first = places.first else { return nil }
            let policies = resolver.policies(of: first, .egress)
            guard let policy = policies.policies.first, isCutOff(policies, moments) else { return nil }
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
        let names = ServiceSet([.ports(.udp, PortRange(53)), .ports(.tcp, PortRange(53))])
        return allowed.overlaps(streams) && !allowed.overlaps(names)
    }
}
