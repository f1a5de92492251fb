// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Finds policies whose workloads may reach something, but no name server, where nobody knows the workloads.
///
/// Which policies meet in a workload is not known then. So nothing is said as soon as any rule of any policy lets port 53 out,
/// whoever it is about.
enum NameServiceRules {
    /// A rule that lets out.
    private struct Opening {
        var services: ServiceSet
        var hasPortNames = false
    }

    private static let names = ServiceSet([.ports(.tcp, PortRange(53)), .ports(.udp, PortRange(53))])
    private static let streams = ServiceSet([.any(.tcp), .any(.udp)])

    static func find(in catalog: PolicyCatalog) -> [Diagnostic] {
        let own = catalog.egressPolicies.filter { $0.selects != nil }.map { policy in
            let isOpen = policy.defaultAction == .allow || policy.rules.contains { !$0.domains.isEmpty }
            return (policy.name, policy.location, isOpen ? [] : openings(policy))
        }
        let namespaced = catalog.networkPolicies.map { policy in
            let rules = policy.directions.contains(.egress) ? policy.egress : []
            return (policy.reference, policy.location, rules.map { opening($0.services, $0.portNames) })
        }
        let others = catalog.egressPolicies.filter { $0.selects == nil || $0.defaultAction == .allow }
        let cluster = catalog.clusterPolicies.flatMap(\.egress).filter { $0.action != .deny }
        let free = others.flatMap(openings) + cluster.map { opening($0.services, $0.portNames) }
        let all = free + (own + namespaced).flatMap(\.2)
        guard others.allSatisfy({ $0.defaultAction != .allow }),
            all.allSatisfy({ !$0.hasPortNames && !$0.services.overlaps(names) })
        else { return [] }
        return (own + namespaced).compactMap { name, location, openings in
            guard openings.contains(where: { $0.services.overlaps(streams) }) else { return nil }
            return Diagnostic(
                .warning, code: DiagnosticCode.noNameService, at: location,
                "who obeys \(name) may reach something, but no policy lets port 53 out, and it cannot look up names",
                suggestion: "allow 53/udp and 53/tcp to the name servers")
        }
    }

    private static func openings(_ policy: EgressPolicy) -> [Opening] {
        policy.rules.filter { $0.action == .allow || $0.action == .pass }.map { opening($0.services, $0.portNames) }
    }

    private static func opening(_ services: [Service], _ portNames: [PortName]) -> Opening {
        // Without services a rule is about all of them; with names of ports alone, about those.
        Opening(
            services: services.isEmpty && !portNames.isEmpty ? .nothing : ServiceSet(services),
            hasPortNames: !portNames.isEmpty)
    }
}
