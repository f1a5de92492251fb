// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@Suite("route programs, as nft text and packet by packet")
struct RouteProgramTests {
    private let endpoint: Endpoint

    init() throws {
        endpoint = Endpoint(
            interface: try #require(InterfaceName("egret3")), interfaceIndex: 9,
            hardwareAddress: MACAddress(locallyAdministered: 1),
            addresses: try ["10.1.0.2", "fd00::2"].map { try #require(IPAddress($0)) })
    }

    private func program(_ routes: [EgressRoute], groups: [DestinationGroup] = []) -> RouteProgram {
        var number = 0
        let clauses = routes.map { route in
            RouteProgram.Clause(
                route: route,
                ways: route.ways.map { way in
                    number += 1
                    return RouteProgram.Way(number: number, way: way)
                })
        }
        let named = Dictionary(uniqueKeysWithValues: groups.map { ($0.name, $0) })
        return RouteProgram(clauses, groups: named, for: endpoint, slot: 3)
    }

    /// A state in which ways lead by the interfaces 101, 102 …; one with nothing but a source by none.
    private func state(
        _ usable: Swift.Set<Int>, _ routes: [EgressRoute], addresses: [Int: [IPAddress]] = [:]
    ) -> RouteProgram.State {
        var outputs: [Int: UInt32] = [:]
        for (index, way) in routes.flatMap(\.ways).enumerated() where way.gateway != nil || way.interface != nil {
            outputs[index + 1] = 101 + UInt32(index)
        }
        return RouteProgram.State(usable: usable, outputs: outputs, addresses: addresses)
    }

    private func rules(_ program: TableProgram, _ chains: String...) -> [String] {
        program.rules.filter { chains.contains($0.chain) }.map { "\($0.chain): \(NftText.render($0))" }
    }

    private func way(_ gateway: String? = nil, _ interface: String? = nil, from source: String? = nil) -> RouteWay {
        RouteWay(
            gateway: gateway.flatMap { IPAddress($0) }, interface: interface.flatMap { InterfaceName($0) },
            sourceAddress: source.flatMap { IPAddress($0) })
    }

    @Test("a clause with two ways: who chooses, who remembers, who guards, who translates")
    func text() throws {
        let block = AddressBlock(try #require(IPPrefix("198.51.100.0/24")))
        let route = EgressRoute(
            destinations: [.block(block)], services: [.ports(.tcp, try #require(PortRange(80, 90)))],
            ways: [way("192.0.2.1"), way(nil, "wg0", from: "192.0.2.9")])
        let routes = program([route])
        let whole = routes.program(
            in: state([1, 2], [route], addresses: [1: [try #require(IPAddress("192.0.2.7"))]]))
        #expect(
            rules(whole, "prerouting", "from", "choose", "route-0-ipv4", "route-0-ipv6") == [
                "prerouting: meta iif == 9 meta mark & 0xc0003fff == 0x80000003 accept",
                "prerouting: meta iif == 9 goto from",
                "from: fib daddr type == 2 accept", "from: ct direction == reply accept",
                "from: ct state invalid,untracked accept",
                "from: ct label & 97 == 97 goto way-1", "from: ct label & 98 == 98 goto way-2",
                "from: ct label & 96 == 96 accept",
                "from: ct state related,new goto choose", "from: counter name \"strayed\" drop",
                "choose: meta nfproto == ipv4 ip daddr @route-0-ipv4 meta l4proto == tcp th dport @ports-80-90 "
                    + "jump route-0-ipv4",
                "choose: goto way-main", "route-0-ipv4: goto way-1", "route-0-ipv6: goto way-none",
            ])
        #expect(
            rules(whole, "way-1", "way-2", "way-main", "way-none") == [
                "way-main: ct label set 96 accept", "way-none: counter name \"dropped\" drop",
                "way-1: ct label set 97 meta mark set meta mark & 0xc0ffffff | 0x01000000 accept",
                "way-2: ct label set 98 meta mark set meta mark & 0xc0ffffff | 0x02000000 accept",
            ])
        let isOnWay = [
            "guard: ct direction == original ct label & 97 == 97",
            "guard: ct direction == original ct label & 98 == 98",
        ]
        #expect(
            rules(whole, "forward", "guard", "postrouting") == [
                "forward: meta iif == 9 goto guard",
                "postrouting: meta mark & 0xe0ff3fff == 0x20400003 ct label & 97 == 97 masquerade",
                "postrouting: meta nfproto == ipv4 ip saddr == 10.1.0.2 ct label & 98 == 98 counter snat ip to 192.0.2.9",
                "postrouting: meta nfproto == ipv4 meta mark & 0xe0ff3fff == 0x20400003 ct label & 98 == 98 "
                    + "counter snat ip to 192.0.2.9",
                "\(isOnWay[0]) meta oif != 101 counter name \"strayed\" drop",
                "\(isOnWay[0]) meta mark & 0x3f000000 != 0x01000000 counter name \"strayed\" drop",
                "\(isOnWay[1]) meta oif != 102 counter name \"strayed\" drop",
                "\(isOnWay[1]) meta mark & 0x3f000000 != 0x02000000 counter name \"strayed\" drop",
            ])
        #expect(
            rules(whole, "output", "answers") == [
                "output: meta l4proto == tcp tcp flags & 0x04 == 0x04 jump answers",
                "output: meta l4proto == icmp icmp type == 3 jump answers",
                "output: meta l4proto == 58 icmpv6 type == 1 jump answers",
                "answers: meta nfproto == ipv4 ip saddr == 192.0.2.7 meta oif != 101 counter name \"answered\" "
                    + "meta mark set meta mark & 0x80ffc000 | 0x61000003 accept",
            ])
    }

    @Test("what proxies send by a way leaves by its interface, on a connection that has begun there, or not at all")
    func departure() throws {
        let routes = [EgressRoute(ways: [way("192.0.2.1"), way(from: "192.0.2.9"), way(nil, "wg0")])]
        var state = state([1, 2, 3], routes)
        state.outputs[3] = nil
        let whole = program(routes).program(in: state)
        #expect(
            rules(whole, "departure", "lost", "sent") == [
                "departure: meta mark & 0xe0ff3fff == 0x20400003 goto sent",
                "lost: meta l4proto == tcp counter name \"strayed\" reject with tcp reset",
                "lost: counter name \"strayed\" drop",
                "sent: meta mark & 0x1f000000 == 0x01000000 meta oif == 101 goto sent-1",
                "sent: meta mark & 0x1f000000 == 0x02000000 goto sent-2", "sent: goto lost",
            ])
        #expect(
            rules(whole, "sent-1") == [
                "sent-1: ct label & 97 == 97 accept",
                "sent-1: meta l4proto == tcp tcp flags & 0x17 != 0x02 goto lost",
                "sent-1: ct status confirmed goto lost", "sent-1: ct label set 97",
                "sent-1: ct label & 97 == 97 accept", "sent-1: goto lost",
            ])
        for number in 1...RouteWay.limit {
            let (sent, check) = (RouteMark.sent(way: number, slot: 3), RouteMark.check(way: number, slot: 3))
            #expect(sent & RouteMark.checkMask == check && (sent | 0xc000) & 0xe0ff_3fff == 0x2040_0003)
            #expect(check & 0xe0ff_3fff != 0x2040_0003 && sent & HostNames.mark.mask != HostNames.mark.value)
            #expect(sent & HostRouteMark.answers.mask != HostRouteMark.answers.value)
            #expect(sent & RouteMark.answers(slot: 3).mask != RouteMark.answers(slot: 3).value)
        }
    }

    @Test("of a run of source addresses the command keeps to one, or each connection gets one by chance")
    func sources() throws {
        func translations(isPerConnection: Bool) -> [String] {
            let route = EgressRoute(ways: [
                RouteWay(
                    sourceAddress: IPAddress("192.0.2.7"), lastSourceAddress: IPAddress("192.0.2.8"),
                    isSourcePerConnection: isPerConnection)
            ])
            let all = rules(program([route]).program(in: state([1], [route])), "postrouting")
            // What the run's proxies send gets the same.
            let own = all.filter { $0.contains("ip saddr") }
            let sent = "meta mark & 0xe0ff3fff == 0x20400003"
            #expect(all == own + own.map { $0.replacing("ip saddr == 10.1.0.2", with: sent) })
            return own
        }
        let isOnWay = "postrouting: meta nfproto == ipv4 ip saddr == 10.1.0.2 ct label & 97 == 97"
        #expect(
            translations(isPerConnection: false) == ["\(isOnWay) counter snat ip to 192.0.2.7-192.0.2.8 persistent"])
        #expect(
            translations(isPerConnection: true) == [
                "\(isOnWay) numgen random mod 2 == 0 counter snat ip to 192.0.2.7",
                "\(isOnWay) counter snat ip to 192.0.2.8",
            ])
    }

    @Test("without a usable way the chain says the fallback, and a change flushes each chain before it fills it")
    func changes() throws {
        let routes = program([
            EgressRoute(ways: [way("192.0.2.1")], fallback: .drop),
            EgressRoute(ways: [way("192.0.2.1")], fallback: .main),
            EgressRoute(ways: [way("192.0.2.1")], fallback: .next),
        ])
        let steps = routes.entering(RouteProgram.State(usable: [], outputs: [:])).map {
            Transaction.Step($0, in: Table(family: .inet, name: "t"))
        }
        let lines = NftText.script(Transaction(steps)).split(separator: "\n").map(String.init)
        #expect(
            lines == [
                "flush chain inet t route-0-ipv4", "add rule inet t route-0-ipv4 goto way-none",
                "flush chain inet t route-0-ipv6", "add rule inet t route-0-ipv6 goto way-none",
                "flush chain inet t route-1-ipv4", "add rule inet t route-1-ipv4 goto way-main",
                "flush chain inet t route-1-ipv6", "add rule inet t route-1-ipv6 goto way-main",
                "flush chain inet t route-2-ipv4", "flush chain inet t route-2-ipv6", "flush chain inet t guard",
                "flush chain inet t answers", "flush chain inet t sent", "add rule inet t sent goto lost",
            ])
    }

