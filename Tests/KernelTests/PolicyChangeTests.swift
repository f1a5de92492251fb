// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import EgretTesting
import Testing

/// A changed policy holds at once, for open connections too, in both directions.
@Suite(.serialized, .requiresRoot)
struct PolicyChangeTests {
    private static let kept = KernelBench.addresses("203.0.113.10", "2001:db8:113::10")
    private static let revoked = KernelBench.addresses("203.0.113.66", "2001:db8:113::66")
    static let keptOnly = PolicySet.rules(
        EgressRule(action: .allow, destinations: [.prefix("203.0.113.10/32"), .prefix("2001:db8:113::10/128")]))

    private static func conversations(_ bench: KernelBench, _ addresses: [IPAddress]) -> [Conversation] {
        addresses.flatMap { address in [IPProtocol.tcp, .udp].map { Conversation(bench, $0, to: address) } }
    }

    @Test(
        "a revoked flow stops in both directions, whoever speaks first, and a kept one loses nothing",
        arguments: [
            DefaultAction.deny, .reject,
        ])
    func revocation(otherwise: DefaultAction) throws {
        let bench = try KernelBench(.allowAll)
        let kept = PolicyChangeTests.conversations(bench, PolicyChangeTests.kept)
        let pushing = PolicyChangeTests.conversations(bench, PolicyChangeTests.revoked)
        let asking = PolicyChangeTests.conversations(bench, PolicyChangeTests.revoked)
        for flow in kept + pushing + asking { #expect(try flow.open()) }
        let policies = PolicySet.rules(PolicyChangeTests.keptOnly.policies[0].rules[0], otherwise: otherwise)
        try bench.change(to: policies, generation: 100)
        for _ in 0..<20 {
            for flow in kept {
                #expect(try flow.push())
                #expect(try flow.ask())
            }
            for flow in pushing {
                #expect(try !flow.push())
                #expect(try !flow.ask())
            }
            for flow in asking {
                #expect(try !flow.ask())
                #expect(try !flow.push())
            }
        }
        // Without its entry a revoked flow is a stranger's.
        try bench.forgetConnections(of: 1)
        try bench.forgetConnections(of: 100)
        for flow in pushing {
            #expect(try !flow.push())
            #expect(try !flow.ask())
            #expect(try !flow.push())
            #expect(try !flow.ask())
        }
        for flow in kept { #expect(try flow.ask()) }
    }

    @Test("what a new policy allows, it allows at once")
    func permission() throws {
        let bench = try KernelBench(.denyAll)
        let flows = PolicyChangeTests.conversations(bench, PolicyChangeTests.kept)
        for flow in flows { #expect(try !flow.ask()) }
        try bench.change(to: PolicyChangeTests.keptOnly, generation: 100)
        for flow in PolicyChangeTests.conversations(bench, PolicyChangeTests.kept) { #expect(try flow.open()) }
        for flow in PolicyChangeTests.conversations(bench, PolicyChangeTests.revoked) { #expect(try !flow.open()) }
        try bench.change(to: .denyAll, generation: 101)
        try bench.change(to: PolicyChangeTests.keptOnly, generation: 102)
        for flow in flows { #expect(try flow.ask()) }
    }

    @Test("a flow that was there before the policy is judged like any other")
    func earlierFlows() throws {
        let bench = try KernelBench()
        try bench.trackConnections()
        let kept = PolicyChangeTests.conversations(bench, PolicyChangeTests.kept)
        let revoked = PolicyChangeTests.conversations(bench, PolicyChangeTests.revoked)
        for flow in kept + revoked { #expect(try flow.open()) }
        try bench.install(BenchPrograms(PolicyChangeTests.keptOnly, bench.endpoint, generation: 1))
        for flow in revoked {
            #expect(try !flow.push())
            #expect(try !flow.ask())
            #expect(try !flow.push())
        }
        for flow in kept {
            #expect(try flow.push())
            #expect(try flow.ask())
        }
    }

    @Test("during two hundred changes no packet is judged by neither policy or by a mixture")
    func changesUnderLoad() async throws {
        let bench = try KernelBench(PolicyChangeTests.swinging(0))
        let meter = try WireMeter(bench)
        let (always, never) = (address("203.0.113.10"), address("203.0.113.66"))
        let packets = try [always, never].map { destination in
            try (0..<50).map { index in
                try #require(
                    PacketBuilder.packet(
                        from: bench.endpoint.address(.ipv4), to: destination, protocol: .udp,
                        sourcePort: 20_000 + UInt16(index), destinationPort: 9999, tag: Array("flood".utf8)))
            }
        }
        let flood = Flood(packets[0] + packets[1], from: bench.endpoint)
        try await flood.begin()
        for step in 1...200 { try bench.change(to: PolicyChangeTests.swinging(step), generation: UInt16(100 + step)) }
        let sent = try await flood.end()
        try bench.settle()
        let (counts, arrived) = try (meter.read(), meter.arrived())
        #expect(sent > 2000)
        #expect(counts.never == 0, "of \(sent) packets sent")
        #expect(arrived.always > 1000)
        #expect(counts.always == arrived.always, "an allowed packet was dropped")
        #expect(arrived.never > 1000)
        print("changes: 200 during \(sent) packets, \(counts.always) left")
    }

    /// Policies that agree on two destinations and on nothing else.
    private static func swinging(_ step: Int) -> PolicySet {
        let allow = EgressRule(action: .allow, destinations: [.prefix("203.0.113.10/32")])
        let deny = EgressRule(action: .deny, destinations: [.prefix("203.0.113.66/32")])
        return step.isMultiple(of: 2) ? .rules(allow, otherwise: .deny) : .rules(deny, allow, otherwise: .allow)
    }
}
