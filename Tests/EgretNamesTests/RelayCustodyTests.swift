// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import Synchronization
import Testing

@testable import EgretNames

/// The proxy's side of connections that another process holds; the test is that process.
@Suite("Connections that a proxy hands over")
struct RelayCustodyTests {
    private struct Missing: Error {}

    /// What the hooks were told.
    private final class Told: Sendable {
        struct State {
            var events: [ConnectionEvent] = []
            var lost: [Bool] = []
            var moment: Int64?
            var mayResume = true
            var isAllowed = true
        }

        let state = Mutex(State())
        var ended: Int {
            state.withLock { state in
                state.events.filter { if case .ended = $0 { true } else { false } }.count
            }
        }
        var lost: [Bool] { state.withLock { $0.lost } }
    }

    private static let own = IPAddress.v4(IPv4Address(192, 0, 2, 10))

    /// A proxy's loop with one endpoint, and the other end of what it hands connections to.
    private final class Bench {
        let told: Told
        let relay: RelayLoop
        let holder: MessageSocket
        private var buffer = [UInt8](repeating: 0, count: RelayMessage.largest)

        init(begun: Bool = true) throws {
            let told = Told()
            self.told = told
            let registry = NameRegistry()
            registry.set(NameEndpoint(id: 1, addresses: [RelayCustodyTests.own], rules: []), now: 0)
            let hooks = ConnectionProxy.Hooks(
                allows: { _, _ in told.state.withLock { $0.isAllowed } },
                event: { _, event in told.state.withLock { $0.events.append(event) } },
                describe: { _, _ in
                    (link: "veth1#4", moment: told.state.withLock { $0.moment }, until: 100)
                },
                resumes: { endpoint, held in
                    endpoint == 1 && held.link == "veth1#4" && told.state.withLock { $0.mayResume }
                },
                lost: { _, isOther in told.state.withLock { $0.lost.append(isOther) } })
            relay = try RelayLoop(
                registry: registry, hooks: hooks, settings: ConnectionProxy.Settings(), loop: EventLoop(),
                listeners: [], port: 1)
            let (near, far) = try MessageSocket.pair()
            holder = far
            relay.hasBegun = begun
            relay.begin(holdingBy: near)
        }

        /// Has the process say something, and the proxy hear it.
        func say(_ messages: RelayMessage...) throws {
            for message in messages { #expect(try holder.send(message.bytes)) }
            relay.hearHolder()
        }

        func greet() throws { try say(.greeting(version: RelayMessage.version, next: 16), .listed) }

        /// What the proxy has said, and what came with it; `nil` if it has said nothing.
        func heard() throws -> (RelayMessage, [Descriptor])? {
            guard case .message(let count, let attached) = try holder.receive(into: &buffer) else { return nil }
            return (try RelayMessage(buffer[..<count]), attached)
        }

        /// Whether the proxy has said nothing.
        func isSilent() throws -> Bool {
            if case .message = try holder.receive(into: &buffer) { return false }
            return true
        }

        /// A connection that is made, whose client has said something.
        func connection(_ said: String, token: UInt64 = 16) throws -> CheckedConnection {
            let (client, server) = (try pair(), try pair())
            let connection = CheckedConnection(
                token: token, endpoint: 1, source: SocketAddress(RelayCustodyTests.own, port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443), client: client.near,
                server: server.near, reader: SpokenNameReader(), deadline: 0)
            (connection.isConnected, connection.protocols) = (true, Swift.Set(GreetingProtocol.allCases))
            connection.pending = Array(said.utf8)[...]
            connection.history = Array(said.utf8)
            relay.connections[token] = connection
            return connection
        }

        private func pair() throws -> (near: InternetSocket, far: InternetSocket) {
            let ends = try LoopbackConnection.pair()
            fars.append(ends.far)
            return ends
        }

        /// The ends of clients and servers.
        private var fars: [InternetSocket] = []
    }

    private func held(
        _ number: UInt64, link: String = "veth1#4", from own: IPAddress = RelayCustodyTests.own, way: UInt32? = nil
    )
        -> HeldConnection
    {
        HeldConnection(
            number: number,
            attempt: ConnectionAttempt(
                source: SocketAddress(own, port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443),
                speech: .name(SpokenName("a.example.test", .tls)), rules: [0]),
            link: link, wayMark: way)
    }

    @Test(
        "a connection changes hands when it was let through, with all that its client has said and how much of it has passed"
    )
    func handing() throws {
        let request = "GET / HTTP/1.1\r\nHost: a.example.test\r\n\r\n"
        let bench = try Bench()
        let early = try bench.connection(request)
        bench.relay.advance(early, isServer: false, [])
        #expect(early.allowed != nil && bench.relay.connections[16] != nil, "nobody has said that he holds any")
        try bench.greet()
        let connection = try bench.connection(request, token: 18)
        bench.relay.advance(connection, isServer: false, [])
        #expect(bench.relay.connections[18] == nil && bench.told.ended == 0)
        guard case (.take(let held, let state), let attached)? = try bench.heard() else { throw Missing() }
        #expect(held.number == 16 && held.link == "veth1#4" && held.attempt == connection.allowed)
        #expect(attached.count == 2 && !state.isOpaque && state.protocols.count == 3)
        #expect(state.fromClient == Array(request.utf8) && state.passed == request.utf8.count)
        // The number is not given again.
        bench.relay.settle(early)
        guard case (.take(let next, _), _)? = try bench.heard() else { throw Missing() }
        #expect(next.number == 18)
        let volume = InternetSocket.Volume(bytesReceived: 1, segmentsReceived: 2, bytesSent: 3, segmentsSent: 4)
        try bench.say(.ended(16, volume))
        let last = bench.told.state.withLock { $0.events.last }
        #expect(last == ConnectionEvent.ended(held.attempt, volume))
    }

