// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux

/// The proxy's work. One thread has it, and nobody else touches it.
final class RelayLoop {
    let registry: NameRegistry
    let hooks: ConnectionProxy.Hooks
    let settings: ConnectionProxy.Settings
    let loop: EventLoop
    private let listeners: [InternetSocket]
    /// `nil` where nobody is accepted.
    private let hostAddresses: HostAddresses?
    private let ownPort: UInt16
    private let patience: UInt64

    /// By the client's token, which is even; tokens below 16 are the listeners'.
    var connections: [UInt64: CheckedConnection] = [:]
    /// Those with a deadline.
    var hurried: Swift.Set<UInt64> = []
    var counts: OwnerCounts
    private var nextToken: UInt64 = 16
    private var arePaused = false
    private var isAccepting = false
    /// Whether the endpoints are known, or some of them.
    var hasBegun = false
    var largePipes = 0
    /// The process that holds connections once they were let through; `nil` if they stay here.
    var custody: RelayCustody?
    /// The marks that connections by ways may have; `nil` if nothing was said of them yet.
    var wayMarks: Swift.Set<UInt32>?
    /// Whether all endpoints are known that were there when the proxy began.
    var isSettled = false
    /// Judges in the place of the hooks what a client says that was not judged yet: ``answer(_:isAllowed:)`` has the connection
    /// go on.
    var ask: ((CheckedConnection, ConnectionAttempt.Speech) -> Void)?
    /// Is told that a connection has ended.
    var ended: ((CheckedConnection, InternetSocket.Volume?) -> Void)?
    var now: UInt64 = BootClock.milliseconds
    private var nextTick: UInt64 = 0

    init(
        registry: NameRegistry, hooks: ConnectionProxy.Hooks, settings: ConnectionProxy.Settings, loop: EventLoop,
        listeners: [InternetSocket], port: UInt16
    ) throws(LinuxError) {
        self.registry = registry
        self.hooks = hooks
        self.settings = settings
        self.loop = loop
        self.listeners = listeners
        hostAddresses = try listeners.isEmpty ? nil : HostAddresses()
        ownPort = port
        patience = settings.patience.milliseconds
        counts = OwnerCounts(most: settings.connections, each: settings.connectionsPerEndpoint)
    }

    private func startAccepting() {
        do throws(LinuxError) {
            for (index, socket) in listeners.enumerated() {
                try loop.add(socket.descriptor, .readable, token: UInt64(index))
            }
            isAccepting = true
        } catch {
            // For want of memory: it is tried again in the next round.
            for socket in listeners { loop.remove(socket.descriptor) }
            arePaused = true
        }
    }

    /// Works until it is told to stop.
    func run(_ orders: RelayOrders) { run(orders, waiting: loop.happened) }

    /// The same; `wait` says what has happened, after so many milliseconds at most.
    func run(
        _ orders: RelayOrders,
        waiting wait: (_ milliseconds: Int32) throws(LinuxError) -> [(UInt64, EventLoop.Events)]
    ) {
        var failure: LinuxError?
        while !orders.isStopped {
            if !hasBegun { hasBegun = !orders.isHeld }
            if !isAccepting, hasBegun { startAccepting() }
            let events: [(UInt64, EventLoop.Events)]
            do throws(LinuxError) {
                events = try wait(hurried.isEmpty && !arePaused && !awaitsHolder ? -1 : 250)
            } catch {
                // Nothing opens by it, but nobody would know why connections by name pass no more.
                failure = error
                break
            }
            now = BootClock.milliseconds
            if orders.isSettled { isSettled = true }
            if let socket = orders.takeHolder() { begin(holdingBy: socket) }
            endWhatMust(orders)
            for (token, happened) in events { handle(token, happened) }
            if now >= nextTick { tick() }
            orders.note(held: heldCount)
        }
        // What another process holds goes on without this one: not against rules that are in force since a moment ago.
        endWhatMust(orders)
        for connection in Array(connections.values) { close(connection, isReset: true) }
        endCustody(isWhole: orders.endsHeld)
        orders.note(held: heldCount)
        if let failure { hooks.failed(failure) }
    }

    /// Ends what may go on no more, as others have asked.
    private func endWhatMust(_ orders: RelayOrders) {
        let tests = orders.takeTests()
        for test in tests { end(where: test) }
        if !tests.isEmpty { tellMoments() }
        if let marks = orders.takeMarks() { end(besides: marks) }
    }

    /// Does what is to be done now that a descriptor is ready.
    func handle(_ token: UInt64, _ events: EventLoop.Events) {
        if token == RelayCustody.token { return hearHolder() }
        if token < 16 { return accept(Int(token)) }
        guard let connection = connections[token & ~1] else { return }
        advance(connection, isServer: token & 1 == 1, events)
    }

