// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("what routes need of nf_tables and routing, against the bytes of nft(8), ip(8) and the kernel")
struct WayWireTests {
    private static let table = Table(family: .inet, name: "egret3-routes")
    private static let rules = [
        Rule(
            in: "output",
            [.equal(.transportProtocol, 6), .equal(.tcpFlags(mask: 4), 4), .verdict(.jump("answers"))]),
        Rule(
            in: "answers",
            [
                .equal(.connectionLabel(97), 1 << 97), .notEqual(.packetMark(mask: 0x3f00_0000), 0x0100_0000),
                .verdict(.drop),
            ]),
        Rule(
            in: "answers",
            [.addConnectionLabel(97), .setPacketMark(mask: 0x7f00_3fff, value: 0x6100_0003), .verdict(.accept)]),
    ]
    private static let transaction = Transaction(
        ([
            .addTable, .addChain(Chain("output", base: BaseChain(kind: .route, hook: .output, priority: -140))),
            .addChain(Chain("answers")),
        ] + rules.map { .addRule($0) }).map { Transaction.Step($0, in: table) })

    private let rule = RoutingRuleRecord(
        family: .ipv4, priority: 499, inputInterface: "lo",
        mark: RoutingRuleRecord.Mark(value: 0x6000_0003, mask: 0x6000_3fff), table: 254, suppressedPrefixLength: 0,
        protocolNumber: 101)

    @Test("the text is what nft was given")
    func text() {
        #expect(
            NftText.script(WayWireTests.transaction).split(separator: "\n") == [
                "add table inet egret3-routes",
                "add chain inet egret3-routes output { type route hook output priority -140; policy accept; }",
                "add chain inet egret3-routes answers",
                "add rule inet egret3-routes output meta l4proto == tcp tcp flags & 0x04 == 0x04 jump answers",
                "add rule inet egret3-routes answers ct label & 97 == 97 meta mark & 0x3f000000 != 0x01000000 drop",
                "add rule inet egret3-routes answers ct label set 97 meta mark set meta mark & 0x80ffc000 | 0x61000003 accept",
            ])
    }

    @Test("every rule becomes the expressions that nft makes of its text, and is read back as what it was")
    func statements() throws {
        let theirs = try NetlinkMessage.parse(WayCapture.batch).filter { $0.type == 0xa06 }
            .map { try NftablesWire.decodeRule($0).expressions }
        #expect(try WayWireTests.rules.map { try NftablesWire.lower($0.statements) } == theirs)
        let ours = try NetlinkMessage.parse(NftablesWire.encode(WayWireTests.transaction, firstSequence: 0).bytes)
        #expect(try ours.filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0).expressions } == theirs)
    }

    @Test("a chain that reroutes is asked for as nft does")
    func chain() throws {
        let trees = try [NftablesWire.encode(WayWireTests.transaction, firstSequence: 0).bytes, WayCapture.batch].map {
            try NetlinkMessage.parse($0).filter { $0.type == 0xa03 }.map {
                try MessageTree($0, headerSize: 4).description
            }
        }
        #expect(trees.first == trees.last)
        #expect(trees.map(\.count) == [2, 2])
    }

    @Test("a rule that leaves default routes out is asked for as ip(8) does")
    func addRule() throws {
        // 15: ip(8) leaves the table to the header where its number fits.
        let trees = try [RouteWire.addRule(rule, sequence: 1), WayCapture.addRule].map { bytes in
            let message = try #require(try NetlinkMessage.parse(bytes).first)
            #expect(message.flags == 0x605)
            let tree = try MessageTree(message, headerSize: 12, leavingOut: [15])
            return (tree.header, tree.attributes.map { "\($0)" }.sorted())
        }
        #expect(trees[0] == trees[1])
    }

    @Test("the kernel's rules are read: the new one with what it leaves out, its own without")
    func rules() throws {
        for (bytes, family, count) in [(WayCapture.rules, AddressFamily.ipv4, 4), (WayCapture.rules6, .ipv6, 3)] {
            let found = try NetlinkMessage.parse(bytes).filter { $0.type == 32 }.compactMap {
                try RouteWire.decodeRule($0)
            }
            var expected = rule
            expected.family = family
            #expect(found.count == count)
            #expect(found.dropFirst().first == expected)
            #expect(found.filter { $0 != expected }.allSatisfy { $0.suppressedPrefixLength == nil && $0.mark == nil })
        }
    }

    @Test("the routes that end a way's table are read as they were asked for")
    func unreachable() throws {
        let found = try NetlinkMessage.parse(WayCapture.unreachable).compactMap { try RouteWire.decodeRoute($0) }
        #expect(found.map(\.metric) == [0xffff_fffd, 0xffff_fffe])
        #expect(found.allSatisfy { $0.kind == .unreachable && $0.table == 1_694_498_817 && $0.protocolNumber == 101 })
        #expect(found.allSatisfy { $0.isDefault && $0.outputIndices.isEmpty })
    }
}
