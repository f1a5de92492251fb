// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
public import EgretNetlinkWire
import Synchronization

/// What a connection needs of a socket: whole datagrams, in order.
public protocol DatagramSocket {
    /// The open socket, to wait with.
    var descriptor: Descriptor { get }
    /// Sends the bytes as one datagram.
    func send(_ bytes: [UInt8]) throws(LinuxError)
    /// Receives one datagram.
    func receive() throws(LinuxError) -> [UInt8]
    /// Whether ``receive()`` throws `Errno.again` at once when there is nothing to read.
    func setNonBlocking(_ isOn: Bool) throws(LinuxError)
}

extension NetlinkSocket: DatagramSocket {}

/// Requests to the kernel and their answers, one at a time, over one netlink socket.
///
/// Sequence numbers rise; answers to earlier requests are dropped. One thread uses it; another may commit in turn with it
/// by way of ``batchSender``. It stays bound to the network namespace it was made in.
public final class NetlinkConnection {
    /// Builds a request with the sequence number it is given.
    public typealias Builder = (UInt32) throws(WireError) -> [UInt8]

    /// How often a dump is begun anew because what it describes changed meanwhile.
    private static let dumpAttempts = 10

    /// The socket's number among the namespace's netlink sockets of its protocol: what it changes is told to others
    /// with this number. `nil` for sockets that are not the kernel's.
    public let portID: UInt32?

    private let socket: any DatagramSocket
    private var sequence: UInt32
    /// Held for each exchange of messages, from the request to its last answer.
    let gate = Mutex(())
    /// How many transactions have been committed: where ``committed`` is set, those that have given the ruleset another number.
    public private(set) var commits = 0
    /// Is told of each transaction with their number, as soon as the kernel has acknowledged it and before the next one, on the
    /// thread that has committed it. To be set before there are two.
    public var committed: (@Sendable (Int) -> Void)?
    /// How many of them were batches of the ``batchSender``. Each has changed the ruleset: the kernel has said so.
    private(set) var batches = 0
    /// Is told of each of these as ``committed`` is.
    var batchCommitted: (@Sendable (Int) -> Void)?

    /// Uses a socket that nobody else reads.
    public init(_ socket: any DatagramSocket, firstSequence: UInt32 = 1) {
        self.socket = socket
        portID = (socket as? NetlinkSocket)?.port
        sequence = firstSequence
    }

    /// Connects to links, addresses, routes and neighbours of the calling thread's network namespace.
    public static func route() throws(NetlinkError) -> NetlinkConnection {
        NetlinkConnection(try open(.route, receiveBuffer: answerBuffer))
    }

    /// Connects to nf_tables, conntrack and logs of the calling thread's network namespace.
    public static func netfilter() throws(NetlinkError) -> NetlinkConnection {
        NetlinkConnection(try open(.netfilter, receiveBuffer: answerBuffer))
    }

    /// 4 MiB: an error for each message of a large batch.
    private static let answerBuffer = 4 << 20

    private static func open(
        _ netlinkProtocol: NetlinkSocket.NetlinkProtocol,
        receiveBuffer: Int
    ) throws(NetlinkError) -> NetlinkSocket {
        do throws(LinuxError) {
            let socket = try NetlinkSocket(netlinkProtocol)
            // A refused batch comes back error by error; without its bytes, they fit the buffer.
            try socket.setCappedAcknowledgements(true)
            try socket.setReceiveBuffer(bytes: receiveBuffer)
            return socket
        } catch {
            throw NetlinkError(error, operation: "open a netlink socket")
        }
    }

    /// Connects to nf_tables, conntrack and logs as ``netfilter()`` does, for a caller that reads notifications.
    ///
    /// - Parameters:
    ///   - groups: Multicast groups to join (`NFNLGRP_*`).
    ///   - receiveBuffer: How many bytes of notifications may wait to be read.
    /// - Returns: The connection, for ``pendingEvents(upTo:)``.
    /// - Throws: ``NetlinkError`` if the socket cannot be had or a group not be joined.
    public static func netfilterEvents(
        groups: [UInt32] = [],
        receiveBuffer: Int
    ) throws(NetlinkError) -> NetlinkConnection {
        let socket = try open(.netfilter, receiveBuffer: receiveBuffer)
        do throws(LinuxError) {
            for group in groups { try socket.join(group) }
        } catch {
            throw NetlinkError(error, operation: "listen to the kernel")
        }
        return NetlinkConnection(socket)
    }

