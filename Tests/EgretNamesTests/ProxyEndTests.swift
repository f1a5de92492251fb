// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import Synchronization
import Testing

@testable import EgretNames

/// Proxies whose threads end by an error.
@Suite("Proxies that end by themselves")
struct ProxyEndTests {
    private final class Told: Sendable {
        let failures = Mutex<[LinuxError]>([])
        var all: [LinuxError] { failures.withLock { $0 } }
    }

    private let told = Told()
    private let error = LinuxError(.overrun, operation: "wait")

    private func fail(_ milliseconds: Int32) throws(LinuxError) -> [(UInt64, EventLoop.Events)] { throw error }

    @Test("the end of the proxy for questions is told, and that somebody has ended it is not")
    func questions() throws {
        let told = self.told
        func loop() throws -> ProxyLoop {
            try ProxyLoop(
                registry: NameRegistry(),
                hooks: NameProxy.Hooks(
                    commit: { _ in [:] }, failed: { error in told.failures.withLock { $0.append(error) } }),
                loop: EventLoop(), datagrams: [], listeners: [], port: 1, trust: nil, silentServers: SilentServers())
        }
        try loop().run(ProxyStage(.stopped))
        #expect(told.all.isEmpty)
        try loop().run(ProxyStage(.working), waiting: fail)
        #expect(told.all == [error])
    }

    @Test("what the proxy for questions leaves unanswered does not count for the next one")
    func books() throws {
        let registry = NameRegistry()
        let address = IPAddress.v4(IPv4Address(192, 0, 2, 10))
        registry.set(NameEndpoint(id: 1, addresses: [address], rules: []), now: 0)
        let loop = try ProxyLoop(
            registry: registry, hooks: NameProxy.Hooks(commit: { _ in [:] }), loop: EventLoop(), datagrams: [],
            listeners: [], port: 1, trust: nil, silentServers: SilentServers())
        let listener = try InternetSocket.listener(at: SocketAddress(ipv4: 0x7f00_0001, port: 0))
        let socket = try InternetSocket.connecting(to: try listener.ownAddress())
        let incarnation = try #require(registry.connectionBegan(of: 1))
        loop.clients[2] = ClientStream(
            socket, token: 2, endpoint: 1, incarnation: incarnation, peer: SocketAddress(address, port: 2),
            destination: SocketAddress(address, port: 53), now: 0)
        loop.run(ProxyStage(.working), waiting: fail)
        let left = registry.update(1) { $0.connections }
        #expect(left == 0)
    }

    @Test("the end of the proxy for connections is told, and that somebody has ended it is not")
    func connections() throws {
        let told = self.told
        func loop() throws -> RelayLoop {
            try RelayLoop(
                registry: NameRegistry(),
                hooks: ConnectionProxy.Hooks(failed: { error in told.failures.withLock { $0.append(error) } }),
                settings: ConnectionProxy.Settings(), loop: EventLoop(), listeners: [], port: 1)
        }
        let orders = RelayOrders()
        orders.stop()
        try loop().run(orders)
        #expect(told.all.isEmpty)
        try loop().run(RelayOrders(), waiting: fail)
        #expect(told.all == [error])
    }
}
