// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretLinux
import NIOCore
import NIOHTTP1
import NIOPosix

/// The agent's API on a unix socket: HTTP/1.1 (RFC 9112) with JSON.
///
/// Root, the agent's own user and the members of a group that is named may use it; the kernel says who asks. Requests of
/// several connections are worked on at the same time, and what they wait for each other is the service's affair.
public final class AgentServer: Sendable {
    private let socket: AgentSocket
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let connections: OpenConnections

    /// Listens from the return on.
    ///
    /// - Parameters:
    ///   - service: What answers.
    ///   - path: Where: `AgentAPI.socketPath`. The directory is made with the mode 0700 if it is missing, the socket has
    ///     0600. A socket that an agent left behind is replaced.
    ///   - members: The number of a group whose members may use the API as root does: the socket is the group's then and
    ///     has the mode 0660, and its directory lets the group through.
    /// - Returns: The server. ``stop(within:)`` ends it.
    /// - Throws: ``AgentSocketProblem`` if another agent listens there; `LinuxError`.
    public static func start(
        _ service: any AgentService, at path: String = AgentAPI.socketPath, members: UInt32? = nil
    ) async throws -> AgentServer {
        try await start(service, at: path, members: members, limits: AgentConnection.Limits())
    }

    static func start(
        _ service: any AgentService, at path: String, members: UInt32?, limits: AgentConnection.Limits
    ) async throws -> AgentServer {
        let socket = try AgentSocket(path: path, group: members)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let connections = OpenConnections()
            let responder = AgentResponder(service: service)
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 128)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try connections.add(channel, responder, members: members, limits: limits)
                    }
                }
                .withBoundSocket(socket.descriptor.numberToGiveAway()).get()
            return AgentServer(socket, group, listener, connections)
        } catch {
            socket.remove()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        _ socket: AgentSocket, _ group: MultiThreadedEventLoopGroup, _ listener: any Channel,
        _ connections: OpenConnections
    ) {
        self.socket = socket
        self.group = group
        self.listener = listener
        self.connections = connections
    }

    /// Takes no more requests, waits for those under way, and removes the socket.
    ///
    /// - Parameter time: How long requests may take; connections are cut after it, and work that goes on is not waited for.
    public func stop(within time: Duration = .seconds(60)) async {
        let end = ContinuousClock.now + time
        try? await listener.close()
        let deadline = group.next().scheduleTask(in: TimeAmount(time)) { [connections] in
            for channel in connections.all { channel.close(promise: nil) }
        }
        for channel in connections.all { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        for channel in connections.all { try? await channel.closeFuture.get() }
        deadline.cancel()
        // Somebody may have gone without waiting for his answer.
        while !connections.work.isNone, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
        socket.remove()
        // Work that goes on ends on the loop, which then lives as long as the process.
        if connections.work.isNone { try? await group.shutdownGracefully() }
    }

    /// How many connections are open.
    var connectionCount: Int { connections.all.count }
}

extension OpenConnections {
    /// Takes in a connection. Called on its event loop.
    fileprivate func add(
        _ channel: any Channel, _ responder: AgentResponder, members: UInt32?, limits: AgentConnection.Limits
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let peer = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            try PeerCredentials(ofSocket: $0)
        }
        guard let peer else { throw AgentSocketProblem("the connection has no socket") }
        let count = enter(channel)
        var refusal: APIRefusal?
        if !peer.mayAct(as: [CurrentProcess.effectiveUser], inGroup: members) {
            refusal = APIRefusal(
                .forbidden, "the user \(peer.user) may not use the agent",
                advice: "be root, or be in the group that egret agent --socket-group names")
        } else if count > limits.connections {
            refusal = APIRefusal(.serviceUnavailable, "\(limits.connections) connections are open", advice: "try again")
        }
        try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
        try pipeline.addHandler(
            AgentConnection(responder, work: work, author: { peer.text }, refusal: refusal, limits: limits))
    }
}
