// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@testable import EgretNames

@Suite("Servers without EDNS")
struct PlainServersTests {
    private func server(_ number: UInt8, _ transport: NameServer.Transport = .udp) -> NameServer {
        NameServer(IPAddress.v4(IPv4Address(203, 0, 113, number)), transport)
    }

    @Test("a server is known for a while, by its transport, and may be noted again")
    func memory() {
        var servers = PlainServers(memory: 1_000)
        servers.note(server(1), now: 100)
        #expect(servers.contains(server(1), now: 1_099) && !servers.contains(server(1), now: 1_100))
        #expect(!servers.contains(server(1, .tcp), now: 100) && !servers.contains(server(2), now: 100))
        servers.note(server(1), now: 1_100)
        #expect(servers.contains(server(1), now: 2_099))
    }

    @Test("so many are known and no more, until what is over makes room")
    func limit() {
        var servers = PlainServers(memory: 1_000)
        for port in 0..<UInt16(PlainServers.limit) {
            servers.note(NameServer(IPAddress.v4(IPv4Address(203, 0, 113, 1)), port: port + 1), now: UInt64(port))
        }
        servers.note(server(9), now: 500)
        #expect(!servers.contains(server(9), now: 500))
        servers.note(server(9), now: 1_000)
        #expect(servers.contains(server(9), now: 1_000))
    }
}
