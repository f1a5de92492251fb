// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretTesting
import Testing

@testable import EgretNames

/// Connections through the proxy at moments that clients and servers do not bring about on purpose.
struct RelayLoopTests {
    /// A connection through the proxy, and the ends that its client and its server have.
    private struct Relayed {
        var connection: CheckedConnection
        var client: InternetSocket
        var server: InternetSocket
    }

    private static let token: UInt64 = 16

    private func relayed(_ relay: RelayLoop, _ said: String) throws -> Relayed {
        let (client, server) = (try LoopbackConnection.pair(), try LoopbackConnection.pair())
        let connection = CheckedConnection(
            token: RelayLoopTests.token, endpoint: 1, source: try client.far.ownAddress(),
            destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443), client: client.near,
            server: server.near, reader: SpokenNameReader(), deadline: 0)
        connection.isConnected = true
        connection.pending = Array(said.utf8)[...]
        relay.connections[connection.token] = connection
        relay.hurried.insert(connection.token)
        return Relayed(connection: connection, client: client.far, server: server.far)
    }

    private func relay() throws -> RelayLoop {
        try RelayLoop(
            registry: NameRegistry(), hooks: ConnectionProxy.Hooks(allows: { _, _ in true }),
            settings: ConnectionProxy.Settings(), loop: EventLoop(), listeners: [], port: 1)
    }

    @Test("what a client has said passes once it may pass without a name, though the client says no more")
    func lateBytes() throws {
        let relay = try relay()
        let relayed = try relayed(relay, "HELLO")
        relay.read(relayed.connection)
        #expect(relayed.connection.pending.count == 5)
        relay.tick()
        #expect(relayed.connection.isOpaque)
        #expect(relayed.connection.pending.isEmpty && relayed.connection.server.output.isEmpty)
        #expect(try next(relayed.server) == Array("HELLO".utf8))
    }

    /// What comes next, empty at the end.
    private func next(_ socket: InternetSocket) throws -> [UInt8]? {
        for _ in 0..<1_000 {
            if let bytes = try socket.receive(upTo: 100) { return bytes }
            _ = try runProgram(["sleep", "0.01"])
        }
        return nil
    }

    @Test("what a client has said before it ended passes, and its end too, where no name is needed")
    func lastBytes() throws {
        let relay = try relay()
        let relayed = try relayed(relay, "HELLO")
        relayed.connection.client.isEnded = true
        relay.advance(relayed.connection, isServer: false, [])
        #expect(relayed.connection.isOpaque && relayed.connection.server.isToldEnd)
        #expect(try next(relayed.server) == Array("HELLO".utf8))
        #expect(try next(relayed.server)?.isEmpty == true)
    }

    @Test("a connection ends with its server, also while the client's bytes wait for an answer")
    func unanswered() throws {
        let relay = try relay()
        let relayed = try relayed(
            relay, "GET / HTTP/1.1\r\nHost: a.example.test\r\nUpgrade: websocket\r\n\r\nmore")
        relayed.connection.client.isEnded = true
        relay.advance(relayed.connection, isServer: false, [])
        #expect(relayed.connection.reader.awaitsAnswer && relayed.connection.pending.count == 4)
        relayed.server.endWriting()
        for _ in 0..<1_000 where relay.connections[RelayLoopTests.token] != nil {
            relay.advance(relayed.connection, isServer: true, .readable)
            _ = try runProgram(["sleep", "0.01"])
        }
        #expect(relay.connections.isEmpty)
        _ = relayed.client
    }

    @Test("a connection ends when its way does, and others go on")
    func ways() throws {
        let relay = try relay()
        let relayed = try relayed(relay, "HELLO")
        let orders = RelayOrders()
        let cases: [(UInt32?, [UInt32], Bool)] = [(nil, [], true), (7, [7, 8], true), (7, [8], false)]
        for (mark, kept, isThere) in cases {
            relayed.connection.wayMark = mark
            orders.keep(Swift.Set(kept))
            relay.end(besides: try #require(orders.takeMarks()))
            #expect((relay.connections[RelayLoopTests.token] != nil) == isThere, "\(kept)")
        }
        #expect(orders.takeMarks() == nil)
        // A number that was another way's for a moment is not the same way's.
        orders.keep([1])
        orders.keep([1, 2])
        #expect(orders.takeMarks() == [1])
    }
}
