// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// The times of rules are in the kernel some days ahead, and others take their place as the days pass.
@Suite(.serialized, .requiresRoot)
struct RenewalTests {
    /// Always open, and in the kernel only as far as somebody has worked out.
    private static let always = Schedule(from: Schedule.LocalTime(CivilDate(dayNumber: 0)))

    private static func udp(_ port: UInt16) -> [Service] { [.ports(.udp, PortRange(port))] }

    @Test("while times are renewed again and again, no packet meets neither the old ones nor the new")
    func flood() async throws {
        let pods = try PodBench(.routed, pods: 2)
        let now = WallTime.now.seconds
        try RenewalTests.renew(pods, now)
        // One end lets a port out at its times, and the other keeps another back at its.
        let egress = PolicySet.rules(
            EgressRule(
                action: .allow, services: RenewalTests.udp(PodMeter.always), schedule: RenewalTests.always),
            EgressRule(action: .allow, services: RenewalTests.udp(PodMeter.never)))
        let ingress = PolicySet.rules(
            EgressRule(action: .deny, services: RenewalTests.udp(PodMeter.never), schedule: RenewalTests.always),
            otherwise: .allow)
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(egress: egress, ingress: ingress), pods)
        let generations = pods.plan.outlines.mapValues(\.generation)
        let meter = try PodMeter(pods)
        let source = pods.pods[0]
        let frames = try [PodMeter.always, PodMeter.never].flatMap { port in
            try (0..<50).map { index in
                let packet = PacketBuilder.packet(
                    from: source.address(.ipv4), to: pods.pods[1].address(.ipv4), protocol: .udp,
                    sourcePort: 20_000 + UInt16(index), destinationPort: port, tag: Array("flood".utf8))
                return PacketBuilder.frame(
                    from: source.endpoint.hardwareAddress, to: source.gatewayHardware, packet: try #require(packet))
            }
        }
        let flood = Flood(frames, on: source.socket)
        try await flood.begin()
        for step in 1...300 { try RenewalTests.renew(pods, now + Int64(step)) }
        let sent = try await flood.end()
        try pods.bench.settle()
        let (came, went) = try (meter.arrived(), meter.read())
        #expect(went.never == 0, "of \(sent) packets sent")
        #expect(came.always > 1_000 && went.always == came.always, "an allowed packet was dropped")
        #expect(pods.plan.outlines.mapValues(\.generation) == generations, "no connection is judged anew")
        #expect(try pods.drift() == [])
        print("renewal: 300 during \(sent) packets, \(went.always) arrived")
    }

    @Test("beyond the times that are in the kernel nothing opens, and what is to be held back is")
    func horizon() throws {
        let pods = try PodBench(.routed, pods: 2)
        let now = WallTime.now.seconds
        let egress = PolicySet.rules(
            EgressRule(action: .deny, services: RenewalTests.udp(9_002), schedule: RenewalTests.never),
            EgressRule(action: .allow, services: RenewalTests.udp(9_002)),
            EgressRule(action: .allow, services: RenewalTests.udp(9_001), schedule: RenewalTests.always))
        try RenewalTests.renew(pods, now)
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(egress: egress), pods)
        func arrives(_ port: UInt16) throws -> Bool {
            try pods.attempt(from: .pod(0), to: .pod(1), .init(.udp, port: port), .ipv4).arrives
        }
        #expect(try arrives(9_001))
        #expect(try arrives(9_002))
        // As if nobody had renewed them for two weeks and an hour.
        try RenewalTests.renew(pods, now - 14 * 86_400 - 3_600)
        #expect(try !arrives(9_001))
        #expect(try !arrives(9_002))
        try RenewalTests.renew(pods, now)
        #expect(try arrives(9_001))
        #expect(try arrives(9_002))
    }

    @Test("a connection between two endpoints ends with its rule's time, or goes on where the rules of both let it")
    func draining() throws {
        let pods = try PodBench(.routed, pods: 2)
        let now = WallTime.now.seconds
        try RenewalTests.renew(pods, now)
        func always(_ onClose: Schedule.ClosingAction) -> Schedule {
            Schedule(from: Schedule.LocalTime(CivilDate(dayNumber: 0)), onClose: onClose)
        }
        func ports(_ port: UInt16) -> [Service] { [.ports(.tcp, PortRange(port)), .ports(.udp, PortRange(port))] }
        let rules = [
            EgressRule(action: .allow, services: ports(9_001), schedule: always(.drain)),
            EgressRule(action: .allow, services: ports(9_002), schedule: always(.drain)),
            EgressRule(action: .allow, services: ports(9_003), schedule: always(.cut)),
        ]
        let egress = PolicySet.rules(rules[0], rules[1], rules[2])
        let ingress = PolicySet.rules(
            EgressRule(action: .allow, services: ports(9_001), schedule: always(.drain)),
            EgressRule(action: .allow, services: ports(9_002), schedule: always(.cut)),
            EgressRule(action: .allow, services: ports(9_003)))
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(egress: egress, ingress: ingress), pods)
        func conversations(_ port: UInt16) -> [PodConversation] {
            AddressFamily.allCases.flatMap { family in
                [IPProtocol.tcp, .udp].map {
                    PodConversation(pods, $0, from: .pod(0), to: .pod(1), family, port: port)
                }
            }
        }
        let drained = conversations(9_001)
        let cut = conversations(9_002) + conversations(9_003)
        try RenewalTests.whileNumbersComeAgain(pods) {
            for flow in drained + cut {
                let isOpen = try flow.open()
                #expect(isOpen)
            }
        }
        // As if nobody had renewed the times for two weeks and an hour.
        try RenewalTests.renew(pods, now - 14 * 86_400 - 3_600)
        for flow in drained {
            #expect(try flow.ask())
            #expect(try flow.push())
        }
        for flow in cut {
            #expect(try !flow.ask())
            #expect(try !flow.push())
        }
        for flow in conversations(9_001) { #expect(try !flow.open()) }
        #expect(try pods.drift() == [])
        // Other policies have another note of their own, and nothing in it.
        let others = PolicySet.rules(
            rules[0], rules[1], rules[2], EgressRule(action: .allow, services: ports(9_004)))
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(egress: others, ingress: ingress), pods)
        for flow in drained {
            #expect(try !flow.ask())
            #expect(try !flow.push())
        }
    }

    /// Does something while the number of every connection that begins is in the programs' notes already, as that of an earlier
    /// connection with the same addresses and ports may be.
    private static func whileNumbersComeAgain(_ pods: PodBench, _ body: () throws -> Void) throws {
        let table = HostBase.table
        let chain = Chain("former", base: BaseChain(kind: .filter, hook: .forward, priority: -100))
        var coming = Transaction([Transaction.Step(.addChain(chain), in: table)])
        for program in pods.plan.outlines.values {
            let statements: [Statement] = [
                .notConnectionStatus(in: .confirmed), .keepInSet(.connectionID, "\(program.egressChain)-drained"),
            ]
            coming.append(.addRule(Rule(in: chain.name, statements)), in: table)
        }
        try pods.bench.dataplane.commit(coming)
        try body()
        try pods.bench.dataplane.commit(
            Transaction([.init(.flushChain(chain.name), in: table), .init(.deleteChain(chain.name), in: table)]))
    }

    /// Over before anybody asks.
    private static let never = Schedule(until: Schedule.LocalTime(CivilDate(dayNumber: 1)))

    /// Works the times out anew, as the agent does.
    private static func renew(_ pods: PodBench, _ time: Int64) throws {
        var change = HostPlan.Change()
        change.horizon = time - 3_600...time + 14 * 86_400
        try pods.apply(change)
    }
}
