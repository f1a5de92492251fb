// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("rules whose sets' elements count for themselves")
struct ElementRuleTests {
    private static let table = Table(family: .inet, name: "t")
    private static let rules = [
        Rule(
            in: "c",
            [
                .equal(.networkProtocol, 2), .connectionsOverEach(.ipv4Destination, set: "c4", 2), .verdict(.drop),
            ]),
        Rule(
            in: "c",
            [
                .equal(.networkProtocol, 10), .beyondEach(.ipv6Source, set: "n6", 1, seconds: 3_600, burst: 10),
                .verdict(.drop),
            ]),
    ]

    /// Of connections that were translated, by where they were going.
    private static let led = [
        Rule(
            in: "c",
            [
                .equal(.connectionLabel(31), 1 << 31), .equal(.networkProtocol, 2),
                .inSet(.originalIPv4Destination, "four"), .equal(.transportProtocol, 6),
                .equal(.originalDestinationPort, 443), .verdict(.accept),
            ]),
        Rule(
            in: "c",
            [
                .equal(.networkProtocol, 10), .connectionsOverEach(.originalIPv6Destination, set: "open6", 2),
                .verdict(.drop),
            ]),
    ]

    /// That put connections into a set, and take out those that begin.
    private static let kept = [
        Rule(in: "c", [.notConnectionStatus(in: .confirmed), .removeFromSet(.connectionID, "kept")]),
        Rule(in: "c", [.keepInSet(.connectionID, "kept")]),
    ]

    private func decoded(_ bytes: [UInt8]) throws -> [RuleRecord] {
        try NetlinkMessage.parse(bytes).filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
    }

    @Test("the kernel lists them as the expressions that statements become")
    func listed() throws {
        let records = try decoded(ElementCapture.rules)
        #expect(records.count == 2)
        for (record, rule) in zip(records, ElementRuleTests.rules) {
            #expect(try record.expressions == NftablesWire.lower(rule.statements), "\(NftText.render(rule))")
        }
    }

    @Test("where a connection was going before its translation is read as nft reads it")
    func original() throws {
        let steps = ElementRuleTests.led.map { Transaction.Step(.addRule($0), in: ElementRuleTests.table) }
        let sent = try decoded(NftablesWire.encode(Transaction(steps), firstSequence: 0).bytes)
        let listed = try decoded(ElementCapture.led)
        #expect(sent.count == 2 && listed.count == 2)
        for (index, rule) in ElementRuleTests.led.enumerated() {
            let expected = try NftablesWire.lower(rule.statements)
            #expect(sent[index].expressions == expected, "\(NftText.render(rule))")
            #expect(listed[index].expressions == expected, "\(NftText.render(rule))")
        }
    }

    @Test("what puts keys into a set and takes them out is sent as the kernel lists it")
    func kept() throws {
        let steps = ElementRuleTests.kept.map { Transaction.Step(.addRule($0), in: ElementRuleTests.table) }
        let sent = try decoded(NftablesWire.encode(Transaction(steps), firstSequence: 0).bytes).map(\.expressions)
        let listed = try decoded(ElementCapture.kept).map(\.expressions)
        #expect(sent == listed)
        #expect(
            listed.first == [
                .conntrack(key: .status), .bitwise(mask: [8, 0, 0, 0], xor: [0, 0, 0, 0]),
                .compare(isEqual: true, [0, 0, 0, 0]), .conntrack(key: .identifier), .removeElement(set: "kept"),
            ])
        #expect(
            listed.last == [
                .conntrack(key: .identifier), .keepElement(set: "kept", milliseconds: 10_800_000),
            ])
    }

    @Test("what is sent reads the same, and names no time where the set has none")
    func sent() throws {
        let each = Rule(
            in: "c", [.withinEach([.inputInterface, .ipv4Source], set: "a", perSecond: 5, burst: 9), .verdict(.drop)])
        let rules = ElementRuleTests.rules + [each]
        let steps = rules.map { Transaction.Step(.addRule($0), in: ElementRuleTests.table) }
        let records = try decoded(NftablesWire.encode(Transaction(steps), firstSequence: 0).bytes)
        #expect(records.count == rules.count)
        for (record, rule) in zip(records, rules) {
            #expect(try record.expressions == NftablesWire.lower(rule.statements), "\(NftText.render(rule))")
        }
        let sets = records.compactMap { record -> UInt64? in
            for case .each(_, let milliseconds, _) in record.expressions { return milliseconds }
            return nil
        }
        #expect(sets == [0, 36_000_000, 60_000])
    }
}
