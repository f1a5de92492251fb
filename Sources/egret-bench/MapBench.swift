// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretAnalysis
import EgretPolicy

/// `egret-bench map`: who reaches whom among many workloads.
struct MapBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Work out the map of many workloads under many policies, without a kernel."
    )

    @Option(help: "Workloads.") var workloads = 1_000
    @Option(help: "Workloads that share their labels, and so their policies.") var replicas = 10
    @Option(help: "Namespaces.") var namespaces = 20

    func run() throws {
        let inventory = inventory()
        let catalog = catalog()
        let (mapping, map) = Measurement.seconds { ReachabilityMap(catalog, inventory: inventory) }
        let (visiting, allowed) = Measurement.seconds {
            var count = 0
            map.forEachPair { _, _, pair in if !pair.any.isEmpty { count += 1 } }
            return count
        }
        let (proving, holds) = Measurement.seconds {
            var prover = Prover(catalog, inventory: inventory)
            let assertion = Assertion(
                text: "", location: SourceLocation(file: "", line: 1, column: 1), claim: .none,
                source: .workloads(.everything), target: .builtIn(.metadata))
            return prover.prove(assertion).holds
        }
        let (linting, warnings) = Measurement.seconds { PolicyLints.find(catalog, inventory: inventory) }
        Measurement.report([
            "workloads": Double(inventory.workloads.count), "policies": Double(catalog.networkPolicies.count + 1),
            "classes": Double(map.classCount), "map": mapping, "pairs": visiting, "allowedPairs": Double(allowed),
            "prove": proving, "holds": holds ? 1 : 0, "lint": linting, "warnings": Double(warnings.count),
            "peakKiB": Double(Measurement.peakMemory()),
        ])
    }

    /// Workloads of some applications in each namespace, ten addresses apart from the next namespace's.
    private func inventory() -> Inventory {
        Inventory(
            workloads: (0..<workloads).map { index in
                let application = index / max(1, replicas)
                return EgretPolicy.Workload(
                    EgretPolicy.Workload.ID(namespace: "ns-\(application % max(1, namespaces))", name: "w-\(index)"),
                    labels: ["app": "a-\(application)", "tier": application % 3 == 0 ? "front" : "back"],
                    addresses: [
                        IPAddress(family: .ipv4, rawValue: 0x0a00_0000 + UInt128(index) * 3),
                        IPAddress(family: .ipv6, rawValue: 0xfd00 << 112 | UInt128(index) * 3),
                    ],
                    namedPorts: [EgretPolicy.Workload.NamedPort("http", .tcp, 8080)])
            })
    }

    /// Each application lets in its neighbour and its namespace's front, and may ask its neighbour, names and the web.
    private func catalog() -> PolicyCatalog {
        let applications = workloads / max(1, replicas)
        let policies = (0..<applications).map { index in
            let next = LabelSelector(matchLabels: ["app": "a-\((index + 1) % applications)"])
            let last = LabelSelector(matchLabels: ["app": "a-\((index + applications - 1) % applications)"])
            let web = IPPrefix(allOf: .ipv4)
            return NetworkPolicy(
                namespace: "ns-\(index % max(1, namespaces))", name: "p-\(index)",
                podSelector: LabelSelector(matchLabels: ["app": "a-\(index)"]), directions: [.ingress, .egress],
                ingress: [
                    .init(peers: [.pods(namespaces: .everything, pods: last)], portNames: [PortName("http")]),
                    .init(
                        peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["tier": "front"]))],
                        services: [.ports(.tcp, PortRange(UInt16(1_000 + index % 5_000)))]),
                ],
                egress: [
                    .init(peers: [.pods(namespaces: .everything, pods: next)]),
                    .init(services: [.ports(.udp, PortRange(53)), .ports(.tcp, PortRange(53))]),
                    .init(
                        peers: [.block(AddressBlock(web, except: BuiltInGroup.private.blocks.map(\.prefix)))],
                        services: [.ports(.tcp, PortRange(443))]),
                ])
        }
        let guarding = ClusterPolicy(
            name: "guard", tier: .admin,
            egress: [
                .init(action: .deny, peers: [.networks(BuiltInGroup.metadata.blocks.map(\.prefix))])
            ])
        return PolicyCatalog(networkPolicies: policies, clusterPolicies: [guarding], networkDefault: .allow)
    }
}
