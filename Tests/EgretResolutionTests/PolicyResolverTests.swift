// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution
import Testing

@Suite("Which policies decide about a workload")
struct PolicyResolverTests {
    /// Three pods in each of three namespaces, named and labelled as the upstream end-to-end cases do.
    static let inventory = Inventory(
        workloads: ["x", "y", "z"].enumerated().flatMap { row, namespace in
            ["a", "b", "c"].enumerated().map { column, pod in
                Workload(
                    Workload.ID(namespace: namespace, name: pod), labels: ["pod": pod],
                    addresses: [IPAddress("10.0.\(row).\(column)"), IPAddress("fd00::\(row):\(column)")].compactMap {
                        $0
                    },
                    namedPorts: [.init("serve-80-tcp", .tcp, 80), .init("serve-81-udp", .udp, 81)]
                )
            }
        },
        namespaces: ["x": ["ns": "x"], "y": ["ns": "y"], "z": ["ns": "z"]]
    )

    /// Whether a pod, named `x/a`, reaches another.
    private func reaches(
        _ catalog: PolicyCatalog, _ source: String, _ target: String, _ service: ConnectionService
    ) throws -> Bool {
        var evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: Self.inventory))
        let workloads = Self.inventory.workloads
        let from = try #require(workloads.firstIndex { $0.id.description == source })
        let to = try #require(workloads.firstIndex { $0.id.description == target })
        let answers = try AddressFamily.allCases.map { family in
            let decision = evaluator.decide(from: .workload(from), to: .workload(to), service, family: family)
            return try #require(decision).isAllowed
        }
        #expect(Set(answers).count == 1)
        return answers.contains(true)
    }

    private func catalog(_ policies: NetworkPolicy...) -> PolicyCatalog {
        PolicyCatalog(networkPolicies: policies, networkDefault: .allow)
    }

    private let http = ConnectionService(.tcp, port: 80)

    @Test("without policies everybody reaches everybody")
    func noPolicies() throws {
        #expect(try reaches(catalog(), "x/a", "y/b", http))
    }

    @Test("a policy without rules isolates the pods it selects, in the directions it names")
    func isolation() throws {
        let deny = NetworkPolicy(
            namespace: "x", name: "deny", podSelector: LabelSelector(matchLabels: ["pod": "a"]), directions: [.ingress])
        #expect(try !reaches(catalog(deny), "y/b", "x/a", http))
        #expect(try reaches(catalog(deny), "x/a", "y/b", http))
        #expect(try reaches(catalog(deny), "y/b", "x/b", http))
        #expect(try reaches(catalog(deny), "y/a", "y/b", http))
    }

    @Test("policies add up, in whatever order they are given")
    func union() throws {
        let deny = NetworkPolicy(namespace: "x", name: "deny", directions: [.ingress])
        let allow = NetworkPolicy(
            namespace: "x", name: "allow", directions: [.ingress],
            ingress: [
                .init(
                    peers: [.pods(namespaces: LabelSelector(matchLabels: ["ns": "y"]), pods: nil)],
                    services: [.ports(.tcp, PortRange(80))])
            ]
        )
        for catalog in [catalog(deny, allow), catalog(allow, deny)] {
            #expect(try reaches(catalog, "y/b", "x/a", http))
            #expect(try !reaches(catalog, "z/b", "x/a", http))
            #expect(try !reaches(catalog, "y/b", "x/a", ConnectionService(.udp, port: 80)))
        }
    }

    @Test("a selector of pods alone means the policy's own namespace")
    func ownNamespace() throws {
        let allow = NetworkPolicy(
            namespace: "x", name: "own", directions: [.ingress],
            ingress: [.init(peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["pod": "b"]))])]
        )
        #expect(try reaches(catalog(allow), "x/b", "x/a", http))
        #expect(try !reaches(catalog(allow), "y/b", "x/a", http))
        #expect(try !reaches(catalog(allow), "x/c", "x/a", http))
    }

    @Test("a port by name is the number that the target gives it, with its protocol")
    func namedPorts() throws {
        for direction in TrafficDirection.allCases {
            let rule = NetworkPolicy.Rule(portNames: [PortName("serve-80-tcp", .tcp), PortName("serve-81-udp", .tcp)])
            let policy = NetworkPolicy(
                namespace: "x", name: "named", directions: [direction], ingress: [rule], egress: [rule])
            let (from, to) = direction == .ingress ? ("y/a", "x/a") : ("x/a", "y/a")
            #expect(try reaches(catalog(policy), from, to, http))
            #expect(try !reaches(catalog(policy), from, to, ConnectionService(.tcp, port: 81)))
            #expect(try !reaches(catalog(policy), from, to, ConnectionService(.udp, port: 81)))
        }
    }

    @Test("an admin policy decides before, and a baseline policy only where no network policy isolates")
    func tiers() throws {
        let everyone = ClusterPolicy.Peer.pods(.init())
        let baseline = ClusterPolicy(
            name: "default", tier: .baseline, ingress: [.init(action: .deny, peers: [everyone])],
            egress: [.init(action: .deny, peers: [everyone])])
        let open = NetworkPolicy(namespace: "x", name: "open", directions: [.ingress], ingress: [.init()])
        var catalog = catalog(open)
        catalog.clusterPolicies = [baseline]
        // The policy for ingress alone leaves the baseline in force for egress.
        #expect(try !reaches(catalog, "x/a", "x/b", http))
        let admin = ClusterPolicy(
            name: "admin", tier: .admin, egress: [.init(action: .accept, peers: [everyone])])
        catalog.clusterPolicies.append(admin)
        #expect(try reaches(catalog, "x/a", "x/b", http))
        #expect(try !reaches(catalog, "x/a", "y/b", http))
    }

    @Test("what a service leads back to its sender is decided by cluster policies alone, and its own address by nobody")
    func returned() throws {
        let everyone = ClusterPolicy.Peer.pods(.init())
        let place = try #require(Self.inventory.workloads.firstIndex { $0.id.description == "x/a" })
        func isAllowed(_ catalog: PolicyCatalog, byService: Bool = true) throws -> Bool {
            var evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: Self.inventory))
            let decision = evaluator.decide(
                from: .workload(place), to: .workload(place), http, family: .ipv4, byService: byService)
            return try #require(decision).isAllowed
        }
        for tier in [EgressPolicy.Tier.admin, .baseline] {
            for direction in TrafficDirection.allCases {
                let rules = [ClusterPolicy.Rule(action: .deny, peers: [everyone])]
                let policy = ClusterPolicy(
                    name: "deny", tier: tier, ingress: direction == .ingress ? rules : [],
                    egress: direction == .egress ? rules : [])
                var catalog = PolicyCatalog(clusterPolicies: [policy], networkDefault: .allow)
                #expect(try !isAllowed(catalog))
                #expect(try isAllowed(catalog, byService: false))
                // Where a network policy selects the pod, the baseline is not asked.
                catalog.networkPolicies = [NetworkPolicy(namespace: "x", name: "shut", directions: [direction])]
                #expect(try isAllowed(catalog) == (tier == .baseline))
            }
        }
        let own = EgressPolicy(name: "own", tier: .admin, rules: [EgressRule(action: .deny)])
        #expect(try isAllowed(PolicyCatalog(egressPolicies: [own], networkDefault: .deny)))
    }

    @Test("a peer that nobody can read opens nothing, and passes nothing on")
    func unknownPeers() throws {
        for action in ClusterPolicy.Action.allCases {
            let policy = ClusterPolicy(
                name: "newer", tier: .admin, egress: [.init(action: action, peers: [.unknown])])
            let catalog = PolicyCatalog(clusterPolicies: [policy], networkDefault: .allow)
            #expect(try reaches(catalog, "x/a", "y/b", http) == (action == .accept))
        }
    }

    @Test("a name opens something in the admin tier; in the baseline nothing passes by the rule")
    func tierOfNames() throws {
        let names = ClusterPolicy.Peer.domainNames([try DomainPattern.parse("example.org")])
        let everyone = ClusterPolicy.Peer.pods(.init())
        let source = try #require(Self.inventory.workloads.firstIndex { $0.id.namespace == "x" && $0.id.name == "a" })
        for tier in [EgressPolicy.Tier.admin, .baseline] {
            let accept = ClusterPolicy(
                name: "names", tier: tier, egress: [.init(action: .accept, peers: [names, everyone])])
            var resolver = PolicyResolver(
                PolicyCatalog(clusterPolicies: [accept], networkDefault: .deny), inventory: Self.inventory)
            let rules = resolver.policies(of: source, .egress).policies.flatMap(\.rules)
            #expect(rules.filter { !$0.domains.isEmpty }.count == (tier == .admin ? 1 : 0))
            #expect(rules.count == (tier == .admin ? 1 : 0))
        }
        let pass = ClusterPolicy(name: "names", tier: .baseline, egress: [.init(action: .pass, peers: [names])])
        let catalog = PolicyCatalog(clusterPolicies: [pass], networkDefault: .allow)
        #expect(try !reaches(catalog, "x/a", "y/b", http))
    }

    @Test("workloads with the same policies share a key, and those with others do not")
    func keys() {
        let policy = NetworkPolicy(
            namespace: "x", name: "some", podSelector: LabelSelector(matchLabels: ["pod": "a"]), directions: [.egress])
        let resolver = PolicyResolver(catalog(policy), inventory: Self.inventory)
        let keys = Self.inventory.workloads.indices.map { resolver.key(of: $0, .egress) }
        #expect(Set(keys).count == 2)
        #expect(Set(Self.inventory.workloads.indices.map { resolver.key(of: $0, .ingress) }).count == 1)
    }
}
