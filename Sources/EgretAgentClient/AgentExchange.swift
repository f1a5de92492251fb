// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One request and its answer, on a connection of their own.
enum AgentExchange {
    /// The largest answer that is read, in bytes.
    static let answerLimit = 1 << 30

    /// Sends a request and waits for the answer.
    ///
    /// - Parameters:
    ///   - method: `GET` or `POST`.
    ///   - target: The path with its parameters.
    ///   - body: JSON, or nothing.
    ///   - way: How the agent is reached.
    ///   - time: How long the answer may take.
    /// - Returns: HTTP's status and the body, whatever they are.
    /// - Throws: ``AgentClientError`` if there is no answer.
    static func run(
        _ method: String, _ target: String, _ body: [UInt8], by way: Way, within time: Duration
    ) throws -> (status: Int, body: [UInt8]) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let answer = group.next().makePromise(of: NIOHTTPClientResponseFull.self)
        let late = group.next().scheduleTask(in: TimeAmount(time)) {
            answer.fail(
                AgentClientError(
                    "the agent has not answered within \(time.components.seconds) s",
                    advice: "what was asked for may still come into force: see egret history"))
        }
        defer { late.cancel() }
        do {
            let security = try way.security()
            let bootstrap = ClientBootstrap(group: group)
                .connectTimeout(.seconds(10))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        if let security {
                            try pipeline.addHandler(
                                NIOSSLClientHandler(context: security.context, serverHostname: security.name))
                        }
                        try pipeline.addHTTPClientHandlers()
                        try pipeline.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: answerLimit))
                        try pipeline.addHandler(AnswerReader(answer))
                    }
                }
            let channel = try way.connect(bootstrap).wait()
            var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: target)
            head.headers.add(name: "host", value: "egret")
            head.headers.add(name: "connection", value: "close")
            if !body.isEmpty || method == "POST" {
                head.headers.add(name: "content-type", value: "application/json")
                head.headers.add(name: "content-length", value: "\(body.count)")
            }
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            if !body.isEmpty {
                channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
            }
            // An agent that refuses may answer before it has read everything: writing fails then, reading does not.
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        } catch {
            answer.fail(way.explained(error))
        }
        let response = try answer.futureResult.wait()
        return (Int(response.head.status.code), response.body.map { Array($0.readableBytesView) } ?? [])
    }
}

/// Takes the answer. A connection that ends without one is an error.
private final class AnswerReader: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPClientResponseFull

    private let answer: EventLoopPromise<NIOHTTPClientResponseFull>

    init(_ answer: EventLoopPromise<NIOHTTPClientResponseFull>) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer.succeed(unwrapInboundIn(data))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(
            AgentClientError(
                "the agent has ended the connection without an answer",
                advice: "see journalctl -u egret-agent; egret get status tells what is in force"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NIOSSLError {
            answer.fail(AgentExchange.Way.distrust(error))
            return context.close(promise: nil)
        }
        let isNonsense = error is HTTPParserError
        answer.fail(
            AgentClientError(
                isNonsense
                    ? "what the agent answers is not HTTP/1.1: \(error)" : "the connection to the agent: \(error)"))
        context.close(promise: nil)
    }
}
