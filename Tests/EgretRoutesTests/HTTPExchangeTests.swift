// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import Testing

@testable import EgretRoutes

@Suite("A health check's HTTP exchange")
struct HTTPExchangeTests {
    private func exchange(_ address: String = "192.0.2.1", port: UInt16 = 80) throws -> HTTPExchange {
        HTTPExchange(address: try #require(IPAddress(address)), port: port, path: "/health?a=b")
    }

    @Test("the request names the host as RFC 9110 has it, with the port where it is not 80")
    func request() throws {
        let common = "User-Agent: egret\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        #expect(
            String(decoding: try exchange().request, as: UTF8.self)
                == "GET /health?a=b HTTP/1.1\r\nHost: 192.0.2.1\r\n" + common)
        #expect(
            String(decoding: try exchange("2001:db8::1", port: 8080).request, as: UTF8.self)
                == "GET /health?a=b HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n" + common)
    }

    @Test(
        "2xx and 3xx are an answer, everything else is none",
        arguments: [
            ("HTTP/1.1 200 OK\r\n", true), ("HTTP/1.0 204\r\n", true), ("HTTP/1.1 302 Found\r\n", true),
            ("HTTP/1.1 404 Not Found\r\n", false), ("HTTP/1.1 503 \r\n", false), ("HTTP/1.1 100 Continue\r\n", false),
            ("HTTP/2.0 200 OK\r\n", false), ("HTTP/1.1 2000 OK\r\n", false), ("HTTP/1.1 2x0 OK\r\n", false),
            ("SSH-2.0-OpenSSH_9.2\r\n", false), ("HTTP/1.1\t200 OK\r\n", false),
        ]
    )
    func statuses(text: String, isAnswered: Bool) throws {
        let bytes = Array(text.utf8)
        var whole = try exchange()
        #expect(whole.note(bytes) == isAnswered)
        // However the bytes are cut.
        var pieces = try exchange()
        var outcome: Bool?
        for byte in bytes where outcome == nil { outcome = pieces.note([byte]) }
        #expect(outcome == isAnswered)
    }

    @Test("a connection that ends before the status is no answer, and half a status line is none yet")
    func ends() throws {
        var exchange = try exchange()
        #expect(exchange.note(Array("HTTP/1.1 20".utf8)) == nil)
        #expect(exchange.note([]) == false)
    }
}
