// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire
import Testing

/// Bytes that nobody meant to send: reading them ends, with a value or an error, and never traps.
struct MutationTests {
    static let messages: [[UInt8]] = CapturedMessages.all.map(\.bytes)

    @Test("every beginning of a message that is not the whole is refused")
    func truncation() throws {
        for message in try MutationTests.messages + [Samples.everything().encoded()] {
            for count in 0..<message.count {
                #expect(throws: DNSWireError.self) { try DNSMessage(Array(message.prefix(count))) }
            }
        }
    }

    @Test("whatever is read can be written, and reads the same")
    func mutations() throws {
        var generator = SystemRandomNumberGenerator()
        var read = 0
        for message in try MutationTests.messages + [Samples.everything().encoded()] {
            for _ in 0..<3_000 {
                var bytes = message
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 1: bytes[place] = [0, 0xc0, 0xff, 0x3f, 12].randomElement(using: &generator) ?? 0
                    case 2: bytes.remove(at: place)
                    default: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: place)
                    }
                    if bytes.isEmpty { bytes = [0] }
                }
                guard let (value, layout) = try? DNSMessage.read(bytes) else { continue }
                read += 1
                _ = value.questions.map(\.name.description)
                var patched = bytes
                DNSPatch.limitLifetimes(1, layout, in: &patched)
                #expect(patched.count == bytes.count)
                // None of these is long enough to have no bytes.
                let written = try value.encoded()
                #expect(try DNSMessage(written) == value, "\(bytes)")
            }
        }
        #expect(read > 1_000)
    }

    @Test("noise is never read as a message with many records")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...200, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            if let message = try? DNSMessage(bytes) { #expect(message.answers.count <= 200) }
        }
    }
}
