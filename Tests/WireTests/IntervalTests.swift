// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("ranges as the kernel keeps them")
struct IntervalTests {
    private func roundTrip(_ set: Set) throws -> [SetElement] {
        let batch = try NftablesWire.encode(
            Transaction([.init(.addElements(set), in: Fixture.table)]), firstSequence: 1
        )
        let lists = try NetlinkMessage.parse(batch.bytes).filter { $0.type == 0xa0c }
        return try NftablesWire.decodeElements(lists, keyType: set.keyType, hasIntervals: set.hasIntervals)
    }

    @Test("a range is its first key, then the key behind its last marked as an end")
    func bytes() throws {
        let set = Set(
            "s", keyType: .ipv4Address, hasIntervals: true,
            contents: .ipv4Intervals([AddressInterval(0x0a00_0000, 0x0a00_0005)], verdicts: [])
        )
        let batch = try NftablesWire.encode(
            Transaction([.init(.addElements(set), in: Fixture.table)]), firstSequence: 1
        )
        let message = try NetlinkMessage.parse(batch.bytes)[1]
        let list = try #require(try NetlinkAttribute.parse(message.payload.dropFirst(4)).first { $0.type == 3 })
        let expected = capture(
            """
            1000 0180  0c00 0180  0800 0100 0a000000
            1800 0180  0800 0300 00000001  0c00 0180  0800 0100 0a000006
            """
        )
        #expect(Array(list.payload) == expected)
    }

    @Test("a range that reaches the top has no end")
    func top() throws {
        let set = Set(
            "s", keyType: .inetService, hasIntervals: true, contents: .elements([SetElement(65000, 65535)])
        )
        let batch = try NftablesWire.encode(
            Transaction([.init(.addElements(set), in: Fixture.table)]), firstSequence: 1
        )
        let message = try NetlinkMessage.parse(batch.bytes)[1]
        let list = try #require(try NetlinkAttribute.parse(message.payload.dropFirst(4)).first { $0.type == 3 })
        #expect(try list.attributes().count == 1)
        #expect(try roundTrip(set) == [SetElement(65000, 65535)])
    }

    @Test("random disjoint ranges, many of them touching, come back as they were", arguments: 0..<40 as Range<UInt64>)
    func random(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let verdicts: [Verdict] = [.accept, .drop, .jump("a"), .goto("b"), .return]
        var intervals: [AddressInterval<UInt32>] = []
        var next: UInt64 = UInt64.random(in: 0...3, using: &random)
        while next <= UInt64(UInt32.max), intervals.count < 300 {
            let widths: [UInt64] = [0, 1, 255, 65_535, 1 << 28]
            let upper = min(next + widths[Int.random(in: 0..<5, using: &random)], UInt64(UInt32.max))
            let index = UInt32.random(in: 0..<5, using: &random)
            intervals.append(AddressInterval(UInt32(next), UInt32(upper), verdictIndex: index))
            next = upper + 1 + (Bool.random(using: &random) ? 0 : UInt64.random(in: 1...1_000_000, using: &random))
        }
        let map = Set(
            "m", keyType: .ipv4Address, hasIntervals: true, mapsToVerdict: true,
            contents: .ipv4Intervals(intervals, verdicts: verdicts)
        )
        #expect(try roundTrip(map) == Fixture.elements(of: map))
    }

    @Test("an end without a start, as nft leaves at 0, is passed over")
    func strayEnd() throws {
        let messages = try NetlinkMessage.parse(NftablesCapture.elements)
        let four = try messages.filter { message in
            try NetlinkAttribute.parse(message.payload.dropFirst(4)).contains { $0.type == 2 && $0.string() == "four" }
        }
        let elements = try NftablesWire.decodeElements(four, keyType: .ipv4Address, hasIntervals: true)
        #expect(elements == Fixture.elements(of: Fixture.sets[0]))
    }

    @Test("a key of another length is refused")
    func keyLength() throws {
        let messages = try NetlinkMessage.parse(NftablesCapture.elements)
        #expect(throws: WireError.self) {
            try NftablesWire.decodeElements(messages, keyType: .ipv6Address, hasIntervals: true)
        }
    }

    @Test("the element that a key is in is asked for by the key's bytes, and the one for all others by a flag")
    func request() throws {
        func list(_ key: [UInt8]?) throws -> (message: NetlinkMessage, elements: [UInt8]) {
            let bytes = try NftablesWire.elementRequest(of: key, in: "s", of: Fixture.table, sequence: 7)
            let message = try NetlinkMessage.parse(bytes)[0]
            let list = try #require(try NetlinkAttribute.parse(message.payload.dropFirst(4)).first { $0.type == 3 })
            return (message, Array(list.payload))
        }
        let asked = try list([10, 9, 0, 2])
        // `NFT_MSG_GETSETELEM` with `NLM_F_REQUEST | NLM_F_ACK`, and no dump.
        #expect(asked.message.type == 0xa0d && asked.message.flags == 5)
        #expect(asked.elements == capture("1000 0180  0c00 0180  0800 0100 0a090002"))
        #expect(try list(nil).elements == capture("0c00 0180  0800 0300 00000002"))
    }

    @Test("a map's elements tell their verdicts, whatever their keys are")
    func verdicts() throws {
        let verdicts: [Verdict] = [.accept, .drop, .jump("a"), .goto("b"), .return]
        func told(by set: Set) throws -> [Verdict?] {
            let batch = try NftablesWire.encode(
                Transaction([.init(.addElements(set), in: Fixture.table)]), firstSequence: 1)
            let lists = try NetlinkMessage.parse(batch.bytes).filter { $0.type == 0xa0c }
            return try lists.flatMap { try NftablesWire.decodeVerdicts($0) }
        }
        let keys = verdicts.indices.map { UInt128($0) }
        let map = Set(
            "m", keyType: .interfaceIndex, mapsToVerdict: true,
            contents: .elements(zip(keys, verdicts).map { SetElement($0, verdict: $1) }))
        #expect(try told(by: map) == verdicts)
        let plain = Set("s", keyType: .ipv4Address, contents: .elements(keys.map { SetElement($0) }))
        #expect(try told(by: plain) == verdicts.map { _ in nil })
    }

    @Test("marks and interface indices stand in the machine's byte order")
    func hostOrder() throws {
        let set = Set("s", keyType: .mark, contents: .elements([SetElement(0x0102_0304)]))
        let batch = try NftablesWire.encode(
            Transaction([.init(.addElements(set), in: Fixture.table)]), firstSequence: 1
        )
        let expected: [UInt8] = UInt16(1).littleEndian == 1 ? [4, 3, 2, 1] : [1, 2, 3, 4]
        let message = try NetlinkMessage.parse(batch.bytes)[1]
        #expect(message.payload.suffix(4) == expected[...])
        #expect(try roundTrip(set) == [SetElement(0x0102_0304)])
    }
}
