// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import Testing

@Suite("hostile bytes")
struct HostileBytesTests {
    @Test("a message cut at any byte is refused", arguments: allCaptures.map(\.name))
    func truncated(_ name: String) throws {
        let capture = try #require(allCaptures.first { $0.name == name })
        for message in try NetlinkMessage.parse(capture.bytes) {
            let whole = try NetlinkMessage.resequenced(
                try rebuild(message, payload: Array(message.payload)), sequence: 1
            )
            let kept = (0..<(16 + message.payload.count)).filter { length in
                (try? NetlinkMessage.parse(Array(whole[..<length]))) != nil
            }
            #expect(kept.isEmpty)
        }
    }

    @Test("a payload cut at any byte, with a header that fits, never traps", arguments: allCaptures.map(\.name))
    func cutPayload(_ name: String) throws {
        let capture = try #require(allCaptures.first { $0.name == name })
        for message in try NetlinkMessage.parse(capture.bytes) {
            for length in 0..<message.payload.count {
                var cut = message
                cut.payload = Array(message.payload)[..<length]
                decodeEverything(cut)
            }
        }
    }

    @Test("flipped bits never trap", arguments: allCaptures.map(\.name))
    func flipped(_ name: String) throws {
        let capture = try #require(allCaptures.first { $0.name == name })
        var random = SeededRandom(seed: 42)
        for _ in 0..<60 {
            var bytes = capture.bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            decodeEverything(bytes)
        }
    }

    @Test("random bytes never trap")
    func random() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<2000 {
            let count = Int.random(in: 0..<200, using: &random)
            var payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Half of them with small lengths, so that attributes nest by chance.
            if Bool.random(using: &random) {
                for place in stride(from: 1, to: count, by: 2) { payload[place] = 0 }
            }
            let type = UInt16.random(in: 0...0xaff, using: &random)
            decodeEverything(
                NetlinkMessage(type: type, flags: 0x300, sequence: 1, portID: 0, payload: payload[...]),
                asEveryType: true
            )
            decodeEverything(payload)
            _ = PacketSummary.parse(payload)
        }
    }

    private func rebuild(_ message: NetlinkMessage, payload: [UInt8]) throws -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.message(type: message.type, flags: message.flags, sequence: message.sequence) { (writer) in
            writer.append(payload)
        }
        return writer.bytes
    }
}
