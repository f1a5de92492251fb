// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

@Suite("Reachability map")
struct ReachabilityMapTests {
    @Test("pairs may use what the evaluator of connections allows", arguments: 0..<30)
    func pairs(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let catalog = random.catalog()
        let map = ReachabilityMap(catalog, inventory: random.inventory())
        var evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: map.inventory))
        var wrong = Mistakes<String>()
        map.forEachPair { source, target, pair in
            #expect(map.services(from: source, to: target) == pair)
            for family in AddressFamily.allCases {
                for service in Brute.fewServices {
                    let decision = evaluator.decide(
                        from: .workload(source), to: .workload(target), service, family: family)
                    if pair[family]?.contains(service) != decision?.isAllowed {
                        wrong.append("\(source) to \(target) over \(family): \(service)")
                    }
                }
            }
        }
        #expect(wrong.count == 0, "\(wrong)")
    }

    @Test("nobody finds its machine at the address of a workload, be that known or not")
    func machine() {
        let peer = NetworkPolicy.Peer.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["app": "db"]))
        let policy = NetworkPolicy(
            name: "a", podSelector: .everything, directions: [.egress], egress: [.init(peers: [peer])])
        for addresses in [[], [Brute.prefix("10.0.0.0/32").address, Brute.prefix("fd00::/128").address]] {
            let inventory = Inventory(workloads: [
                Workload(.init(name: "web"), labels: ["app": "web"]),
                Workload(.init(name: "db"), labels: ["app": "db"], addresses: addresses),
            ])
            let map = ReachabilityMap(
                PolicyCatalog(networkPolicies: [policy], networkDefault: .allow), inventory: inventory)
            let web = inventory.workloads.firstIndex { $0.id.name == "web" } ?? 0
            #expect(map.host(of: web).map(\.prefix.length) == [0, 0])
            #expect(map.host(of: web).filter { !$0.services.isEmpty } == [])
        }
    }

    @Test("blocks outside allow what the evaluator of connections allows", arguments: 0..<30)
    func outside(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let catalog = random.catalog()
        let map = ReachabilityMap(catalog, inventory: random.inventory())
        var evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: map.inventory))
        let own = Set(map.inventory.workloads.flatMap(\.addresses))
        var wrong = Mistakes<String>()
        for workload in map.inventory.workloads.indices {
            for direction in TrafficDirection.allCases {
                let ranges = map.outside(of: workload, direction)
                for address in Brute.outsiders(seed: seed) where !own.contains(address) {
                    let found = ranges.filter { $0.prefix.contains(address) }
                    #expect(found.count == (map.families(of: workload).contains(address.family) ? 1 : 0))
                    guard let range = found.first else { continue }
                    for service in Brute.fewServices {
                        let ends: [ConnectionEnd] = [.workload(workload), .address(address)]
                        let decision = evaluator.decide(
                            from: ends[direction == .egress ? 0 : 1], to: ends[direction == .egress ? 1 : 0], service,
                            family: address.family)
                        if range.services.contains(service) != decision?.isAllowed {
                            wrong.append("\(workload) \(direction) \(address): \(service)")
                        }
                    }
                }
            }
        }
        #expect(wrong.count == 0, "\(wrong)")
    }

    @Test("no two neighbouring blocks could be one", arguments: 0..<30)
    func fewestBlocks(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let map = ReachabilityMap(random.catalog(), inventory: random.inventory())
        for workload in map.inventory.workloads.indices {
            let ranges = map.outside(of: workload, .egress)
            let services = Dictionary(ranges.map { ($0.prefix, $0.services) }) { first, _ in first }
            #expect(services.count == ranges.count)
            for range in ranges where range.prefix.length > 0 {
                let bit = UInt128(1) << UInt128(range.prefix.family.bitWidth - range.prefix.length)
                let sibling = IPAddress(family: range.prefix.family, rawValue: range.prefix.lowerBound ^ bit)
                let other = IPPrefix(sibling, length: range.prefix.length).flatMap { services[$0] }
                #expect(other != range.services)
            }
        }
    }

    @Test("a workload's own address does not cut the outside")
    func holes() {
        let inventory = Inventory(workloads: [
            Workload(.init(name: "a"), addresses: [.v4(IPv4Address(10, 0, 0, 1))]),
            Workload(.init(name: "b"), addresses: [.v4(IPv4Address(10, 0, 0, 2))]),
        ])
        let rule = EgressRule(action: .allow, workloads: [WorkloadSelector(names: ["b"])])
        let catalog = PolicyCatalog(egressPolicies: [EgressPolicy(name: "p", rules: [rule])])
        let map = ReachabilityMap(catalog, inventory: inventory)
        #expect(map.outside(of: 0, .egress).map(\.prefix.description) == ["0.0.0.0/0"])
        #expect(map.outside(of: 0, .egress).map(\.services) == [.nothing])
        #expect(map.services(from: 0, to: 1)?.ipv4 == .everything)
        #expect(map.services(from: 0, to: 1)?.ipv6 == nil)
        #expect(map.services(from: 0, to: 0) == nil)
    }

    @Test("a workload that a manifest alone tells of speaks both families outside")
    func placeholders() {
        let inventory = Inventory(workloads: [Workload(.init(name: "a"))])
        let map = ReachabilityMap(PolicyCatalog(networkDefault: .allow), inventory: inventory)
        #expect(map.families(of: 0) == [.ipv4, .ipv6])
        #expect(map.outside(of: 0, .ingress).map(\.prefix.description) == ["0.0.0.0/0", "::/0"])
    }

    @Test("a workload that a manifest alone tells of speaks both families with other workloads")
    func placeholderPairs() throws {
        let web = Workload(.init(name: "web", kind: "Deployment"), labels: ["app": "web"])
        let db = Workload(.init(name: "db", kind: "Deployment"), labels: ["app": "db"])
        for (text, family) in [("0.0.0.0/0", AddressFamily.ipv4), ("::/0", AddressFamily.ipv6)] {
            let policy = NetworkPolicy(
                name: "out", podSelector: LabelSelector(matchLabels: ["app": "web"]), directions: [.egress],
                egress: [.init(peers: [.block(AddressBlock(Brute.prefix(text)))])])
            let map = ReachabilityMap(
                PolicyCatalog(networkPolicies: [policy], networkDefault: .allow),
                inventory: Inventory(workloads: [web, db]))
            let source = try #require(map.inventory.workloads.firstIndex { $0.id.name == "web" })
            let target = try #require(map.inventory.workloads.firstIndex { $0.id.name == "db" })
            let pair = try #require(map.services(from: source, to: target))
            for other in AddressFamily.allCases {
                let expected = other == family ? ServiceSet.everything : ServiceSet.nothing
                #expect(pair[other] == expected, "\(text) over \(other)")
            }
            #expect(map.placeholders[target]?.map(\.family) == [.ipv4, .ipv6])
        }
    }

    @Test(
        "a block that leaves something out is not about what a manifest alone tells of, in rules that allow and deny",
        arguments: [
            (["128.0.0.0/1"], [], false), (["0.0.0.0/1"], [], false), (["240.0.0.0/4"], [], false),
            (["0.0.0.0/0"], ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], false),
            (["0.0.0.0/0"], [], true), (["0.0.0.0/1", "128.0.0.0/1"], [], true),
        ] as [([String], [String], Bool)])
    func partialBlocks(_ prefixes: [String], _ exceptions: [String], _ matches: Bool) throws {
        let workloads = (0..<5).map {
            Workload(.init(name: "w\($0)", kind: "Deployment"), labels: ["app": "w\($0)"], usesHostNetwork: $0 == 4)
        }
        func alone(_ address: String) -> Workload {
            Workload(.init(name: "p"), addresses: [Brute.prefix(address).address])
        }
        let blocks = prefixes.map { AddressBlock(Brute.prefix($0), except: exceptions.map { Brute.prefix($0) }) }
        let allowing = PolicyCatalog(
            networkPolicies: [
                NetworkPolicy(
                    name: "out", directions: [.egress], egress: [.init(peers: blocks.map { .block($0) })])
            ], networkDefault: .allow)
        let denying = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "out", tier: .admin, defaultAction: nil,
                    rules: [EgressRule(action: .deny, destinations: blocks.map { .block($0) })])
            ], networkDefault: .allow)
        let grouped = PolicyCatalog(
            egressPolicies: [
                EgressPolicy(
                    name: "out", tier: .admin, defaultAction: nil,
                    rules: [EgressRule(action: .deny, destinations: [.group("g")])])
            ], groups: [DestinationGroup(name: "g", blocks: blocks)], networkDefault: .allow)
        for (catalog, opens) in [(allowing, true), (denying, false), (grouped, false)] {
            let map = ReachabilityMap(catalog, inventory: Inventory(workloads: workloads))
            for target in 1..<5 {
                let pair = try #require(map.services(from: 0, to: target))
                #expect((pair.ipv4 == .everything) == (matches == opens), "\(prefixes) to \(target)")
            }
            // The outside and the machine are as if no address stood in for another.
            let plain = ReachabilityMap(catalog, inventory: Inventory(workloads: [alone("10.9.9.9/32")]))
            func texts(_ ranges: [ReachabilityMap.OutsideRange]) -> [String] {
                ranges.filter { $0.prefix.family == .ipv4 }.map { "\($0.prefix) \($0.services)" }
            }
            #expect(texts(map.outside(of: 0, .egress)) == texts(plain.outside(of: 0, .egress)))
            #expect(texts(map.host(of: 0)) == texts(plain.host(of: 0)))
        }
        // What stands for a denied IPv4 address stays denied throughout.
        for catalog in [denying, grouped] {
            let map = ReachabilityMap(catalog, inventory: Inventory(workloads: workloads))
            let plain = ReachabilityMap(catalog, inventory: Inventory(workloads: [alone("fd00::9/128")]))
            #expect(
                map.outside(of: 0, .egress).filter { $0.prefix.family == .ipv6 }
                    == plain.outside(of: 0, .egress).filter { $0.prefix.family == .ipv6 })
        }
    }

    @Test("workloads with the same policies share a class")
    func sharing() {
        let inventory = Inventory(
            workloads: (0..<50).map { Workload(.init(name: "w\($0)"), labels: ["app": $0 < 25 ? "a" : "b"]) })
        let policy = NetworkPolicy(
            name: "p", podSelector: LabelSelector(matchLabels: ["app": "a"]), directions: [.ingress, .egress])
        let map = ReachabilityMap(
            PolicyCatalog(networkPolicies: [policy], networkDefault: .allow), inventory: inventory)
        #expect(map.classCount == 4)
    }

    @Test("the difference of two maps is what comes and goes for each pair and block", arguments: 0..<20)
    func difference(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let inventory = random.inventory(workloads: 5)
        let old = ReachabilityMap(random.catalog(), inventory: inventory)
        let new = ReachabilityMap(random.catalog(), inventory: inventory)
        let difference = ReachabilityDifference(from: old, to: new)
        #expect(ReachabilityDifference(from: old, to: old).isEmpty)
        #expect(difference.added.isEmpty && difference.removed.isEmpty)
        old.forEachPair { source, target, before in
            let ids = (old.inventory.workloads[source].id, old.inventory.workloads[target].id)
            let changes = difference.pairs.filter { $0.source == ids.0 && $0.target == ids.1 }
            for family in AddressFamily.allCases {
                guard let one = before[family], let two = new.services(from: source, to: target)?[family] else {
                    continue
                }
                let change = changes.first { $0.family == nil || $0.family == family }?.change
                #expect(change?.gained ?? .nothing == two.subtracting(one))
                #expect(change?.lost ?? .nothing == one.subtracting(two))
            }
        }
        let own = Set(inventory.workloads.flatMap(\.addresses) + old.placeholders.values.flatMap { $0 })
        for workload in inventory.workloads.indices {
            let id = old.inventory.workloads[workload].id
            let hostChanges = difference.host.filter { $0.workload == id }
            for address in Brute.outsiders(seed: seed) where !own.contains(address) {
                let one = old.host(of: workload).first { $0.prefix.contains(address) }?.services
                let two = new.host(of: workload).first { $0.prefix.contains(address) }?.services
                guard let one, let two else { continue }
                let change = hostChanges.first { $0.prefix.contains(address) }?.change
                #expect(change?.gained ?? .nothing == two.subtracting(one))
            }
            let changes = difference.outside.filter { $0.workload == id && $0.direction == .egress }
            for address in Brute.outsiders(seed: seed) where !own.contains(address) {
                let one = old.outside(of: workload, .egress).first { $0.prefix.contains(address) }?.services
                let two = new.outside(of: workload, .egress).first { $0.prefix.contains(address) }?.services
                guard let one, let two else { continue }
                let change = changes.first { $0.prefix.contains(address) }?.change
                #expect(change?.gained ?? .nothing == two.subtracting(one))
                #expect(change?.lost ?? .nothing == one.subtracting(two))
            }
        }
    }

    @Test("what opens the machine is a difference")
    func hostDifference() {
        func map(_ rules: [EgressRule]) -> ReachabilityMap {
            let inventory = Inventory(
                workloads: [Workload(.init(name: "a"), addresses: [.v4(IPv4Address(192, 0, 2, 1))])])
            return ReachabilityMap(
                PolicyCatalog(egressPolicies: [EgressPolicy(name: "p", rules: rules)]), inventory: inventory)
        }
        let https = EgressRule(
            action: .allow, destinations: [.builtIn(.internet)], services: [.ports(.tcp, PortRange(443))])
        let ssh = EgressRule(
            action: .allow, destinations: [.builtIn(.host)], services: [.ports(.tcp, PortRange(22))])
        let difference = ReachabilityDifference(from: map([https]), to: map([https, ssh]))
        #expect(difference.pairs.isEmpty && difference.outside.isEmpty && !difference.isEmpty)
        #expect(difference.host.map(\.prefix) == [Brute.prefix("0.0.0.0/0")])
        #expect(difference.host.first?.change.gained.entries == ["22/tcp"])
        let back = ReachabilityDifference(from: map([https, ssh]), to: map([https]))
        #expect(back.host.first?.change.lost.entries == ["22/tcp"])
        let everywhere = ReachabilityDifference(from: map([ssh]), to: map([EgressRule(action: .allow)]))
        #expect(
            everywhere.host.map(\.change.gained)
                == everywhere.host.map { _ in
                    ServiceSet.everything.subtracting(ServiceSet([.ports(.tcp, PortRange(22))]))
                })
    }

    @Test("what a workload that only one map has may do is gained or lost")
    func differentWorkloads() {
        let one = Inventory(workloads: [Workload(.init(name: "a")), Workload(.init(name: "b"))])
        let two = Inventory(workloads: [Workload(.init(name: "a")), Workload(.init(name: "c"))])
        let catalog = PolicyCatalog(networkDefault: .allow)
        let difference = ReachabilityDifference(
            from: ReachabilityMap(catalog, inventory: one), to: ReachabilityMap(catalog, inventory: two))
        #expect(difference.added.map(\.name) == ["c"])
        #expect(difference.removed.map(\.name) == ["b"])
        #expect(difference.pairs.count == 4)
        #expect(difference.pairs.filter { $0.change.gained == .everything }.map(\.source.name) == ["a", "c"])
    }
}

