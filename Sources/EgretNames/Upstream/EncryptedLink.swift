// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretPolicy
import NIOCore
import NIOPosix

/// The connection to one server over TLS, and the questions that wait there. Its event loop alone touches it.
final class EncryptedLink: @unchecked Sendable {
    private struct Waiting {
        var asked: EncryptedServers.Asked
        /// The id that the question came with; on the connection it has another.
        var id: (UInt8, UInt8)
        var since: NIODeadline
    }

    private enum State {
        case closed
        case connecting
        case open(any Channel)
    }

    /// Questions that wait for an answer at a time.
    private static let limit = 4_096
    private static let connecting = TimeAmount.seconds(5)
    /// How long a server may say nothing while questions wait, before the connection is given up.
    private static let silence = TimeAmount.seconds(6)
    /// How long a connection stays open without a question.
    private static let idleness = TimeAmount.seconds(10)
    /// How long a server is left alone whose connection has failed before it answered anything.
    private static let pause = TimeAmount.seconds(1)

    private let server: NameServer
    private let loop: any NIOCore.EventLoop
    private let trust: ServerTrust
    private let report: EncryptedLinks.Report
    private var state = State.closed
    /// The number of the connection: what a former one still tells is not about this one.
    private var connection = 0
    private var waiting: [UInt16: Waiting] = [:]
    /// What is to be sent once there is a connection.
    private var unsent: [[UInt8]] = []
    /// Whether this connection has brought an answer.
    private var hasAnswered = false
    private var lastUse = NIODeadline.now()
    /// When the server was last heard of, or the connection was opened.
    private var lastHeard = NIODeadline.now()
    private var failure: (reason: String, until: NIODeadline)?

    init(
        _ server: NameServer, _ loop: any NIOCore.EventLoop, _ trust: ServerTrust,
        _ report: @escaping EncryptedLinks.Report
    ) {
        self.server = server
        self.loop = loop
        self.trust = trust
        self.report = report
    }

    /// Sends a question, over the connection that there is or a new one.
    func ask(_ query: [UInt8], _ asked: EncryptedServers.Asked) {
        if let failure, NIODeadline.now() < failure.until { return report(asked, .failure(failure.reason)) }
        guard query.count >= 12, waiting.count < EncryptedLink.limit else {
            return report(asked, .failure("too many questions wait for its answers"))
        }
        var id = UInt16.random(in: 0 ... .max)
        while waiting[id] != nil { id = .random(in: 0 ... .max) }
        waiting[id] = Waiting(asked: asked, id: (query[0], query[1]), since: .now())
        lastUse = .now()
        var message = query
        (message[0], message[1]) = (UInt8(id >> 8), UInt8(id & 0xff))
        let framed = DNSStreamFramer.framed(message) ?? []
        switch state {
        case .open(let channel): send(framed, channel)
        case .connecting: unsent.append(framed)
        case .closed:
            unsent.append(framed)
            connect()
        }
    }

    private func send(_ bytes: [UInt8], _ channel: any Channel) {
        channel.writeAndFlush(channel.allocator.buffer(bytes: bytes), promise: nil)
    }

    private func connect() {
        state = .connecting
        hasAnswered = false
        connection += 1
        let connection = connection
        let name: DomainName?
        if case .tls(let wanted) = server.transport { name = wanted } else { name = nil }
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(EncryptedLink.connecting)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    // Without a name the certificate must have the address.
                    try channel.pipeline.syncOperations.addHandlers(
                        trust.handler(for: name),
                        EncryptedReader(self, connection))
                }
            }
        do {
            let address = try NIOCore.SocketAddress(
                ipAddress: "\(server.address.address)", port: Int(server.address.port))
            bootstrap.connect(to: address).whenComplete { [self] result in
                switch result {
                case .success(let channel): opened(channel, connection)
                case .failure(let error): fail("it cannot be reached: \(error)", of: connection)
                }
            }
        } catch {
            fail("\(error)", of: connection)
        }
    }

    private func opened(_ channel: any Channel, _ number: Int) {
        // It may have failed already.
        guard case .connecting = state, number == connection, channel.isActive else {
            return channel.close(promise: nil)
        }
        lastHeard = .now()
        state = .open(channel)
        for bytes in unsent { send(bytes, channel) }
        unsent = []
    }

    /// Takes a message of the server's.
    func take(_ message: [UInt8], of number: Int) {
        guard number == connection else { return }
        hasAnswered = true
        failure = nil
        (lastUse, lastHeard) = (.now(), .now())
        guard message.count >= 12, let wait = waiting.removeValue(forKey: UInt16(message[0]) << 8 | UInt16(message[1]))
        else { return }
        var answer = message
        (answer[0], answer[1]) = wait.id
        report(wait.asked, .answer(answer))
    }

    /// Gives a connection up, and tells whoever waits for an answer. One that has answered nothing is not made again at
    /// once.
    func fail(_ reason: String, of number: Int) {
        if case .closed = state { return }
        guard number == connection else { return }
        if case .open(let channel) = state { channel.close(promise: nil) }
        state = .closed
        unsent = []
        if !hasAnswered { failure = (reason, .now() + EncryptedLink.pause) }
        let asked = waiting.values.map(\.asked)
        waiting = [:]
        for asked in asked { report(asked, .failure(reason)) }
    }

    /// Looks after what changes with time.
    func tick() {
        guard case .open = state else { return }
        let now = NIODeadline.now()
        if waiting.isEmpty {
            if now - lastUse > EncryptedLink.idleness { fail("it was not needed", of: connection) }
            return
        }
        let oldest = waiting.values.map(\.since).min() ?? now
        if now - max(oldest, lastHeard) > EncryptedLink.silence { return fail("it does not answer", of: connection) }
        // Nobody waits so long for an answer.
        waiting = waiting.filter { now - $0.value.since < .seconds(30) }
    }
}

/// Takes apart what a server sends.
private final class EncryptedReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: EncryptedLink
    private let connection: Int
    private var framer = DNSStreamFramer()

    init(_ link: EncryptedLink, _ connection: Int) { (self.link, self.connection) = (link, connection) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framer.append(unwrapInboundIn(data).readableBytesView)
        while let message = framer.next() { link.take(message, of: connection) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        link.fail(ServerTrust.words(for: error), of: connection)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        link.fail("it ended the connection", of: connection)
        context.fireChannelInactive()
    }
}
