// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretDNSWire
import EgretGreetingWire
import EgretLinux
import EgretNames
import Synchronization
import Testing

@testable import EgretAgent

/// What the agent tells of endpoints' questions.
struct NameBookTests {
    /// A time that tests set, and what the log has said.
    private final class Surroundings: Sendable {
        let time = Mutex<Int64>(1_000)
        let lines = Mutex<[String]>([])

        /// What the log has said since this was asked last.
        func said() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
    }

    private func book(_ around: Surroundings, _ traffic: TrafficBook = TrafficBook()) -> NameBook {
        NameBook(
            traffic: traffic, now: { around.time.withLock { $0 } },
            log: { line in around.lines.withLock { $0.append(line) } })
    }

    @Test("the log says which limit an endpoint has reached, each once a minute, and never a flood")
    func limits() throws {
        let around = Surroundings()
        let book = book(around)
        let name = try #require(DNSName("www.example.test"))
        for _ in 0..<3 { book.note(.limited(name, .addresses), of: 3) }
        book.note(.limited(name, .names), of: 3)
        book.note(.limited(name, .addresses), of: 4)
        #expect(
            around.said() == [
                "names: endpoint-3 has reached a limit: addresses held",
                "names: endpoint-3 has reached a limit: names held",
                "names: endpoint-4 has reached a limit: addresses held",
            ])
        around.time.withLock { $0 += 59 }
        book.note(.limited(name, .addresses), of: 3)
        #expect(around.said().isEmpty)
        around.time.withLock { $0 += 1 }
        book.note(.limited(name, .addresses), of: 3)
        #expect(around.said().count == 1)
        // The clock is set back.
        around.time.withLock { $0 = 10 }
        book.note(.limited(name, .addresses), of: 3)
        #expect(around.said().count == 1)
        for endpoint in 0..<10_000 { book.note(.limited(name, .questions), of: endpoint) }
        #expect((1...256).contains(around.said().count))
        around.time.withLock { $0 += 60 }
        book.note(.limited(name, .questions), of: 9_999)
        #expect(around.said() == ["names: endpoint-9999 has reached a limit: questions per second"])
    }

    @Test("an answer that lost some of its many addresses was not refused")
    func cut() throws {
        let book = book(Surroundings())
        let name = try #require(DNSName("www.example.test"))
        book.note(.limited(name, .addressesPerAnswer), of: 3)
        #expect(book.figures.refused.isEmpty)
        book.note(.limited(name, .addresses), of: 3)
        #expect(book.figures.refused == ["limit": 1])
    }

    @Test("a name whose answer a limit has kept back is a flow to the server that was asked")
    func flows() throws {
        let traffic = TrafficBook()
        traffic.know {
            var owners = TrafficOwners()
            owners.frames = ["endpoint-3": "shop/a"]
            return owners
        }
        let book = book(Surroundings(), traffic)
        let name = try #require(DNSName("www.example.test"))
        let server = IPAddress.v4(IPv4Address(192, 0, 2, 53))
        book.noteRefusal(3, .limited(name, .addresses), server: server, isStream: true, nil)
        let flow = try #require(traffic.flows(FlowQuery(deniedOnly: true)).flows.first)
        #expect(flow.endpoint == "shop/a" && flow.rule == "limit" && flow.name == "www.example.test")
        #expect(flow.peer == "192.0.2.53" && flow.port == 53 && flow.protocol == "tcp")
    }

    @Test("QUIC that is refused is a flow over UDP, and QUIC that passes is counted and left to the kernel to tell of")
    func datagrams() throws {
        let traffic = TrafficBook()
        traffic.know {
            var owners = TrafficOwners()
            owners.frames = ["endpoint-3": "shop/a"]
            return owners
        }
        let book = book(Surroundings(), traffic)
        var attempt = ConnectionAttempt(
            source: SocketAddress(ipv4: 0xc000_020a, port: 40_000),
            destination: SocketAddress(ipv4: 0xcb00_710a, port: 443),
            speech: .name(SpokenName("Www.example.test", .tls)), rules: [0], transport: .udp)
        book.note(3, .refused(attempt), nil, over: .udp)
        let flow = try #require(traffic.flows(FlowQuery(deniedOnly: true)).flows.first)
        #expect(flow.name == "www.example.test" && flow.port == 443 && flow.protocol == "udp")
        book.note(3, .passed(attempt), nil, over: .udp)
        attempt.speech = .nothing(.otherProtocol)
        book.note(3, .passed(attempt), nil, over: .udp)
        #expect(traffic.flows(FlowQuery()).flows.count == 1)
        let figures = book.figures
        #expect(figures.connections == 2 && figures.unverified == 1 && figures.refusedConnections == 1)
    }
}