    @Test("what passes unread changes hands later, too; what is read does not once its server may have answered")
    func later() throws {
        let bench = try Bench()
        let (opaque, read) = (try bench.connection("HELLO"), try bench.connection("GET / HTTP/1.1\r\n", token: 18))
        for connection in [opaque, read] { connection.hasHeardServer = true }
        bench.relay.letPass(opaque)
        read.allowed = opaque.allowed
        opaque.client.output = Array("so far".utf8)
        try bench.greet()
        bench.relay.settle(read)
        bench.relay.settle(opaque)
        guard case (.take(_, let state), _)? = try bench.heard() else { throw Missing() }
        #expect(state.isOpaque && state.fromClient == Array("HELLO".utf8) && state.fromServer == Array("so far".utf8))
        #expect(try bench.isSilent())
        #expect(Array(bench.relay.connections.keys) == [18])
    }

    @Test("what a former proxy has left is judged when its endpoint is there, and ends if it may not go on")
    func claiming() throws {
        let bench = try Bench(begun: false)
        let stranger = IPAddress.v4(IPv4Address(192, 0, 2, 99))
        bench.relay.end(besides: [7])
        try bench.say(
            .greeting(version: RelayMessage.version, next: 32), .held(held(16)), .held(held(18, link: "veth9#9")),
            .held(held(20, from: stranger)), .held(held(22, way: 7)), .held(held(24, way: 8)), .listed)
        // The endpoints are not known yet.
        #expect(try bench.isSilent() && bench.relay.awaitsEndpoints)
        bench.relay.hasBegun = true
        bench.relay.tick()
        var ended: Swift.Set<UInt64> = []
        while case (.end(let number), _)? = try bench.heard() { ended.insert(number) }
        #expect(ended == [18, 24])
        #expect(bench.relay.heldCount == 3, "one whose endpoint has not come among them")
        #expect(bench.relay.awaitsEndpoints, "one endpoint has not come yet")
        bench.relay.isSettled = true
        bench.relay.tick()
        guard case (.end(20), _)? = try bench.heard() else { throw Missing() }
        #expect(!bench.relay.awaitsEndpoints)
        #expect(bench.relay.custody?.held.count == 2 && bench.relay.counts.total == 2)
        try bench.say(.ended(16, nil), .ended(18, nil))
        #expect(bench.relay.counts.total == 1 && bench.told.ended == 1 && bench.relay.heldCount == 1)
    }

    @Test("of what goes on it is told at once when a rule's time ends it now")
    func foreseeing() throws {
        let bench = try Bench()
        bench.told.state.withLock { $0.moment = 9 }
        try bench.say(.greeting(version: RelayMessage.version, next: 32), .held(held(16)), .listed)
        guard case (.judged(16, moment: 9, until: 100), _)? = try bench.heard() else { throw Missing() }
        #expect(try bench.isSilent())
        // Also where nobody knows any more when it was judged.
        bench.told.state.withLock { $0.moment = nil }
        bench.relay.custody?.held[16]?.connection.until = nil
        bench.relay.tellMoments()
        guard case (.judged(16, moment: 9, until: 100), _)? = try bench.heard() else { throw Missing() }
    }

    @Test("none goes on that the policies of today do not allow")
    func refusing() throws {
        let bench = try Bench()
        bench.told.state.withLock { $0.mayResume = false }
        try bench.say(.greeting(version: RelayMessage.version, next: 32), .held(held(16)), .listed)
        guard case (.end(16), _)? = try bench.heard() else { throw Missing() }
        #expect(bench.relay.custody?.held.isEmpty == true)
    }

    @Test("held connections end by other rules and when their way has gone, once; the others' new moment is told")
    func changing() throws {
        let bench = try Bench()
        try bench.say(
            .greeting(version: RelayMessage.version, next: 32), .held(held(16)), .held(held(18, way: 7)), .listed)
        bench.relay.end(besides: [8])
        bench.relay.end(besides: [8])
        guard case (.end(18), _)? = try bench.heard() else { throw Missing() }
        #expect(try bench.isSilent())
        bench.told.state.withLock { $0.moment = 9 }
        bench.relay.tellMoments()
        guard case (.judged(16, moment: 9, until: 100), _)? = try bench.heard() else { throw Missing() }
        bench.relay.tellMoments()
        #expect(try bench.isSilent())
        bench.relay.endHeld { endpoint, attempt in endpoint == 1 && attempt.rules == [0] }
        guard case (.end(16), _)? = try bench.heard() else { throw Missing() }
    }

