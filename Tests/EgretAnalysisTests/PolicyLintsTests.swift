// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

@Suite("Lints")
struct PolicyLintsTests {
    private let inventory = Inventory(workloads: [
        Workload(.init(name: "web"), labels: ["app": "web"]), Workload(.init(name: "db"), labels: ["app": "db"]),
    ])

    private func codes(_ catalog: PolicyCatalog, _ inventory: Inventory) -> [Diagnostic.Code] {
        PolicyLints.find(catalog, inventory: inventory).map(\.code)
    }

    private func pods(_ app: String) -> ClusterPolicy.Pods {
        ClusterPolicy.Pods(pods: LabelSelector(matchLabels: ["app": app]))
    }

    @Test("a rule that several earlier ones shadow together never decides")
    func shadowedByUnion() {
        let halves = ["10.0.0.0/9", "10.128.0.0/9"].map {
            EgressRule(action: .deny, destinations: [.block(AddressBlock(Brute.prefix($0)))])
        }
        let late = EgressRule(action: .allow, destinations: [.block(AddressBlock(Brute.prefix("10.0.0.0/8")))])
        func codes(_ rules: [EgressRule]) -> [Diagnostic.Code] {
            self.codes(PolicyCatalog(egressPolicies: [EgressPolicy(name: "p", rules: rules)]), Inventory())
        }
        #expect(codes(halves + [late]) == [DiagnosticCode.idleRule])
        #expect(codes([halves[0], late]) == [])
        #expect(codes([halves[1], late]) == [])
    }

