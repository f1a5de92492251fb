// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretPolicy
import EgretRoutes
import EgretTesting
import Testing

/// By which way and with which source a packet leaves: the evaluator says, and the kernel is asked.
@Suite(.serialized, .requiresRoot)
struct RouteOracleTests {
    /// Where a packet was seen.
    private enum Exit: Hashable, CustomStringConvertible {
        case uplink(Int, source: IPAddress)
        case host
        case nowhere

        var description: String {
            switch self {
            case .uplink(let number, let source): "up\(number) from \(source)"
            case .host: "the host"
            case .nowhere: "nowhere"
            }
        }
    }

    private let bench: KernelBench
    private let uplinks: [BenchUplink]

    init() throws {
        bench = try KernelBench()
        // An interface alone is a way by the default route that the main table has for it.
        uplinks = [try BenchUplink(1, bench), try BenchUplink(2, bench, metric: 5000)]
    }

    /// Ways by gateways, interfaces, addresses, and by several of them; with the uplink that each leads to.
    private func ways() throws -> [RouteWay: Int] {
        func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
        let gateways = uplinks[0].gateways
        return [
            RouteWay(gateway: gateways[0]): 1, RouteWay(gateway: gateways[1]): 1,
            RouteWay(interface: uplinks[1].name): 2,
            RouteWay(gateway: gateways[0], interface: uplinks[0].name, sourceAddress: try address("198.18.1.9")): 1,
            RouteWay(interface: uplinks[1].name, sourceAddress: try address("2001:db8:fff2::9")): 2,
            RouteWay(sourceAddress: try address("192.0.2.9")): 0,
            RouteWay(sourceAddress: try address("2001:db8:ffff::9")): 0,
        ]
    }

    @Test("each packet leaves by the way, and with the source, that the evaluator says, whichever ways are up")
    func packets() throws {
        let ways = try ways()
        let sorted = ways.keys.sorted { "\($0)" < "\($1)" }
        var seen: [Exit: Int] = [:]
        var seed: UInt64 = 0
        for down in [[], [1], [2], [1, 2]] as [Swift.Set<Int>] {
            for number in down { try uplinks[number - 1].setCarrier(false) }
            for _ in 0..<20 {
                seed += 1
                var random = RandomPolicies(seed: seed)
                let routes = random.routes(by: sorted)
                let policies = PolicySet(
                    policies: [EgressPolicy(name: "p", defaultAction: .allow, rules: [], routes: routes)], groups: [])
                let programs = try BenchPrograms(policies, bench.endpoint, generation: UInt16(seed))
                try bench.install(programs)
                let rules = BenchRouteRules(dataplane: bench.dataplane)
                let keeper = try RouteKeeper(policies, for: bench.endpoint.value, slot: 0, bench.route, rules)
                #expect(try bench.dataplane.drift(of: [keeper.program]) == [])
                let flows = OracleTests.flows(&random, count: 30).map { ($0, bench.newPort()) }
                let evaluator = PolicyEvaluator(policies: policies)
                let exits = try send(flows)
                for ((flow, _), exit) in zip(flows, exits) {
                    let choice = evaluator.routeChoice(for: flow) { !down.contains(ways[routes[$0].ways[$1]] ?? 0) }
                    let expected = self.expected(choice, flow, routes, ways)
                    #expect(exit == expected, "seed \(seed), \(down) down: \(flow) by \(choice)")
                    seen[exit, default: 0] += 1
                }
                try RouteKeeper.remove(slot: 0, bench.route, rules)
                try bench.dataplane.remove(programs.all)
                try bench.forgetConnections(of: UInt16(seed))
            }
            for number in down { try uplinks[number - 1].setCarrier(true) }
        }
        for number in 0...2 {
            for family in AddressFamily.allCases {
                let count = seen.filter { exit, _ in
                    if case .uplink(number, let source) = exit { source.family == family } else { false }
                }
                #expect(count.values.reduce(0, +) > 10, "up\(number) \(family)")
            }
        }
        #expect(seen[.nowhere] ?? 0 > 50 && seen[.host] ?? 0 > 20)
        print("routes: \(seen.values.reduce(0, +)) packets under \(seed) policies: \(seen)")
    }