extension Brute {
    /// Some services of every sort.
    static let fewServices: [ConnectionService] = [
        .init(.tcp), .init(.tcp, port: 22), .init(.tcp, port: 80), .init(.tcp, port: 443), .init(.tcp, port: 8001),
        .init(.tcp, port: 65535), .init(.udp), .init(.udp, port: 53), .init(.udp, port: 8080), .init(.icmp),
        .init(.icmp, icmpType: 8), .init(.icmpv6, icmpType: 128), .init(.sctp, port: 443), .init(.dccp, port: 80),
        .init(IPProtocol(rawValue: 47)), .init(IPProtocol(rawValue: 253)), .init(IPProtocol(rawValue: 200)),
    ]

    /// Addresses among which random policies make differences.
    static func outsiders(seed: Int) -> [IPAddress] {
        var generator = SeededGenerator(seed: UInt64(seed) &+ 77)
        var random = RandomPolicies(seed: UInt64(seed) &+ 99)
        let flows = (0..<30).map { _ in random.flow().destination }
        let ends = BuiltInGroup.allCases.flatMap(\.blocks).flatMap { [$0.prefix.lowerBound, $0.prefix.upperBound] }
            .shuffled(using: &generator).prefix(4)
        return Array(Set(flows)).sorted() + ends.map { IPAddress(family: .ipv6, rawValue: $0) }
    }
}
