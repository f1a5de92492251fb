// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import NIOCore
import NIOHTTP1

/// One connection to the API: collects requests, one after the other, and writes their answers.
///
/// Its state changes on its event loop alone.
final class AgentConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// How much is taken, and how long is waited for it.
    struct Limits: Sendable {
        /// The largest body, in bytes.
        var body = AgentAPI.bodyLimit
        /// How long a connection may be without a request, or with a beginning of one that is not a whole head.
        var idle = TimeAmount.seconds(60)
        /// How long a request may take to come, from its head's end on.
        var receiving = TimeAmount.seconds(60)
        /// How long the answer may take to be read.
        var writing = TimeAmount.seconds(60)
        /// How long the rest of a request that was refused is read and thrown away.
        var draining = TimeAmount.seconds(2)
        /// How many connections there may be.
        var connections = 256
    }

    private enum State {
        /// Waiting for a request.
        case idle
        /// The head is here, the body is coming.
        case receiving(HTTPRequestHead)
        /// The service works.
        case answering
        /// The answer is written, what still comes is thrown away, and the end of it ends the connection.
        case draining
    }

    private let responder: AgentResponder
    private let work: WorkCount
    /// Who asks, for the history; called on the event loop.
    private let author: () -> String
    /// Why nothing is done for this peer.
    private let refusal: APIRefusal?
    private let limits: Limits
    private var state = State.idle
    /// What has come of the body. No part of the state: to look at that would share it, and each piece that comes copy it.
    private var body = ByteBuffer()
    private var timer: Scheduled<Void>?

    init(
        _ responder: AgentResponder, work: WorkCount, author: @escaping () -> String, refusal: APIRefusal?,
        limits: Limits
    ) {
        self.responder = responder
        self.work = work
        self.author = author
        self.refusal = refusal
        self.limits = limits
    }

    func channelActive(context: ChannelHandlerContext) {
        waitForRequest(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle): begin(head, context)
        case (.body(let bytes), .receiving(let head)):
            if body.readableBytes + bytes.readableBytes > limits.body {
                refuse(tooLarge, head, context)
            } else {
                body.writeImmutableBuffer(bytes)
            }
        case (.end, .receiving(let head)): complete(head, takeBody(), context)
        case (.end, .draining): context.close(promise: nil)
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .idle, .receiving:
            guard error is HTTPParserError else { break }
            timer?.cancel()
            body = ByteBuffer()
            let refusal = APIRefusal(.badRequest, "what was sent is not HTTP/1.1: \(error)")
            return write(APIResponse(refusal), keepsAlive: false, context)
        case .answering, .draining: break
        }
        // The peer is gone, or talks nonsense while it is answered.
        context.close(promise: nil)
    }

    // MARK: - A request

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        timer?.cancel()
        if let refusal { return refuse(refusal, head, context) }
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > limits.body {
            return refuse(tooLarge, head, context)
        }
        state = .receiving(head)
        if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))))
                .whenComplete { _ in }
        }
        schedule(after: limits.receiving, context) { connection, context in
            guard case .receiving(let head) = connection.state else { return }
            connection.refuse(APIRefusal(.requestTimeout, "the request did not come to its end in time"), head, context)
        }
    }

    private func complete(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        timer?.cancel()
        state = .answering
        let (responder, author) = (responder, author())
        let promise = context.eventLoop.makePromise(of: APIResponse.self)
        Task(executorPreference: EventLoopTaskExecutor(context.eventLoop)) {
            promise.succeed(
                await responder.respond(method: head.method.rawValue, target: head.uri, body: body, author: author))
        }
        let answer = promise.futureResult
        // The server's stop waits for the work, and for the connection, which is there until the answer is written.
        work.begin()
        answer.assumeIsolated().whenSuccess { response in
            self.work.end()
            self.write(response.answering(head), keepsAlive: head.isKeepAlive, context)
        }
    }

    /// The body, which is nobody else's from then on.
    private func takeBody() -> ByteBuffer {
        defer { body = ByteBuffer() }
        return body
    }

    private var tooLarge: APIRefusal {
        APIRefusal(
            .payloadTooLarge, "the body is larger than \(limits.body) bytes", advice: "send it in several changes")
    }

    /// Answers before the request has come to its end. The rest is read for a while and thrown away, so that the peer comes
    /// to read the answer.
    private func refuse(_ refusal: APIRefusal, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        state = .draining
        body = ByteBuffer()
        send(APIResponse(refusal).answering(head), keepsAlive: false, context).whenFailure { _ in
            context.close(promise: nil)
        }
        schedule(after: limits.draining, context) { _, context in context.close(promise: nil) }
    }

    // MARK: - An answer

    private func write(_ response: APIResponse, keepsAlive: Bool, _ context: ChannelHandlerContext) {
        state = .idle
        if keepsAlive { waitForRequest(context) }
        let late = context.eventLoop.assumeIsolated().scheduleTask(in: limits.writing) { context.close(promise: nil) }
        send(response, keepsAlive: keepsAlive, context).whenComplete { result in
            late.cancel()
            if case .success = result, keepsAlive { return }
            context.close(promise: nil)
        }
    }

    private func send(
        _ response: APIResponse, keepsAlive: Bool, _ context: ChannelHandlerContext
    ) -> EventLoopFuture<Void>.Isolated {
        var head = HTTPResponseHead(version: .http1_1, status: response.status)
        head.headers.add(name: "content-type", value: response.contentType)
        head.headers.add(name: "content-length", value: "\(response.body.count)")
        head.headers.add(name: "cache-control", value: "no-store")
        if let allow = response.allow { head.headers.add(name: "allow", value: allow) }
        head.headers.add(name: "connection", value: keepsAlive ? "keep-alive" : "close")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if response.sendsBody {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        return context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated()
    }

    // MARK: - Time

    private func waitForRequest(_ context: ChannelHandlerContext) {
        schedule(after: limits.idle, context) { connection, context in
            if case .idle = connection.state { context.close(promise: nil) }
        }
    }

    private func schedule(
        after delay: TimeAmount, _ context: ChannelHandlerContext,
        _ action: @escaping (AgentConnection, ChannelHandlerContext) -> Void
    ) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { action(self, context) }
    }
}
