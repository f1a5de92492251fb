// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretGreetingWire

/// The names in requests of HTTP/2.
struct HTTP2RequestTests {
    private static let settings: [UInt8] = frame(4, 0, 0, [])

    private static func frame(_ type: UInt8, _ flags: UInt8, _ stream: Int, _ payload: [UInt8]) -> [UInt8] {
        HelloBuilder.number(payload.count, 3) + [type, flags] + HelloBuilder.number(stream, 4) + payload
    }

    /// A literal field without indexing, its name spelled out.
    private static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0] + HelloBuilder.vector(Array(name.utf8), 1) + HelloBuilder.vector(Array(value.utf8), 1)
    }

    /// GET / by http, with an authority.
    private static func request(_ authority: String) -> [UInt8] {
        [0x82, 0x84, 0x86, 0x01] + HelloBuilder.vector(Array(authority.utf8), 1)
    }

    private func session(_ frames: [UInt8]..., pieces: Int = .max) -> GreetingSession {
        GreetingSession(HTTP2Requests.preface + HTTP2RequestTests.settings + frames.flatMap { $0 }, pieces: pieces)
    }

    @Test("the name of a real client is read without its port")
    func captured() {
        let bytes = CapturedGreetings.named("curl, HTTP/2")
        for pieces in [1, 2, 7, .max] {
            let session = GreetingSession(bytes, pieces: pieces)
            #expect(session.names == [SpokenName("www.example.test", .http2)])
            #expect(session.passed == bytes)
        }
    }

    @Test("every request says its name, with data, other frames and trailers between them", arguments: [1, 5, .max])
    func several(pieces: Int) {
        let long =
            HTTP2RequestTests.request("b.test") + HTTP2RequestTests.literal("x", String(repeating: "y", count: 90))
        let session = session(
            HTTP2RequestTests.frame(1, 4, 1, HTTP2RequestTests.request("a.test")),
            HTTP2RequestTests.frame(8, 0, 0, [0, 0, 1, 0]),
            HTTP2RequestTests.frame(0, 0, 1, HTTP2RequestTests.frame(1, 4, 3, HTTP2RequestTests.request("no.test"))),
            HTTP2RequestTests.frame(1, 5, 1, HTTP2RequestTests.literal("trailer", "x")),
            // Padding, priority and a continuation.
            HTTP2RequestTests.frame(1, 0x28, 3, [3, 0, 0, 0, 0, 9] + long.prefix(7) + [0, 0, 0]),
            HTTP2RequestTests.frame(9, 0, 3, Array(long[7..<20])), HTTP2RequestTests.frame(9, 4, 3, Array(long[20...])),
            HTTP2RequestTests.frame(0x99, 0, 7, [1, 2, 3]),
            HTTP2RequestTests.frame(1, 4, 5, HTTP2RequestTests.request("c.test")),
            pieces: pieces)
        #expect(session.spoken == ["a.test", "b.test", "c.test"])
        #expect(session.absence == nil && session.pending.isEmpty)
    }

    @Test("fields of the examples of RFC 7541 are decoded, with a table and without")
    func examples() throws {
        // Appendices C.3, C.4 and C.5: the name, the path and what the table keeps from one block to the next.
        let plain = [
            "828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ]
        let huffman = [
            "828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ]
        for blocks in [plain, huffman] {
            var decoder = HPACKDecoder()
            var fields: [String] = []
            for block in blocks {
                let bytes = CapturedGreeting(label: "", hexadecimal: block).bytes
                try decoder.decode(bytes[...]) { field in
                    fields.append(
                        "\(String(decoding: field.name, as: UTF8.self))=\(String(decoding: field.value, as: UTF8.self))"
                    )
                }
            }
            #expect(
                fields == [
                    ":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com",
                    ":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com", "cache-control=no-cache",
                    ":method=GET", ":scheme=https", ":path=/index.html", ":authority=www.example.com",
                    "custom-key=custom-value",
                ])
        }
    }

    @Test("a table that is too small forgets the oldest fields, as in RFC 7541, appendix C.5")
    func eviction() throws {
        var decoder = HPACKDecoder()
        // A table of 64 bytes holds one of these.
        var block: [UInt8] = [0x3f, 0x21]
        for value in ["a", "b"] { block += [0x41] + HelloBuilder.vector(Array(value.utf8), 1) }
        var values: [String] = []
        try decoder.decode(block[...]) { values.append(String(decoding: $0.value, as: UTF8.self)) }
        try decoder.decode([0xbe]) { values.append(String(decoding: $0.value, as: UTF8.self)) }
        #expect(values == ["a", "b", "b"])
        #expect(throws: GreetingFailure.self) { try decoder.decode([0xbf]) { _ in } }
    }

    @Test("every byte has a code, and wrong padding has none")
    func huffman() throws {
        // C.6: three strings of an answer.
        for (code, text) in [
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"), ("640eff", "307"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
            ),
        ] {
            let bytes = CapturedGreeting(label: "", hexadecimal: code).bytes
            #expect(try HuffmanCode.decode(bytes[...]) == Array(text.utf8))
        }
        #expect(try HuffmanCode.decode([]) == [])
        // A whole byte of padding, padding of zeros, and the end inside.
        for bad: [UInt8] in [[0xff], [0x18], [0xff, 0xff, 0xff, 0xff]] {
            #expect(throws: GreetingFailure.self) { try HuffmanCode.decode(bad[...]) }
        }
    }

    @Test("what is no sound request is refused")
    func refused() {
        let request = HTTP2RequestTests.request("a.test")
        func absence(_ block: [UInt8]) -> Greeting.Absence? { session(HTTP2RequestTests.frame(1, 4, 1, block)).absence }
        #expect(absence(request + HTTP2RequestTests.literal("host", "b.test")) == .severalNames)
        #expect(absence(request + HTTP2RequestTests.literal(":authority", "a.test")) == .severalNames)
        #expect(absence(request + HTTP2RequestTests.literal("Host", "b.test")) == .malformed)
        #expect(absence([0x82, 0x84, 0x86]) == .nameless)
        #expect(absence(HTTP2RequestTests.request("10.0.0.1:80")) == .address)
        #expect(
            absence(
                HTTP2RequestTests.literal(":method", "CONNECT") + HTTP2RequestTests.literal(":authority", "a.test:1"))
                == .tunnel)
        for block: [UInt8] in [
            [0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0xc9], [0x82, 0x3f, 0xe1, 0x1f], [0x41, 0x7f],
        ] {
            #expect(absence(block) == .malformed, "\(block)")
        }
        #expect(session(HTTP2RequestTests.frame(5, 4, 1, [])).absence == .malformed)
        #expect(session(HTTP2RequestTests.frame(9, 4, 1, [])).absence == .malformed)
        #expect(
            session(HTTP2RequestTests.frame(1, 0, 1, request), HTTP2RequestTests.frame(9, 4, 3, [])).absence
                == .malformed)
        #expect(session(HTTP2RequestTests.frame(1, 0x0c, 1, [200, 0x82])).absence == .malformed)
        let early = GreetingSession(HTTP2Requests.preface + HTTP2RequestTests.frame(1, 4, 1, request))
        #expect(early.absence == .malformed)
    }

    @Test("what goes through a stream unread is WebSocket, and nothing else")
    func extendedConnect() {
        func session(_ method: String, _ name: String) -> GreetingSession {
            let fields = [(":method", method), (":protocol", name), (":scheme", "http"), (":path", "/")]
            let block = fields.flatMap { HTTP2RequestTests.literal($0.0, $0.1) }
            return self.session(
                HTTP2RequestTests.frame(1, 4, 1, block + HTTP2RequestTests.literal(":authority", "a.test")))
        }
        #expect(session("CONNECT", "websocket").spoken == ["a.test"])
        for other in ["connect-udp", "connect-ip", "connect-tcp", "webtransport", "websocket2", ""] {
            #expect(session("CONNECT", other).absence == .tunnel, "\(other)")
        }
        #expect(session("GET", "websocket").absence == .malformed)
    }

    @Test("fields that servers could understand in different ways are refused")
    func strict() {
        func absence(_ block: [UInt8]) -> Greeting.Absence? { session(HTTP2RequestTests.frame(1, 4, 1, block)).absence }
        func field(_ name: String, _ value: String) -> [UInt8] { HTTP2RequestTests.literal(name, value) }
        let request = HTTP2RequestTests.request("a.test")
        #expect(absence(request + field("te", "trailers") + field("content-length", "5")) == nil)
        for (name, value) in [
            ("x", "a\r\nhost: b.test"), ("x", "a\0"), ("x\r\nhost", "b.test"), ("x y", "a"), ("", "a"), ("x:", "a"),
            ("connection", "x"), ("proxy-connection", "x"), ("keep-alive", "1"), ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"), ("te", "gzip"), ("content-length", "1, 2"), ("content-length", ""),
            (":method", "POST"), (":scheme", "http"), (":path", "/"), (":unknown", "x"),
        ] {
            #expect(absence(request + field(name, value)) == .malformed, "\(name) \(value)")
        }
        #expect(absence(request + field("content-length", "1") + field("content-length", "2")) == .malformed)
        // A pseudo-field behind another field; a request without one of them; a host without a request.
        #expect(absence(field("x", "y") + request) == .malformed)
        #expect(absence([0x84, 0x86, 0x01] + HelloBuilder.vector(Array("a.test".utf8), 1)) == .malformed)
        #expect(absence([0x82, 0x84, 0x01] + HelloBuilder.vector(Array("a.test".utf8), 1)) == .malformed)
        #expect(absence(field("host", "a.test")) == .malformed)
        #expect(absence(field("x", "a trailer of no request")) == .malformed)
        for path in ["", "a", "http://b.test/", "/a b", "**"] {
            let block = [0x82, 0x86] + field(":path", path) + field(":authority", "a.test")
            #expect(absence(block) == .malformed, "\(path)")
        }
        #expect(absence([0x82, 0x86] + field(":path", "*") + field(":authority", "a.test")) == nil)
    }

    @Test("few bytes that stand for very many fields are too long")
    func decodedSize() {
        // A field of 4 KB, kept, and then named by a byte each time.
        let long =
            [0x40] + HelloBuilder.vector([0x78], 1) + [0x7f, 0xa1, 0x1e] + [UInt8](repeating: 0x79, count: 4_000)
        let request = HTTP2RequestTests.request("a.test")
        func absence(times: Int) -> Greeting.Absence? {
            let block = request + long + [UInt8](repeating: 0xbe, count: times)
            return session(HTTP2RequestTests.frame(1, 4, 1, block)).absence
        }
        #expect(absence(times: 14) == nil)
        #expect(absence(times: 20) == .tooLong)
        // A million fields of nothing but a byte.
        var decoder = HPACKDecoder()
        var count = 0
        #expect(throws: GreetingFailure(.tooLong)) {
            try decoder.decode([UInt8](repeating: 0x82, count: 1_000_000)[...]) { _ in count += 1 }
        }
        #expect(count < 2_048)
    }

    @Test("a block in a thousand frames is too long")
    func manyFrames() {
        let continuation = HTTP2RequestTests.frame(9, 0, 1, [])
        let frames = [UInt8](Array(repeating: continuation, count: 100).joined())
        #expect(session(HTTP2RequestTests.frame(1, 0, 1, []), frames).absence == .tooLong)
    }

    @Test("a block without end is too long")
    func tooLong() {
        let part = HTTP2RequestTests.frame(9, 0, 1, [UInt8](repeating: 0x82, count: 16_000))
        #expect(session(HTTP2RequestTests.frame(1, 0, 1, []), part, part, part, part, part).absence == .tooLong)
    }
}