    /// Connects to links, addresses and routes as ``route()`` does, for a caller that reads notifications.
    ///
    /// - Parameters:
    ///   - groups: Multicast groups to join (`RTNLGRP_*`).
    ///   - receiveBuffer: How many bytes of notifications may wait to be read.
    /// - Returns: The connection, for ``pendingEvents(upTo:)``.
    /// - Throws: ``NetlinkError`` if the socket cannot be had or a group not be joined.
    public static func routeEvents(groups: [UInt32], receiveBuffer: Int) throws(NetlinkError) -> NetlinkConnection {
        let socket = try open(.route, receiveBuffer: receiveBuffer)
        do throws(LinuxError) {
            for group in groups { try socket.join(group) }
        } catch {
            throw NetlinkError(error, operation: "listen to the kernel")
        }
        return NetlinkConnection(socket)
    }

    /// The socket, to wait for notifications with.
    public var descriptor: Descriptor { socket.descriptor }

    /// The notifications that wait, without waiting for any, and whether others were lost since the last call.
    ///
    /// Not to be mixed with requests on one connection while notifications matter: a request drops them.
    ///
    /// - Parameter limit: About how many are returned at most. Where there are so many or more, there may be others behind
    ///   them.
    /// - Returns: The notifications, and whether the kernel has told of a loss.
    /// - Throws: ``NetlinkError`` if the socket cannot be read.
    public func pendingEvents(
        upTo limit: Int = NetlinkConnection.eventLimit
    ) throws(NetlinkError) -> (messages: [NetlinkMessage], someWereLost: Bool) {
        var messages: [NetlinkMessage] = []
        var someWereLost = false
        try setNonBlocking(true, "listen to the kernel")
        while messages.count < limit {
            do {
                messages += try NetlinkMessage.parse(try socket.receive())
            } catch let error as LinuxError {
                if error.errno == .again { return (messages, someWereLost) }
                // The kernel reports the loss once; what did fit the buffer comes after.
                guard error.errno == .overrun else { throw NetlinkError(error, operation: "listen to the kernel") }
                someWereLost = true
            } catch {
                throw NetlinkError(malformed: "\(error)", operation: "listen to the kernel")
            }
        }
        return (messages, someWereLost)
    }

    /// About how many events one call returns: who listens to a flood has other things to do in between.
    public static let eventLimit = 4096

    /// Sends a request that changes something and waits for its acknowledgement.
    ///
    /// - Parameters:
    ///   - operation: What it does, as a phrase for error messages.
    ///   - build: Builds the request, which must ask for an acknowledgement.
    /// - Throws: ``NetlinkError`` with the kernel's answer.
    public func request(_ operation: String, _ build: Builder) throws(NetlinkError) {
        _ = try exchange(operation, build)
    }

    /// Does the same, where one answer will do as well: what is to be added is there already, or what is to go has gone.
    ///
    /// - Throws: ``NetlinkError`` with any other answer.
    public func request(
        _ operation: String, unless expected: NetlinkError.Code, _ build: Builder
    ) throws(NetlinkError) {
        do throws(NetlinkError) {
            try request(operation, build)
        } catch {
            if error.code != expected { throw error }
        }
    }

    /// Sends a request for one object and waits for it and the acknowledgement.
    ///
    /// - Throws: `.notFound` also if the kernel acknowledges without an object.
    public func get(_ operation: String, _ build: Builder) throws(NetlinkError) -> NetlinkMessage {
        guard let message = try exchange(operation, build).first else {
            throw NetlinkError(code: .notFound, operation: operation)
        }
        return message
    }

    /// Sends a dump request and gathers the messages.
    ///
    /// A dump during which its objects changed is begun anew, a few times.
    ///
    /// - Throws: `.interruptedDump` if they changed every time; `.overrun` if messages were lost.
    public func dump(_ operation: String, _ build: Builder) throws(NetlinkError) -> [NetlinkMessage] {
        for _ in 0..<NetlinkConnection.dumpAttempts {
            let messages = try exchange(operation, build)
            // The mark may stand on the end of the dump alone.
            guard messages.contains(where: \.isInterrupted) else {
                return messages.filter { $0.type != NetlinkControl.done }
            }
        }
        throw NetlinkError(code: .interruptedDump, operation: operation)
    }

    /// Sends the request and gathers what answers it, up to its acknowledgement, or the end of the dump, which is
    /// the last of the messages then.
    private func exchange(_ operation: String, _ build: Builder) throws(NetlinkError) -> [NetlinkMessage] {
        try gate.withLock { (_) throws(NetlinkError) in try exchangeAlone(operation, build) }
    }

