// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretResolution

@Suite("Policies and workloads that change")
struct LiveResolutionTests {
    /// A state, and how it becomes another one.
    private struct State {
        var random: RandomCatalogs
        var catalog: PolicyCatalog
        var workloads: [Int: Workload] = [:]
        var namespaces: [String: [String: String]] = [:]
        var nodes: [Inventory.Node] = []

        init(seed: UInt64) {
            random = RandomCatalogs(seed: seed)
            catalog = random.catalog()
            catalog.networkDefault = seed.isMultiple(of: 3) ? .deny : .allow
            let inventory = random.inventory(workloads: 8)
            namespaces = inventory.namespaces
            nodes = inventory.nodes
            for workload in inventory.workloads { workloads[State.number(workload)] = workload }
        }

        static func number(_ workload: Workload) -> Int { Int(workload.id.name.dropFirst()) ?? 0 }

        mutating func step() {
            let choice = Int(random.number() % 10)
            let other = random.catalog()
            switch choice {
            case 0: catalog.egressPolicies = other.egressPolicies
            case 1: catalog.networkPolicies = other.networkPolicies
            case 2: catalog.clusterPolicies = other.clusterPolicies
            case 3: catalog.groups = other.groups
            case 4:
                catalog.networkPolicies.shuffle()
                if !catalog.networkPolicies.isEmpty { catalog.networkPolicies.removeLast() }
            case 5:
                if catalog.egressPolicies.isEmpty {
                    catalog.egressPolicies = other.egressPolicies
                } else {
                    catalog.egressPolicies[0] = random.egressPolicy(0, groups: catalog.groups)
                }
            case 6:
                let name = RandomCatalogs.namespaces[Int(random.number() % 3)]
                namespaces[name] = random.number().isMultiple(of: 4) ? nil : ["app": "web", "team": "\(choice)"]
                if random.number().isMultiple(of: 2) {
                    let inventory = random.inventory(workloads: 1)
                    (namespaces, nodes) = (inventory.namespaces, inventory.nodes)
                }
            case 7: catalog.networkDefault = catalog.networkDefault == .deny ? .allow : .deny
            default:
                let fresh = random.inventory(workloads: 8).workloads
                for workload in fresh.prefix(1 + Int(random.number() % 3)) {
                    workloads[State.number(workload)] = random.number().isMultiple(of: 4) ? nil : workload
                }
            }
        }
    }

    private func compare(_ live: LiveResolution, _ state: State, _ step: String) {
        let inventory = Inventory(
            workloads: Array(state.workloads.values), namespaces: state.namespaces, nodes: state.nodes)
        var resolver = PolicyResolver(state.catalog, inventory: inventory)
        var used: Set<LiveResolution.Key> = []
        for (place, workload) in inventory.workloads.enumerated() {
            for direction in TrafficDirection.allCases {
                let meant = resolver.policies(of: place, direction)
                let found = live.key(of: State.number(workload), direction)
                if let found { used.insert(found) }
                let speaks = !meant.policies.isEmpty || direction == .egress && state.catalog.networkDefault == .deny
                #expect((found != nil) == speaks, "\(step): \(workload.id) \(direction)")
                guard let found else { continue }
                #expect(found.policies == meant.policies.map(\.name), "\(step): \(workload.id) \(direction)")
                let policies = live.policies(of: found)
                #expect(policies?.policies == meant.policies, "\(step): \(workload.id) \(direction)")
                #expect(policies?.networkDefault == meant.networkDefault)
                for (name, group) in policies?.groups ?? [:] {
                    #expect(meant.groups[name] == group, "\(step): \(name)")
                }
                for case .group(let name) in meant.policies.flatMap(\.rules).flatMap(\.destinations) {
                    #expect(policies?.groups[name] == meant.groups[name], "\(step): \(name)")
                }
            }
        }
        #expect(Set(live.allPolicies.keys) == used, "\(step)")
    }

    @Test("whatever changes in whatever order, the answers are those of looking everything up", arguments: 0..<150)
    func randomChanges(seed: UInt64) {
        var state = State(seed: seed)
        var live = LiveResolution()
        var known: [Int: Workload] = [:]
        var sets: [LiveResolution.Key: PolicySet] = [:]
        for step in 0..<30 {
            if step > 0 { state.step() }
            var changed: [Int: Workload?] = [:]
            for number in Set(known.keys).union(state.workloads.keys) where known[number] != state.workloads[number] {
                changed.updateValue(state.workloads[number], forKey: number)
            }
            known = state.workloads
            let change = live.update(
                to: state.catalog, workloads: changed, namespaces: state.namespaces, nodes: state.nodes)
            compare(live, state, "seed \(seed), step \(step)")
            // Who follows the changes alone knows as much.
            sets = sets.filter { live.allPolicies[$0.key] != nil }.merging(change.policies) { $1 }
            #expect(sets == live.allPolicies, "seed \(seed), step \(step)")
        }
    }