    @Test("a rule that an earlier tier shadows never decides")
    func shadowedByTier() throws {
        let metadata = [Destination.builtIn(.metadata)]
        let catalog = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "guard", tier: .admin, defaultAction: nil,
                    rules: [EgressRule(action: .deny, destinations: metadata)]),
                EgressPolicy(
                    name: "team",
                    rules: [
                        EgressRule(action: .allow, destinations: metadata),
                        EgressRule(action: .allow, services: [.ports(.udp, PortRange(53))]),
                    ]),
            ])
        let found = PolicyLints.find(catalog, inventory: inventory)
        #expect(found.map(\.code) == [DiagnosticCode.idleRule])
        #expect(try #require(found.first).message.contains("rule 1 of guard"))
        let place = SourceLocation(file: "p.yaml", line: 3, column: 1)
        var known = catalog
        known.egressPolicies[1].rules[0].location = place
        let other = Diagnostic(.warning, code: DiagnosticCode.unreachableRule, at: place, "known")
        #expect(PolicyLints.find(known, inventory: inventory, besides: [other]).isEmpty)
    }

    @Test("network policies that allow the same are no mistake")
    func additive() {
        let rule = NetworkPolicy.Rule(services: [.ports(.tcp, PortRange(80))])
        let policies = ["a", "b"].map {
            NetworkPolicy(name: $0, podSelector: .everything, directions: [.ingress], ingress: [rule])
        }
        #expect(codes(PolicyCatalog(networkPolicies: policies, networkDefault: .allow), inventory).isEmpty)
    }

    @Test("a rule whose peers choose nobody matches nothing")
    func nobody() {
        let rule = NetworkPolicy.Rule(peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["app": "wbe"]))])
        let policy = NetworkPolicy(name: "a", podSelector: .everything, directions: [.ingress], ingress: [rule])
        #expect(
            codes(PolicyCatalog(networkPolicies: [policy], networkDefault: .allow), inventory) == [
                DiagnosticCode.idleRule
            ])
    }

    @Test("a policy that selects no workload is noticed, where there are workloads")
    func selectsNothing() {
        let policy = NetworkPolicy(
            name: "a", podSelector: LabelSelector(matchLabels: ["app": "wbe"]), directions: [.ingress])
        let catalog = PolicyCatalog(networkPolicies: [policy], networkDefault: .allow)
        #expect(codes(catalog, inventory) == [DiagnosticCode.selectsNothing])
        #expect(codes(catalog, Inventory()).isEmpty)
    }

    @Test("policies of one priority that say opposite things of the same traffic contradict each other")
    func opposing() {
        func policy(_ name: String, _ action: ClusterPolicy.Action, _ port: UInt16, priority: Int) -> ClusterPolicy {
            ClusterPolicy(
                name: name, tier: .admin, priority: priority, subject: pods("web"),
                egress: [.init(action: action, peers: [.pods(pods("db"))], services: [.ports(.tcp, PortRange(port))])])
        }
        func catalog(_ second: ClusterPolicy) -> PolicyCatalog {
            PolicyCatalog(clusterPolicies: [policy("a", .accept, 80, priority: 5), second], networkDefault: .allow)
        }
        #expect(
            codes(catalog(policy("b", .deny, 80, priority: 5)), inventory).contains(DiagnosticCode.opposingPolicies))
        #expect(
            !codes(catalog(policy("b", .deny, 80, priority: 6)), inventory).contains(DiagnosticCode.opposingPolicies))
        #expect(
            !codes(catalog(policy("b", .deny, 81, priority: 5)), inventory).contains(DiagnosticCode.opposingPolicies))
        #expect(
            !codes(catalog(policy("b", .accept, 80, priority: 5)), inventory).contains(DiagnosticCode.opposingPolicies))
    }

    @Test("a workload that reaches something but no name server is noticed")
    func names() {
        func catalog(_ services: [Service]) -> PolicyCatalog {
            PolicyCatalog(
                networkPolicies: [
                    NetworkPolicy(
                        name: "a", directions: [.egress], egress: services.isEmpty ? [] : [.init(services: services)])
                ], networkDefault: .allow)
        }
        #expect(codes(catalog([.ports(.tcp, PortRange(443))]), inventory) == [DiagnosticCode.noNameService])
        #expect(codes(catalog([.ports(.tcp, PortRange(443)), .ports(.udp, PortRange(53))]), inventory).isEmpty)
        #expect(codes(catalog([]), inventory).isEmpty)
    }

    @Test("name servers that the files do not have count, where a rule lets a workload ask them")
    func absentNameServers() {
        func isCutOff(_ networkPolicies: [NetworkPolicy] = [], _ clusterPolicies: [ClusterPolicy] = []) -> Bool {
            let catalog = PolicyCatalog(
                networkPolicies: networkPolicies, clusterPolicies: clusterPolicies, networkDefault: .allow)
            return codes(catalog, inventory).contains(DiagnosticCode.noNameService)
        }
        func namespaced(_ app: String, _ services: [Service], _ portNames: [PortName] = []) -> [NetworkPolicy] {
            let servers = NetworkPolicy.Peer.pods(
                namespaces: .everything, pods: LabelSelector(matchLabels: ["app": app]))
            let rules: [NetworkPolicy.Rule] = [
                .init(services: [.ports(.tcp, PortRange(443))]),
                .init(peers: [servers], services: services, portNames: portNames),
            ]
            return [NetworkPolicy(name: "a", directions: [.egress], egress: rules)]
        }
        #expect(!isCutOff(namespaced("dns", [.ports(.udp, PortRange(53))])))
        #expect(!isCutOff(namespaced("dns", [], [PortName("dns", .udp)])))
        #expect(!isCutOff(namespaced("db", [.ports(.udp, PortRange(53))])), "a name server that is there")
        #expect(isCutOff(namespaced("dns", [.ports(.tcp, PortRange(8080))])))
        #expect(isCutOff(namespaced("db", [], [PortName("dns", .udp)])), "who is there has no such port")
        func cluster(_ action: ClusterPolicy.Action) -> [ClusterPolicy] {
            let all: [ClusterPolicy.Peer] = [.networks([Brute.prefix("0.0.0.0/0"), Brute.prefix("::/0")])]
            let rules: [ClusterPolicy.Rule] = [
                .init(action: action, peers: [.pods(pods("dns"))], services: [.ports(.udp, PortRange(53))]),
                .init(action: .accept, peers: all, services: [.ports(.tcp, PortRange(443))]),
                .init(action: .deny, peers: all),
            ]
            return [ClusterPolicy(name: "c", tier: .admin, egress: rules)]
        }
        #expect(!isCutOff([], cluster(.accept)))
        #expect(isCutOff([], cluster(.deny)))
    }

    @Test("without workloads policies that select some are noticed if none of them lets anybody ask for names")
    func namesWithoutWorkloads() {
        let web = WorkloadSelector(labels: LabelSelector(matchLabels: ["app": "web"]))
        func own(_ services: [Service], selects: WorkloadSelector?, _ action: DefaultAction? = nil) -> EgressPolicy {
            EgressPolicy(
                name: "p", selects: selects, defaultAction: action,
                rules: [EgressRule(action: .allow, services: services)])
        }
        func found(_ policies: EgressPolicy..., network: [NetworkPolicy] = []) -> Int {
            let catalog = PolicyCatalog(egressPolicies: policies, networkPolicies: network, networkDefault: .allow)
            return codes(catalog, Inventory(workloads: [])).filter { $0 == DiagnosticCode.noNameService }.count
        }
        let https: [Service] = [.ports(.tcp, PortRange(443))]
        let names: [Service] = [.ports(.udp, PortRange(53))]
        #expect(found(own(https, selects: web)) == 1)
        #expect(found(own(https, selects: nil)) == 0, "a command's names may come from elsewhere")
        #expect(found(own(https, selects: web), own(names, selects: web)) == 0)
        #expect(found(own([], selects: web)) == 0 && found(own(https, selects: web, .allow)) == 0)
        let pods = NetworkPolicy(name: "n", directions: [.egress], egress: [.init(services: https)])
        #expect(found(network: [pods]) == 1)
        #expect(found(own(names, selects: nil), network: [pods]) == 0)
    }

    @Test("without a rule that never decides, every connection is decided alike", arguments: 0..<40)
    func idleRulesAreIdle(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        var catalog = random.catalog()
        let inventory = random.inventory(workloads: 5)
        for policy in catalog.egressPolicies.indices {
            for rule in catalog.egressPolicies[policy].rules.indices {
                catalog.egressPolicies[policy].rules[rule].location = SourceLocation(
                    file: "egress-\(policy)", line: rule + 1, column: 1)
            }
        }
        let idle = PolicyLints.find(catalog, inventory: inventory).filter { $0.code == DiagnosticCode.idleRule }
        let places = Set(idle.compactMap(\.location))
        var smaller = catalog
        for policy in smaller.egressPolicies.indices {
            smaller.egressPolicies[policy].rules.removeAll { $0.location.map(places.contains) ?? false }
        }
        let difference = ReachabilityDifference(
            from: ReachabilityMap(catalog, inventory: inventory), to: ReachabilityMap(smaller, inventory: inventory))
        #expect(difference.isEmpty)
    }
}
