// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import Testing

/// The name in a ClientHello.
struct HelloTests {
    private func hello(_ extensions: (Int, [UInt8])...) -> HelloBuilder { HelloBuilder(extensions: extensions) }

    private func absence(_ hello: HelloBuilder) -> Greeting.Absence? { GreetingSession(hello.records()).absence }

    @Test(
        "the names of real clients are read, in whatever pieces they come",
        arguments: ["OpenSSL, TLS 1.3", "OpenSSL, TLS 1.2", "OpenSSL, TLS 1.0", "curl, HTTPS", "Python, HTTPS"])
    func captured(label: String) {
        let bytes = CapturedGreetings.named(label)
        #expect(bytes.count > 100)
        for pieces in [1, 2, 3, 5, 7, 100, 10_000] {
            let session = GreetingSession(bytes, pieces: pieces)
            #expect(session.names == [SpokenName("www.example.test", .tls)])
            #expect(session.passed == bytes)
        }
        for count in 1..<bytes.count {
            let session = GreetingSession(Array(bytes.prefix(count)))
            #expect(session.names.isEmpty && session.absence == nil && session.passed.isEmpty, "\(count)")
        }
    }

    @Test("clients that say no name, say none")
    func nameless() {
        for label in ["OpenSSL without a name", "curl, HTTPS to an address"] {
            #expect(GreetingSession(CapturedGreetings.named(label)).absence == .nameless)
        }
        var old = HelloBuilder()
        old.hasExtensions = false
        #expect(absence(old) == .nameless)
        #expect(absence(HelloBuilder()) == .nameless)
    }

    @Test("a hello may be split over records, of any size", arguments: [1, 2, 3, 4, 5, 9, 50, 500])
    func records(size: Int) {
        let hello = hello((0x1a1a, []), HelloBuilder.name("a.test"), (21, [UInt8](repeating: 0, count: 700)))
        for pieces in [1, 4, .max] {
            #expect(GreetingSession(hello.records(of: size), pieces: pieces).spoken == ["a.test"])
        }
    }

    @Test("a hello of 17 KB is read, and one of more than the limit is not")
    func long() {
        let shares = [UInt8](repeating: 1, count: 17_000)
        let hello = hello((51, shares), HelloBuilder.name("a.test"), (0xfafa, [0]))
        #expect(GreetingSession(hello.records(), pieces: 1_460).spoken == ["a.test"])
        let huge = [1] + HelloBuilder.number(70_000, 3) + [UInt8](repeating: 3, count: 70_000)
        #expect(GreetingSession(HelloBuilder.records(huge, of: 16_384)).absence == .tooLong)
        // One that fits, in records of a byte: six bytes are sent for each.
        let split = HelloBuilder.records(hello.message, of: 1)
        #expect(GreetingSession(split).absence == .tooLong)
    }

    @Test("an encrypted name is noted, and the outer one is what was said")
    func encrypted() {
        let session = GreetingSession(hello((0xfe0d, [0, 1, 2]), HelloBuilder.name("Outer.test")).records())
        #expect(session.names == [SpokenName("Outer.test", .tls, hasEncryptedName: true)])
        #expect(absence(hello((0xfe0d, [0, 1, 2]))) == .nameless)
    }

    @Test(
        "addresses are no names",
        arguments: [
            "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "127.1", "2130706433", "0x7f.1", "0x7f000001", "1.2.3.4.",
        ])
    func addresses(text: String) {
        #expect(absence(hello(HelloBuilder.name(text))) == .address)
    }

    @Test(
        "what no name can be is malformed",
        arguments: [
            "a..test", "a b.test", "a\u{0}.test", "bücher.test", "a/b", "*.test", "a.test\n", ".",
            String(repeating: "a", count: 64) + ".test", String(repeating: "a.", count: 127) + "test",
        ])
    func strange(text: String) {
        let found = absence(hello(HelloBuilder.name(text)))
        #expect(found == (text == "." ? .nameless : .malformed))
    }

    @Test("a dot at the end is not part of the name, and letters keep their case")
    func spelling() {
        #expect(GreetingSession(hello(HelloBuilder.name("WWW.a.test.")).records()).spoken == ["WWW.a.test"])
    }

    @Test("several names, in one list or two, are refused")
    func several() {
        let two = HelloBuilder.names([(0, Array("a.test".utf8)), (0, Array("b.test".utf8))])
        #expect(absence(hello(two)) == .severalNames)
        #expect(absence(hello(HelloBuilder.name("a.test"), HelloBuilder.name("b.test"))) == .malformed)
        let other = HelloBuilder.names([(1, Array("a.test".utf8))])
        #expect(absence(hello(other)) == .malformed)
    }