    @Test(
        "what a client says later is judged for who holds the connection, also if it was said while there was no agent")
    func judging() throws {
        let bench = try Bench(begun: false)
        let said = RelayMessage.asks(16, .name(SpokenName("b.example.test", .http1)))
        try bench.say(.greeting(version: RelayMessage.version, next: 32), .held(held(16)), .listed, said)
        #expect(try bench.isSilent())
        bench.relay.hasBegun = true
        bench.relay.tick()
        guard case (.answer(16, isAllowed: true), _)? = try bench.heard() else { throw Missing() }
        bench.told.state.withLock { $0.isAllowed = false }
        try bench.say(said)
        guard case (.answer(16, isAllowed: false), _)? = try bench.heard() else { throw Missing() }
        guard case .refused(let attempt)? = bench.told.state.withLock({ $0.events.last }) else { throw Missing() }
        #expect(attempt.speech == .name(SpokenName("b.example.test", .http1)))
    }

    @Test("one of another version, or that does not answer, has all end, and is told apart from one that has gone")
    func versions() throws {
        let bench = try Bench()
        try bench.say(.greeting(version: 99, next: 16))
        guard case (.endAll, _)? = try bench.heard() else { throw Missing() }
        #expect(bench.told.lost == [true] && bench.relay.custody == nil)
        let silent = try Bench()
        silent.relay.tick()
        #expect(silent.told.lost.isEmpty && silent.relay.awaitsHolder)
        silent.relay.now += RelayCustody.slowest
        silent.relay.tick()
        guard case (.endAll, _)? = try silent.heard() else { throw Missing() }
        #expect(silent.told.lost == [true])
        let other = try Bench()
        try other.greet()
        try other.say(.held(held(16)), .listed)
        try other.say(.endAll)
        #expect(other.told.lost == [false] && other.told.ended == 1 && other.relay.counts.total == 0)
    }

    @Test("how many connections are held is known to others while the proxy works")
    func counted() throws {
        let bench = try Bench()
        try bench.say(
            .greeting(version: RelayMessage.version, next: 32), .held(held(16)), .held(held(18)), .listed)
        let orders = RelayOrders()
        var seen: [Int] = []
        bench.relay.run(orders) { _ in
            seen.append(orders.held)
            if seen.count == 2 { orders.stop() }
            return []
        }
        #expect(seen == [0, 2] && orders.held == 0)
    }

    @Test("what must end by the last change before the proxy's end is told all the same")
    func lastChange() throws {
        for isWayGone in [false, true] {
            let bench = try Bench()
            try bench.say(
                .greeting(version: RelayMessage.version, next: 32), .held(held(16)), .held(held(18, way: 7)), .listed)
            let orders = RelayOrders()
            if isWayGone {
                orders.keep([8])
            } else {
                orders.add { endpoint, attempt in endpoint == 1 && attempt.destination.port == 443 }
            }
            orders.leave()
            orders.stop()
            bench.relay.run(orders)
            var ended: Swift.Set<UInt64> = []
            while case (.end(let number), _)? = try bench.heard() { ended.insert(number) }
            #expect(ended == (isWayGone ? [18] : [16, 18]))
            #expect(bench.relay.custody == nil)
        }
    }

    @Test("no more is handed over than the process has descriptors for")
    func most() throws {
        let (near, far) = try MessageSocket.pair()
        let custody = RelayCustody(near, openFiles: 76)
        #expect(!custody.hasRoom(0), "it has not said anything yet")
        custody.next = 32
        custody.unclaimed[16] = held(16)
        #expect(custody.hasRoom(0))
        custody.held[18] = RelayCustody.Held(connection: held(18), owner: NameOwner(endpoint: 1, incarnation: 0))
        #expect(!custody.hasRoom(0))
        #expect(!custody.take(held(32), HandedState(), [], now: 0))
        var buffer = [UInt8](repeating: 0, count: 64)
        guard case .nothing = try far.receive(into: &buffer) else { throw Missing() }
        custody.unclaimed = [:]
        #expect(custody.hasRoom(0))
    }

    @Test("what waits for a process that has stopped is bounded: then it is as if there were none")
    func bounded() throws {
        let (near, far) = try MessageSocket.pair()
        let custody = RelayCustody(near)
        while !custody.isBehind { try custody.send(.end(16)) }
        for _ in 1..<RelayCustody.mostWaiting { try custody.send(.end(16)) }
        #expect(throws: LinuxError.self) { try custody.send(.end(16)) }
        withExtendedLifetime(far) {}
    }

    @Test("at the proxy's end what is held goes on, or ends with it")
    func leaving() throws {
        for isWhole in [false, true] {
            let bench = try Bench()
            try bench.greet()
            bench.relay.endCustody(isWhole: isWhole)
            if isWhole {
                guard case (.endAll, _)? = try bench.heard() else { throw Missing() }
            }
            #expect(try bench.isSilent() && bench.told.lost.isEmpty)
        }
    }
}
