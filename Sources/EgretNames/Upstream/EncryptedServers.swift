// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// Asks servers over TLS (RFC 7858), on a thread of its own: what a handshake costs holds up nobody else's question.
///
/// There is one connection to a server. All questions go over it and are answered in any order; it is closed when it was
/// idle for a while, and made again with the next question.
final class EncryptedServers: Sendable {
    /// A question to a server, as the proxy counts them.
    struct Asked: Hashable, Sendable {
        /// Its number.
        var question: UInt64
        /// Which of its attempts this is.
        var attempt: Int
    }

    /// What became of a question.
    enum Outcome: Sendable {
        /// The server's answer, with the id that the question had.
        case answer([UInt8])
        /// There is none, and why.
        case failure(String)
    }

    private let group: MultiThreadedEventLoopGroup
    private let links: EncryptedLinks
    private let arrived = Mutex<[(Asked, Outcome)]>([])

    /// Starts the thread, in the network namespace of the calling one. Nobody is connected to before the first question.
    ///
    /// - Parameters:
    ///   - trust: Whom servers must be vouched for by.
    ///   - wake: Is called when there is an outcome, on any thread.
    init(_ trust: ServerTrust, wake: @escaping @Sendable () -> Void) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        links = EncryptedLinks(group.next(), trust)
        links.start { [weak self] asked, outcome in
            guard let self else { return }
            let isFirst = arrived.withLock { arrived in
                arrived.append((asked, outcome))
                return arrived.count == 1
            }
            if isFirst { wake() }
        }
    }

    /// Asks a server. What becomes of it is among the outcomes later, unless nothing does.
    func ask(_ server: NameServer, _ query: [UInt8], _ asked: Asked) {
        links.ask(server, query, asked)
    }

    /// What has become of questions since the last call.
    func takeOutcomes() -> [(Asked, Outcome)] {
        arrived.withLock { arrived in
            defer { arrived = [] }
            return arrived
        }
    }

    /// Ends the connections and the thread, and waits for that.
    func stop() {
        try? group.syncShutdownGracefully()
    }
}

/// The connections to all servers. The event loop alone touches what changes.
final class EncryptedLinks: @unchecked Sendable {
    typealias Report = @Sendable (EncryptedServers.Asked, EncryptedServers.Outcome) -> Void

    private let loop: any NIOCore.EventLoop
    private let trust: ServerTrust
    private var links: [NameServer: EncryptedLink] = [:]
    private var report: Report = { _, _ in }

    init(_ loop: any NIOCore.EventLoop, _ trust: ServerTrust) {
        self.loop = loop
        self.trust = trust
    }

    func start(_ report: @escaping Report) {
        loop.execute { [self] in
            self.report = report
            loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] _ in
                for link in self?.links.values.map(\.self) ?? [] { link.tick() }
            }
        }
    }

    func ask(_ server: NameServer, _ query: [UInt8], _ asked: EncryptedServers.Asked) {
        loop.execute { [self] in
            let link = links[server] ?? EncryptedLink(server, loop, trust, report)
            links[server] = link
            link.ask(query, asked)
        }
    }
}
