// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Asks servers for lists: HTTP/1.1 over TLS, within limits of size and time.
struct FeedFetcher: Sendable {
    /// What a server told of a list, to ask later whether it has changed (RFC 9110 section 8.8).
    struct Validators: Hashable, Sendable, Codable {
        var tag: String?
        var modified: String?
    }

    /// What came of asking.
    enum Answer: Sendable {
        /// A whole list.
        case list([UInt8], Validators)
        /// What the validators are of is what the server would send.
        case unchanged
    }

    /// How much is taken, and how long is waited for it.
    struct Limits: Sendable {
        var bytes = Feed.byteLimit
        var connecting = TimeAmount.seconds(10)
        /// From the beginning to the end, whatever comes in between.
        var whole = TimeAmount.seconds(300)
        /// Without a byte.
        var silence = TimeAmount.seconds(30)
        var redirections = 5
    }

    private let group: any EventLoopGroup
    private let context: NIOSSLContext
    private let limits: Limits

    /// Creates a fetcher that trusts the system's authorities.
    ///
    /// - Parameters:
    ///   - group: Whose threads it works on.
    ///   - authorities: A file of certificates in PEM that are trusted besides.
    ///   - limits: Its limits.
    /// - Throws: An error if the file cannot be used.
    init(group: any EventLoopGroup, authorities: String? = nil, limits: Limits = Limits()) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let authorities { configuration.additionalTrustRoots = [.file(authorities)] }
        context = try NIOSSLContext(configuration: configuration)
        self.group = group
        self.limits = limits
    }

    /// Asks for a list, following redirections that stay with https.
    func fetch(_ url: String, _ validators: Validators) async throws(FeedError) -> Answer {
        guard var place = FeedURL(url) else { throw FeedError("\(url) is no URL of https") }
        for _ in 0...limits.redirections {
            switch try await ask(place, validators) {
            case .answer(let answer): return answer
            case .redirection(let location):
                guard let next = place.following(location) else {
                    throw FeedError("the server leads to \(location.withVisibleControls), which is no URL of https")
                }
                place = next
            }
        }
        throw FeedError("the server leads on more than \(limits.redirections) times")
    }

    fileprivate enum Step: Sendable {
        case answer(Answer)
        case redirection(String)
    }

    private func ask(_ url: FeedURL, _ validators: Validators) async throws(FeedError) -> Step {
        let loop = group.next()
        let promise = loop.makePromise(of: Step.self)
        let (context, limits) = (context, limits)
        let late = loop.scheduleTask(in: limits.whole) {
            promise.fail(
                FeedError("the server has not sent all of it within \(limits.whole.nanoseconds / 1_000_000_000) s"))
        }
        defer { late.cancel() }
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(limits.connecting)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    // Of a server that is named by address the certificate must have the address.
                    try pipeline.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: url.isAddress ? nil : url.host))
                    try pipeline.addHandler(IdleStateHandler(readTimeout: limits.silence))
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(FeedReader(promise, limit: limits.bytes))
                }
            }
            .connect(host: url.host, port: url.port)
        connecting.whenFailure { promise.fail($0) }
        connecting.whenSuccess { channel in
            // Whatever ends the wait ends the connection.
            promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
            channel.write(HTTPClientRequestPart.head(FeedFetcher.head(url, validators)), promise: nil)
            channel.writeAndFlush(HTTPClientRequestPart.end(nil)).cascadeFailure(to: promise)
        }
        do {
            return try await promise.futureResult.get()
        } catch let error as FeedError {
            throw error
        } catch {
            throw FeedError("\(url.authority) cannot be asked: \(FeedFetcher.words(for: error))")
        }
    }

    private static func head(_ url: FeedURL, _ validators: Validators) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.target)
        head.headers.add(name: "host", value: url.authority)
        head.headers.add(name: "user-agent", value: "egret")
        head.headers.add(name: "accept", value: "text/plain, */*;q=0.1")
        head.headers.add(name: "accept-encoding", value: "identity")
        head.headers.add(name: "connection", value: "close")
        if let tag = validators.tag { head.headers.add(name: "if-none-match", value: tag) }
        if let modified = validators.modified { head.headers.add(name: "if-modified-since", value: modified) }
        return head
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { words(for: $0.error) } ?? error.dnsAError.map { "\($0)" } ?? "no address"
        case let error as IOError: Errno(rawValue: error.errnoCode).text
        case is HTTPParserError: "its answer is not HTTP/1.1, or ends too early"
        case let error as ChannelError: "\(error)"
        case let error as NIOSSLExtraError: "its certificate is not for this name: \(error)"
        case NIOSSLError.handshakeFailed(let reason): "no trust could be established: \(reason)"
        case NIOSSLError.uncleanShutdown: "its answer ends too early"
        default: "\(error)"
        }
    }
}

/// Takes one answer.
private final class FeedReader: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<FeedFetcher.Step>
    private let limit: Int
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(_ promise: EventLoopPromise<FeedFetcher.Step>, limit: Int) {
        self.promise = promise
        self.limit = limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let bytes):
            if body.count + bytes.readableBytes > limit { return promise.fail(tooLarge) }
            body += bytes.readableBytesView
        case .end:
            guard let head else { return }
            let headers = head.headers
            promise.succeed(
                .answer(
                    .list(
                        body,
                        FeedFetcher.Validators(
                            tag: headers.first(name: "etag"), modified: headers.first(name: "last-modified")))))
        }
    }

    /// Looks at the head. Whatever is no list ends the wait.
    private func begin(_ head: HTTPResponseHead) {
        switch head.status.code {
        case 200:
            if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > limit {
                return promise.fail(tooLarge)
            }
            if let coding = head.headers.first(name: "content-encoding"), coding.lowercased() != "identity" {
                return promise.fail(FeedError("the server sends it coded (\(coding.withVisibleControls))"))
            }
            self.head = head
        case 304: promise.succeed(.answer(.unchanged))
        case 301, 302, 303, 307, 308:
            guard let location = head.headers.first(name: "location") else {
                return promise.fail(FeedError("the server leads on, and does not say where to"))
            }
            promise.succeed(.redirection(location))
        case 100..<200: break
        default: promise.fail(FeedError("the server answered with the status \(head.status.code)"))
        }
    }

    private var tooLarge: FeedError { FeedError("it has more than \(limit) bytes") }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { promise.fail(FeedError("the server is silent")) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(FeedError("the server ended the connection before the end of the list"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
