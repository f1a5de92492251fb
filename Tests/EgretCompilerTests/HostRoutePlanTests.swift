// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("routes of endpoints, as nft text and as changes")
struct HostRoutePlanTests {
    private func plan() throws -> HostRoutePlan {
        let first = RouteWay(gateway: IPAddress("192.0.2.1"))
        let second = RouteWay(
            sourceAddress: IPAddress("198.51.100.7"), lastSourceAddress: IPAddress("198.51.100.9"))
        let check = RouteCheck(
            probe: .icmp(try #require(IPAddress("192.0.2.1"))), interval: 1_000, timeout: 500)
        let block = AddressBlock(try #require(IPPrefix("203.0.113.0/24")))
        let candidates = [
            HostRoutePlan.Candidate(way: 1, check: check), HostRoutePlan.Candidate(way: 40, check: nil),
        ]
        var plan = HostRoutePlan()
        plan.ways = [1: first, 40: second]
        plan.groups = [
            HostRoutePlan.Group(
                number: 3,
                clauses: [
                    HostRoutePlan.Clause(
                        route: EgressRoute(destinations: [.block(block)], ways: [first, second]),
                        candidates: candidates)
                ], destinations: [:])
        ]
        plan.members = [
            HostRoutePlan.Member(
                attachment: .port(try #require(InterfaceName("egn0")), index: 7, bridgeIndex: 5),
                addresses: try ["10.9.0.2", "fd00:9::2"].map { try #require(IPAddress($0)) }, group: 3)
        ]
        plan.localNetworks = [try #require(IPPrefix("10.9.0.0/24"))]
        plan.usable = Swift.Set(candidates)
        plan.outputs = [1: 9]
        return plan
    }

    private func rules(_ plan: HostRoutePlan, _ chain: String) -> [String] {
        plan.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    @Test("while the table is made anew, connections wait that nobody has led yet")
    func hold() throws {
        let hold = try plan().hold
        #expect(hold.table == HostRoutePlan.table)
        #expect(hold.chains.map(\.base) == [BaseChain(kind: .filter, hook: .forward, priority: -19)])
        #expect(hold.sets.map(\.contents) == [.elements([SetElement(5)])])
        #expect(
            hold.rules.map { NftText.render($0) } == [
                "ct label & 32 == 32 accept", "ct status confirmed accept", "meta iif @held drop",
            ])
        #expect(HostRoutePlan().hold.installation.isEmpty)
    }

    @Test("who chooses, who remembers, who guards, who translates")
    func text() throws {
        let plan = try plan()
        #expect(rules(plan, "route-3-0-ipv4") == ["goto take-1"])
        #expect(rules(plan, "route-3-0-ipv6") == ["counter name \"dropped\" drop"])
        #expect(
            rules(plan, "take-1") == [
                "ct label set 32", "ct label set 33", "ct label & 33 == 33 goto way-1", "goto stray",
            ])
        #expect(rules(plan, "way-1") == ["meta mark set meta mark & 0x00ffffff | 0x41000000 accept"])
        #expect(rules(plan, "way-40") == ["accept"])
        #expect(
            rules(plan, "led") == [
                "ct label & 33 == 33 goto way-1", "ct label & 72 == 72 goto way-40", "goto stray",
            ])
        #expect(
            rules(plan, "guard") == [
                "ct label & 33 == 33 meta oif != 9 goto stray",
                "ct label & 33 == 33 meta mark & 0xff000000 != 0x41000000 goto stray",
            ])
        #expect(
            rules(plan, "postrouting") == [
                "meta mark & 0x60ff3fff == 0x40400000 ct label & 33 == 33 masquerade",
                "meta nfproto == ipv4 ct label & 72 == 72 counter snat ip to 198.51.100.7-198.51.100.9 persistent",
            ])
        #expect(rules(plan, "prerouting").first == "meta mark & 0xff000000 == 0x20000000 accept")
        #expect(rules(plan, "prerouting").contains("ct status confirmed accept"))
    }

    @Test("what proxies send by a way leaves by its interface, on a connection that has begun there, or not at all")
    func departure() throws {
        let plan = try plan()
        #expect(rules(plan, "departure") == ["meta mark & 0x60ff3fff == 0x40400000 goto sent"])
        #expect(
            rules(plan, "sent") == [
                "meta mark & 0xff000000 == 0x41000000 goto sent-1",
                "meta mark & 0xff000000 == 0xc8000000 goto sent-40", "goto lost",
            ])
        #expect(
            rules(plan, "lost") == [
                "meta l4proto == tcp counter name \"strayed\" reject with tcp reset", "goto stray",
            ])
        let begins = ["meta l4proto == tcp tcp flags & 0x17 != 0x02 goto lost", "ct status confirmed goto lost"]
        #expect(
            rules(plan, "sent-1") == ["meta oif != 9 goto lost", "ct label & 33 == 33 accept"] + begins + [
                "ct label set 32", "ct label set 33", "ct label & 33 == 33 accept", "goto lost",
            ])
        // A way that is a source alone goes where the main table leads.
        #expect(
            rules(plan, "sent-40") == ["ct label & 72 == 72 accept"] + begins + [
                "ct label set 32", "ct label set 72", "ct label & 72 == 72 accept", "goto lost",
            ])
        var dark = plan
        dark.outputs = [:]
        #expect(rules(dark, "sent-1") == ["goto lost"])
    }

    @Test("a proxy chooses for an endpoint by its address, as the rules choose for its packets")
    func chooser() throws {
        func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
        var plan = try plan()
        func choice(_ source: String, _ destination: String) throws -> RouteChooser.Choice {
            HostRouteChooser(plan).choice(from: try address(source), to: try address(destination), .tcp, port: 443)
        }
        #expect(try choice("10.9.0.2", "203.0.113.9") == .way(1))
        #expect(try choice("10.9.0.2", "198.51.100.1") == .main)
        #expect(try choice("fd00:9::2", "2001:db8::1") == .main)
        #expect(try choice("10.9.0.3", "203.0.113.9") == .main)
        #expect(HostRouteChooser(plan).marks == [0x4140_0000, 0xc840_0000])
        plan.usable = plan.usable.filter { $0.way == 40 }
        #expect(try choice("10.9.0.2", "203.0.113.9") == .way(40))
        plan.usable = []
        #expect(try choice("10.9.0.2", "203.0.113.9") == .dropped)
        // Networks of this host are on no way.
        plan.localNetworks = [try #require(IPPrefix("203.0.113.0/25"))]
        #expect(try choice("10.9.0.2", "203.0.113.9") == .main)
        plan.leaving = [40]
        #expect(HostRouteChooser(plan).marks == [0x4140_0000])
    }

    @Test("a way that spreads connections over its source addresses has a rule for each of them")
    func spread() throws {
        var plan = try plan()
        plan.ways[40] = RouteWay(
            sourceAddress: IPAddress("198.51.100.7"), lastSourceAddress: IPAddress("198.51.100.9"),
            isSourcePerConnection: true)
        let isOn = "meta nfproto == ipv4 ct label & 72 == 72"
        #expect(
            rules(plan, "postrouting").dropFirst() == [
                "\(isOn) numgen random mod 3 == 0 counter snat ip to 198.51.100.7",
                "\(isOn) numgen random mod 2 == 0 counter snat ip to 198.51.100.8",
                "\(isOn) counter snat ip to 198.51.100.9",
            ])
    }

    @Test("marks, tables and labels of a host's ways are no run's, and no two ways' the same")
    func numbers() {
        let marks = HostRouteMark.ways.map { HostRouteMark.packet(way: $0) }
        #expect(Swift.Set(marks).count == 63)
        for mark in marks {
            #expect(mark & ~HostRouteMark.mask == 0 && mark & 0x2000_0000 == 0)
            for way in 1...RouteWay.limit {
                #expect(mark & RouteMark.checkMask != RouteMark.check(way: way, slot: 0))
            }
        }
        // What a proxy sends by a way is routed as the way's packets are, and told from those and from the host's answers.
        let sent = HostRouteMark.ways.map { HostRouteMark.sent(way: $0) }
        #expect(Swift.Set(sent).isDisjoint(with: marks) && sent.map { $0 & HostRouteMark.mask } == marks)
        for mark in sent {
            // Also where kube-proxy has added a mark.
            #expect((mark | 0xc000) & 0x60ff_3fff == 0x4040_0000)
            #expect(mark & HostRouteMark.answers.mask != HostRouteMark.answers.value)
            #expect(mark & HostNames.mark.mask != HostNames.mark.value)
        }
        let tables = HostRouteMark.ways.map { HostRouteMark.table(way: $0) }
        #expect(Swift.Set(tables).count == 63)
        #expect(tables.allSatisfy { !RouteMark.tables(slot: 0x3fff).contains($0) && $0 > 0x6508_0000 })
        #expect(HostRouteMark.ways.map { HostRouteMark.label(way: $0) } == Array(33...95))
        // No run has them delivered on the host as what is led to its name check.
        let answers = marks.map { $0 | 0x2000 }
        for mark in marks + sent + answers {
            for slot in [0, 0x2000, 0x3fff] {
                let diversion = RouteMark.diversion(slot: slot)
                #expect(mark & diversion.mask != diversion.value)
            }
        }
    }

    @Test("a way's death changes one chain, and a way that leaves drops what is on it")
    func changes() throws {
        let before = try plan()
        var after = before
        after.usable = after.usable.filter { $0.way == 40 }
        let failover = after.program.difference(from: before.program)
        #expect(failover.arrival.isEmpty && failover.departure.isEmpty)
        #expect(
            failover.switching == [
                .flushChain("route-3-0-ipv4"), .addRule(Rule(in: "route-3-0-ipv4", [.verdict(.goto("take-40"))])),
            ])
        #expect(before.program.difference(from: before.program) == TableDifference())

        var leaving = before
        leaving.leaving = [40]
        #expect(rules(leaving, "led").contains("ct label & 72 == 72 goto stray"))
        #expect(rules(leaving, "guard").contains("ct label & 72 == 72 goto stray"))
        #expect(rules(leaving, "postrouting").count == 1)
        #expect(rules(leaving, "sent") == ["meta mark & 0xff000000 == 0x41000000 goto sent-1", "goto lost"])

        var other = before
        other.members[0].group = 4
        other.groups[0].number = 4
        let moved = other.program.difference(from: before.program)
        #expect(moved.arrival.contains(.createChain(Chain("group-4"))))
        #expect(moved.departure.contains(.deleteChain("group-3")))
        #expect(moved.switching.count == 4)
    }
}
