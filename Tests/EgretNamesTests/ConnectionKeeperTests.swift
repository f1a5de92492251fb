// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretTesting
import Testing

@testable import EgretNames

/// The process that holds connections, as agents, clients and servers see it.
@Suite("Connections that another process holds")
struct ConnectionKeeperTests {
    private struct Missing: Error {}

    /// A connection whose near ends somebody else has.
    private struct Ends {
        var client: InternetSocket
        var server: InternetSocket
    }

    private static func held(_ number: UInt64, _ speech: ConnectionAttempt.Speech = .nothing(.silent)) -> HeldConnection
    {
        HeldConnection(
            number: number,
            attempt: ConnectionAttempt(
                source: SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443), speech: speech, rules: [0]),
            link: "veth1#4", moment: 5)
    }

    /// A keeper that works when the test has it work, and the socket of whoever speaks to it.
    private final class Bench {
        let directory: TemporaryDirectory
        let keeper: ConnectionKeeper
        private(set) var agent: MessageSocket?
        private var buffer = [UInt8](repeating: 0, count: RelayMessage.largest)

        init(openFiles: Int? = nil) throws {
            directory = try TemporaryDirectory()
            let listener = try MessageSocket.bind(directory.path + "/relay")
            try listener.listen()
            keeper = try ConnectionKeeper(at: listener, patience: .zero, openFiles: openFiles)
            try connect()
        }

        func connect() throws { agent = try MessageSocket.connect(to: directory.path + "/relay") }

        func leave() { agent = nil }

        func send(_ message: RelayMessage, _ attached: [Descriptor] = []) throws {
            #expect(try agent?.send(message.bytes, with: attached) == true)
        }

        /// The next message, while the keeper works.
        func next() throws -> RelayMessage {
            try wait { () throws -> RelayMessage? in
                guard case .message(let count, _) = try self.agent?.receive(into: &self.buffer) else { return nil }
                return try RelayMessage(self.buffer[..<count])
            }
        }

        /// Waits until the keeper listens no more.
        func waitUntilDropped() throws {
            let isGone = try wait { () throws -> Bool? in
                guard case .ended = try self.agent?.receive(into: &self.buffer) else { return nil }
                return true
            }
            #expect(isGone)
        }

        /// What comes next at a socket, empty at the end, while the keeper works.
        func next(_ socket: InternetSocket) throws -> String {
            let bytes = try wait { () throws -> [UInt8]? in try socket.receive(upTo: 1_000) }
            return String(decoding: bytes, as: UTF8.self)
        }

        func wait<Found>(_ look: () throws -> Found?) throws -> Found {
            for _ in 0..<500 {
                try keeper.work(milliseconds: 10)
                if let found = try look() { return found }
            }
            throw Missing()
        }

        /// Hears that nothing is held.
        func begin(_ next: UInt64 = 16) throws {
            #expect(try self.next() == .greeting(version: RelayMessage.version, next: next))
            #expect(try self.next() == .listed)
        }

        /// Hands over a connection.
        func hand(_ held: HeldConnection, _ state: HandedState) throws -> Ends {
            let (client, server) = (try LoopbackConnection.pair(), try LoopbackConnection.pair())
            try send(.take(held, state), [client.near.descriptor, server.near.descriptor])
            return Ends(client: client.far, server: server.far)
        }
    }

    private func send(_ text: String, by socket: InternetSocket) throws {
        #expect(try socket.send(Array(text.utf8)[...]) == text.utf8.count)
    }

    private var opaque: HandedState {
        var state = HandedState()
        state.isOpaque = true
        return state
    }

    @Test(
        "what was under way comes first, then bytes pass both ways, half closed too, and the end is told with its counts"
    )
    func passing() throws {
        let bench = try Bench()
        try bench.begin()
        var state = opaque
        (state.fromClient, state.fromServer) = (Array("up ".utf8), Array("down ".utf8))
        let ends = try bench.hand(Self.held(16), state)
        #expect(try bench.next(ends.server) == "up ")
        #expect(try bench.next(ends.client) == "down ")
        try send("more", by: ends.client)
        #expect(try bench.next(ends.server) == "more")
        try send("answer", by: ends.server)
        #expect(try bench.next(ends.client) == "answer")
        ends.server.endWriting()
        #expect(try bench.next(ends.client) == "")
        try send("last", by: ends.client)
        #expect(try bench.next(ends.server) == "last")
        ends.client.endWriting()
        #expect(try bench.next(ends.server) == "")
        guard case .ended(16, let volume) = try bench.next() else { throw Missing() }
        // The kernel counts the end as a byte.
        #expect((8...9).contains(volume?.bytesReceived ?? 0))
        #expect(bench.keeper.count == 0)
    }

    @Test("ends that were told before the hands changed stay so")
    func halfClosed() throws {
        let bench = try Bench()
        try bench.begin()
        let (client, server) = (try LoopbackConnection.pair(), try LoopbackConnection.pair())
        client.far.endWriting()
        let end = try bench.wait { () throws -> [UInt8]? in try client.near.receive(upTo: 1) }
        #expect(end.isEmpty)
        server.near.endWriting()
        var state = opaque
        (state.hasClientEnded, state.isServerTold) = (true, true)
        try bench.send(.take(Self.held(16), state), [client.near.descriptor, server.near.descriptor])
        #expect(try bench.next(server.far) == "")
        try send("answer", by: server.far)
        #expect(try bench.next(client.far) == "answer")
        server.far.endWriting()
        #expect(try bench.next(client.far) == "")
        guard case .ended(16, _) = try bench.next() else { throw Missing() }
    }

    @Test("a connection ends when it is told to, with a reset at both ends, and others go on")
    func ending() throws {
        let bench = try Bench()
        try bench.begin()
        let (first, second) = (try bench.hand(Self.held(16), opaque), try bench.hand(Self.held(18), opaque))
        try send("here", by: second.client)
        #expect(try bench.next(second.server) == "here")
        try bench.send(.end(16))
        guard case .ended(16, _) = try bench.next() else { throw Missing() }
        #expect(throws: LinuxError.self) { try bench.next(first.client) }
        #expect(throws: LinuxError.self) { try bench.next(first.server) }
        try send("still", by: second.client)
        #expect(try bench.next(second.server) == "still")
    }

    @Test(
        "without an agent connections go on, the next one is told of them, and nobody is waited for when they have ended"
    )
    func agents() throws {
        let bench = try Bench()
        try bench.begin()
        let ends = try bench.hand(Self.held(16), opaque)
        try bench.send(.judged(16, moment: 77, until: nil))
        bench.leave()
        try send("alone", by: ends.client)
        #expect(try bench.next(ends.server) == "alone")
        try send("alone too", by: ends.server)
        #expect(try bench.next(ends.client) == "alone too")
        try bench.connect()
        #expect(try bench.next() == .greeting(version: RelayMessage.version, next: 18))
        var known = Self.held(16)
        known.moment = 77
        #expect(try bench.next() == .held(known))
        #expect(try bench.next() == .listed)
        // What is told at once before the agent goes is heard.
        try bench.send(.endAll)
        bench.leave()
        #expect(throws: LinuxError.self) { try bench.next(ends.client) }
        try bench.keeper.run()
        #expect(bench.keeper.count == 0)
        #expect(throws: LinuxError.self) { try ends.server.receive(upTo: 1) }
    }

    @Test(
        "HTTP is read on: what the server has got does not come again, and another name waits for an agent's judgement")
    func requests() throws {
        func request(_ name: String) -> String { "GET / HTTP/1.1\r\nHost: \(name).example.test\r\n\r\n" }
        func asked(_ name: String) -> RelayMessage { .asks(16, .name(SpokenName("\(name).example.test", .http1))) }
        let bench = try Bench()
        try bench.begin()
        var state = HandedState()
        (state.protocols, state.fromClient, state.passed) = ([.http1], Array((request("a") + "GE").utf8), 20)
        let ends = try bench.hand(Self.held(16, .name(SpokenName("A.example.test", .http1))), state)
        // Bytes: the end of a line is one character.
        #expect(try bench.next(ends.server) == String(decoding: request("a").utf8.dropFirst(20), as: UTF8.self))
        try send(String(request("a").dropFirst(2)), by: ends.client)
        #expect(try bench.next(ends.server) == request("a"))
        try send(request("b"), by: ends.client)
        #expect(try bench.next() == asked("b"))
        // An answer that does not come any more.
        bench.leave()
        try send("so far", by: ends.server)
        #expect(try bench.next(ends.client) == "so far")
        try bench.connect()
        #expect(try bench.next() == .greeting(version: RelayMessage.version, next: 18))
        _ = try bench.next()
        #expect(try bench.next() == .listed)
        #expect(try bench.next() == asked("b"))
        #expect(try ends.server.receive(upTo: 1) == nil)
        try bench.send(.answer(16, isAllowed: true))
        #expect(try bench.next(ends.server) == request("b"))
        try send(request("c"), by: ends.client)
        #expect(try bench.next() == asked("c"))
        try bench.send(.answer(16, isAllowed: false))
        guard case .ended(16, _) = try bench.next() else { throw Missing() }
        #expect(throws: LinuxError.self) { try bench.next(ends.server) }
    }

    @Test("what a rule's time ends ends without an agent, at that time and not before")
    func times() throws {
        let bench = try Bench()
        try bench.begin()
        var timed = Self.held(16)
        timed.until = 1_000
        let (ends, others) = (try bench.hand(timed, opaque), try bench.hand(Self.held(18), opaque))
        try send("here", by: ends.client)
        #expect(try bench.next(ends.server) == "here")
        bench.keeper.endOld(1_000)
        bench.keeper.endOld(1_059)
        #expect(bench.keeper.count == 2, "the agent does that")
        bench.leave()
        try send("and here", by: others.client)
        #expect(try bench.next(others.server) == "and here")
        let isAlone = try bench.wait { () -> Bool? in bench.keeper.isAlone ? true : nil }
        #expect(isAlone)
        bench.keeper.endOld(999)
        #expect(bench.keeper.count == 2)
        bench.keeper.endOld(1_000)
        #expect(bench.keeper.count == 1)
        #expect(throws: LinuxError.self) { try bench.next(ends.client) }
        try send("still", by: others.client)
        #expect(try bench.next(others.server) == "still")
    }

    @Test("an agent that judges nothing again keeps open for a minute at most what a rule's time ends")
    func stuckAgent() throws {
        let bench = try Bench()
        try bench.begin()
        var timed = Self.held(16)
        timed.until = 1_000
        let (ends, others) = (try bench.hand(timed, opaque), try bench.hand(Self.held(18), opaque))
        try bench.send(.judged(18, moment: 7, until: 1_030))
        try send("here", by: others.client)
        #expect(try bench.next(others.server) == "here")
        bench.keeper.endOld(1_060)
        #expect(bench.keeper.count == 1)
        #expect(throws: LinuxError.self) { try bench.next(ends.client) }
        try bench.send(.judged(18, moment: 8, until: nil))
        try send("still", by: others.client)
        #expect(try bench.next(others.server) == "still")
        bench.keeper.endOld(2_000)
        #expect(bench.keeper.count == 1)
    }

    @Test("it holds no more than it has descriptors for: what is beyond is reset, and told of, and the rest goes on")
    func most() throws {
        #expect(RelayLimits.held(openFiles: 524_288) == 65_536)
        #expect(RelayLimits.held(openFiles: 4_096) == 672)
        #expect(RelayLimits.held(openFiles: 10) == 0)
        let bench = try Bench(openFiles: 70)
        try bench.begin()
        let (first, second) = (try bench.hand(Self.held(16), opaque), try bench.hand(Self.held(18), opaque))
        #expect(try bench.next() == .ended(18, nil))
        #expect(throws: LinuxError.self) { try bench.next(second.client) }
        #expect(throws: LinuxError.self) { try bench.next(second.server) }
        try send("here", by: first.client)
        #expect(try bench.next(first.server) == "here")
        try bench.send(.end(16))
        guard case .ended(16, _) = try bench.next() else { throw Missing() }
        let third = try bench.hand(Self.held(20), opaque)
        try send("here", by: third.client)
        #expect(try bench.next(third.server) == "here")
    }

    @Test("what is no connection is none, and who says what is not understood is not listened to any more")
    func nonsense() throws {
        let bench = try Bench()
        try bench.begin()
        let ends = try bench.hand(Self.held(16), opaque)
        try bench.send(.take(Self.held(18), opaque))
        #expect(try bench.next() == .ended(18, nil))
        let pipe = try Descriptor.pipe()
        try bench.send(.take(Self.held(20), opaque), [pipe.read, pipe.write])
        #expect(try bench.next() == .ended(20, nil))
        // A number that another connection had.
        try bench.send(.take(Self.held(18), opaque))
        try bench.waitUntilDropped()
        try bench.connect()
        #expect(try bench.next() == .greeting(version: RelayMessage.version, next: 22))
        #expect(try bench.next() == .held(Self.held(16)))
        try send("here", by: ends.client)
        #expect(try bench.next(ends.server) == "here")
    }
}
