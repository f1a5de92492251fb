// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy
import EgretTesting
import Testing

@Suite("What must change nothing")
struct MetamorphicTests {
    private struct World {
        var catalog: PolicyCatalog
        var inventory: Inventory

        init(seed: Int) {
            var random = RandomCatalogs(seed: UInt64(seed))
            catalog = random.catalog()
            inventory = random.inventory()
        }

        func difference(to catalog: PolicyCatalog, _ inventory: Inventory? = nil) -> ReachabilityDifference {
            ReachabilityDifference(
                from: ReachabilityMap(self.catalog, inventory: self.inventory),
                to: ReachabilityMap(catalog, inventory: inventory ?? self.inventory))
        }
    }

    @Test("the order of documents", arguments: 0..<25)
    func order(seed: Int) {
        let world = World(seed: seed)
        var catalog = world.catalog
        catalog.egressPolicies.reverse()
        catalog.networkPolicies.reverse()
        catalog.clusterPolicies.reverse()
        catalog.groups.reverse()
        let inventory = Inventory(
            workloads: world.inventory.workloads.reversed(), namespaces: world.inventory.namespaces,
            nodes: world.inventory.nodes.reversed())
        #expect(world.difference(to: catalog, inventory).isEmpty)
    }

    @Test("a block split in two", arguments: 0..<25)
    func split(seed: Int) {
        let world = World(seed: seed)
        var catalog = world.catalog
        for policy in catalog.egressPolicies.indices {
            for rule in catalog.egressPolicies[policy].rules.indices {
                catalog.egressPolicies[policy].rules[rule].destinations =
                    catalog.egressPolicies[policy].rules[rule].destinations.flatMap(halves)
            }
        }
        for group in catalog.groups.indices {
            catalog.groups[group].cidrs = catalog.groups[group].cidrs.flatMap(halves)
        }
        for policy in catalog.networkPolicies.indices {
            for rule in catalog.networkPolicies[policy].ingress.indices {
                catalog.networkPolicies[policy].ingress[rule].peers =
                    catalog.networkPolicies[policy].ingress[rule].peers.flatMap(halves)
            }
            for rule in catalog.networkPolicies[policy].egress.indices {
                catalog.networkPolicies[policy].egress[rule].peers =
                    catalog.networkPolicies[policy].egress[rule].peers.flatMap(halves)
            }
        }
        for policy in catalog.clusterPolicies.indices {
            for rule in catalog.clusterPolicies[policy].egress.indices {
                catalog.clusterPolicies[policy].egress[rule].peers =
                    catalog.clusterPolicies[policy].egress[rule].peers.map(halved)
            }
        }
        #expect(world.difference(to: catalog).isEmpty)
    }

    @Test("names of policies that keep their order", arguments: 0..<25)
    func renaming(seed: Int) {
        let world = World(seed: seed)
        var catalog = world.catalog
        for policy in catalog.egressPolicies.indices { catalog.egressPolicies[policy].name += "-renamed" }
        for policy in catalog.networkPolicies.indices { catalog.networkPolicies[policy].name += "-renamed" }
        for policy in catalog.clusterPolicies.indices { catalog.clusterPolicies[policy].name += "-renamed" }
        #expect(world.difference(to: catalog).isEmpty)
    }

    @Test("a policy that selects nobody", arguments: 0..<25)
    func unrelated(seed: Int) {
        let world = World(seed: seed)
        var catalog = world.catalog
        let nobody = LabelSelector(matchLabels: ["app": "nobody"])
        catalog.egressPolicies.append(
            EgressPolicy(
                name: "other", selects: WorkloadSelector(labels: nobody), tier: .admin, priority: 0, defaultAction: nil,
                rules: [EgressRule(action: .deny)]))
        catalog.networkPolicies.append(
            NetworkPolicy(name: "other", podSelector: nobody, directions: [.ingress, .egress]))
        catalog.clusterPolicies.append(
            ClusterPolicy(
                name: "other", tier: .admin, subject: ClusterPolicy.Pods(pods: nobody),
                ingress: [.init(action: .deny, peers: [.pods(ClusterPolicy.Pods())])]))
        #expect(world.difference(to: catalog).isEmpty)
    }

    @Test("among the random policies are blocks of every kind to split")
    func blocks() {
        var (peers, networks) = (0, 0)
        for seed in 0..<25 {
            let catalog = World(seed: seed).catalog
            for peer in catalog.networkPolicies.flatMap({ $0.ingress + $0.egress }).flatMap(\.peers)
            where halves(peer).count > 1 {
                peers += 1
            }
            for peer in catalog.clusterPolicies.flatMap(\.egress).flatMap(\.peers) where halved(peer) != peer {
                networks += 1
            }
        }
        #expect(peers > 10 && networks > 10, "\(peers), \(networks)")
    }

    private func halves(_ peer: NetworkPolicy.Peer) -> [NetworkPolicy.Peer] {
        guard case .block(let block) = peer else { return [peer] }
        return halves(block).map { .block($0) }
    }

    private func halved(_ peer: ClusterPolicy.Peer) -> ClusterPolicy.Peer {
        guard case .networks(let prefixes) = peer else { return peer }
        return .networks(prefixes.flatMap { halves(AddressBlock($0)).map(\.prefix) })
    }

    private func halves(_ destination: Destination) -> [Destination] {
        guard case .block(let block) = destination else { return [destination] }
        return halves(block).map { .block($0) }
    }

    private func halves(_ block: AddressBlock) -> [AddressBlock] {
        let prefix = block.prefix
        guard prefix.length < prefix.family.bitWidth else { return [block] }
        let half = UInt128(1) << UInt128(prefix.family.bitWidth - prefix.length - 1)
        return [prefix.lowerBound, prefix.lowerBound | half].compactMap { start in
            IPPrefix(IPAddress(family: prefix.family, rawValue: start), length: prefix.length + 1).map { child in
                AddressBlock(child, except: block.except.filter { child.overlaps($0) })
            }
        }
    }
}
