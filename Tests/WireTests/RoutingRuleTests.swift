// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@Suite("routing rules")
struct RoutingRuleTests {
    /// The kernel's answer to a dump, the part that `ip rule add priority 500 iif lo fwmark 0x21000000/0x3f003fff lookup
    /// 1694498817 proto 101` has made.
    private static let dumped = """
        5400000020000200070000000c12000002000000fc0000010000000008000f000100006508000e00ffffffff
        0500150065000000070003006c6f000008000600f401000008000a000000002108001000ff3f003f
        """

    /// The same of `ip rule add priority 32765 from 10.8.0.2 lookup 1728053251 proto 101`.
    private static let dumpedSource = """
        440000002000020001000000f70d000002002000fc0000010000000008000f000300006708000e00ffffffff
        050015006500000008000600fd7f0000080002000a080002
        """

    /// The same of `ip -6 rule add priority 32765 from fd00:8::2 lookup 1728053251 proto 101`.
    private static let dumpedSource6 = """
        500000002000020001000000f70d00000a008000fc0000010000000008000f000300006708000e00ffffffff
        050015006500000008000600fd7f000014000200fd000008000000000000000000000002
        """

    private func answering(_ source: String) throws -> RoutingRuleRecord {
        let block = try #require(IPPrefix(source))
        return RoutingRuleRecord(
            family: block.family, priority: 32_765, source: block, table: 1_728_053_251, protocolNumber: 101)
    }

    private let rule = RoutingRuleRecord(
        family: .ipv4,
        priority: 500,
        inputInterface: "lo",
        mark: RoutingRuleRecord.Mark(value: 0x2100_0000, mask: 0x3f00_3fff),
        table: 1_694_498_817,
        protocolNumber: 101
    )

    @Test("a rule that ip(8) has made is read with its mark, interface and table")
    func decode() throws {
        let message = try #require(try NetlinkMessage.parse(capture(RoutingRuleTests.dumped)).first)
        #expect(try RouteWire.decodeRule(message) == rule)
    }

    @Test("a rule that the kernel lets nobody remove is read as such")
    func permanent() throws {
        // The rule of above with FIB_RULE_PERMANENT among the flags, as the kernel writes it.
        let text = Self.dumpedSource.replacing("fc0000010000000008000f", with: "fc0000010100000008000f")
        let message = try #require(try NetlinkMessage.parse(capture(text)).first)
        var wanted = try answering("10.8.0.2")
        #expect(try RouteWire.decodeRule(message) != wanted)
        wanted.isPermanent = true
        #expect(try RouteWire.decodeRule(message) == wanted)
        let made = try #require(try NetlinkMessage.parse(RouteWire.addRule(wanted, sequence: 1)).first)
        #expect(try RouteWire.decodeRule(made) == wanted)
    }

    @Test("what is sent to make a rule reads back as the rule, for both families")
    func encode() throws {
        for family in AddressFamily.allCases {
            var rule = rule
            rule.family = family
            let message = try #require(try NetlinkMessage.parse(RouteWire.addRule(rule, sequence: 1)).first)
            #expect(try RouteWire.decodeRule(message) == rule)
            #expect(message.flags == 0x605)
            let removal = try #require(try NetlinkMessage.parse(RouteWire.deleteRule(rule, sequence: 1)).first)
            #expect(try RouteWire.decodeRule(removal) == rule)
            #expect(removal.flags == 0x5)
        }
    }

    @Test("a rule that ip(8) has made for an address is read with it, and what is sent to make one reads back")
    func source() throws {
        let dumped = [("10.8.0.2", RoutingRuleTests.dumpedSource), ("fd00:8::2", RoutingRuleTests.dumpedSource6)]
        for (source, text) in dumped {
            let wanted = try answering(source)
            let message = try #require(try NetlinkMessage.parse(capture(text)).first)
            #expect(try RouteWire.decodeRule(message) == wanted)
            let removal = try #require(try NetlinkMessage.parse(RouteWire.deleteRule(wanted, sequence: 1)).first)
            #expect(try RouteWire.decodeRule(removal) == wanted)
        }
        for block in ["10.8.0.0/16", "fd00:8::/32"] {
            let wanted = try answering(block)
            let message = try #require(try NetlinkMessage.parse(RouteWire.addRule(wanted, sequence: 1)).first)
            #expect(try RouteWire.decodeRule(message) == wanted)
        }
        let block = try #require(IPPrefix("10.8.0.2"))
        let strange = RoutingRuleRecord(family: .ipv6, priority: 32_765, source: block, table: 77)
        #expect(throws: WireError.self) { try RouteWire.addRule(strange, sequence: 1) }
    }

    @Test("a route of another table that refuses reads back with its kind, table and metric")
    func unreachable() throws {
        var route = RouteRecord(to: try #require(IPPrefix("0.0.0.0/0")))
        route.kind = .unreachable
        route.table = 1_694_498_817
        route.metric = 0xffff_fffe
        let message = try #require(try NetlinkMessage.parse(RouteWire.addRoute(route, sequence: 1)).first)
        #expect(try RouteWire.decodeRoute(message) == route)
        let removal = try #require(try NetlinkMessage.parse(RouteWire.deleteRoute(route, sequence: 1)).first)
        #expect(removal.type == 25)
        #expect(removal.flags == 0x5)
    }
}
