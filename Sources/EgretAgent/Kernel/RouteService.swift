// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNames
import EgretNetlink
import EgretRoutes
import NIOPosix
import Synchronization

/// Keeps routes on a thread of its own: a way's death is noticed whatever else the agent is at.
final class RouteService: @unchecked Sendable {
    // Whoever uses the keeper holds the gate.
    private let keeper: HostRouteKeeper
    private let gate = Mutex(())
    // Has a lock of its own: who connects by name does not wait for a change of the kernel.
    private let chooser = Mutex(HostRouteChooser())
    private let bell: (read: Descriptor, write: Descriptor)
    private let watch: TableWatch
    private let isEnding = Atomic(false)
    private let threads = Mutex<NIOThreadPool?>(nil)

    /// Connects to the kernel; nothing is changed yet. The thread that calls must be in the host's network namespace.
    ///
    /// - Parameter directory: Where numbers of ways and positions of switches are noted.
    /// - Throws: An error if the kernel cannot be spoken to.
    init(directory: String) throws {
        let dataplane = Dataplane(try NetlinkConnection.netfilter())
        let rules = AgentRouteRules(dataplane, try NetlinkConnection.netfilter(), directory: directory)
        keeper = try HostRouteKeeper(try NetlinkConnection.route(), rules)
        watch = try TableWatch([HostRoutePlan.table], besides: dataplane)
        bell = try Descriptor.pipe()
        keeper.chosen = { [weak self] next in
            guard let self else { return }
            self.chooser.withLock { $0 = next }
        }
    }

    /// Brings the kernel to what endpoints demand.
    func lead(_ demands: [HostRouteDemand], localNetworks: [IPPrefix]) throws {
        try gate.withLock { _ in try keeper.lead(demands, localNetworks: localNetworks, isStrict: true) }
    }

    /// Takes over what is in the kernel, and brings it to what endpoints demand.
    func take(_ demands: [HostRouteDemand], localNetworks: [IPPrefix]) throws {
        try gate.withLock { _ in try keeper.take(demands, localNetworks: localNetworks) }
    }

    /// What the kernel holds otherwise than is meant.
    func drift() throws -> [String] { try gate.withLock { _ in try keeper.drift() } }

    /// What the clauses lead to now.
    func choices(of clauses: HostRouteClauses) -> [HostRouteChoice] {
        gate.withLock { _ in keeper.choices(of: clauses) }
    }

    // MARK: - Connections by name

    /// By which way a connection leaves that a proxy makes for an endpoint.
    ///
    /// - Parameters:
    ///   - source: The endpoint's address.
    ///   - server: Where it goes.
    ///   - transport: Its protocol.
    /// - Returns: The way, as it is now.
    func departure(from source: IPAddress, to server: SocketAddress, over transport: IPProtocol) -> Departure {
        let chooser = self.chooser.withLock { $0 }
        return switch chooser.choice(from: source, to: server.address, transport, port: server.port) {
        case .main: .main
        case .way(let number): .marked(HostRouteMark.sent(way: number))
        case .dropped: .nowhere
        }
    }

    /// The marks of what proxies may send by a way now.
    var marks: Swift.Set<UInt32> { chooser.withLock { $0.marks } }

    // MARK: - The thread

    /// Begins to look after ways.
    ///
    /// - Parameters:
    ///   - log: Takes lines for whoever runs the agent.
    ///   - changed: Called when somebody else has changed the routes' table, with who it was.
    func start(log: @escaping @Sendable (String) -> Void, changed: @escaping @Sendable ([String]) -> Void) {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        pool.submit { [self] state in
            guard case .active = state else { return }
            run(log: log, changed: changed)
        }
        threads.withLock { $0 = pool }
    }

    private func run(log: (String) -> Void, changed: ([String]) -> Void) {
        var poll = Poll()
        for descriptor in [bell.read, keeper.descriptor, watch.descriptor] { poll.add(descriptor) }
        var failure = ""
        while !isEnding.load(ordering: .relaxed) {
            do {
                let ready = try poll.wait()
                if !ready[watch.descriptor].isEmpty {
                    let changes = try watch.pending()
                    if !changes.changes.isEmpty || changes.someWereLost { changed(changes.authors) }
                }
                if ready[keeper.descriptor].isEmpty { continue }
                for line in try gate.withLock({ _ in try keeper.serve() }) { log(line) }
                failure = ""
            } catch {
                // Ways are looked at again in a moment; the last choice is in force.
                if failure != "\(error)" { log("routes: \(error)") }
                failure = "\(error)"
            }
        }
    }

    /// Ends the thread. The kernel goes on with the last choice.
    func stop() async {
        isEnding.store(true, ordering: .relaxed)
        try? bell.write.write([1])
        let pool = threads.withLock { pool in
            let present = pool
            pool = nil
            return present
        }
        try? await pool?.shutdownGracefully()
    }
}
