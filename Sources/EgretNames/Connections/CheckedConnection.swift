// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import EgretLinux
import EgretPolicy

/// A client's connection and the one to its server.
final class CheckedConnection {
    /// The client's token; the server's is one more.
    let token: UInt64
    let endpoint: Int
    /// Which of those that have had the endpoint's number it is.
    let incarnation: UInt64
    let source: SocketAddress
    let destination: SocketAddress
    let client: Side
    let server: Side
    var reader: SpokenNameReader
    /// What has come from the client and has not passed. A slice: what passes in front costs no move of the rest.
    var pending: ArraySlice<UInt8> = []
    /// The first bytes of the server, for the reader.
    var serverHead: [UInt8] = []
    /// The mark of the way by which it goes to the server; `nil` where the main table leads.
    var wayMark: UInt32?
    /// Whether the client's bytes pass unread.
    var isOpaque = false
    var isConnected = false
    /// The first attempt that was allowed.
    var allowed: ConnectionAttempt?
    /// The name that it said, however it was spelled.
    var allowedName: DomainName?
    /// The protocols in which a name is looked for.
    var protocols: Swift.Set<GreetingProtocol> = []
    /// What has come from the client, from its first byte on, for who takes the connection over; `nil` if nobody will.
    var history: [UInt8]?
    /// How many bytes of the client were sent to the server before they could pass unread.
    var passed = 0
    /// How many of the bytes that are read again the server has got already.
    var replayed = 0
    /// Whether something of the server may have passed.
    var hasHeardServer = false
    /// What the client has said and somebody else is to judge.
    var question: Question?
    /// Whether the client is only told that it was refused.
    var isRefused = false
    /// When the client must have said a name, or, refused, must be gone, in milliseconds.
    var deadline: UInt64

    /// What somebody else is to judge.
    struct Question {
        let speech: ConnectionAttempt.Speech
        /// How many bytes pass if it is allowed.
        var count = 0
    }

    /// One of the two ends.
    final class Side {
        let socket: InternetSocket
        /// What is to be sent to it, before anything of the pipe.
        var output: [UInt8] = []
        /// What it has sent, on its way to the other end inside the kernel.
        var pipe: SplicePipe?
        /// How many bytes have gone through the pipe, as far as it matters.
        var moved = 0
        var hasLargePipe = false
        /// Whether what it sends is copied, for want of a pipe.
        var copies = false
        /// Whether it has said that it sends no more.
        var isEnded = false
        /// Whether it was told that nothing more comes.
        var isToldEnd = false
        /// What the loop waits for; `nil` if it does not wait for it at all.
        var events: EventLoop.Events?

        init(_ socket: InternetSocket) { self.socket = socket }

        /// Whether nothing is left to be done with it.
        var isDone: Bool { isEnded && isToldEnd }
    }

    init(
        token: UInt64, endpoint: Int, incarnation: UInt64 = 0, source: SocketAddress, destination: SocketAddress,
        client: InternetSocket, server: InternetSocket, reader: SpokenNameReader, deadline: UInt64
    ) {
        self.token = token
        self.endpoint = endpoint
        self.incarnation = incarnation
        self.source = source
        self.destination = destination
        self.client = Side(client)
        self.server = Side(server)
        self.reader = reader
        self.deadline = deadline
    }

    /// Whose it is.
    var owner: NameOwner { NameOwner(endpoint: endpoint, incarnation: incarnation) }

    /// Whether the client's bytes need no reading any more, and none is left that was read.
    var splicesUp: Bool { isOpaque && pending.isEmpty && server.output.isEmpty && isConnected && !client.copies }

    /// How many bytes of the client may be read now: what waits in memory has its bounds.
    var roomUp: Int {
        let held = RelayLimits.greeting - pending.count
        return max(0, min(RelayLimits.read, held, RelayLimits.output - pending.count - server.output.count))
    }

    /// How many bytes of the server may be read now.
    var roomDown: Int { max(0, min(RelayLimits.read, RelayLimits.output - client.output.count)) }

    /// Whether the server's bytes need no reading.
    var splicesDown: Bool { !reader.awaitsAnswer && client.output.isEmpty && allowed != nil && !server.copies }
}

/// What bounds a connection's memory and its share of a round.
enum RelayLimits {
    /// Bytes that are read at a time.
    static let read = 65_536
    /// Bytes that are held back for a name, or until the server has answered.
    static let greeting = SpokenNameReader.longestGreeting
    /// Bytes that wait in memory to be sent, those that are held back included.
    static let output = 131_072
    /// What a pipe holds.
    static let pipe = 65_536
    /// What the pipe of a large transfer holds: fewer, larger moves.
    static let largePipe = 262_144
    /// Bytes that make a transfer large.
    static let largeTransfer = 4_194_304
    /// Large pipes at a time, so that connections that stand still do not hold much.
    static let largePipes = 128
    /// Moves of a direction in a round.
    static let moves = 16
    /// How long a refused client has to take its answer, in milliseconds.
    static let farewell: UInt64 = 1_000
}
