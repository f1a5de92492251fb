// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables
import Testing

/// One table with every statement, set and chain that translation needs, and nothing else.
private enum NatFixture {
    static let table = Table(family: .inet, name: "egret-nat")

    static func transaction() throws -> Transaction {
        let sets = [
            Set(
                "published4", concatenating: .inetProtocol, [.inetService],
                contents: [SetElement(6, [8080], verdict: .goto("web")), SetElement(17, [53], verdict: .goto("web"))]),
            Set(
                "published-at6", concatenating: .ipv6Address, [.inetProtocol, .inetService],
                contents: [SetElement(0x2001_0db8 << 96 | 1, [6, 443], verdict: .goto("web"))]),
        ]
        let prefixes = try ["127.0.0.0/8", "192.168.128.0/17", "192.0.2.1/32"].map { try #require(IPPrefix($0)) }
        let prefix6 = try #require(IPPrefix("fd00::/63"))
        let rules = [
            Rule(
                in: "prerouting",
                [
                    .equal(.networkProtocol, 2),
                    .concatenatedVerdictMap([.transportProtocol, .destinationPort], "published4"),
                ]),
            Rule(
                in: "prerouting",
                [
                    .equal(.networkProtocol, 10),
                    .concatenatedVerdictMap(
                        [.ipv6Destination, .transportProtocol, .destinationPort], "published-at6"),
                ]),
            Rule(in: "web", [.connectionStatus(in: .destinationTranslated), .verdict(.return)]),
            Rule(
                in: "web",
                [
                    .equal(.networkProtocol, 2), .inPrefix(.ipv4Source, prefixes[1]),
                    .notInPrefix(.ipv4Destination, prefixes[2]), .equal(.transportProtocol, 6), .anonymousCounter,
                    .destinationTranslation(try target("192.168.0.2", ports: PortRange(80))),
                ]),
            Rule(
                in: "web",
                [
                    .equal(.networkProtocol, 10), .inPrefix(.ipv6Source, prefix6), .equal(.transportProtocol, 6),
                    .destinationTranslation(try target("fd00::2", ports: PortRange(80, 90))),
                ]),
            Rule(in: "web", [.destinationTranslation(try target("192.168.0.2"))]),
            Rule(
                in: "out",
                [.sourceTranslation(try target("192.0.2.1", "192.0.2.4", isPersistent: true))], comment: "a pool"),
            Rule(in: "out", [.sourceTranslation(try target("fd00::1", "fd00::4"))]),
            Rule(
                in: "out",
                [
                    .equal(.transportProtocol, 17),
                    .sourceTranslation(try target("192.0.2.1", ports: PortRange(1024, 2047))),
                ]),
        ]
        let operations: [EgretNftables.Operation] =
            [
                .addTable, .addChain(Chain("web")),
                .addChain(Chain("prerouting", base: BaseChain(kind: .nat, hook: .prerouting, priority: -110))),
                .addChain(Chain("out", base: BaseChain(kind: .nat, hook: .postrouting, priority: 90))),
            ] + sets.map { .addSet($0) } + rules.map { .addRule($0) }
        return Transaction(operations.map { Transaction.Step($0, in: table) })
    }

    private static func target(
        _ first: String,
        _ last: String? = nil,
        ports: PortRange? = nil,
        isPersistent: Bool = false
    ) throws -> TranslationTarget {
        let ends = try [first, last ?? first].map { try #require(IPAddress($0)) }
        return try #require(TranslationTarget(ends[0], ends[1], ports: ports, isPersistent: isPersistent))
    }
}

@Suite("nf_tables translation, against the bytes that nft sends for the same text")
struct NatWireTests {
    private let ours: [NetlinkMessage]
    private let theirs: [NetlinkMessage]

    init() throws {
        ours = try NetlinkMessage.parse(NftablesWire.encode(NatFixture.transaction(), firstSequence: 0).bytes)
        theirs = try NetlinkMessage.parse(NatCapture.batch)
    }

    @Test("the text is what nft was given")
    func text() throws {
        let lines = NftText.script(try NatFixture.transaction()).split(separator: "\n").map(String.init)
        let prefix = "add rule inet egret-nat "
        #expect(
            lines.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) } == [
                "prerouting meta nfproto == ipv4 meta l4proto . th dport vmap @published4",
                "prerouting meta nfproto == ipv6 ip6 daddr . meta l4proto . th dport vmap @published-at6",
                "web ct status dnat return",
                "web meta nfproto == ipv4 ip saddr 192.168.128.0/17 ip daddr != 192.0.2.1 meta l4proto == tcp counter dnat ip to 192.168.0.2:80",
                "web meta nfproto == ipv6 ip6 saddr fd00::/63 meta l4proto == tcp dnat ip6 to [fd00::2]:80-90",
                "web dnat ip to 192.168.0.2",
                "out snat ip to 192.0.2.1-192.0.2.4 persistent comment \"a pool\"",
                "out snat ip6 to fd00::1-fd00::4",
                "out meta l4proto == udp snat ip to 192.0.2.1:1024-2047",
            ]
        )
        #expect(lines.contains("add map inet egret-nat published4 { type inet_proto . inet_service : verdict; }"))
        #expect(lines.contains("add element inet egret-nat published4 { 6 . 8080 : goto web, 17 . 53 : goto web }"))
    }

    @Test("every rule becomes the expressions that nft makes of its text")
    func rules() throws {
        let mine = try ours.filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        let nft = try theirs.filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        #expect(mine.count == 9 && mine.map(\.comment) == nft.map(\.comment))
        for (left, right) in zip(mine, nft) {
            #expect(left.expressions.map(asSent) == right.expressions.map(asSent))
            #expect(!left.expressions.contains { if case .other = $0 { true } else { false } })
        }
    }

    /// An expression without the flags that the kernel sets by itself, which ours spell out, and nft's do not.
    private func asSent(_ expression: KernelExpression) -> KernelExpression {
        // nft leaves out that a new counter is at 0.
        if expression == .other(name: "counter", data: []) { return .counter(packets: 0, bytes: 0) }
        guard case .translate(var translation) = expression else { return expression }
        translation.flags &= ~3
        return .translate(translation)
    }

    @Test("a transparent proxy is a port in a register, of either family")
    func transparentProxy() throws {
        let rule = Rule(in: "c", [.transparentProxy(port: 5_443), .verdict(.accept)])
        let table = Table(family: .inet, name: "t")
        let batch = try NftablesWire.encode(
            Transaction([Transaction.Step(.addRule(rule), in: table)]), firstSequence: 0)
        let message = try #require(try NetlinkMessage.parse(batch.bytes).first { $0.type == 0xa06 })
        let expressions = try NftablesWire.decodeRule(message).expressions
        #expect(expressions == [.immediate([0x15, 0x43]), .transparentProxy, .verdict(.accept)])
    }

    @Test("what was encoded decodes to the same rules")
    func roundTrip() throws {
        let rules = try NatFixture.transaction().steps.compactMap { step -> Rule? in
            if case .addRule(let rule) = step.operation { return rule }
            return nil
        }
        let decoded = try ours.filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        #expect(try rules.map { try NftablesWire.lower($0.statements) } == decoded.map(\.expressions))
    }

    @Test("concatenated keys have nft's shape and decode to the elements that were meant", arguments: [0xa09, 0xa0c])
    func concatenations(_ type: UInt16) throws {
        func trees(_ messages: [NetlinkMessage]) throws -> [MessageTree] {
            // 7: nft sends a data length of 0 for verdicts. 10: the set's number. 13: nft's own data.
            try messages.filter { $0.type == type }.map { try MessageTree($0, headerSize: 4, leavingOut: [7, 10, 13]) }
        }
        for step in try NatFixture.transaction().steps {
            guard case .addSet(let set) = step.operation, case .elements(let elements) = set.contents else { continue }
            let decoded = try [ours, theirs].map { messages in
                let mine = try messages.filter { message in
                    guard message.type == 0xa0c else { return false }
                    return try NetlinkAttribute.parse(message.payload.dropFirst(4))
                        .contains { $0.type == 2 && $0.string() == set.name }
                }
                return try NftablesWire.decodeElements(
                    mine, keyType: set.keyType, furtherKeyTypes: set.furtherKeyTypes, hasIntervals: false)
            }
            #expect(decoded == [elements, elements])
        }
        let records = try ours.filter { $0.type == 0xa09 }.map { try NftablesWire.decodeSet($0) }
        #expect(records.map(\.furtherKeyTypes) == [[.inetService], [.inetProtocol, .inetService]])
        if type == 0xa09 { #expect(try trees(ours) == trees(theirs)) }
    }

    @Test("a key that does not fit its concatenation is refused")
    func misfits() {
        let wrong: [SetElement] = [SetElement(6), SetElement(6, [65536]), SetElement(6, [1, 2])]
        for element in wrong {
            let set = Set("s", concatenating: .inetProtocol, [.inetService], contents: [element])
            #expect(throws: WireError.self) {
                try NftablesWire.encode(
                    Transaction([Transaction.Step(.addSet(set), in: NatFixture.table)]), firstSequence: 0)
            }
        }
    }
}