    @Test("what several keys have of a policy is the same, also when the key that it was looked up for is gone")
    func sharedPolicies() throws {
        let block = AddressBlock(IPPrefix(.v4(IPv4Address(198, 51, 100, 7))))
        let shared = EgressPolicy(
            name: "shared", rules: [EgressRule(action: .allow, destinations: [.block(block)])],
            location: SourceLocation(file: "shared.yaml", line: 1, column: 1))
        let own = { (name: String) in
            EgressPolicy(name: name, selects: WorkloadSelector(names: [name]), rules: [EgressRule(action: .allow)])
        }
        let catalog = PolicyCatalog(egressPolicies: [shared, own("a"), own("b"), own("c")], networkDefault: .allow)
        var live = LiveResolution()
        // One after the other, and the first goes before the last comes.
        for (place, name) in ["a", "b"].enumerated() {
            _ = live.update(to: catalog, workloads: [place: Workload(Workload.ID(name: name))], namespaces: [:])
        }
        _ = live.update(to: catalog, workloads: [0: Workload?.none], namespaces: [:])
        _ = live.update(to: catalog, workloads: [2: Workload(Workload.ID(name: "c"))], namespaces: [:])
        for (place, name) in [(1, "b"), (2, "c")] {
            let key = try #require(live.key(of: place, .egress))
            let policies = try #require(live.policies(of: key)).policies
            #expect(policies.map(\.name) == [name, "shared"])
            #expect(policies.last?.rules == shared.rules)
            #expect(policies.last?.location == nil)
        }
    }

    @Test("a group that limits alone name is known where they hold, and so is its change")
    func groupsOfLimits() throws {
        let block = AddressBlock(IPPrefix(.v4(IPv4Address(198, 51, 100, 7))))
        let other = AddressBlock(IPPrefix(.v4(IPv4Address(203, 0, 113, 7))))
        var catalog = PolicyCatalog()
        var policy = EgressPolicy(name: "limited", defaultAction: .allow, rules: [])
        policy.limits = [TrafficLimit(destinations: [.group("partners")], rate: BitRate(bitsPerSecond: 1_000_000))]
        catalog.egressPolicies = [policy]
        var live = LiveResolution()
        for blocks in [[block], [block, other]] {
            catalog.groups = [DestinationGroup(name: "partners", blocks: blocks)]
            let workload = Workload(Workload.ID(namespace: "shop", name: "a", kind: "Endpoint"))
            _ = live.update(to: catalog, workloads: [1: workload], namespaces: [:])
            let key = try #require(live.key(of: 1, .egress))
            #expect(live.policies(of: key)?.groups["partners"] == catalog.groups.first)
        }
    }

