// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One request and its answer, on a connection of their own.
enum AgentExchange {
    /// The largest answer that is read, in bytes.
    private static let answerLimit = 1 << 30

    /// What is asked for.
    struct Request {
        /// `GET` or `POST`.
        var method: String
        /// The path with its parameters.
        var target: String
        /// JSON, or nothing.
        var body: [UInt8]

        /// The request as HTTP has it: its head, its body if there is one, its end.
        var parts: [HTTPClientRequestPart] {
            var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: target)
            head.headers.add(name: "host", value: "egret")
            head.headers.add(name: "connection", value: "close")
            if !body.isEmpty || method == "POST" {
                head.headers.add(name: "content-type", value: "application/json")
                head.headers.add(name: "content-length", value: "\(body.count)")
            }
            if body.isEmpty { return [.head(head), .end(nil)] }
            return [.head(head), .body(.byteBuffer(ByteBuffer(bytes: body))), .end(nil)]
        }
    }

    /// What comes back: HTTP's status and the body, whatever they are.
    struct Answer {
        var status: Int
        var body: [UInt8]

        init(_ response: NIOHTTPClientResponseFull) {
            status = Int(response.head.status.code)
            body = response.body.map { Array($0.readableBytesView) } ?? []
        }
    }

    /// Makes a channel send requests and take whole answers.
    static func addHandlers(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: answerLimit))
    }

    // MARK: - What goes wrong

    static func late(after time: Duration) -> AgentClientError {
        AgentClientError(
            "the agent has not answered within \(time.components.seconds) s",
            advice: "what was asked for may still come into force: see egret history")
    }

    static var ended: AgentClientError {
        AgentClientError(
            "the agent has ended the connection without an answer",
            advice: "see journalctl -u egret-agent; egret get status tells what is in force")
    }

    /// An error of the connection's, or of what came by it.
    static func broken(_ error: any Error) -> AgentClientError {
        AgentClientError(
            error is HTTPParserError
                ? "what the agent answers is not HTTP/1.1: \(error)" : "the connection to the agent: \(error)")
    }
}
