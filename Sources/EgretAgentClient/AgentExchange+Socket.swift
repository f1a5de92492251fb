// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import NIOCore
import NIOEmbedded
import NIOHTTP1

extension AgentExchange {
    /// Sends a request by a unix socket, and waits for the answer.
    ///
    /// All of it is done by the calling thread. What HTTP is comes from a channel without an event loop: to start one with a
    /// thread of its own takes longer than most answers, and `egret-cni` asks three times for a container.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - socket: A socket that is connected to the agent.
    ///   - time: How long the answer may take.
    /// - Returns: The answer.
    /// - Throws: ``AgentClientError`` if there is none.
    static func run(_ request: Request, on socket: Descriptor, within time: Duration) throws -> Answer {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let patience = Patience(time)
        do {
            try addHandlers(to: channel)
            for part in request.parts { try channel.writeOutbound(part) }
            try send(from: channel, by: socket, patience)
            return Answer(try answer(to: channel, by: socket, patience))
        } catch let error as AgentClientError {
            throw error
        } catch {
            throw broken(error)
        }
    }

    private static func send(from channel: EmbeddedChannel, by socket: Descriptor, _ patience: Patience) throws {
        while let part = try channel.readOutbound(as: IOData.self) {
            guard case .byteBuffer(let buffer) = part else { continue }
            var rest = Array(buffer.readableBytesView)[...]
            while !rest.isEmpty {
                // An agent that refuses may answer before it has read everything: sending fails then, reading does not.
                guard let count = try? socket.send(rest) else { return }
                rest = rest.dropFirst(count)
                if count == 0 { try patience.wait(for: .writable, socket) }
            }
        }
    }

    private static func answer(
        to channel: EmbeddedChannel, by socket: Descriptor, _ patience: Patience
    ) throws -> NIOHTTPClientResponseFull {
        while true {
            try patience.wait(for: .readable, socket)
            let bytes = try socket.read(upTo: 65_536)
            if bytes.isEmpty { break }
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            if let response = try channel.readInbound(as: NIOHTTPClientResponseFull.self) { return response }
        }
        // An answer without a length ends with its connection.
        _ = try channel.finish()
        guard let response = try channel.readInbound(as: NIOHTTPClientResponseFull.self) else { throw ended }
        return response
    }
}

/// Waits for one end, however often.
private struct Patience {
    private let time: Duration
    private let end: ContinuousClock.Instant

    init(_ time: Duration) {
        self.time = time
        end = .now + time
    }

    func wait(for events: Poll.Events, _ socket: Descriptor) throws {
        var poll = Poll()
        poll.add(socket, for: events)
        while true {
            let rest = ContinuousClock.now.duration(to: end)
            guard rest > .zero else { throw AgentExchange.late(after: time) }
            if try !poll.wait(timeout: rest).isEmpty { return }
        }
    }
}