    @Test("each link of a workload obeys its policies, and rules that name it have its addresses once")
    func links() throws {
        let addresses = try ["10.0.0.1", "10.0.1.1"].map { try #require(IPAddress($0)) }
        let web = Workload(Workload.ID(name: "web"), labels: ["app": "web"], addresses: addresses)
        let other = Workload(Workload.ID(name: "other"), labels: ["app": "other"])
        let policy = { (app: String, peer: String) in
            NetworkPolicy(
                namespace: "default", name: app, podSelector: LabelSelector(matchLabels: ["app": app]),
                directions: [.egress],
                egress: [
                    NetworkPolicy.Rule(
                        peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["app": peer]))])
                ])
        }
        let catalog = PolicyCatalog(networkPolicies: [policy("web", "other"), policy("other", "web")])
        var live = LiveResolution()
        _ = live.update(to: catalog, workloads: [0: web, 1: web, 2: other], namespaces: [:])
        let key = try #require(live.key(of: 0, .egress))
        #expect(live.key(of: 1, .egress) == key)
        #expect(live.workloads(with: key) == [0, 1])
        let named = try #require(live.key(of: 2, .egress).flatMap { live.policies(of: $0) })
        #expect(
            named.policies.flatMap(\.rules).flatMap(\.destinations)
                == addresses.map { .block(AddressBlock(IPPrefix($0))) })
        let change = live.update(to: catalog, workloads: [1: Workload?.none], namespaces: [:])
        #expect(change.policies.isEmpty, "the other link stands for the workload")
    }

    @Test("rules about nodes have the addresses of the nodes that there are, and other policies stay as they are")
    func nodes() throws {
        let workload = Workload(Workload.ID(name: "web"), addresses: [try #require(IPAddress("10.0.0.1"))])
        let policy = { (name: String, peer: ClusterPolicy.Peer) in
            ClusterPolicy(
                name: name, tier: .admin, egress: [ClusterPolicy.Rule(action: .deny, peers: [peer])])
        }
        let label = LabelSelector(matchLabels: ["role": "control"])
        let catalog = PolicyCatalog(
            clusterPolicies: [policy("nodes", .nodes(label)), policy("pods", .pods(ClusterPolicy.Pods()))])
        let address = try #require(IPAddress("192.0.2.1"))
        let node = Inventory.Node("n1", labels: ["role": "control"], addresses: [address])
        let other = Inventory.Node("n2", labels: [:], addresses: [try #require(IPAddress("192.0.2.2"))])
        var live = LiveResolution()
        _ = live.update(to: catalog, workloads: [0: workload], namespaces: [:])
        let key = try #require(live.key(of: 0, .egress))
        let blocks = { (live: LiveResolution) in
            live.policies(of: key)?.policies.first { $0.name == "ClusterNetworkPolicy/nodes" }?.rules
                .flatMap(\.destinations) ?? []
        }
        #expect(blocks(live).isEmpty)
        var change = live.update(to: catalog, workloads: [:], namespaces: [:], nodes: [node, other])
        #expect(blocks(live) == [.block(AddressBlock(IPPrefix(address)))])
        #expect(Set(change.policies.keys) == [key])
        change = live.update(to: catalog, workloads: [:], namespaces: [:], nodes: [node, other])
        #expect(change.policies.isEmpty)
        _ = live.update(to: catalog, workloads: [:], namespaces: [:], nodes: [other])
        #expect(blocks(live).isEmpty)
    }

    @Test("another default of the network is another program for whoever no policy selects")
    func networkDefault() throws {
        let workload = Workload(Workload.ID(name: "web"), addresses: [try #require(IPAddress("10.0.0.1"))])
        var catalog = PolicyCatalog(networkDefault: .allow)
        var live = LiveResolution()
        _ = live.update(to: catalog, workloads: [0: workload], namespaces: [:])
        #expect(live.isEmpty)
        catalog.networkDefault = .reject
        var change = live.update(to: catalog, workloads: [:], namespaces: [:])
        #expect(change.workloads == [0] && change.policies.values.map(\.networkDefault) == [.reject])
        catalog.networkDefault = .deny
        change = live.update(to: catalog, workloads: [:], namespaces: [:])
        #expect(change.workloads.isEmpty && change.policies.values.map(\.networkDefault) == [.deny])
        #expect(live.key(of: 0, .ingress) == nil)
    }

    @Test("a change of one policy touches its workloads, and no others")
    func proportion() throws {
        let workloads = (0..<200).map { number in
            Workload(
                Workload.ID(name: "w\(number)"), labels: ["app": "a\(number)"],
                addresses: [IPAddress(family: .ipv4, rawValue: 0x0a00_0000 + UInt128(number))])
        }
        let peer = { (number: Int) in
            NetworkPolicy.Rule(
                peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["app": "a\(number)"]))])
        }
        var catalog = PolicyCatalog(
            networkPolicies: (0..<200).map { number in
                NetworkPolicy(
                    namespace: "default", name: "p\(number)",
                    podSelector: LabelSelector(matchLabels: ["app": "a\(number)"]), directions: [.ingress],
                    ingress: [peer((number + 1) % 200)])
            })
        var live = LiveResolution()
        let all = Dictionary(uniqueKeysWithValues: workloads.enumerated().map { ($0, Workload?.some($1)) })
        #expect(live.update(to: catalog, workloads: all, namespaces: [:]).workloads.count == 200)
        catalog.networkPolicies[7].ingress = [peer(100)]
        var change = live.update(to: catalog, workloads: [:], namespaces: [:])
        #expect(change.policies.keys.map(\.policies) == [["NetworkPolicy/default/p7"]])
        #expect(change.workloads.isEmpty)
        var moved = workloads[50]
        moved.addresses = [try #require(IPAddress("10.1.0.1"))]
        change = live.update(to: catalog, workloads: [50: moved], namespaces: [:])
        #expect(change.policies.keys.map(\.policies) == [["NetworkPolicy/default/p49"]])
        change = live.update(to: catalog, workloads: [50: Workload?.none], namespaces: [:])
        #expect(Swift.Set(change.policies.keys.map(\.policies)) == [["NetworkPolicy/default/p49"]])
        #expect(change.workloads == [50])
        catalog.networkPolicies.reverse()
        change = live.update(to: catalog, workloads: [:], namespaces: [:])
        #expect(change.policies.isEmpty && change.workloads.isEmpty)
    }
}
