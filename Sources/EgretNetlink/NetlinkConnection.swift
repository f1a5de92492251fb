// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlinkWire

/// Requests to the kernel and their answers, one at a time, over one netlink socket.
///
/// Every request gets a sequence number of its own, whatever number it was built with; answers to earlier requests
/// are dropped. A connection belongs to the network namespace that its socket was made in. It is used by one thread
/// at a time, and its socket joins no multicast groups: notifications have sockets of their own, read with
/// ``receiveNotifications()``.
public final class NetlinkConnection {
    /// How often a dump is begun again because what it describes changed meanwhile.
    public static let maximumDumpAttempts = 10

    /// The number of answers to earlier requests that were dropped.
    public private(set) var staleReplyCount = 0

    private let socket: any DatagramSocket
    private var lastSequence: UInt32

    /// Creates a connection over a socket.
    public init(_ socket: any DatagramSocket, firstSequence: UInt32 = 1) {
        self.socket = socket
        lastSequence = firstSequence &- 1
    }

    /// The sequence number that the next request or batch will have.
    public var nextSequence: UInt32 { lastSequence &+ 1 }

    /// Sends a request and waits for its acknowledgement, which it is made to ask for.
    ///
    /// - Parameters:
    ///   - request: One message, as ``RouteWire`` and its like build it; its sequence number is replaced.
    ///   - operation: What is being tried, for errors: `add address`.
    ///   - object: What it is tried on, for errors: `10.0.0.1/24 on eg0`.
    /// - Throws: ``NetlinkError``, `.malformed` if the request could not be built.
    public func request(
        _ request: @autoclosure () throws(WireError) -> [UInt8],
        to operation: String,
        _ object: String
    ) throws(NetlinkError) {
        _ = try query(request(), to: operation, object)
    }

    /// Sends a request that is answered by messages, then an acknowledgement, and returns the messages.
    public func query(
        _ request: @autoclosure () throws(WireError) -> [UInt8],
        to operation: String,
        _ object: String
    ) throws(NetlinkError) -> [NetlinkMessage] {
        let subject = Subject(operation: operation, object: object)
        let sequence = try send(request, flags: NetlinkFlag.acknowledge, subject)
        var answers: [NetlinkMessage] = []
        while true {
            for message in try receive(subject) where isAnswer(message, to: sequence) {
                guard message.type == NetlinkControl.error else {
                    answers.append(message)
                    continue
                }
                try check(message, subject)
                return answers
            }
        }
    }

    /// Sends a dump request and returns everything that the kernel has to say, read in one piece.
    ///
    /// When something changed while it was being dumped, the dump is begun again.
    ///
    /// - Throws: ``NetlinkError``, `.interruptedDump` after ``maximumDumpAttempts``.
    public func dump(
        _ request: @autoclosure () throws(WireError) -> [UInt8],
        to operation: String,
        _ object: String
    ) throws(NetlinkError) -> [NetlinkMessage] {
        let subject = Subject(operation: operation, object: object)
        for _ in 0..<NetlinkConnection.maximumDumpAttempts {
            let sequence = try send(request, flags: 0, subject)
            if let messages = try receiveDump(sequence, subject) { return messages }
        }
        throw NetlinkError(.interruptedDump, subject, "it changed during each of \(Self.maximumDumpAttempts) attempts")
    }

    /// Waits for the next datagram of a socket that has joined multicast groups.
    ///
    /// - Throws: ``NetlinkError``, `.overrun` when notifications were lost: read the state back. `.timedOut` when none
    ///   came within the socket's time limit.
    public func receiveNotifications() throws(NetlinkError) -> [NetlinkMessage] {
        try receive(Subject(operation: "receive", object: "notifications"))
    }

    /// Sends bytes whose messages have their sequence numbers already; the last one used is `lastSequence`.
    func send(_ bytes: [UInt8], lastSequence: UInt32, _ subject: Subject) throws(NetlinkError) {
        self.lastSequence = lastSequence
        do {
            try socket.send(bytes)
        } catch {
            throw NetlinkError(errorNumber: error.errorNumber, subject)
        }
    }

    /// Waits for one datagram.
    func receive(_ subject: Subject) throws(NetlinkError) -> [NetlinkMessage] {
        let datagram: [UInt8]
        do {
            datagram = try socket.receive()
        } catch {
            throw NetlinkError(errorNumber: error.errorNumber, subject)
        }
        let messages: [NetlinkMessage]
        do {
            messages = try NetlinkMessage.parse(datagram)
        } catch {
            throw NetlinkError(error, subject)
        }
        guard !messages.contains(where: { $0.type == NetlinkControl.overrun }) else {
            throw NetlinkError(errorNumber: NetlinkErrno.noBufferSpace, subject)
        }
        return messages
    }

    /// Counts a message as stale.
    func dropStale() {
        staleReplyCount += 1
    }

    /// Decodes an acknowledgement.
    func acknowledgement(_ message: NetlinkMessage, _ subject: Subject) throws(NetlinkError) -> NetlinkAcknowledgement {
        do {
            return try NetlinkAcknowledgement(message)
        } catch {
            throw NetlinkError(error, subject)
        }
    }

    private func send(
        _ request: () throws(WireError) -> [UInt8],
        flags: UInt16,
        _ subject: Subject
    ) throws(NetlinkError) -> UInt32 {
        let sequence = nextSequence
        let bytes: [UInt8]
        do {
            bytes = try NetlinkMessage.resequenced(request(), sequence: sequence, addingFlags: flags)
        } catch {
            throw NetlinkError(error, subject)
        }
        try send(bytes, lastSequence: sequence, subject)
        return sequence
    }

    /// The messages of a dump; `nil` if it was interrupted.
    private func receiveDump(_ sequence: UInt32, _ subject: Subject) throws(NetlinkError) -> [NetlinkMessage]? {
        var messages: [NetlinkMessage] = []
        var isInterrupted = false
        while true {
            for message in try receive(subject) where isAnswer(message, to: sequence) {
                isInterrupted = isInterrupted || message.isInterrupted
                guard message.type == NetlinkControl.error || message.type == NetlinkControl.done else {
                    if !isInterrupted { messages.append(message) }
                    continue
                }
                let answer = try acknowledgement(message, subject)
                if answer.errorNumber == NetlinkErrno.interrupted { return nil }
                guard answer.isSuccess else {
                    throw NetlinkError(errorNumber: answer.errorNumber, subject, answer.text)
                }
                return isInterrupted ? nil : messages
            }
        }
    }

    private func isAnswer(_ message: NetlinkMessage, to sequence: UInt32) -> Bool {
        if message.type == NetlinkControl.noop { return false }
        if message.sequence == sequence { return true }
        dropStale()
        return false
    }

    private func check(_ message: NetlinkMessage, _ subject: Subject) throws(NetlinkError) {
        let answer = try acknowledgement(message, subject)
        guard !answer.isSuccess else { return }
        throw NetlinkError(errorNumber: answer.errorNumber, subject, answer.text)
    }
}
