// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

extension AgentExchange {
    /// Sends a request by the network, and waits for the answer.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - remote: The agent.
    ///   - time: How long the answer may take.
    /// - Returns: The answer.
    /// - Throws: ``AgentClientError`` if there is none.
    static func run(_ request: Request, by remote: AgentAddress.Remote, within time: Duration) throws -> Answer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let answer = group.next().makePromise(of: NIOHTTPClientResponseFull.self)
        let late = group.next().scheduleTask(in: TimeAmount(time)) { answer.fail(AgentExchange.late(after: time)) }
        defer { late.cancel() }
        do {
            let security = try remote.security()
            let bootstrap = ClientBootstrap(group: group)
                .connectTimeout(.seconds(10))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: security.context, serverHostname: security.name))
                        try addHandlers(to: channel)
                        try pipeline.addHandler(AnswerReader(answer))
                    }
                }
            let channel = try bootstrap.connect(host: remote.host, port: remote.port).wait()
            // An agent that refuses may answer before it has read everything: writing fails then, reading does not.
            for part in request.parts { channel.writeAndFlush(part, promise: nil) }
        } catch {
            answer.fail(remote.explained(error))
        }
        return Answer(try answer.futureResult.wait())
    }
}

extension AgentAddress.Remote {
    /// What TLS takes. A host that is named by address shows a certificate with that.
    fileprivate func security() throws -> (context: NIOSSLContext, name: String?) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        do {
            if let authorities { configuration.trustRoots = .file(authorities) }
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil
            return (try NIOSSLContext(configuration: configuration), isAddress ? nil : host)
        } catch {
            throw AgentClientError(
                "the certificates for \(host) cannot be used: \(error)",
                advice: "give files in PEM with --tls-ca, --tls-cert and --tls-key")
        }
    }

    /// The error in the words of whoever asked.
    fileprivate func explained(_ error: any Error) -> any Error {
        if error is AgentClientError { return error }
        let reason = (error as? NIOConnectionError)?.connectionErrors.first.map { "\($0.error)" } ?? "\(error)"
        return AgentClientError(
            "the agent at \(host):\(port) cannot be reached: \(reason)",
            advice: "is it started with --listen, and let through?")
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
        answer.fail(AgentExchange.ended)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isAboutTrust = error is NIOSSLError
        answer.fail(isAboutTrust ? AnswerReader.distrust(error) : AgentExchange.broken(error))
        context.close(promise: nil)
    }

    /// The two do not trust each other.
    private static func distrust(_ error: any Error) -> AgentClientError {
        AgentClientError(
            "the agent and this client do not trust each other: \(error)",
            advice: "compare the authorities and times of both certificates")
    }
}