    /// How many transactions have given the ruleset another number; `nil` where ``committed`` is not set, which has exactly those
    /// counted.
    public var countedCommits: Int? { gate.withLock { _ in committed == nil ? nil : commits } }

    /// Sends a request for one object as ``get(_:_:)`` does, and tells how many transactions had been committed then.
    ///
    /// - Parameters:
    ///   - operation: What it is for, as a phrase for error messages.
    ///   - other: What sends batches by another connection, whose number is added. No batch is on its way meanwhile: while this
    ///     asks, that connection waits.
    ///   - build: Makes the request.
    /// - Returns: The answer, and the number.
    /// - Throws: ``NetlinkError``, with `.notFound` if there is no such object.
    public func getBetweenCommits(
        _ operation: String, besides other: BatchSender? = nil, _ build: Builder
    ) throws(NetlinkError) -> (message: NetlinkMessage, commits: Int) {
        let (messages, commits) = try exchangeBetweenCommits(operation, besides: other?.connection, build)
        guard let message = messages.first else { throw NetlinkError(code: .notFound, operation: operation) }
        return (message, commits)
    }

    private func exchangeBetweenCommits(
        _ operation: String, besides other: NetlinkConnection?, _ build: Builder
    ) throws(NetlinkError) -> ([NetlinkMessage], Int) {
        guard let other, other !== self else {
            return try gate.withLock { (_) throws(NetlinkError) in
                (try exchangeAlone(operation, build), self.commits)
            }
        }
        // Nobody else holds two gates at a time.
        let (found, batches) = try other.gate.withLock { (_) throws(NetlinkError) in
            (try exchangeBetweenCommits(operation, besides: nil, build), other.batches)
        }
        return (found.0, found.1 + batches)
    }

    private func exchangeAlone(_ operation: String, _ build: Builder) throws(NetlinkError) -> [NetlinkMessage] {
        let own = sequence
        sequence &+= 1
        let bytes: [UInt8]
        do throws(WireError) {
            bytes = try build(own)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
        try send(bytes, operation)
        var messages: [NetlinkMessage] = []
        while true {
            for message in try receive(operation) where message.sequence == own {
                switch message.type {
                case NetlinkControl.error, NetlinkControl.done:
                    let answer = try decode(message, operation)
                    if !answer.isSuccess { throw NetlinkError(answer, operation: operation) }
                    return message.type == NetlinkControl.done ? messages + [message] : messages
                default: messages.append(message)
                }
            }
        }
    }

    /// Counts a transaction. The gate is held.
    func countCommit() {
        commits += 1
        committed?(commits)
    }

    /// Counts a transaction of the ``batchSender`` that has changed the ruleset. The gate is held.
    func countBatch() {
        countCommit()
        batches += 1
        batchCommitted?(batches)
    }

    /// Reserves the sequence numbers that `encode` uses, from the one it is given to the one it says is the last.
    func reserveSequences<Encoded>(
        _ encode: (UInt32) throws(NetlinkError) -> (encoded: Encoded, last: UInt32)
    ) throws(NetlinkError) -> Encoded {
        let (encoded, last) = try encode(sequence)
        sequence = last &+ 1
        return encoded
    }

    /// Reads, without waiting, whatever is left of the answers to earlier requests.
    func drain(_ operation: String) throws(NetlinkError) -> [NetlinkMessage] {
        try setNonBlocking(true, operation)
        var messages: [NetlinkMessage] = []
        var failure: NetlinkError?
        while failure == nil {
            do {
                messages += try receive(operation)
            } catch {
                // The overrun is reported once; what did fit the buffer comes after.
                if error.code != .overrun { failure = error }
            }
        }
        try setNonBlocking(false, operation)
        if let failure, failure.errno != .again { throw failure }
        return messages
    }

    private func setNonBlocking(_ isOn: Bool, _ operation: String) throws(NetlinkError) {
        do throws(LinuxError) {
            try socket.setNonBlocking(isOn)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }

    func send(_ bytes: [UInt8], _ operation: String) throws(NetlinkError) {
        do throws(LinuxError) {
            try socket.send(bytes)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }

    func receive(_ operation: String) throws(NetlinkError) -> [NetlinkMessage] {
        do {
            return try NetlinkMessage.parse(try socket.receive())
        } catch let error as LinuxError {
            throw NetlinkError(error, operation: operation)
        } catch {
            throw NetlinkError(code: .malformed, operation: operation, kernelMessage: "\(error)")
        }
    }

    func decode(_ message: NetlinkMessage, _ operation: String) throws(NetlinkError) -> NetlinkAcknowledgement {
        do throws(WireError) {
            return try NetlinkAcknowledgement(message)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }
}
