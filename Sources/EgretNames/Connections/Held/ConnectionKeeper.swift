// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
public import EgretLinux
import EgretPolicy

/// Holds connections that a proxy has let through, and goes on with them when the proxy's process ends.
///
/// It passes their bytes as the proxy does, by the same code, and judges nothing: what a client says on a connection that was not
/// judged yet waits until a proxy has said whether it may pass. It listens to one proxy at a time, which is told what is held
/// when it connects, and of the end of each. When no proxy is there it goes on, and ends with the last connection.
///
/// It is the work of one thread, which is the process's only one.
public final class ConnectionKeeper {
    private static let listenerToken: UInt64 = 1
    private static let agentToken: UInt64 = 2
    private let listener: MessageSocket
    private let user: UInt32
    private let patience: UInt64
    /// Connections at a time.
    private let most: Int
    private let loop: EventLoop
    private let relay: RelayLoop
    private var connections: [UInt64: HeldConnection] = [:]
    /// The number of the next connection: even, and none of the loop's own.
    private var next: UInt64 = 16
    private var agent: MessageSocket?
    private var hasHadAgent = false
    /// What is to be sent once there is room: at most a message or two for each connection.
    private var waiting: [[UInt8]] = []
    private var isWriting = false
    /// Whether a rule's time may end some of them.
    private var haveTimes = false
    /// The second at which that was looked at last.
    private var lookedAt: Int64?
    private var buffer = [UInt8](repeating: 0, count: RelayMessage.largest)

    /// Prepares to work.
    ///
    /// - Parameters:
    ///   - listener: Where proxies connect.
    ///   - user: Whose processes may.
    ///   - patience: How long the first one may take to come.
    ///   - openFiles: How many files the process may have open; `nil` for what the kernel says.
    /// - Throws: `LinuxError` if there is nothing to wait with.
    public init(
        at listener: MessageSocket, of user: UInt32 = CurrentProcess.effectiveUser, patience: Duration = .seconds(30),
        openFiles: Int? = nil
    ) throws(LinuxError) {
        most = RelayLimits.held(openFiles: openFiles)
        self.listener = listener
        self.user = user
        self.patience = patience.milliseconds
        loop = try EventLoop()
        relay = try RelayLoop(
            registry: NameRegistry(), hooks: ConnectionProxy.Hooks(), settings: ConnectionProxy.Settings(), loop: loop,
            listeners: [], port: 0)
        try loop.add(listener.descriptor, .readable, token: ConnectionKeeper.listenerToken)
        relay.ended = { [unowned self] connection, volume in
            self.connections[connection.token] = nil
            self.tell(.ended(connection.token, volume))
        }
        relay.ask = { [unowned self] connection, speech in self.tell(.asks(connection.token, speech)) }
    }

    /// Works until there is nothing to do any more: when no proxy is there, and no connection.
    ///
    /// - Throws: `LinuxError` if it cannot wait any more, for want of memory.
    public func run() throws(LinuxError) {
        let start = BootClock.milliseconds
        while true {
            if agent == nil, connections.isEmpty {
                accept()
                if agent == nil, hasHadAgent || BootClock.milliseconds >= start + patience { return }
            }
            endOld(WallTime.now.seconds)
            let isPressing = agent == nil && (connections.isEmpty || haveTimes)
            try work(milliseconds: isPressing ? 250 : haveTimes ? 1_000 : -1)
        }
    }

    /// For how long an agent that is there may leave it at a time that has passed, in seconds. It judges again within a second or so,
    /// if it is not stuck, or at its start.
    private static let grace: Int64 = 60

    /// Ends what a rule's time ends, where nobody judges it.
    func endOld(_ now: Int64) {
        guard haveTimes, now != lookedAt else { return }
        (haveTimes, lookedAt) = (false, now)
        let latest = agent == nil ? now : now - ConnectionKeeper.grace
        for (number, held) in connections {
            guard let until = held.until else { continue }
            if latest >= until, let connection = relay.connections[number] {
                relay.close(connection, isReset: true)
            } else {
                haveTimes = true
            }
        }
    }

    /// Does what there is to do, after so many milliseconds at most.
    func work(milliseconds: Int32) throws(LinuxError) {
        flush()
        let events = try loop.happened(milliseconds)
        relay.now = BootClock.milliseconds
        for (token, happened) in events {
            switch token {
            case ConnectionKeeper.listenerToken: accept()
            case ConnectionKeeper.agentToken: hearAgent()
            default: relay.handle(token, happened)
            }
        }
        flush()
    }

    /// Whether nobody is there to judge them.
    var isAlone: Bool { agent == nil }

    /// How many connections there are.
    var count: Int { connections.count }

    // MARK: - The agent