    /// Ends the patience with clients that have said no name in time.
    func tick() {
        nextTick = now + 250
        lookAfterHolder()
        if arePaused {
            arePaused = false
            pause(false)
        }
        for token in hurried {
            guard let connection = connections[token] else {
                hurried.remove(token)
                continue
            }
            guard now >= connection.deadline else { continue }
            if connection.isRefused { close(connection, isReset: true) } else { judge(connection, .nothing(.silent)) }
            // What was said so far passes now, if it may: its sender waits for an answer, and may say no more.
            if connections[token] != nil, !connection.isRefused { advance(connection, isServer: false, []) }
        }
    }

    /// Accepts the connections that wait.
    private func accept(_ index: Int) {
        for _ in 0..<64 {
            do throws(LinuxError) {
                guard let (socket, source) = try listeners[index].accept() else { return }
                try take(socket, source)
            } catch {
                // Mostly for want of descriptors; connections wait in the kernel meanwhile.
                arePaused = true
                return pause(true)
            }
        }
    }

    private func pause(_ isPaused: Bool) {
        for (index, socket) in listeners.enumerated() {
            try? loop.change(socket.descriptor, isPaused ? [] : .readable, token: UInt64(index))
        }
    }

    /// Begins a connection, unless its endpoint may not have it: then it is reset.
    private func take(_ socket: InternetSocket, _ source: SocketAddress) throws(LinuxError) {
        var isTaken = false
        defer { if !isTaken { socket.resetOnClose() } }
        guard let owner = registry.owner(of: source.address) else { return }
        let endpoint = owner.endpoint
        let found = settings.isTransparent ? try? socket.ownAddress() : socket.originalDestination()
        // What was sent to the proxy itself goes nowhere.
        guard let destination = found, destination.port != ownPort else { return }
        guard !registry.rules(of: endpoint, holding: destination.address, by: nil, now: now).isEmpty else {
            return hooks.event(endpoint, .notHeld(destination))
        }
        // What comes to this host is not decided here, and from here it would meet none of the rules for it.
        guard let hostAddresses, !hostAddresses.contains(destination.address, now: now) else {
            return hooks.event(endpoint, .denied(destination))
        }
        let beginning = hooks.begin(endpoint, destination)
        guard beginning != .refuse else { return hooks.event(endpoint, .denied(destination)) }
        guard counts.hasRoom(for: owner) else { return hooks.event(endpoint, .limited(destination)) }
        try? socket.setRelayOptions()
        let server: InternetSocket
        var (mark, wayMark): (UInt32?, UInt32?) = (settings.mark, nil)
        switch settings.departure(source, destination) {
        case .main: break
        case .marked(let way): (mark, wayMark) = (way, way)
        case .nowhere: return hooks.event(endpoint, .unreachable(destination, .hostUnreachable))
        }
        do throws(LinuxError) {
            let own = settings.isTransparent && settings.keepsSource ? source : nil
            server = try .connecting(
                to: destination, from: own, mark: mark, codePoint: settings.codePoint(endpoint, destination))
        } catch {
            return hooks.event(endpoint, .unreachable(destination, error.errno))
        }
        try? server.setRelayOptions()
        let protocols = settings.protocols(endpoint, destination.port)
        let connection = CheckedConnection(
            token: nextToken, endpoint: endpoint, incarnation: owner.incarnation, source: source,
            destination: destination, client: socket, server: server, reader: SpokenNameReader(protocols),
            deadline: now + patience)
        connection.wayMark = wayMark
        connection.protocols = protocols
        if custody != nil { connection.history = [] }
        nextToken += 2
        isTaken = true
        connections[connection.token] = connection
        counts.add(owner)
        if beginning == .pass { letPass(connection) } else { hurried.insert(connection.token) }
        settle(connection)
    }

    private func end(where mustEnd: RelayOrders.Test) {
        for connection in Array(connections.values) {
            guard let attempt = connection.allowed, mustEnd(connection.endpoint, attempt) else { continue }
            close(connection, isReset: true)
        }
        endHeld(where: mustEnd)
    }

    /// Ends the connections by ways that are none of these.
    func end(besides marks: Swift.Set<UInt32>) {
        wayMarks = marks
        endHeld(besides: marks)
        for connection in Array(connections.values) {
            guard let mark = connection.wayMark, !marks.contains(mark) else { continue }
            close(connection, isReset: true)
        }
    }

    /// Forgets a connection and closes both ends.
    func close(_ connection: CheckedConnection, isReset: Bool) {
        guard connections.removeValue(forKey: connection.token) != nil else { return }
        if let attempt = connection.allowed {
            let volume = connection.client.socket.volume()
            hooks.event(connection.endpoint, .ended(attempt, volume))
            ended?(connection, volume)
        }
        forget(connection)
        if isReset { for side in [connection.client, connection.server] { side.socket.resetOnClose() } }
        counts.remove(connection.owner)
    }

    /// Waits for nothing of a connection any more.
    func forget(_ connection: CheckedConnection) {
        connections[connection.token] = nil
        hurried.remove(connection.token)
        for side in [connection.client, connection.server] {
            // Not by its close alone: somebody else may have the same socket open.
            if side.events != nil { loop.remove(side.socket.descriptor) }
            side.events = nil
            if side.hasLargePipe { largePipes -= 1 }
            side.hasLargePipe = false
        }
    }
}
