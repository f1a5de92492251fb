// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("batches")
struct EncodedBatchTests {
    private let table = Fixture.table

    private func ranges(_ count: UInt32) -> [AddressInterval<UInt32>] {
        (0..<count).map { AddressInterval($0 * 1024, $0 * 1024 + 255) }
    }

    @Test("a sequence number leads to its step, also where a step takes several messages")
    func stepIndex() throws {
        let set = Set(
            "s", keyType: .ipv4Address, hasIntervals: true, contents: .ipv4Intervals(ranges(5000), verdicts: [])
        )
        var transaction = Transaction()
        transaction.append(.addTable, in: table)
        transaction.append(.addElements(Set("empty", keyType: .mark)), in: table)
        transaction.append(.addSet(set), in: table)
        transaction.append(.deleteSet("old"), in: table)
        let batch = try NftablesWire.encode(transaction, firstSequence: .max - 1)
        let messages = try NetlinkMessage.parse(batch.bytes)
        #expect(messages.first?.sequence == batch.firstSequence && messages.last?.sequence == batch.lastSequence)
        let steps = messages.map { batch.stepIndex(forSequence: $0.sequence) }
        let elements = messages.filter { $0.type == 0xa0c }.count
        #expect(elements == 4)
        #expect(steps == [nil, 0, 2] + Array(repeating: 2, count: elements) + [3, nil])
        #expect(batch.stepIndex(forSequence: batch.lastSequence &+ 1) == nil)
        #expect(batch.stepIndex(forSequence: batch.firstSequence &- 1) == nil)
        #expect(batch.contains(sequence: batch.lastSequence) && !batch.contains(sequence: batch.lastSequence &+ 1))
    }

    @Test("no element list outgrows its attribute, and nothing is lost between two lists")
    func split() throws {
        let intervals = ranges(20_000)
        let set = Set(
            "s", keyType: .ipv4Address, hasIntervals: true, contents: .ipv4Intervals(intervals, verdicts: [])
        )
        let batch = try NftablesWire.encode(Transaction([.init(.addSet(set), in: table)]), firstSequence: 1)
        let lists = try NetlinkMessage.parse(batch.bytes).filter { $0.type == 0xa0c }
        #expect(lists.count > 10 && lists.allSatisfy { $0.payload.count < 60 * 1024 })
        let decoded = try NftablesWire.decodeElements(lists, keyType: .ipv4Address, hasIntervals: true)
        #expect(decoded == Fixture.elements(of: set))
    }

    @Test("a million IPv4 ranges take 41 bytes each at most")
    func million() throws {
        let set = Set(
            "s", keyType: .ipv4Address, hasIntervals: true, contents: .ipv4Intervals(ranges(1_000_000), verdicts: [])
        )
        let batch = try NftablesWire.encode(Transaction([.init(.addSet(set), in: table)]), firstSequence: 1)
        #expect(batch.bytes.count < 41_000_000)
    }

    @Test("an empty transaction is an empty batch")
    func empty() throws {
        let batch = try NftablesWire.encode(Transaction(), firstSequence: 1)
        #expect(batch.isEmpty && batch.acknowledgedSequence == nil)
    }

    @Test("deletions are named, and never asked to be acknowledged but for the last")
    func deletions() throws {
        let transaction = Transaction(
            [
                .flushChain("c"), .deleteChain("c"), .deleteSet("s"), .deleteCounter("n"), .deleteLimit("l"),
                .deleteQuota("q"),
                .deleteElements(Set("m", keyType: .mark, contents: .elements([SetElement(1)]))), .deleteTable,
            ].map { Transaction.Step($0, in: table) }
        )
        let messages = try NetlinkMessage.parse(NftablesWire.encode(transaction, firstSequence: 1).bytes)
        #expect(messages.map(\.type) == [0x10, 0xa08, 0xa05, 0xa0b, 0xa14, 0xa14, 0xa14, 0xa0e, 0xa02, 0x11])
        #expect(messages.map(\.flags) == [1, 1, 1, 1, 1, 1, 1, 1, 5, 1])
    }

    @Test(
        "what has no bytes is refused",
        arguments: [
            Operation.addSet(Set("s", keyType: .mark, hasIntervals: true)),
            .addSet(Set("", keyType: .mark)),
            .addSet(Set(String(repeating: "n", count: 256), keyType: .mark)),
            .addElements(Set("s", keyType: .inetService, contents: .elements([SetElement(70_000)]))),
            .addElements(Set("s", keyType: .inetService, contents: .elements([SetElement(1, 2)]))),
            .addElements(
                Set("s", keyType: .inetService, hasIntervals: true, contents: .elements([SetElement(2, 1)]))
            ),
            .addElements(Set("s", keyType: .mark, mapsToVerdict: true, contents: .elements([SetElement(1)]))),
            .addElements(Set("s", keyType: .mark, contents: .elements([SetElement(1, verdict: .drop)]))),
            .addElements(
                Set(
                    "s", keyType: .ipv6Address, hasIntervals: true,
                    contents: .ipv4Intervals([AddressInterval(1, 2)], verdicts: [])
                )
            ),
            .addElements(
                Set(
                    "s", keyType: .ipv4Address, hasIntervals: true, mapsToVerdict: true,
                    contents: .ipv4Intervals([AddressInterval(1, 2, verdictIndex: 1)], verdicts: [.drop])
                )
            ),
            .addRule(Rule(in: "c", [.equal(.destinationPort, 65_536)])),
            .addRule(Rule(in: "c", [], comment: String(repeating: "c", count: 128))),
            .addRule(
                Rule(
                    in: "c",
                    [
                        .log(
                            group: 1, prefix: String(repeating: "p", count: 128), snapLength: 0,
                            queueThreshold: 0)
                    ])),
            .addRule(Rule(in: "c", [.counter("a\0b")])),
        ]
    )
    func refused(_ operation: Operation) {
        let transaction = Transaction([.init(operation, in: table)])
        #expect(throws: WireError.self) { try NftablesWire.encode(transaction, firstSequence: 1) }
    }

    @Test("a netdev chain hooks only at ingress")
    func hooks() {
        let chain = Chain("c", base: BaseChain(kind: .filter, hook: .forward, priority: 0))
        let transaction = Transaction([.init(.addChain(chain), in: Fixture.frames)])
        #expect(throws: WireError.self) { try NftablesWire.encode(transaction, firstSequence: 1) }
    }
}
