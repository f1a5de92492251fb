// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

/// A change of policies holds at once for open connections, whichever end's policies change.
@Suite(.serialized, .requiresRoot)
struct HostPlanChangeTests {
    /// Policies by direction, for the endpoints 0 (who begins) and 1 (who is asked).
    struct Rules {
        var egress: PolicySet? = .allowAll
        var ingress: PolicySet? = .allowAll
    }

    static let outside = KernelBench.addresses("198.51.100.77", "2001:db8:99::7")

    static func enforce(_ rules: Rules, _ pods: PodBench) throws {
        var change = HostPlan.Change()
        for number in 0..<2 {
            var endpoint = pods.pods[number].endpoint
            for (direction, policies) in [(TrafficDirection.egress, rules.egress), (.ingress, rules.ingress)] {
                guard let policies else { continue }
                let key = ProgramKey(direction, policies: ["only"])
                change.policies[key] = policies
                if direction == .egress { endpoint.egress = key } else { endpoint.ingress = key }
            }
            change.endpoints.append(endpoint)
        }
        try pods.apply(change)
        #expect(try pods.drift() == [])
    }

    /// Connections between the two endpoints, from the first to outside, and from outside to the second.
    private static func conversations(_ pods: PodBench) -> [String: [PodConversation]] {
        var result: [String: [PodConversation]] = [:]
        for family in AddressFamily.allCases {
            let outside = PodBench.End.outside(HostPlanChangeTests.outside[family == .ipv4 ? 0 : 1])
            for number in [IPProtocol.tcp, .udp] {
                for (name, source, target) in [
                    ("inside", PodBench.End.pod(0), PodBench.End.pod(1)), ("out", .pod(0), outside),
                    ("in", outside, .pod(1)),
                ] {
                    result[name, default: []].append(
                        PodConversation(pods, number, from: source, to: target, family))
                }
            }
        }
        return result
    }

