// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import Testing

/// The names in requests of HTTP/1.
struct RequestTests {
    private func session(_ text: String, pieces: Int = .max) -> GreetingSession {
        GreetingSession(Array(text.utf8), pieces: pieces)
    }

    @Test("the name of a real client is read without its port")
    func captured() {
        let bytes = CapturedGreetings.named("curl, HTTP/1.1")
        for pieces in [1, 2, 7, .max] {
            let session = GreetingSession(bytes, pieces: pieces)
            #expect(session.names == [SpokenName("www.example.test", .http1)])
            #expect(session.passed == bytes)
        }
    }

    @Test("every request of a connection says its name, whatever lies between them", arguments: [1, 2, 3, 10, .max])
    func several(pieces: Int) {
        let text = """
            POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nGET /\
            POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nGET /\r\nA\r\n0123456789\r\n\
            0\r\nTrailer: x\r\n\r\n\
            \r\n\r\nGET / HTTP/1.1\r\nHOST:c.test\r\n\r\nGET / HTTP/1.0\r\nContent-Length: 0\r\nhost: d.test \r\n\r\n
            """
        let session = session(text, pieces: pieces)
        #expect(session.spoken == ["a.test", "b.test", "c.test", "d.test"])
        #expect(session.absence == nil && session.passed == Array(text.utf8))
    }

    @Test("nothing of a request passes before its name is judged")
    func held() {
        var reader = SpokenNameReader()
        let bytes = Array("GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: b".utf8)
        #expect(reader.next(bytes[...]) == .name(SpokenName("a.test", .http1), count: 32, .none))
        #expect(reader.next(bytes[32...]) == .needsMore)
    }