    @Test("lengths that do not agree are malformed")
    func lengths() {
        let good = hello(HelloBuilder.name("a.test"))
        // Bytes behind the extensions, and a list longer than its extension.
        let body = Array(good.message.dropFirst(4)) + [0]
        #expect(
            GreetingSession(HelloBuilder.records([1] + HelloBuilder.vector(body, 3), of: 9_999)).absence == .malformed)
        #expect(absence(hello((0, [0, 9, 0, 0, 6] + Array("a.test".utf8) + [0]))) == .malformed)
        #expect(absence(hello((0, []))) == .malformed)
        // A second message in the record.
        #expect(GreetingSession(HelloBuilder.records(good.message + [0], of: 9_999)).absence == .malformed)
        #expect(GreetingSession([22, 3, 1, 0, 0]).absence == .malformed)
        #expect(GreetingSession([22, 3, 1, 0x40, 1]).absence == .malformed)
    }

    @Test("other protocols are told at once")
    func others() {
        #expect(GreetingSession([22, 2]).absence == .otherProtocol)
        #expect(GreetingSession([22, 3, 9]).absence == .otherProtocol)
        #expect(GreetingSession([22, 3, 1, 0, 4, 2]).absence == .otherProtocol)
        #expect(GreetingSession([0x80, 0x2e, 1, 3, 1]).absence == .otherProtocol)
        #expect(GreetingSession(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8)).absence == .otherProtocol)
        #expect(GreetingSession([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]).absence == .otherProtocol)
        var session = GreetingSession([.http1, .http2])
        session.feed(hello(HelloBuilder.name("a.test")).records())
        #expect(session.absence == .otherProtocol)
    }
}

/// What a client may say after its hello.
struct SecondHelloTests {
    private let first = HelloBuilder(extensions: [HelloBuilder.name("a.test")]).records()
    private let other = HelloBuilder(extensions: [HelloBuilder.name("b.test")]).records()
    private let earlyData: [UInt8] = [20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 3, 9, 9, 9]

    private func serverHello(_ random: [UInt8]) -> [UInt8] { [22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3] + random }

    private let retry: [UInt8] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
        0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ]

    @Test("a second hello with another name is refused, whether it was asked for or not")
    func otherName() {
        for pieces in [1, 3, .max] {
            var session = GreetingSession(first + earlyData + other, pieces: pieces)
            #expect(session.absence == .severalNames && (first + earlyData).starts(with: session.passed))
            session = GreetingSession(first + earlyData, pieces: pieces)
            session.answer(serverHello(retry))
            session.feed(earlyData + other, pieces: pieces)
            #expect(session.absence == .severalNames && (first + earlyData + earlyData).starts(with: session.passed))
        }
    }

    @Test("a second hello with the same name passes, and then everything does")
    func sameName() {
        for pieces in [1, 3, .max] {
            var session = GreetingSession(first, pieces: pieces)
            session.answer(serverHello(retry))
            session.feed(earlyData + first, pieces: pieces)
            #expect(session.absence == nil && session.passed == first + earlyData + first)
            session.feed([22, 3, 3, 0, 1, 16])
            #expect(session.isOpaque && session.pending.isEmpty)
        }
    }

    @Test("after a server's hello everything passes")
    func opaque() {
        var session = GreetingSession(first)
        let answer = serverHello([UInt8](repeating: 5, count: 32))
        for count in 1..<43 {
            session.answer(Array(answer.prefix(count)))
            #expect(session.reader.awaitsAnswer && !session.isOpaque)
        }
        session.answer(answer)
        #expect(!session.reader.awaitsAnswer)
        session.feed([22, 3, 3, 0, 1, 16])
        #expect(session.isOpaque && session.pending.isEmpty)
    }

    @Test("a server's alert ends the waiting")
    func alert() {
        var session = GreetingSession(first)
        session.answer([21, 3, 3, 0, 2, 2, 40])
        #expect(session.isOpaque)
    }

    @Test("a server's hello in tiny records may be a retry")
    func tiny() {
        #expect(ServerHello.isRetry([22, 3, 3, 0, 1, 2]) == true)
        #expect(ServerHello.isRetry([22, 3, 3, 0, 80]) == nil)
        #expect(ServerHello.isRetry([UInt8]()) == nil)
        #expect(ServerHello.isRetry(serverHello(retry)) == true)
        #expect(ServerHello.isRetry(Array("220 mail\r\n".utf8)) == false)
    }
}