    @Test(
        "revoking the policies of either end stops open connections in both directions, whoever speaks first",
        arguments: PodBench.Layout.allCases, TrafficDirection.allCases)
    func revocation(layout: PodBench.Layout, direction: TrafficDirection) throws {
        let pods = try PodBench(layout, pods: 2)
        try HostPlanChangeTests.enforce(Rules(), pods)
        let flows = HostPlanChangeTests.conversations(pods)
        let revoked = ["inside", direction == .egress ? "out" : "in"]
        for (name, flows) in flows { for flow in flows { #expect(try flow.open(), "\(name)") } }
        let kept = HostPlanChangeTests.keptPort
        let closed = PolicySet.rules(
            EgressRule(action: .allow, services: [.ports(.tcp, PortRange(kept)), .ports(.udp, PortRange(kept))]))
        try HostPlanChangeTests.enforce(
            direction == .egress ? Rules(egress: closed) : Rules(ingress: closed), pods)
        for round in 0..<4 {
            for (name, flows) in flows {
                let isRevoked = revoked.contains(name)
                for flow in flows {
                    // In some rounds only the far side sends.
                    if round != 1 { #expect(try flow.ask() != isRevoked, "\(name) \(flow.number), round \(round)") }
                    #expect(try flow.push() != isRevoked, "\(name) \(flow.number), round \(round)")
                    if round == 2, flow.number == .udp, isRevoked {
                        // An error about it is no way to go on.
                        #expect(try !flow.complain(forth: true), "\(name)")
                        #expect(try !flow.complain(forth: false), "\(name)")
                        #expect(try !flow.ask(), "\(name)")
                    }
                }
            }
        }
        try HostPlanChangeTests.enforce(Rules(), pods)
        for (_, flows) in flows { for flow in flows { #expect(try flow.ask() && flow.push()) } }
    }

    private static let keptPort: UInt16 = 9100

    @Test("an error about a connection that both ends allow arrives, though no rule speaks of ICMP")
    func errors() throws {
        let pods = try PodBench(.routed, pods: 2)
        let only = PolicySet.rules(EgressRule(action: .allow, services: [.ports(.udp, PortRange(9001))]))
        try HostPlanChangeTests.enforce(Rules(egress: only, ingress: only), pods)
        for (name, flows) in HostPlanChangeTests.conversations(pods) {
            for flow in flows where flow.number == .udp {
                #expect(try flow.open())
                #expect(try flow.complain(forth: false), "\(name)")
                #expect(try flow.complain(forth: true), "\(name)")
            }
        }
    }

    @Test("endpoints of one bridge reach each other through the host only")
    func behindTheBack() throws {
        let pods = try PodBench(.bridged, pods: 3)
        var change = HostPlan.Change()
        change.endpoints = pods.pods.prefix(2).map(\.endpoint)
        try pods.apply(change)
        let (first, second, stranger) = (pods.pods[0], pods.pods[1], pods.pods[2])
        for (source, target) in [(first, second), (first, stranger), (stranger, first)] {
            let tag = pods.bench.newTag()
            let packet = PacketBuilder.packet(
                from: source.address(.ipv4), to: target.address(.ipv4), protocol: .udp, destinationPort: 9, tag: tag)
            try source.socket.send(
                PacketBuilder.frame(
                    from: source.endpoint.hardwareAddress, to: target.endpoint.hardwareAddress,
                    packet: try #require(packet)))
            try pods.bench.settle()
            #expect(try !target.socket.drain().contains { $0.holds(tag) })
            // To everybody is no way round either.
            try source.socket.send(
                PacketBuilder.frame(
                    from: source.endpoint.hardwareAddress, to: MACAddress(rawValue: 0xffff_ffff_ffff),
                    packet: try #require(packet)))
            try pods.bench.settle()
            #expect(try !target.socket.drain().contains { $0.holds(tag) })
        }
        #expect(try pods.attempt(from: .pod(0), to: .pod(1), .init(.udp, port: 9), .ipv4).arrives)
        #expect(try pods.attempt(from: .pod(2), to: .pod(1), .init(.udp, port: 9), .ipv6).arrives)
    }

    @Test("the host's own connections to an endpoint pass, and what the endpoint begins to the host does not")
    func host() throws {
        let pods = try PodBench(.routed, pods: 2)
        try HostPlanChangeTests.enforce(Rules(egress: .denyAll, ingress: .denyAll), pods)
        let pod = pods.pods[0]
        let host = KernelBench.hostAddresses[0]
        let tag = pods.bench.newTag()
        let packet = PacketBuilder.packet(
            from: pod.address(.ipv4), to: host, protocol: .udp, destinationPort: 53, tag: tag)
        try pods.send(try #require(packet), from: .pod(0))
        #expect(try pods.bench.passage(of: tag) == .none)
        // A health check: a question of the host's, and its answer.
        let check = try pods.bench.host.onOwnThread {
            let check = try ProbeSocket(.udp, isIPv6: false)
            try check.connect(to: PacketBuilder.octets(pod.address(.ipv4)), port: 7777)
            try check.send(tag)
            return check
        }
        #expect(try pods.hasArrived(tag, at: .pod(0)))
        let own = try check.address().reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        let answer = pods.bench.newTag()
        try pods.send(
            try #require(
                PacketBuilder.packet(
                    from: pod.address(.ipv4), to: IPAddress(family: .ipv4, rawValue: own), protocol: .udp,
                    sourcePort: 7777, destinationPort: try check.port(), tag: answer)), from: .pod(0))
        try pods.bench.settle()
        #expect(try check.receive() == answer)
    }

    @Test("during a thousand changes of either end's policies no packet is judged by neither or by a mixture")
    func changesUnderLoad() async throws {
        let pods = try PodBench(.routed, pods: 2)
        try HostPlanChangeTests.enforce(HostPlanChangeTests.swinging(0), pods)
        let meter = try PodMeter(pods)
        let (source, target) = (pods.pods[0], pods.pods[1])
        let frames = try [PodMeter.always, PodMeter.never].flatMap { port in
            try (0..<50).map { index in
                let packet = PacketBuilder.packet(
                    from: source.address(.ipv4), to: target.address(.ipv4), protocol: .udp,
                    sourcePort: 20_000 + UInt16(index), destinationPort: port, tag: Array("flood".utf8))
                return PacketBuilder.frame(
                    from: source.endpoint.hardwareAddress, to: source.gatewayHardware, packet: try #require(packet))
            }
        }
        let flood = Flood(frames, on: source.socket)
        try await flood.begin()
        for step in 1...1_000 { try HostPlanChangeTests.change(to: HostPlanChangeTests.swinging(step), pods) }
        let sent = try await flood.end()
        try pods.bench.settle()
        let (came, went) = try (meter.arrived(), meter.read())
        #expect(sent > 5_000)
        #expect(went.never == 0, "of \(sent) packets sent")
        #expect(came.always > 1000)
        #expect(went.always == came.always, "an allowed packet was dropped")
        #expect(came.never > 2_000)
        #expect(try pods.drift() == [])
        print("host plan: 1000 changes during \(sent) packets, \(went.always) arrived")
    }

    /// Policies that agree on two ports and on nothing else, at either end.
    private static func swinging(_ step: Int) -> Rules {
        let allow = EgressRule(action: .allow, services: [.ports(.udp, PortRange(PodMeter.always))])
        let deny = EgressRule(action: .deny, services: [.ports(.udp, PortRange(PodMeter.never))])
        let states = [PolicySet.rules(allow, otherwise: .deny), .rules(deny, allow, otherwise: .allow)]
        return Rules(egress: states[step / 2 % 2], ingress: states[(step + 1) / 2 % 2])
    }

    private static func change(to rules: Rules, _ pods: PodBench) throws {
        var change = HostPlan.Change()
        change.policies[ProgramKey(.egress, policies: ["only"])] = rules.egress
        change.policies[ProgramKey(.ingress, policies: ["only"])] = rules.ingress
        try pods.apply(change)
    }

    @Test("what somebody puts into the sets that endpoints share is named", arguments: PodBench.Layout.allCases)
    func strays(layout: PodBench.Layout) throws {
        let pods = try PodBench(layout, pods: 2)
        try HostPlanChangeTests.enforce(Rules(), pods)
        #expect(try pods.drift() == [])
        try pods.bench.nft("add element inet egret-policy self4 { 10.9.9.8 . 10.9.9.9 }")
        try pods.bench.nft("add element inet egret-policy from { 4711 : accept }")
        #expect(
            try pods.drift() == [
                "set inet egret-policy from has changed", "set inet egret-policy self4 has changed",
            ])
    }

    @Test("when the switch is refused, the old policies hold and nothing of the new ones is left")
    func rollback() throws {
        let pods = try PodBench(.routed, pods: 2)
        try HostPlanChangeTests.enforce(Rules(), pods)
        let sound = pods.plan
        var broken = pods.plan
        var change = HostPlan.Change()
        change.policies[ProgramKey(.egress, policies: ["only"])] = .denyAll
        let difference = try broken.apply(change)
        var switching = difference.switching
        switching.append(.deleteChain("nobody's"), in: HostBase.table)
        #expect(throws: NetlinkError.self) {
            try pods.bench.dataplane.apply(
                arrival: difference.arrival, switching: switching, departure: difference.departure)
        }
        #expect(try pods.bench.dataplane.drift(of: sound.tablePrograms).isEmpty)
        let names = try pods.bench.dataplane.counters(in: HostBase.table).keys
        #expect(!names.contains { name in difference.arrival.contains { $0.counters.contains(Counter(name)) } })
        #expect(try pods.attempt(from: .pod(0), to: .pod(1), .init(.udp, port: 9), .ipv4).arrives)
    }
}
