// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

@Suite("Proofs")
struct ProverTests {
    @Test("what holds has no counter-example, and every counter-example is one", arguments: 0..<60)
    func bruteForce(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let catalog = random.catalog()
        var prover = Prover(catalog, inventory: random.inventory(workloads: 5))
        let world = BruteWorld(catalog, prover.map, seed: seed)
        for _ in 0..<12 {
            let assertion = world.assertion(&random)
            let proof = prover.prove(assertion)
            let reached = world.connections(assertion).filter(\.isAllowed)
            let refused = world.connections(assertion).filter { !$0.isAllowed }
            switch assertion.claim {
            case .none:
                if proof.holds { #expect(reached.isEmpty, "\(assertion)") }
                #expect(proof.holds == (proof.flow == nil))
                if let flow = proof.flow { #expect(world.confirms(flow, assertion) == true, "\(assertion) \(flow)") }
            case .some:
                if !proof.holds { #expect(reached.isEmpty, "\(assertion)") }
                if proof.holds, let flow = proof.flow { #expect(world.confirms(flow, assertion) == true) }
            case .every:
                if proof.holds && !assertion.services.isEmpty { #expect(refused.isEmpty, "\(assertion)") }
                if let flow = proof.flow { #expect(world.confirms(flow, assertion) == false, "\(assertion) \(flow)") }
            case .only:
                if proof.holds { #expect(world.others(assertion).allSatisfy { !$0.isAllowed }, "\(assertion)") }
                if let flow = proof.flow { #expect(flow.isAllowed) }
            case .nothingElse:
                if proof.holds { #expect(world.elsewhere(assertion).allSatisfy { !$0.isAllowed }, "\(assertion)") }
                if let flow = proof.flow {
                    #expect(flow.isAllowed && world.contradicts(flow, assertion), "\(assertion) \(flow)")
                }
                #expect(proof.holds == (proof.flow == nil))
            }
        }
    }

    @Test("a denial that names no port and an allowance in another family are both seen")
    func examples() throws {
        let catalog = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "build",
                    rules: [
                        EgressRule(
                            action: .deny, destinations: [.builtIn(.metadata)],
                            location: SourceLocation(file: "p.yaml", line: 7, column: 5)),
                        EgressRule(
                            action: .allow, destinations: [.builtIn(.internet)],
                            services: [.ports(.tcp, PortRange(443))],
                            location: SourceLocation(file: "p.yaml", line: 9, column: 5)),
                    ])
            ])
        let inventory = Inventory(workloads: [Workload(.init(name: "ci"), labels: ["app": "build"])])
        let reader = AssertionReader(catalog, inventory: inventory)
        var prover = Prover(catalog, inventory: inventory)
        func proof(_ text: String) throws -> Proof {
            let read = reader.read(text, at: SourceLocation(file: "assertion", line: 1, column: 1))
            return prover.prove(try #require(read.assertion, "\(String(describing: read.diagnostic))"))
        }
        #expect(try proof("no app=build reaches group:metadata").holds)
        #expect(try proof("app=build never reaches group:private").holds)
        #expect(try proof("app=build only reaches group:internet").holds)
        #expect(try proof("app=build only reaches group:internet on 443/tcp").holds)
        #expect(try proof("app=build only reaches outside on 443/tcp,80/tcp").holds)
        let port = try #require(try proof("app=build only reaches group:internet on 80/tcp").flow)
        #expect(port.isAllowed && port.service == ConnectionService(.tcp, port: 443))
        let place = try #require(try proof("app=build only reaches 203.0.113.0/24").flow)
        #expect(place.isAllowed && place.target.address.map(Brute.prefix("203.0.113.0/24").contains) == false)
        #expect(try proof("app=build only reaches group:cluster").flow?.target.workload == nil)
        #expect(try !proof("app=build only reaches group:cluster").holds)
        #expect(try proof("every app=build reaches 203.0.113.0/24 on 443/tcp").holds)
        #expect(try proof("app=build reaches outside on 443/tcp").holds)
        #expect(try !proof("every app=build reaches outside on 443/tcp").holds)
        let failed = try proof("no app=build reaches group:internet")
        let flow = try #require(failed.flow)
        #expect(!failed.holds && flow.isAllowed)
        #expect(flow.service == ConnectionService(.tcp, port: 443))
        #expect(flow.source.address == nil)
        #expect(flow.opinions.map { $0.location?.description } == ["p.yaml:9:5"])
        let some = try proof("app=build reaches group:private")
        #expect(!some.holds && some.flow?.isAllowed == false)
    }

    @Test("the machine is something else, unless it is meant, or has an address that is meant")
    func onlyHost() throws {
        let catalog = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "p",
                    rules: [
                        EgressRule(action: .allow, destinations: [.block(AddressBlock(Brute.prefix("10.0.0.0/8")))])
                    ])
            ])
        let inventory = Inventory(workloads: [Workload(.init(name: "a"), addresses: [.v4(IPv4Address(192, 0, 2, 1))])])
        let reader = AssertionReader(catalog, inventory: inventory)
        var prover = Prover(catalog, inventory: inventory)
        func proof(_ text: String) throws -> Proof {
            prover.prove(try #require(reader.read(text, at: SourceLocation(file: "a", line: 1, column: 1)).assertion))
        }
        #expect(try proof("default/a only reaches 10.0.0.0/8").holds)
        #expect(try proof("default/a only reaches outside").holds)
        #expect(try !proof("default/a only reaches group:host").holds)
        let part = try #require(try proof("default/a only reaches 10.0.0.0/9").flow)
        #expect(part.target.address.map(Brute.prefix("10.128.0.0/9").contains) == true)
    }

    @Test("a pod of IPv6 alone reaches what a manifest alone tells of, and two such reach each other over IPv6")
    func placeholders() throws {
        let db = Workload(.init(name: "db", kind: "Deployment"), labels: ["app": "db"])
        let pod = Workload(.init(name: "web"), labels: ["app": "web"], addresses: [Brute.prefix("fd00::1/128").address])
        let template = Workload(.init(name: "web", kind: "Deployment"), labels: ["app": "web"])
        let policy = NetworkPolicy(
            name: "out", podSelector: LabelSelector(matchLabels: ["app": "web"]), directions: [.egress],
            egress: [.init(peers: [.block(AddressBlock(Brute.prefix("::/0")))])])
        let worlds: [(Workload, [NetworkPolicy])] = [(pod, []), (template, [policy])]
        for (web, policies) in worlds {
            let catalog = PolicyCatalog(networkPolicies: policies, networkDefault: .allow)
            let inventory = Inventory(workloads: [web, db])
            let reader = AssertionReader(catalog, inventory: inventory)
            var prover = Prover(catalog, inventory: inventory)
            let read = reader.read(
                "no app=web reaches app=db", at: SourceLocation(file: "assertion", line: 1, column: 1))
            let proof = prover.prove(try #require(read.assertion))
            #expect(!proof.holds)
            #expect(proof.flow?.isAllowed == true)
            #expect(proof.flow?.target.address == nil)
        }
    }

    @Test("a claim that holds for want of an address says so, unless the rules are for the internet alone")
    func uncertainBlocks() throws {
        let web = Workload(.init(name: "web", kind: "Deployment"), labels: ["app": "web"])
        let db = Workload(.init(name: "db", kind: "Deployment"), labels: ["app": "db"])
        func proof(_ block: AddressBlock, _ claim: String, _ workloads: [Workload]) throws -> Proof {
            let policy = NetworkPolicy(
                name: "out", podSelector: LabelSelector(matchLabels: ["app": "web"]), directions: [.egress],
                egress: [.init(peers: [.block(block)])])
            let catalog = PolicyCatalog(networkPolicies: [policy], networkDefault: .allow)
            let inventory = Inventory(workloads: workloads)
            let read = AssertionReader(catalog, inventory: inventory).read(
                claim, at: SourceLocation(file: "assertion", line: 1, column: 1))
            var prover = Prover(catalog, inventory: inventory)
            return prover.prove(try #require(read.assertion))
        }
        let internet = AddressBlock(
            Brute.prefix("0.0.0.0/0"),
            except: ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"].map { Brute.prefix($0) })
        let claim = "no app=web reaches app=db"
        let certain = try proof(internet, claim, [web, db])
        #expect(certain.holds && certain.note == nil)
        let uncertain = try proof(AddressBlock(Brute.prefix("10.0.0.0/8")), claim, [web, db])
        #expect(uncertain.holds && uncertain.note?.contains("no file tells the addresses") == true)
        let global = try proof(AddressBlock(Brute.prefix("2001:db8:1::/64")), claim, [web, db])
        #expect(global.holds && global.note?.contains("no file tells the addresses") == true)
        let internet6 = AddressBlock(Brute.prefix("::/0"), except: [Brute.prefix("fc00::/7")])
        for block in [internet6, AddressBlock(Brute.prefix("2000::/3"))] {
            let certain6 = try proof(block, claim, [web, db])
            #expect(certain6.holds && certain6.note == nil)
        }
        let known = [(web, "10.0.0.1/32"), (db, "192.0.2.1/32")].map { workload, address in
            Workload(workload.id, labels: workload.labels, addresses: [Brute.prefix(address).address])
        }
        let plain = try proof(AddressBlock(Brute.prefix("10.0.0.0/8")), claim, known)
        #expect(plain.holds && plain.note == nil)
    }

    @Test("what is reached by an IPv6 address that stands for it is reached")
    func embedded() {
        let catalog = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "p",
                    rules: [
                        EgressRule(action: .allow, destinations: [.block(AddressBlock(Brute.prefix("64:ff9b::/96")))])
                    ])
            ])
        var prover = Prover(catalog, inventory: Inventory(workloads: [Workload(.init(name: "a"))]))
        let assertion = Assertion(
            text: "", location: SourceLocation(file: "", line: 1, column: 1), claim: .none,
            source: .workloads(.everything), target: .builtIn(.metadata))
        let proof = prover.prove(assertion)
        #expect(!proof.holds)
        #expect(proof.flow?.target.address?.embeddedIPv4 != nil)
    }
}

/// Every connection between the ends of an assertion, among a few addresses and services.
struct BruteWorld {
    struct Connection {
        var source: ConnectionEnd
        var target: ConnectionEnd
        var isAllowed: Bool
        var service: ConnectionService
    }

    private let catalog: PolicyCatalog
    private let map: ReachabilityMap
    private let evaluator: ConnectionEvaluator
    private let outsiders: [IPAddress]

    init(_ catalog: PolicyCatalog, _ map: ReachabilityMap, seed: Int) {
        self.catalog = catalog
        self.map = map
        evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: map.inventory))
        let own = Set(map.inventory.workloads.flatMap(\.addresses))
        outsiders = Brute.outsiders(seed: seed).filter { !own.contains($0) }.prefix(14).map { $0 }
    }

    func assertion(_ random: inout RandomCatalogs) -> Assertion {
        var generator = SystemChoice(&random)
        let isTargetWorkloads = generator.next(2) == 0
        let workloads = Assertion.Party.workloads(generator.next(3) == 0 ? .everything : random.selector())
        let others: [Assertion.Party] =
            [
                .outside, .builtIn(.metadata), .builtIn(.internet), .builtIn(.private),
                .block(Brute.prefix("203.0.113.0/26")), .block(Brute.prefix("2001:db8:113::/122")),
                .workloads(random.selector()), .workloads(random.selector()), .workloads(.everything),
            ] + catalog.groups.map { .group($0.name) }
        let other = others[generator.next(others.count)]
        return Assertion(
            text: "", location: SourceLocation(file: "", line: 1, column: 1),
            claim: Assertion.Claim.allCases[generator.next(5)], source: isTargetWorkloads ? other : workloads,
            target: isTargetWorkloads ? workloads : other, services: generator.next(2) == 0 ? [] : random.services())
    }

    /// The connections that an assertion is about.
    func connections(_ assertion: Assertion) -> [Connection] {
        connections(from: ends(assertion.source), to: ends(assertion.target), assertion.services)
    }

    /// The connections of everybody but an assertion's source to its target.
    func others(_ assertion: Assertion) -> [Connection] {
        let named = Set(ends(assertion.source))
        var others = map.inventory.workloads.indices.map { ConnectionEnd.workload($0) }
        if assertion.target.isWorkloads { others += outsiders.map { .address($0) } }
        return connections(from: others.filter { !named.contains($0) }, to: ends(assertion.target), assertion.services)
    }

    /// The connections of an assertion's source to everybody but its target, and to its target with other services.
    func elsewhere(_ assertion: Assertion) -> [Connection] {
        let sources = ends(assertion.source)
        let named = Set(ends(assertion.target))
        var others = map.inventory.workloads.indices.map { ConnectionEnd.workload($0) }
        if assertion.source.isWorkloads && assertion.target != .outside { others += outsiders.map { .address($0) } }
        let unnamed = connections(from: sources, to: others.filter { !named.contains($0) }, [])
        let services = ServiceSet(assertion.services)
        return unnamed + connections(from: sources, to: Array(named), []).filter { !services.contains($0.service) }
    }

    /// Whether a flow is of an assertion's source, and to somebody else or with other services.
    func contradicts(_ flow: ProofFlow, _ assertion: Assertion) -> Bool {
        guard covers(assertion.source, flow.source) else { return false }
        if !ServiceSet(assertion.services).contains(flow.service) || flow.targetIsHost { return true }
        return !covers(assertion.target, flow.target)
    }

    /// Whether the evaluator of connections allows a flow; `nil` if it is none of those that the assertion is about.
    func confirms(_ flow: ProofFlow, _ assertion: Assertion) -> Bool? {
        guard covers(assertion.source, flow.source), covers(assertion.target, flow.target) || assertion.claim == .none,
            ServiceSet(assertion.services).contains(flow.service)
        else { return nil }
        return flow.isAllowed
    }

    private func covers(_ party: Assertion.Party, _ end: ProofFlow.End) -> Bool {
        switch party {
        case .workloads(let selector):
            end.workload.map { selector.matches(map.inventory.workloads[$0], in: map.inventory) } ?? false
        case .outside: end.workload == nil
        case .block(let prefix): end.address.map(prefix.contains) ?? true
        case .builtIn(let group): end.address.map { address in group.blocks.contains { $0.contains(address) } } ?? true
        case .group(let name):
            end.address.map { address in
                catalog.groups.first { $0.name == name }?.blocks.contains { $0.contains(address) } ?? false
            } ?? true
        }
    }

    private func ends(_ party: Assertion.Party) -> [ConnectionEnd] {
        let workloads = map.inventory.workloads
        func owned(_ contains: (IPAddress) -> Bool) -> [ConnectionEnd] {
            workloads.indices.filter { workloads[$0].addresses.contains(where: contains) }.map { .workload($0) }
                + outsiders.filter(contains).map { .address($0) }
        }
        switch party {
        case .workloads(let selector):
            return workloads.indices.filter { selector.matches(workloads[$0], in: map.inventory) }
                .map { .workload($0) }
        case .outside: return outsiders.map { .address($0) }
        case .block(let prefix): return owned(prefix.contains)
        case .builtIn(let group): return owned { address in group.blocks.contains { $0.contains(address) } }
        case .group(let name):
            let blocks = catalog.groups.first { $0.name == name }?.blocks ?? []
            return owned { address in blocks.contains { $0.contains(address) } }
        }
    }

    private func connections(
        from sources: [ConnectionEnd], to targets: [ConnectionEnd], _ services: [Service]
    ) -> [Connection] {
        let wanted = ServiceSet(services)
        var evaluator = evaluator
        var result: [Connection] = []
        for source in sources {
            for target in targets where source != target {
                for family in AddressFamily.allCases {
                    for service in Brute.fewServices where wanted.contains(service) {
                        let decision = evaluator.decide(from: source, to: target, service, family: family)
                        guard let decision else { continue }
                        result.append(
                            Connection(
                                source: source, target: target, isAllowed: decision.isAllowed, service: service))
                    }
                }
            }
        }
        return result
    }
}

/// Numbers from the same source as the catalogs.
private struct SystemChoice {
    private var generator: SeededGenerator

    init(_ random: inout RandomCatalogs) {
        generator = SeededGenerator(seed: random.number())
    }

    mutating func next(_ count: Int) -> Int { Int(generator.next() % UInt64(count)) }
}

extension Brute {
    static func prefix(_ text: String) -> IPPrefix {
        IPPrefix(text) ?? IPPrefix(.v4(IPv4Address(0, 0, 0, 0)))
    }
}
