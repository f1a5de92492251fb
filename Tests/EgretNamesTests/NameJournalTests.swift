// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretPolicy
import Testing

/// What is kept of what the proxies tell.
struct NameJournalTests {
    private let server = SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443)

    private func passed(
        _ port: UInt16, _ name: String?, over transport: IPProtocol = .udp, to server: SocketAddress? = nil
    ) -> ConnectionEvent {
        var speech = ConnectionAttempt.Speech.nothing(.otherProtocol)
        if let name { speech = .name(SpokenName(name, .tls)) }
        return .passed(
            ConnectionAttempt(
                source: SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: port),
                destination: server ?? self.server, speech: speech, rules: [0], transport: transport))
    }

    @Test("each flow has the name that it has said last, and none if it then says nothing")
    func saidNames() {
        var journal = NameJournal()
        let other = SocketAddress(server.address, port: 8_443)
        let names: [(UInt16, String)] = [(1, "a.example.test"), (2, "B.example.test"), (3, "c.example.test")]
        for (port, name) in names {
            journal.note(passed(port, name), over: .udp)
        }
        journal.note(passed(1, "d.example.test", to: other), over: .udp)
        journal.note(passed(4, "tcp.example.test", over: .tcp))
        func said(_ port: UInt16, _ server: SocketAddress) -> String? {
            journal.nameSaid(from: port, to: server)?.text
        }
        #expect((1...4).map { said($0, server) } == ["a.example.test", "b.example.test", "c.example.test", nil])
        #expect((1...4).map { said($0, other) } == ["d.example.test", nil, nil, nil])
        journal.note(passed(1, "e.example.test"), over: .udp)
        journal.note(passed(2, nil), over: .udp)
        #expect((1...3).map { said($0, server) } == ["e.example.test", nil, "c.example.test"])
        #expect(journal.report.unverified == 1)
    }

    @Test("of more flows than are kept, those that spoke longest ago are forgotten")
    func saidNamesLimit() {
        var journal = NameJournal()
        let limit = UInt16(NameJournal.limit)
        for port in 1...limit { journal.note(passed(port, "a.example.test"), over: .udp) }
        // The first speaks again: now the second is the oldest.
        journal.note(passed(1, "b.example.test"), over: .udp)
        for port in (limit + 1)...(limit + 2) { journal.note(passed(port, "c.example.test"), over: .udp) }
        func said(_ port: UInt16) -> String? { journal.nameSaid(from: port, to: server)?.text }
        #expect([1, 2, 3, 4].map(said) == ["b.example.test", nil, nil, "a.example.test"])
        #expect(said(limit + 1) == "c.example.test" && said(limit + 2) == "c.example.test")
    }
}
