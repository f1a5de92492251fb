// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("nf_tables decoding, of what the kernel dumps")
struct NftablesDecodeTests {
    @Test("tables")
    func tables() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.tables).filter { $0.type == 0xa00 }
            .map { try NftablesWire.decodeTable($0) }
        #expect(records.map(\.table) == [Fixture.table, Fixture.frames])
        #expect(records.allSatisfy { $0.handle > 0 && $0.use > 0 && $0.flags == 0 && $0.owner == nil })
    }

    @Test("chains are the ones that were added, with hook, priority, policy and device")
    func chains() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.chains).filter { $0.type == 0xa03 }
            .map { try NftablesWire.decodeChain($0) }
        var expected: [Transaction.Step] = []
        for step in Fixture.transaction.steps {
            switch step.operation {
            case .addChain(let chain), .createChain(let chain):
                expected.append(Transaction.Step(.addChain(chain), in: step.table))
            default: break
            }
        }
        #expect(records.map { Transaction.Step(.addChain($0.chain), in: $0.table) } == expected)
        #expect(records.allSatisfy { $0.isBase == ($0.chain.base != nil) && $0.handle > 0 })
    }

    @Test("every rule comes back as the expressions it was lowered to")
    func rules() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.rules).filter { $0.type == 0xa06 }
            .map { try NftablesWire.decodeRule($0) }
        #expect(records.count == Fixture.rules.count)
        for chain in ["pol", "passing", "leaving"] {
            let rules = Fixture.rules.filter { $0.chain == chain }
            for (record, rule) in zip(records.filter { $0.chain == chain }, rules) {
                #expect(record.comment == rule.comment)
                #expect(try NftablesWire.normalised(record.expressions) == NftablesWire.lower(rule.statements))
            }
        }
    }

    @Test("a rule of another tool decodes too: nft joins three ARP fields into one")
    func foreignRules() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.netdevRules).filter { $0.type == 0xa06 }
            .map { try NftablesWire.decodeRule($0) }
        #expect(records.count == 2)
        #expect(records[1].expressions.contains(.payload(.network, offset: 6, length: 12)))
        #expect(try records[1].expressions != NftablesWire.lower(Fixture.frameRules[1].statements))
    }

    @Test("sets, their shape and their elements")
    func sets() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.sets).filter { $0.type == 0xa09 }
            .map { try NftablesWire.decodeSet($0) }
        #expect(records.map(\.name) == Fixture.sets.map(\.name))
        let messages = try NetlinkMessage.parse(NftablesCapture.elements).filter { $0.type == 0xa0c }
        for (record, set) in zip(records, Fixture.sets) {
            #expect(record.keyType == set.keyType && record.hasIntervals == set.hasIntervals)
            #expect(record.mapsToVerdict == set.mapsToVerdict && record.isPlain)
            let mine = try messages.filter { message in
                try NetlinkAttribute.parse(message.payload.dropFirst(4))
                    .contains { $0.type == 2 && $0.string() == set.name }
            }
            #expect(
                try NftablesWire.decodeElements(mine, keyType: set.keyType, hasIntervals: set.hasIntervals)
                    == Fixture.elements(of: set)
            )
        }
    }

    @Test("counters and limits")
    func objects() throws {
        let records = try NetlinkMessage.parse(NftablesCapture.objects).filter { $0.type == 0xa12 }
            .map { try NftablesWire.decodeObject($0) }
        #expect(records.map(\.name) == ["hits", "slow"])
        #expect(records[0].kind == .counter(packets: 0, bytes: 0))
        #expect(records[1].isSame(as: RateLimit("slow", packetsPerSecond: 10, burst: 20)))
        #expect(!records[1].isSame(as: RateLimit("slow", packetsPerSecond: 10, burst: 21)))
    }

    @Test("the generation, and who asked")
    func generation() throws {
        let message = try #require(try NetlinkMessage.parse(NftablesCapture.generation).first)
        let record = try NftablesWire.decodeGeneration(message)
        #expect(record.identifier > 0 && record.processID != nil && record.processName == "nft")
    }

    @Test("notifications name their table and end with the generation")
    func notifications() throws {
        let events = try NetlinkMessage.parse(NftablesCapture.notifications).map { try NftablesWire.decodeEvent($0) }
        let changes = events.filter { if case .change = $0 { true } else { false } }
        #expect(
            changes == [
                .change(message: 0, table: Fixture.table, object: nil),
                .change(message: 3, table: Fixture.table, object: "allow"),
                .change(message: 5, table: Fixture.table, object: "allow"),
                .change(message: 2, table: Fixture.table, object: nil),
            ]
        )
        guard case .generation(let last) = events.last else {
            Issue.record("no generation at the end")
            return
        }
        #expect(last.processName == "nft" && last.processID != nil)
    }

    @Test("rules that number what asks them, and that add to a set, come back as they are sent")
    func tally() throws {
        let messages = try NetlinkMessage.parse(NftablesCapture.tally)
        let key = Selector.packetMark(mask: 0)
        let rules: [[Statement]] = [
            [.inSet(key, "closed"), .verdict(.goto("spent"))],
            [.counter("asked"), .inSet(.evaluationNumber, "numbers"), .verdict(.return)],
            [.addToSet(key, "closed")], [.verdict(.goto("spent"))],
        ]
        let records = try messages.filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        #expect(try records.map(\.expressions) == rules.map { try NftablesWire.lower($0) })
        // Ours, read back.
        let table = Table(family: .inet, name: "t")
        let steps = rules.map { Transaction.Step(.addRule(Rule(in: "check", $0)), in: table) }
        let sent = try NetlinkMessage.parse(NftablesWire.encode(Transaction(steps), firstSequence: 1).bytes)
            .filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        #expect(sent.map(\.expressions) == records.map(\.expressions))
        let sets = try messages.filter { $0.type == 0xa09 }.map { try NftablesWire.decodeSet($0) }
        #expect(sets.map(\.name) == ["numbers", "closed"])
        #expect(sets.map(\.keyType) == [.integer, .mark])
        #expect(sets.map(\.hasIntervals) == [true, false])
        #expect(sets.map(\.isDynamic) == [false, true])
    }

    @Test("a rule that goes by chance, and by connections that a rule has kept, comes back as it is sent")
    func chance() throws {
        let statements: [Statement] = [
            .equal(.randomNumber(below: 3), 0), .inSet(.connectionID, "kept"), .keepInSet(.connectionID, "kept"),
            .verdict(.accept),
        ]
        let table = Table(family: .inet, name: "t")
        let step = Transaction.Step(.addRule(Rule(in: "c", statements)), in: table)
        let sent = try NetlinkMessage.parse(NftablesWire.encode(Transaction([step]), firstSequence: 1).bytes)
            .filter { $0.type == 0xa06 }.map { try NftablesWire.decodeRule($0) }
        #expect(
            sent.map(\.expressions) == [
                [
                    .randomNumber(modulus: 3), .compare(isEqual: true, [0, 0, 0, 0]), .conntrack(key: .identifier),
                    .lookup(set: "kept", isInverted: false), .conntrack(key: .identifier),
                    .keepElement(set: "kept", milliseconds: 10_800_000), .verdict(.accept),
                ]
            ])
    }

    @Test("an expression without a form keeps its bytes")
    func other() throws {
        let expression = KernelExpression.other(name: "quota", data: [1, 2, 3, 4])
        #expect(expression.kernelName == "quota")
    }

    @Test("a message of another kind is refused")
    func kind() throws {
        let message = try #require(try NetlinkMessage.parse(NftablesCapture.tables).first)
        #expect(throws: WireError.self) { try NftablesWire.decodeRule(message) }
        #expect(throws: WireError.self) { try ConntrackWire.decode(message) }
    }
}
