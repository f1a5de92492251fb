// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import Testing

/// Bytes that nobody meant to send: reading them ends, and what is read does not depend on the pieces they come in.
struct GreetingMutationTests {
    private static let seeds: [[UInt8]] = {
        let name = HelloBuilder.name("www.example.test")
        let second = HelloBuilder(extensions: [name]).records(of: 20)
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        return CapturedGreetings.all.map(\.bytes) + [second + second, Array((post + post).utf8)]
    }()

    @Test("reading never traps, passes only what came, and does not depend on the pieces")
    func mutations() {
        var generator = SystemRandomNumberGenerator()
        var (named, refused) = (0, 0)
        for seed in GreetingMutationTests.seeds {
            for _ in 0..<1_500 {
                var bytes = seed
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    guard let place = bytes.indices.randomElement(using: &generator) else { break }
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff, 13, 10, 32].randomElement(using: &generator) ?? 0
                    case 2: bytes.remove(at: place)
                    case 3: bytes.replaceSubrange(place..., with: bytes[..<place])
                    default: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: place)
                    }
                }
                let whole = GreetingSession(bytes)
                let pieces = GreetingSession(bytes, pieces: Int.random(in: 1...40, using: &generator))
                named += whole.names.isEmpty ? 0 : 1
                refused += whole.absence == nil ? 0 : 1
                // A failure may be seen earlier than the byte before it is needed.
                #expect(whole.names == pieces.names, "\(bytes)")
                #expect(whole.absence == pieces.absence, "\(bytes)")
                #expect(bytes.starts(with: whole.passed) && bytes.starts(with: pieces.passed))
                #expect(whole.absence != nil || whole.passed + whole.pending == bytes)
            }
        }
        #expect(named > 1_000 && refused > 1_000)
    }

    @Test("noise says no name")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let count = Int.random(in: 1...100, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            #expect(GreetingSession(bytes).names.isEmpty)
        }
    }
}