    @Test(
        "whatever routes, flows and usable ways: the packets go where the evaluator says, and the next ones as the first"
    )
    func random() throws {
        let ways = [
            way("192.0.2.1"), way("2001:db8::1"), way(nil, "wg0"), way("192.0.2.1", "eth1", from: "192.0.2.9"),
            way(nil, nil, from: "2001:db8::9"), way(nil, "eth2", from: "fd00::9"),
        ]
        var chosen: [String: Int] = [:]
        for seed in 1...300 as ClosedRange<UInt64> {
            var random = RandomPolicies(seed: seed)
            var policies = random.policySet()
            let routes = random.routes(by: ways, groups: Array(policies.groups.values))
            policies = PolicySet(
                policies: [EgressPolicy(name: "p", rules: [], routes: routes)], groups: Array(policies.groups.values))
            let count = routes.reduce(0) { $0 + $1.ways.count }
            let usable = random.some(of: 1..<count + 1)
            let program = program(routes, groups: Array(policies.groups.values))
            let now = Interpreter([program.program(in: state(usable, routes))])
            let later = Interpreter([program.program(in: state(random.some(of: 1..<count + 1), routes))])
            let evaluator = PolicyEvaluator(policies: policies)
            func number(_ clause: Int, _ way: Int) -> Int { routes[..<clause].reduce(way + 1) { $0 + $1.ways.count } }
            let chooser = program.chooser(in: state(usable, routes))
            for _ in 0..<40 {
                let flow = random.flow(hostAddresses: [try #require(IPAddress("10.1.2.3"))])
                let choice = evaluator.routeChoice(for: flow) { usable.contains(number($0, $1)) }
                var packet = packet(flow)
                let first = now.run(packet, from: "prerouting")
                let context: Comment = "seed \(seed), \(flow), \(choice)"
                switch choice {
                case .way(let clause, let way):
                    let number = number(clause, way)
                    #expect(first.verdict == .accept && first.packetMark == RouteMark.packet(way: number), context)
                    chosen["way", default: 0] += 1
                case .main:
                    #expect(first.verdict == .accept && first.packetMark == 0, context)
                    chosen["main", default: 0] += 1
                case .dropped:
                    #expect(first.verdict == .drop && first.counters == ["dropped"], context)
                    chosen["dropped", default: 0] += 1
                }
                // Who makes a connection for the endpoint chooses the same.
                if let port = flow.destinationPort, !flow.destinationIsHost {
                    let expected: RouteChooser.Choice =
                        switch choice {
                        case .way(let clause, let way): .way(number(clause, way))
                        case .main: .main
                        case .dropped: .dropped
                        }
                    #expect(chooser.choice(to: flow.destination, flow.protocol, port: port) == expected, context)
                }
                if first.verdict == .drop || flow.destinationIsHost { continue }
                // The connection goes on as it has begun, whatever is usable by now.
                packet.state = .established
                packet.labels = first.labels
                let next = later.run(packet, from: "prerouting")
                #expect(next.verdict == .accept && next.packetMark == first.packetMark, context)
            }
        }
        #expect(chosen.values.allSatisfy { $0 > 300 } && chosen.count == 3, "\(chosen)")
    }

    @Test("a policy that only audits leads nothing")
    func audit() throws {
        let route = EgressRoute(ways: [way("192.0.2.1")])
        let flow = Flow(to: try #require(IPAddress("203.0.113.1")), protocol: .tcp, port: 443)
        for (mode, choice) in [(EgressPolicy.Mode.enforce, RouteChoice.way(clause: 0, way: 0)), (.audit, .main)] {
            let policy = EgressPolicy(name: "p", mode: mode, rules: [], routes: [route])
            let evaluator = PolicyEvaluator(policies: PolicySet(policies: [policy]))
            #expect(evaluator.routeChoice(for: flow) { _, _ in true } == choice)
        }
    }

    private func packet(_ flow: Flow) -> Packet {
        Packet(
            inputInterface: endpoint.interfaceIndex,
            source: endpoint.addresses.first { $0.family == flow.destination.family } ?? endpoint.addresses[0],
            destination: flow.destination, protocol: flow.protocol,
            sourcePort: flow.destinationPort.map { _ in 40_000 },
            destinationPort: flow.destinationPort, icmpType: flow.icmpType,
            destinationIsLocal: flow.destinationIsHost)
    }

    @Test("only what the host answers from a way's address, about to leave elsewhere, is led back by the way")
    func answers() throws {
        let addresses = try ["192.0.2.7", "2001:db8::7"].map { try #require(IPAddress($0)) }
        let others = try ["192.0.2.8", "2001:db8::8"].map { try #require(IPAddress($0)) }
        let routes = [EgressRoute(ways: [way(nil, "wg0")])]
        let interpreter = Interpreter([program(routes).program(in: state([], routes, addresses: [1: addresses]))])
        let mark: UInt32 = 0x6100_0003
        for (own, other) in zip(addresses, others) {
            let unreachable: (IPProtocol, UInt8) = own.family == .ipv4 ? (.icmp, 3) : (.icmpv6, 1)
            func run(_ edit: (inout Packet) -> Void) -> Outcome {
                var packet = Packet(outputInterface: 55, source: own, destination: other, protocol: .tcp)
                (packet.sourcePort, packet.destinationPort, packet.tcpFlags) = (40_000, 80, 0x14)
                edit(&packet)
                return interpreter.run(packet, from: "output")
            }
            #expect(run { _ in }.packetMark == mark)
            #expect(run { _ in }.counters == [RouteProgram.answeredCounter])
            #expect(
                run { ($0.protocol, $0.icmpType, $0.tcpFlags) = (unreachable.0, unreachable.1, nil) }.packetMark == mark
            )
            // The rest is the host's own.
            #expect(run { $0.tcpFlags = 0x10 }.packetMark == 0)
            #expect(run { $0.outputInterface = 101 }.packetMark == 0)
            #expect(run { $0.source = other }.packetMark == 0)
            #expect(run { ($0.protocol, $0.tcpFlags) = (.udp, nil) }.packetMark == 0)
            #expect(run { ($0.protocol, $0.icmpType, $0.tcpFlags) = (unreachable.0, 129, nil) }.packetMark == 0)
        }
    }
}
