// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy
import Testing

@testable import EgretCompiler

@Suite("Prices for ICMP types in the kernel")
struct PriceTypeTests {
    private func list() throws -> PriceList {
        let price = try #require(TrafficPrice("1 USD/GB"))
        func entry(
            _ name: String, _ services: [Service], _ direction: TrafficBudget.Direction = .both
        ) -> PriceList.Entry {
            PriceList.Entry(name: name, services: services, direction: direction, tiers: [.init(price: price)])
        }
        return PriceList(
            name: "cloud",
            entries: [
                entry("requests", [.icmp(.icmp, type: 8), .icmp(.icmpv6, type: 128)]),
                entry("replies", [.icmp(.icmp, type: 0)]),
                entry("came", [.icmp(.icmpv6, type: 129)], .ingress),
                entry("times", [.icmp(.icmp, type: 14)], .egress),
                entry("rest", []),
            ])
    }

    /// What counts for an endpoint behind link 7.
    private func program(_ list: PriceList) throws -> TableProgram {
        var plan = BudgetPlan()
        let link = BudgetPlan.Link(attachment: .link(try #require(InterfaceName("egn1")), index: 7), addresses: [])
        let meters = list.entries.map { entry in
            BudgetPlan.Meter(
                name: entry.name, clause: BudgetPlan.Clause(entry, of: list.name, groups: [:]), account: nil)
        }
        plan.members = [BudgetPlan.Member(name: "m", links: [link], meters: meters)]
        return plan.program
    }

    @Test(
        "a request and its answer are each counted by their own type, and recorded traffic is priced so",
        arguments: [
            (.icmp, 8, "requests", "replies"), (.icmp, 13, "rest", "rest"), (.icmp, 17, "rest", "rest"),
            (.icmpv6, 128, "requests", "came"), (.icmpv6, 139, "rest", "rest"),
        ] as [(IPProtocol, UInt8, String, String)])
    func types(_ proto: IPProtocol, _ type: UInt8, _ sent: String, _ received: String) throws {
        let list = try list()
        let interpreter = Interpreter([try program(list)])
        let far = try #require(IPAddress(proto == .icmp ? "203.0.113.10" : "2001:db8::1"))
        let own = Packet.endpoint(far.family)
        let answer = try #require(ICMPTypeName.answer(to: type, for: proto))
        let request = Packet(inputInterface: 7, source: own, destination: far, protocol: proto, icmpType: type)
        let reply = Packet(
            outputInterface: 7, source: far, destination: own, protocol: proto, icmpType: answer, state: .established,
            isReply: true)
        func recorded(_ type: UInt8, _ direction: TrafficDirection) -> String? {
            list.entry(for: far, proto, icmpType: type, direction, groups: [:]).map { list.entries[$0].name }
        }
        #expect(interpreter.run(request, from: "forward").counters == ["used-\(sent)"])
        #expect(recorded(type, .egress) == sent)
        #expect(interpreter.run(reply, from: "forward").counters == ["used-\(received)"])
        #expect(recorded(answer, .ingress) == received)
    }

    @Test("what begins no connection, and another protocol's message, have no answer")
    func noAnswers() {
        for type in [0, 3, 11, 14, 128] as [UInt8] { #expect(ICMPTypeName.answer(to: type, for: .icmp) == nil) }
        for type in [1, 8, 129, 135, 140] as [UInt8] { #expect(ICMPTypeName.answer(to: type, for: .icmpv6) == nil) }
        #expect(ICMPTypeName.answer(to: 8, for: .udp) == nil)
    }
}
