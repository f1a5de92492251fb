// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretLinux
import NIOCore
import NIOPosix

/// `egret agent` from its start to its end.
public enum AgentDaemon {
    /// How the agent is to run.
    public struct Options: Sendable {
        /// The path of its socket.
        public var socketPath: String
        /// The number of the group whose members may use the socket; `nil` for root alone.
        public var socketGroup: UInt32?
        /// Where it keeps what it knows.
        public var places: AgentProcess.Places
        /// What it holds to policies.
        public var reach: AgentProcess.Reach
        /// A file of certificates that servers of feeds are trusted by, besides the system's.
        public var feedAuthorities: String?
        /// Where figures for monitoring are offered; `nil` for nowhere but at the socket.
        public var metrics: HostAndPort?
        /// Where the API is offered to clients with certificates; `nil` for nowhere but at the socket.
        public var remote: (place: HostAndPort, certificates: RemoteListener.Certificates)?

        /// Creates options.
        public init(
            socketPath: String, socketGroup: UInt32? = nil, places: AgentProcess.Places,
            reach: AgentProcess.Reach = AgentProcess.Reach()
        ) {
            self.reach = reach
            self.socketPath = socketPath
            self.socketGroup = socketGroup
            self.places = places
        }
    }

    /// Runs the agent until a signal ends it (`SIGTERM`, `SIGINT`). `SIGHUP` has it read the networks' endpoints again.
    ///
    /// The kernel is left as it is at the end: what is in force stays so. What endpoints have asked by then is answered, and what
    /// they ask later waits for the next agent, if the service manager keeps the sockets.
    ///
    /// - Parameters:
    ///   - options: How.
    ///   - log: Takes lines for whoever runs the agent; called on any thread.
    /// - Throws: An error that says why the agent cannot start. The kernel is then as it was.
    public static func run(_ options: Options, log: @escaping @Sendable (String) -> Void) throws {
        // Before there are threads, each of which would get a heap of its own.
        CurrentProcess.limitHeaps(to: 2)
        let manager = ServiceManager()
        let (signals, (process, server, listeners)) = try start(options, manager, log)
        manager.ready("in force")
        log("listening at \(options.socketPath)")
        let watchdog = Task { await manager.keepAlive { await process.agent.isAlive() } }
        try follow(signals, process.agent, log)
        manager.stopping()
        watchdog.cancel()
        try wait {
            for listener in listeners { await listener.stop() }
            await server.stop(within: .seconds(10))
            await process.stop()
        }
        log("ended; the kernel goes on with what it was last given")
    }

    /// Starts everything. What the service manager has handed over is nobody's but the agent's on return: it may close it.
    private static func start(
        _ options: Options, _ manager: ServiceManager, _ log: @escaping @Sendable (String) -> Void
    ) throws -> (SignalDescriptor, (AgentProcess, AgentServer, [RemoteListener])) {
        // Before anything is opened: what is promised and was not handed over would be that.
        let handed = HandedDescriptor.takeAll(telling: log)
        Environment.unset(HandedDescriptor.variables)
        // Before there are threads: each of them has the signals blocked.
        let signals = try SignalDescriptor(SignalSet([.terminate, .interrupt, .hangup]))
        let started = try wait { () async throws -> (AgentProcess, AgentServer, [RemoteListener]) in
            let process = try await AgentProcess.start(
                options.places, reach: options.reach, feedAuthorities: options.feedAuthorities, manager: manager,
                handed: handed, hasRelay: true, log: log)
            do {
                let server = try await AgentServer.start(
                    process.agent, at: options.socketPath, members: options.socketGroup)
                do {
                    return (process, server, try await offer(process.agent, options, log))
                } catch {
                    await server.stop(within: .seconds(1))
                    throw error
                }
            } catch {
                await process.stop()
                throw error
            }
        }
        return (signals, started)
    }

    /// Listens at TCP ports.
    private static func offer(
        _ agent: Agent, _ options: Options, _ log: (String) -> Void
    ) async throws -> [RemoteListener] {
        var listeners: [RemoteListener] = []
        do {
            if let place = options.metrics {
                listeners.append(
                    try await .startMetrics(agent, at: place.address.description, port: Int(place.port)))
                log("figures are at http://\(place)/metrics")
            }
            if let (place, certificates) = options.remote {
                listeners.append(
                    try await .start(agent, at: place.address.description, port: Int(place.port), certificates))
                log("listening at \(place)")
            }
            return listeners
        } catch {
            for listener in listeners { await listener.stop() }
            throw error
        }
    }

    private static func follow(
        _ signals: SignalDescriptor, _ agent: Agent, _ log: @escaping @Sendable (String) -> Void
    ) throws {
        var poll = Poll()
        poll.add(signals.descriptor)
        while true {
            _ = try poll.wait()
            while let record = try signals.next() {
                guard record.signal == .hangup else { return }
                Task {
                    do {
                        _ = try await agent.synchronize()
                        log("read the networks' endpoints again")
                    } catch {
                        log("\(error)")
                    }
                }
            }
        }
    }

    /// Waits on this thread for what is done on others.
    private static func wait<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) throws -> Result {
        let promise = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Result.self)
        promise.completeWithTask(body)
        return try promise.futureResult.wait()
    }
}
