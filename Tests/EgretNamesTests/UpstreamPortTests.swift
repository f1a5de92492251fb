// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import Testing

@testable import EgretNames

/// The sockets from which servers are asked.
@Suite("Ports to servers")
struct UpstreamPortTests {
    private func question(_ endpoint: Int, _ port: UInt16) throws -> PendingQuestion {
        let address = IPAddress.v4(IPv4Address(127, 0, 0, 1))
        let name = try #require(DNSName("www.example.test"))
        let question = DNSQuestion(name, .a)
        let client = PendingQuestion.Client.datagram(
            socket: 0, peer: SocketAddress(address, port: 40_000), own: SocketAddress(address, port: 53))
        return PendingQuestion(
            client: client, question: question, clientID: 1, payloadSize: 512, flags: DNSFlags(rawValue: 0),
            endpoint: endpoint, incarnation: 1, generation: 1, destination: address,
            permission: NameTable.Permission(question: question, rules: [0]),
            servers: [NameServer(address, port: port)], end: 6_000, sentName: name)
    }

    @Test("an endpoint that asks ever more servers, none of which answers, leaves ports to the others")
    func shares() throws {
        try CurrentProcess.raiseOpenFileLimit()
        let loop = try ProxyLoop(
            registry: NameRegistry(), hooks: NameProxy.Hooks(commit: { _ in [:] }), loop: EventLoop(), datagrams: [],
            listeners: [], port: 1, trust: nil, silentServers: SilentServers())
        func isSent(_ endpoint: Int, _ number: Int) throws -> Bool {
            loop.start(try question(endpoint, UInt16(20_000 + number)), UInt64(number))
            return loop.pending[UInt64(number)]?.upstream != 0
        }
        var sent = 0
        for number in 0..<ProxyLimits.ports where try isSent(1, number) { sent += 1 }
        #expect(sent == ProxyLimits.ports * 3 / 4 && loop.portCounts.total == sent)
        #expect(try isSent(2, 1_000))
        #expect(try !isSent(1, 1_001))
    }
}
