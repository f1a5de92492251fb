// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// The agent's API, or its figures alone, at a TCP port.
///
/// The whole API is offered to those only who show a certificate of an authority that was named for that. Figures may be
/// asked for by anybody who reaches the port.
public final class RemoteListener: Sendable {
    /// What TLS needs, by files in PEM.
    public struct Certificates: Hashable, Sendable {
        /// The server's certificate, and those between it and its authority.
        public var certificate: String
        /// The key of the certificate.
        public var key: String
        /// The authorities whose clients are served.
        public var clientAuthorities: String

        /// Names the files.
        public init(certificate: String, key: String, clientAuthorities: String) {
            self.certificate = certificate
            self.key = key
            self.clientAuthorities = clientAuthorities
        }
    }

    /// The port that it listens at.
    public let port: Int
    private let listener: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let connections: OpenConnections

    /// Offers the whole API.
    ///
    /// - Parameters:
    ///   - service: What answers.
    ///   - address: Where: an address, not a name.
    ///   - port: The port; 0 for any.
    ///   - certificates: The server's, and who may be a client.
    /// - Returns: The listener.
    /// - Throws: An error if a file cannot be used, or somebody else listens there.
    public static func start(
        _ service: any AgentService, at address: String, port: Int, _ certificates: Certificates
    ) async throws -> RemoteListener {
        let chain = try NIOSSLCertificate.fromPEMFile(certificates.certificate)
        let key = try NIOSSLPrivateKey(file: certificates.key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        // Clients are known by their certificates: one that has none, or another's, is refused.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .file(certificates.clientAuthorities)
        let context = try NIOSSLContext(configuration: configuration)
        return try await start(AgentResponder(service: service), at: address, port: port, context)
    }

    /// Offers figures for monitoring, without TLS.
    public static func startMetrics(
        _ service: any AgentService, at address: String, port: Int
    ) async throws -> RemoteListener {
        try await start(AgentResponder(service: service, offersMetricsOnly: true), at: address, port: port, nil)
    }

    private static func start(
        _ responder: AgentResponder, at address: String, port: Int, _ context: NIOSSLContext?
    ) async throws -> RemoteListener {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let connections = OpenConnections()
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 128)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try connections.add(channel, responder, context)
                    }
                }
                .bind(host: address, port: port).get()
            return RemoteListener(listener, group, connections)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(_ listener: any Channel, _ group: MultiThreadedEventLoopGroup, _ connections: OpenConnections) {
        self.listener = listener
        self.group = group
        self.connections = connections
        port = listener.localAddress?.port ?? 0
    }

    /// Ends it; requests under way are cut, though what they asked for goes on.
    public func stop() async {
        try? await listener.close()
        for channel in connections.all { channel.close(promise: nil) }
        for channel in connections.all { try? await channel.closeFuture.get() }
        if connections.work.isNone { try? await group.shutdownGracefully() }
    }
}

extension OpenConnections {
    /// Takes in a connection. Called on its event loop.
    fileprivate func add(_ channel: any Channel, _ responder: AgentResponder, _ context: NIOSSLContext?) throws {
        let limits = AgentConnection.Limits()
        let count = enter(channel)
        let refusal =
            count > limits.connections
            ? APIRefusal(.serviceUnavailable, "\(limits.connections) connections are open", advice: "try again") : nil
        let pipeline = channel.pipeline.syncOperations
        if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
        let place = channel.remoteAddress?.ipAddress ?? "somewhere"
        try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
        try pipeline.addHandler(
            AgentConnection(
                responder, work: work, author: { [weak channel] in "\(channel?.certificate ?? "nobody"), \(place)" },
                refusal: refusal, limits: limits))
    }
}

extension Channel {
    /// The peer's certificate by its digest, which is its alone; `nil` if it has shown none. On the event loop.
    fileprivate var certificate: String? {
        guard let handler = try? pipeline.syncOperations.handler(type: NIOSSLServerHandler.self),
            let bytes = try? handler.peerCertificate?.toDERBytes()
        else { return nil }
        return "certificate " + SHA256.digest(of: bytes).prefix(16)
    }
}
