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

    private func loop(_ registry: NameRegistry) throws -> ProxyLoop {
        try ProxyLoop(
            registry: registry, hooks: NameProxy.Hooks(commit: { _ in [:] }), loop: EventLoop(), datagrams: [],
            listeners: [], port: 1, trust: nil, silentServers: SilentServers())
    }

    /// A loop, and what makes questions of its endpoint to a server that refuses them and to one that says nothing.
    private func refusing() throws -> (loop: ProxyLoop, silent: InternetSocket, ask: (UInt64) throws -> Void) {
        let registry = NameRegistry()
        registry.set(NameEndpoint(id: 1, addresses: [], rules: []), now: 0)
        let generation = try #require(registry.update(1) { $0.generation })
        let loop = try loop(registry)
        let silent = try InternetSocket.datagrams(
            at: SocketAddress(ipv4: 0x7f00_0001, port: 0), receiveBuffer: 65_536)
        let servers = [NameServer(SocketAddress(ipv4: 0x7f00_0001, port: 1)), NameServer(try silent.ownAddress())]
        func ask(_ id: UInt64) throws {
            var asked = try question(1, 1)
            asked.generation = generation
            asked.servers = servers
            asked.end = loop.now + 6_000
            loop.start(asked, id)
        }
        return (loop, silent, ask)
    }

    @Test("a server that has refused a question is not asked it again, but the next one is")
    func refusedBefore() throws {
        let (loop, silent, ask) = try refusing()
        try ask(1)
        #expect(loop.pending[1]?.turn == 0)
        loop.now += ProxyLimits.lossMilliseconds
        loop.repeatLost()
        #expect(loop.pending[1]?.turn == 1)
        withExtendedLifetime(silent) {}
    }

    @Test("a question that is sent where an earlier one was refused has that go on to the next server")
    func refusedToAnother() throws {
        let (loop, silent, ask) = try refusing()
        // No more at once: the kernel answers fifty at most so.
        for id in UInt64(1)...40 { try ask(id) }
        let left = loop.pending.values.count { $0.turn == 0 }
        #expect(loop.pending.count == 40 && left <= ProxyLimits.portsPerServer)
        withExtendedLifetime(silent) {}
    }

    @Test("an endpoint that asks ever more servers, none of which answers, leaves ports to the others")
    func shares() throws {
        try CurrentProcess.raiseOpenFileLimit()
        let loop = try loop(NameRegistry())
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