    @Test(
        "a target with a name agrees with Host, or there is none",
        arguments: [
            ("GET http://a.test/x HTTP/1.1\r\nHost: A.test\r\n\r\n", "A.test"),
            ("GET HTTP://a.test:80?x HTTP/1.1\r\nHost: a.test:80\r\n\r\n", "a.test"),
            ("GET http://a.test/x HTTP/1.0\r\n\r\n", "a.test"),
            ("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "a.test"),
        ])
    func targets(text: String, name: String) {
        #expect(session(text).spoken == [name])
    }

    @Test(
        "what one server could read in another way than the next is refused",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", .severalNames),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", .severalNames),
            ("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", .severalNames),
            ("GET http://u@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\n\r\n", .nameless), ("GET / HTTP/1.1\r\nHost:\r\n\r\n", .nameless),
            ("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", .address),
            ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", .address),
            ("GET / HTTP/1.1\nHost: a.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\n\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rHost: b.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\n b.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\0\r\n\r\n", .malformed),
            ("GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", .malformed),
            ("GET /\r\n\r\n", .malformed), ("GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", .malformed),
            ("GET a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .malformed),
            ("GET / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, Host\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nConnection:content-length\t,x\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x\r\nConnection: transfer-encoding\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: y 100-continue\r\nContent-Length: 1\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect:\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", .malformed),
            ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c, websocket\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h 2c\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c \t websocket\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: TLS/1.0\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: connect-udp\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: HTTP/2.0\r\n\r\n", .tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade:\r\n\r\n", .tunnel),
            ("\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", .otherProtocol), ("PRI * HTTP/2.0\r\n\r\nXX", .malformed),
        ] as [(String, Greeting.Absence)])
    func refused(text: String, absence: Greeting.Absence) {
        for pieces in [1, .max] {
            let session = session(text, pieces: pieces)
            #expect(session.absence == absence && session.names.isEmpty)
        }
    }

    @Test("a second request is held to the same rules")
    func second() {
        let start = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
        for (text, absence) in [
            ("CONNECT b.test:1 HTTP/1.1\r\nHost: a.test\r\n\r\n", Greeting.Absence.tunnel),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n", .tunnel),
            ("\u{1}\u{2}\u{3}", .otherProtocol),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .malformed),
        ] {
            let session = session(start + text)
            #expect(session.absence == absence && session.spoken == ["a.test"])
        }
        #expect(
            session("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxGET").absence
                == .malformed)
        #expect(
            session("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n").absence == .malformed)
    }

    @Test("usual options of the connection, and who waits to be told to go on, are none of that")
    func options() {
        let head = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, TE\r\nTE: trailers\r\n"
        let text = head + "Connection: hosts\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"
        #expect(session(text).spoken == ["a.test"] && session(text).passed == Array(text.utf8))
    }

    @Test(
        "what comes behind the last chunk says no other name and no length, and is made of fields",
        arguments: [
            "Host: b.test", "hOST:b.test", "Content-Length: 50", "Transfer-Encoding: chunked", "Connection: Upgrade",
            "Upgrade: websocket", "GET / HTTP/1.1", "Host : b.test", " Host: b.test", ": b.test", "X: a\u{1}b",
        ])
    func trailers(line: String) {
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n"
        for pieces in [1, .max] {
            let session = session(post + line + "\r\n\r\n", pieces: pieces)
            #expect(session.absence == .malformed && session.passed == Array(post.utf8))
        }
    }

    @Test("an upgrade waits for the server: WebSocket passes unread, HTTP/2 is read, and a refusal changes nothing")
    func upgrades() {
        let socket = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        var session = session(socket + "frames")
        #expect(Array(session.pending) == Array("frames".utf8))
        session.answer(Array("HTTP/1.1 1".utf8))
        #expect(Array(session.pending) == Array("frames".utf8) && session.reader.awaitsAnswer)
        session.answer(Array("HTTP/1.1 101 Switching Protocols".utf8))
        #expect(session.isOpaque && session.pending.isEmpty)

        session = self.session(socket)
        session.answer(Array("HTTP/1.1 200 OK\r\n".utf8))
        session.feed(Array("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n".utf8))
        #expect(session.spoken == ["a.test", "b.test"])

        session = GreetingSession(CapturedGreetings.named("curl, upgrade to HTTP/2"))
        #expect(session.names == [SpokenName("www.example.test", .http1)])
        session.answer(Array("HTTP/1.1 101 Switching Protocols\r\n\r\n".utf8))
        session.feed(CapturedGreetings.named("curl, HTTP/2"))
        #expect(session.names.last == SpokenName("www.example.test", .http2))
    }

    @Test(
        "an upgrade to HTTP/2 in a request with a body or in a later one goes on as HTTP/1, and HTTP/2 is read if it comes",
        arguments: [1, 7, .max])
    func laterUpgrade(pieces: Int) {
        let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\n\(upgrade)Content-Length: 3\r\n\r\nabc"
        let get = "GET / HTTP/1.1\r\nHost: b.test\r\n\(upgrade)\r\n"
        let plain = "GET / HTTP/1.1\r\nHost: c.test\r\n\r\n"
        let http2 = CapturedGreetings.named("curl, HTTP/2")
        #expect(session(post + get + plain, pieces: pieces).spoken == ["a.test", "b.test", "c.test"])
        for start in [post, plain + get, post + plain + get] {
            let session = GreetingSession(Array(start.utf8) + http2, pieces: pieces)
            #expect(session.names.last == SpokenName("www.example.test", .http2), "\(session)")
            #expect(session.absence == nil && session.pending.isEmpty)
        }
        // Only the next request can be that, and only where HTTP/2 is read at all.
        #expect(GreetingSession(Array((post + plain).utf8) + http2, pieces: pieces).absence == .malformed)
        var narrow = GreetingSession([.http1])
        narrow.feed(Array(post.utf8) + http2, pieces: pieces)
        #expect(narrow.absence == .otherProtocol)
    }

    @Test("a head, a chunk's size or a trailer without end is too long")
    func tooLong() {
        let start = "GET / HTTP/1.1\r\nHost: a.test\r\nX: "
        #expect(session(start + String(repeating: "x", count: 70_000)).absence == .tooLong)
        let chunked = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(session(chunked + "1;" + String(repeating: "x", count: 9_000)).absence == .tooLong)
        #expect(session(chunked + "0\r\n" + String(repeating: "x: y\r\n", count: 70)).absence == .tooLong)
        // A cookie of 20 KB is none of that.
        #expect(session(start + String(repeating: "x", count: 20_000) + "\r\n\r\n").spoken == ["a.test"])
    }
}