    private func accept() {
        guard agent == nil, let socket = try? listener.accept(),
            let peer = try? PeerCredentials(ofSocket: socket.descriptor.number), peer.user == user,
            (try? loop.add(socket.descriptor, .readable, token: ConnectionKeeper.agentToken)) != nil
        else { return }
        agent = socket
        hasHadAgent = true
        // The next one waits until this one is gone.
        try? loop.change(listener.descriptor, [], token: ConnectionKeeper.listenerToken)
        tell(.greeting(version: RelayMessage.version, next: next))
        for (_, connection) in connections.sorted(by: { $0.key < $1.key }) { tell(.held(connection)) }
        tell(.listed)
        for connection in relay.connections.values.sorted(by: { $0.token < $1.token }) {
            if let question = connection.question { tell(.asks(connection.token, question.speech)) }
        }
    }

    private func dropAgent() {
        guard let agent else { return }
        loop.remove(agent.descriptor)
        self.agent = nil
        waiting = []
        isWriting = false
        try? loop.change(listener.descriptor, .readable, token: ConnectionKeeper.listenerToken)
    }

    private func tell(_ message: RelayMessage) {
        if agent != nil { waiting.append(message.bytes) }
    }

    private func flush() {
        guard let agent else { return }
        do throws(LinuxError) {
            var sent = 0
            while sent < waiting.count, try agent.send(waiting[sent]) { sent += 1 }
            waiting.removeFirst(sent)
            guard isWriting == waiting.isEmpty else { return }
            isWriting = !waiting.isEmpty
            try loop.change(
                agent.descriptor, isWriting ? [.readable, .writable] : [.readable], token: ConnectionKeeper.agentToken)
        } catch {
            // It is gone. What it has said before is still to be heard.
            waiting = []
        }
    }

    private func hearAgent() {
        do {
            for _ in 0..<64 {
                guard let agent else { return }
                switch try agent.receive(into: &buffer) {
                case .nothing: return
                case .ended: return dropAgent()
                case .message(let count, let attached): try hear(RelayMessage(buffer[..<count]), attached)
                }
            }
        } catch {
            // Whoever says what nobody understands has to begin anew.
            dropAgent()
        }
    }

    private func hear(_ message: RelayMessage, _ attached: [Descriptor]) throws {
        switch message {
        case .take(let connection, let state):
            guard connection.number >= next, connection.number.isMultiple(of: 2), connection.number < UInt64.max - 2
            else {
                throw RelayFormatError()
            }
            next = connection.number + 2
            take(connection, state, attached)
        case .end(let number):
            if let connection = relay.connections[number] { relay.close(connection, isReset: true) }
        case .endAll:
            for connection in Array(relay.connections.values) { relay.close(connection, isReset: true) }
        case .judged(let number, let moment, let until):
            connections[number]?.moment = moment
            connections[number]?.until = until
            if until != nil { haveTimes = true }
        case .answer(let number, let isAllowed):
            if let connection = relay.connections[number] { relay.answer(connection, isAllowed: isAllowed) }
        case .greeting, .held, .listed, .ended, .asks: throw RelayFormatError()
        }
    }

    // MARK: - Connections

    private func take(_ held: HeldConnection, _ state: HandedState, _ attached: [Descriptor]) {
        guard attached.count == 2, let client = try? InternetSocket.connection(adopting: attached[0]),
            let server = try? InternetSocket.connection(adopting: attached[1])
        else { return tell(.ended(held.number, nil)) }
        guard connections.count < most else {
            for socket in [client, server] { socket.resetOnClose() }
            return tell(.ended(held.number, nil))
        }
        let attempt = held.attempt
        let connection = CheckedConnection(
            token: held.number, endpoint: 0, source: attempt.source, destination: attempt.destination, client: client,
            server: server, reader: SpokenNameReader(state.protocols), deadline: .max)
        connection.isConnected = true
        connection.allowed = attempt
        if case .name(let spoken) = attempt.speech { connection.allowedName = DomainName(ascii: spoken.name) }
        connection.isOpaque = state.isOpaque
        connection.pending = state.fromClient[...]
        connection.replayed = state.passed
        connection.client.output = state.fromServer
        connection.client.isEnded = state.hasClientEnded
        connection.server.isEnded = state.hasServerEnded
        connection.client.isToldEnd = state.isClientTold
        connection.server.isToldEnd = state.isServerTold
        connections[held.number] = held
        if held.until != nil { haveTimes = true }
        relay.connections[held.number] = connection
        relay.advance(connection, isServer: false, [])
    }
}

extension RelayLimits {
    /// How many connections a process holds at a time that may have so many files open: fewer than would use them up, as it must
    /// be able to take one more, and to hear the next proxy.
    ///
    /// - Parameter openFiles: How many files; `nil` for what the kernel says of this process.
    /// - Returns: The number, at most 65,536.
    static func held(openFiles: Int? = nil) -> Int {
        let files = openFiles ?? (try? CurrentProcess.openFileLimit) ?? 1_024
        // A connection takes up to six: two sockets, and a pipe for each direction.
        return max(0, min(65_536, (files - 64) / 6))
    }
}