    @Test("a connection whose way has died leaves by no other, and without the routing rule by none either")
    func loyalty() throws {
        let way = RouteWay(gateway: uplinks[0].gateways[0])
        let other = RouteWay(interface: uplinks[1].name)
        let policies = PolicySet(
            policies: [
                EgressPolicy(name: "p", defaultAction: .allow, rules: [], routes: [EgressRoute(ways: [way, other])])
            ], groups: [])
        let programs = try BenchPrograms(policies, bench.endpoint, generation: 1)
        try bench.install(programs)
        let rules = BenchRouteRules(dataplane: bench.dataplane)
        let keeper = try RouteKeeper(policies, for: bench.endpoint.value, slot: 0, bench.route, rules)
        func flows(_ port: UInt16) throws -> [(Flow, UInt16)] {
            try [("203.0.113.1", IPProtocol.udp), ("203.0.113.2", .tcp), ("203.0.113.3", .udp)].map { text, transport in
                (Flow(to: try #require(IPAddress(text)), protocol: transport, port: 443), port)
            }
        }
        let first = Exit.uplink(1, source: uplinks[0].addresses[0])
        let second = Exit.uplink(2, source: uplinks[1].addresses[0])
        #expect(try send(flows(20_001)) == [first, first, first])
        // The carrier goes and comes again: connections are kept, and wait.
        try uplinks[0].setCarrier(false)
        let later = try port(within: keeper) { try send(flows($0)) == [second, second, second] }
        #expect(try send(flows(20_001)) == [.nowhere, .nowhere, .nowhere])
        try uplinks[0].setCarrier(true)
        _ = try port(within: keeper) { try send(flows($0)) == [first, first, first] }
        #expect(try send(flows(20_001)) == [first, first, first])
        #expect(try send(flows(later)) == [second, second, second])
        // Somebody takes the rules away: the main table would lead out by up0.
        try bench.host.onOwnThread {
            let output = try runProgram(["/bin/sh", "-c", "while ip rule del priority 500; do :; done"])
            #expect(output.succeeded, "\(output.standardError)")
        }
        #expect(try send(flows(20_001)) == [.nowhere, .nowhere, .nowhere])
        #expect(try send(flows(20_004)) == [.nowhere, .nowhere, .nowhere])
        let table = RouteProgram.table(slot: 0)
        #expect(try bench.dataplane.counters(in: table)[RouteProgram.strayedCounter]?.packets == 6)
        try RouteKeeper.remove(slot: 0, bench.route, rules)
        try bench.dataplane.remove(programs.all)
    }

    @Test("the host answers what it knows nothing of by the way that it came by; its own routes go before")
    func answers() throws {
        let rules = BenchRouteRules(dataplane: bench.dataplane)
        let policies = PolicySet(
            policies: [
                EgressPolicy(
                    name: "p", rules: [], routes: [EgressRoute(ways: uplinks[0].gateways.map { RouteWay(gateway: $0) })]
                )
            ], groups: [])
        // Without routes, answers leave by the main table's default route.
        for family in 0...1 { #expect(try answerers(family) == [0, 0]) }
        _ = try RouteKeeper(policies, for: bench.endpoint.value, slot: 0, bench.route, rules)
        for family in 0...1 { #expect(try answerers(family) == [1, 1]) }
        let table = RouteProgram.table(slot: 0)
        #expect(try bench.dataplane.counters(in: table)[RouteProgram.answeredCounter]?.packets == 4)
        for (family, far) in RouteOracleTests.far.enumerated() {
            let prefix = try #require(IPPrefix(far, length: far.family == .ipv4 ? 24 : 64))
            let index = try bench.route.index(of: "up0")
            try bench.route.request("add route") { sequence throws(WireError) in
                try RouteWire.addRoute(
                    RouteRecord(to: prefix, gateway: KernelBench.gatewayAddresses[family], link: index),
                    sequence: sequence)
            }
            #expect(try answerers(family) == [0, 0])
        }
        try RouteKeeper.remove(slot: 0, bench.route, rules)
    }

    private static let far = KernelBench.addresses("203.0.113.50", "2001:db8:113::50")

    /// By which uplinks the host's answers leave to a TCP segment and to a datagram that have come by the first.
    private func answerers(_ family: Int) throws -> [Int?] {
        _ = try (bench.departures(), uplinks.map { try $0.socket.drain() })
        let (far, own, port) = (RouteOracleTests.far[family], uplinks[0].addresses[family], bench.newPort())
        let segment = Segment.packet(
            from: (address: far, port: port), to: (address: own, port: 999), flags: Segment.acknowledgement,
            sequence: 7, acknowledging: 8, payload: [])
        let datagram = PacketBuilder.packet(
            from: far, to: own, protocol: .udp, sourcePort: port, destinationPort: 999, tag: bench.newTag())
        for packet in [segment, datagram] { try uplinks[0].send(try #require(packet)) }
        try bench.settle()
        let left = try [bench.departures()] + uplinks.map { try $0.socket.drain() }
        let unreachable: (IPProtocol, UInt8) = family == 0 ? (.icmp, 3) : (.icmpv6, 1)
        return [
            left.firstIndex { $0.contains { $0.resetPort == port && $0.summary?.source == own } },
            left.firstIndex {
                $0.contains { frame in
                    guard let summary = frame.summary else { return false }
                    return (summary.transport, summary.icmpType) == (unreachable.0, unreachable.1)
                        && summary.source == own
                }
            },
        ]
    }

    @Test("another's routes and rules stay when a run's are removed, and nothing of the run's does")
    func removal() throws {
        let policies = PolicySet(
            policies: [
                EgressPolicy(
                    name: "p", rules: [],
                    routes: [EgressRoute(ways: try ways().keys.sorted { "\($0)" < "\($1)" })])
            ], groups: [])
        let rules = BenchRouteRules(dataplane: bench.dataplane)
        let listing =
            "ip rule; ip -6 rule; ip route show table all | grep 'proto 101'; ip -6 route show table all | grep 'proto 101'; nft list tables"
        func list() throws -> [String] {
            try bench.host.onOwnThread { try runProgram(["/bin/sh", "-c", listing]) }.standardOutput
                .split(separator: "\n").map(String.init)
        }
        let before = try list()
        _ = try RouteKeeper(policies, for: bench.endpoint.value, slot: 7, bench.route, rules)
        let other = try list()
        #expect(other.count > before.count + 10)
        _ = try RouteKeeper(policies, for: bench.endpoint.value, slot: 8, bench.route, rules)
        try RouteKeeper.remove(slot: 8, bench.route, rules)
        #expect(try list() == other)
        try RouteKeeper.remove(slot: 7, bench.route, rules)
        #expect(try list() == before)
        // What is not there will do.
        try RouteKeeper.remove(slot: 7, bench.route, rules)
    }

    private func expected(
        _ choice: RouteChoice, _ flow: Flow, _ routes: [EgressRoute], _ ways: [RouteWay: Int]
    ) -> Exit {
        if flow.destinationIsHost { return .host }
        let family = flow.destination.family == .ipv4 ? 0 : 1
        switch choice {
        case .dropped: return .nowhere
        case .main: return .uplink(0, source: KernelBench.uplinkAddresses[family])
        case .way(let clause, let place):
            let way = routes[clause].ways[place]
            let number = ways[way] ?? 0
            let own = number == 0 ? KernelBench.uplinkAddresses[family] : uplinks[number - 1].addresses[family]
            return .uplink(number, source: way.sourceAddress ?? own)
        }
    }

    /// Sends a packet of each flow and says where it was seen.
    private func send(_ flows: [(flow: Flow, port: UInt16)]) throws -> [Exit] {
        try bench.settle()
        _ = try (bench.departures(), bench.arrivals(), uplinks.map { try $0.socket.drain() })
        let tags = try flows.map { flow, port in
            let tag = bench.newTag()
            let packet = PacketBuilder.packet(
                from: bench.endpoint.address(flow.destination.family), to: flow.destination, protocol: flow.protocol,
                sourcePort: port, destinationPort: flow.destinationPort ?? 0, icmpType: flow.icmpType ?? 0, tag: tag)
            try bench.endpoint.send(try #require(packet))
            return tag
        }
        try bench.settle()
        var seen: [[UInt8]: Exit] = [:]
        let left = try [bench.departures()] + uplinks.map { try $0.socket.drain() }
        for (number, frames) in left.enumerated() {
            for frame in frames {
                guard let tag = frame.tag, let source = frame.summary?.source, tags.contains(tag) else { continue }
                // An ICMP error about the packet goes to the endpoint, not outside.
                #expect(seen[tag] == nil, "seen twice")
                seen[tag] = .uplink(number, source: source)
            }
        }
        for packet in try bench.arrivals() { if let tag = packet.tag { seen[tag] = .host } }
        return tags.map { seen[$0] ?? .nowhere }
    }

    /// The first port whose connections go as they should, while the keeper does its work. Each try has a new port: a
    /// connection that has chosen stays with its choice.
    private func port(within keeper: RouteKeeper, isSo: (UInt16) throws -> Bool) throws -> UInt16 {
        var poll = Poll()
        for _ in 0..<40 {
            _ = try poll.wait(timeout: .milliseconds(50))
            try keeper.serve()
            let port = bench.newPort()
            if try isSo(port) { return port }
        }
        Issue.record("it does not come to that")
        return 0
    }
}
