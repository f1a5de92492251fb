// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// What a proxy knows of the process that holds connections, and what that has of them.
final class RelayCustody {
    /// What the loop calls the socket.
    static let token: UInt64 = 8
    /// How long the loop waits at most until a connection can be handed over.
    private static let patience: Duration = .milliseconds(100)
    /// For how long none is handed over after that was in vain, in milliseconds.
    private static let rest: UInt64 = 1_000
    /// How long the process may take to answer at first, in milliseconds.
    static let slowest: UInt64 = 5_000
    /// How long connections may wait for their endpoints, in milliseconds.
    static let memory: UInt64 = 60_000

    /// A connection of an endpoint.
    struct Held {
        var connection: HeldConnection
        let owner: NameOwner
        /// Whether it was told to end.
        var isEnding = false
    }

    /// The connection to the process.
    let socket: MessageSocket
    /// When it was made, in milliseconds.
    let begun: UInt64
    /// The number of the next connection; `nil` before the process has said so.
    var next: UInt64?
    /// Those that are on an endpoint's books, by their numbers.
    var held: [UInt64: Held] = [:]
    /// Those of a former proxy whose endpoints have not come yet.
    var unclaimed: [UInt64: HeldConnection] = [:]
    /// What such clients have said that must be judged.
    var questions: [UInt64: ConnectionAttempt.Speech] = [:]
    /// When the process had told of all, in milliseconds; `nil` before.
    var listed: UInt64?
    /// The most messages that wait: two for each connection that there may be.
    static let mostWaiting = 131_072
    /// What is to be sent once there is room.
    private var waiting: [[UInt8]] = []
    private var restsUntil: UInt64 = 0
    private var buffer = [UInt8](repeating: 0, count: RelayMessage.largest)
    /// How many connections the process can hold: it has this one's limits, or those of a former one.
    private let most: Int

    init(_ socket: MessageSocket, now: UInt64 = BootClock.milliseconds, openFiles: Int? = nil) {
        (self.socket, begun) = (socket, now)
        most = RelayLimits.held(openFiles: openFiles)
    }

    /// Whether a connection could be handed over now.
    func hasRoom(_ now: UInt64) -> Bool {
        next != nil && now >= restsUntil && waiting.isEmpty && held.count + unclaimed.count < most
    }

    /// Whether something waits to be sent.
    var isBehind: Bool { !waiting.isEmpty }

    /// The next message; `nil` if there is none yet.
    ///
    /// - Throws: An error if the process has ended, or says what is not understood.
    func receive() throws -> RelayMessage? {
        switch try socket.receive(into: &buffer) {
        case .nothing: return nil
        case .ended: throw LinuxError(.noProcess, operation: "hear of connections that are held")
        // Nothing is attached to what the process says: it is closed if something is.
        case .message(let count, _): return try RelayMessage(buffer[..<count])
        }
    }

    /// Sends a message, now or when there is room.
    ///
    /// - Throws: An error if the process is gone, or has stopped, and ``mostWaiting`` wait already.
    func send(_ message: RelayMessage) throws(LinuxError) {
        let bytes = message.bytes
        if waiting.isEmpty, try socket.send(bytes) { return }
        guard waiting.count < RelayCustody.mostWaiting else {
            throw LinuxError(.overrun, operation: "tell of connections that are held")
        }
        waiting.append(bytes)
    }

    /// Sends what waits.
    ///
    /// - Throws: An error if the process is gone.
    func flush() throws(LinuxError) {
        var sent = 0
        for bytes in waiting {
            guard try socket.send(bytes) else { break }
            sent += 1
        }
        waiting.removeFirst(sent)
    }

    /// Hands over a connection.
    ///
    /// - Returns: `false` if that is not possible now.
    func take(_ connection: HeldConnection, _ state: HandedState, _ sockets: [Descriptor], now: UInt64) -> Bool {
        guard hasRoom(now) else { return false }
        let bytes = RelayMessage.take(connection, state).bytes
        guard bytes.count <= RelayMessage.largest, connection.attempt.rules.count <= RelayMessage.mostRules,
            connection.attempt.names.count <= RelayMessage.mostRules
        else { return false }
        do throws(LinuxError) {
            if try socket.send(bytes, with: sockets) { return true }
            var poll = Poll()
            poll.add(socket.descriptor, for: .writable)
            _ = try poll.wait(timeout: RelayCustody.patience)
            if try socket.send(bytes, with: sockets) { return true }
        } catch {
            // That the process is gone is heard of when it is next listened to.
        }
        restsUntil = now + RelayCustody.rest
        return false
    }

    /// Has all end, and waits for a moment until that is said.
    func endAll() {
        waiting.append(RelayMessage.endAll.bytes)
        finish()
    }

    /// Waits for a moment until all is said.
    func finish() {
        let end = MonotonicInstant.now.nanoseconds + 1_000_000_000
        while !waiting.isEmpty, MonotonicInstant.now.nanoseconds < end {
            guard (try? flush()) != nil else { return }
            if waiting.isEmpty { return }
            var poll = Poll()
            poll.add(socket.descriptor, for: .writable)
            _ = try? poll.wait(timeout: RelayCustody.patience)
        }
    }
}
