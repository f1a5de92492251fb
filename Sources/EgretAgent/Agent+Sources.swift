// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretNetlink
import EgretNetworks
import EgretPolicy

extension Agent {
    /// Says of policies' routes which source addresses are none of this host's.
    static func absentSources(_ catalog: PolicyCatalog) -> [String] {
        catalog.egressPolicies.flatMap { policy in
            absentSources(policy).map { "EgressPolicy/\(policy.name): routes: \($0)" }
        }
    }

    /// Says which policies speak of the machines of a cluster while none is known: such rules match nothing.
    static func absentNodes(_ reading: PolicyReading) -> [String] {
        if !reading.nodes.isEmpty { return [] }
        return reading.catalog.clusterPolicies.filter(\.namesNodes).map { policy in
            "\(policy.reference): what it says of nodes concerns nobody, as no Node is known; apply the Nodes as well: "
                + "kubectl get nodes -o yaml"
        }
    }

    /// What is true of the source addresses of a policy's routes; nothing if they name none.
    static func sourceConditions(of policy: EgressPolicy) -> [Condition] {
        if pairs(policy).isEmpty { return [] }
        let absent = absentSources(policy)
        return [
            Condition(
                .sourcesPresent, absent.isEmpty, reason: absent.isEmpty ? nil : absent.joined(separator: "; "))
        ]
    }

    private static func absentSources(_ policy: EgressPolicy) -> [String] {
        let pairs = pairs(policy)
        guard !pairs.isEmpty, let connection = try? NetlinkConnection.route() else { return [] }
        return (try? NetworkLinks(connection).absentSources(pairs)) ?? []
    }

    private static func pairs(_ policy: EgressPolicy) -> [AddressPair] {
        policy.routes.flatMap(\.ways).compactMap { way in
            way.sourceAddress.flatMap { AddressPair($0, way.lastSourceAddress ?? $0) }
        }
    }
}
