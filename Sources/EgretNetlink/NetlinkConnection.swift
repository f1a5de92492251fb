// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
public import EgretNetlinkWire
public import EgretNftables

/// Requests to the kernel and their answers, one at a time, over one netlink socket.
///
/// Sequence numbers rise; answers to earlier requests are dropped. One thread at a time may use it. It stays bound
/// to the network namespace it was made in.
public final class NetlinkConnection {
    /// Builds a request with the sequence number it is given.
    public typealias Builder = (UInt32) throws(WireError) -> [UInt8]

    /// How often a dump is begun anew because what it describes changed meanwhile.
    private static let dumpAttempts = 10

    private let socket: NetlinkSocket
    private var sequence: UInt32 = 1

    private init(_ socket: NetlinkSocket) {
        self.socket = socket
    }

    /// Connects to links, addresses, routes and neighbours of the calling thread's network namespace.
    public static func route() throws(NetlinkError) -> NetlinkConnection {
        try open(.route)
    }

    /// Connects to nf_tables, conntrack and logs of the calling thread's network namespace.
    public static func netfilter() throws(NetlinkError) -> NetlinkConnection {
        try open(.netfilter)
    }

    private static func open(_ netlinkProtocol: NetlinkSocket.NetlinkProtocol) throws(NetlinkError) -> NetlinkConnection {
        do throws(LinuxError) {
            let socket = try NetlinkSocket(netlinkProtocol)
            // A refused batch comes back error by error; without its bytes, they fit the buffer.
            try socket.setCappedAcknowledgements(true)
            try socket.setReceiveBuffer(bytes: 4 << 20)
            return NetlinkConnection(socket)
        } catch {
            throw NetlinkError(error, operation: "open a netlink socket")
        }
    }

    /// Connects to nf_tables, conntrack and logs as ``netfilter()`` does, for a caller that reads notifications.
    ///
    /// - Parameters:
    ///   - groups: Multicast groups to join (`NFNLGRP_*`).
    ///   - receiveBuffer: How many bytes of notifications may wait to be read.
    public static func netfilterEvents(groups: [UInt32] = [], receiveBuffer: Int) throws(NetlinkError) -> NetlinkConnection {
        let connection = try open(.netfilter)
        do throws(LinuxError) {
            try connection.socket.setReceiveBuffer(bytes: receiveBuffer)
            for group in groups { try connection.socket.join(group) }
        } catch {
            throw NetlinkError(error, operation: "listen to the kernel")
        }
        return connection
    }

    /// The socket, to wait for notifications with.
    public var descriptor: Descriptor { socket.descriptor }

    /// The notifications that wait, without waiting for any, and whether others were lost since the last call.
    ///
    /// Where there are ``eventLimit`` or more, there may be others behind them.
    ///
    /// Not to be mixed with requests on one connection while notifications matter: a request drops them.
    public func pendingEvents() throws(NetlinkError) -> (messages: [NetlinkMessage], someWereLost: Bool) {
        var messages: [NetlinkMessage] = []
        var someWereLost = false
        while messages.count < NetlinkConnection.eventLimit {
            do {
                try socket.setNonBlocking(true)
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
    /// - Parameter operation: What it does, as a phrase for error messages.
    public func request(_ operation: String, _ build: Builder) throws(NetlinkError) {
        _ = try exchange(operation, build)
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
            if !messages.contains(where: \.isInterrupted) { return messages }
        }
        throw NetlinkError(code: .interruptedDump, operation: operation)
    }

    /// Commits a transaction: all of it, or nothing and an error.
    ///
    /// Returns once the kernel has committed: every packet after that meets the new state.
    ///
    /// - Throws: ``NetlinkError`` that names the first step refused.
    public func commit(_ transaction: Transaction, _ operation: String) throws(NetlinkError) {
        let batch: EncodedBatch
        do throws(WireError) {
            batch = try NftablesWire.encode(transaction, firstSequence: sequence)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
        guard let acknowledged = batch.acknowledgedSequence else { return }
        sequence = batch.lastSequence &+ 1
        try send(batch.bytes, operation)
        while true {
            for message in try receive(operation) where batch.contains(sequence: message.sequence) {
                guard message.type == NetlinkControl.error else { continue }
                let answer = try decode(message, operation)
                if !answer.isSuccess {
                    let step = batch.stepIndex(forSequence: message.sequence).map { transaction.steps[$0] }
                    throw NetlinkError(answer, operation: step.map { "\(operation): \($0.phrase)" } ?? operation)
                }
                if message.sequence == acknowledged { return }
            }
        }
    }

    /// Sends the request and gathers what answers it, up to its acknowledgement or the end of the dump.
    private func exchange(_ operation: String, _ build: Builder) throws(NetlinkError) -> [NetlinkMessage] {
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
                    return messages
                default: messages.append(message)
                }
            }
        }
    }

    private func send(_ bytes: [UInt8], _ operation: String) throws(NetlinkError) {
        do throws(LinuxError) {
            try socket.send(bytes)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }

    private func receive(_ operation: String) throws(NetlinkError) -> [NetlinkMessage] {
        do {
            return try NetlinkMessage.parse(try socket.receive())
        } catch let error as LinuxError {
            throw NetlinkError(error, operation: operation)
        } catch {
            throw NetlinkError(code: .malformed, operation: operation, kernelMessage: "\(error)")
        }
    }

    private func decode(_ message: NetlinkMessage, _ operation: String) throws(NetlinkError) -> NetlinkAcknowledgement {
        do throws(WireError) {
            return try NetlinkAcknowledgement(message)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }
}
