// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretCompiler
import EgretDataplane
import EgretLinux
public import EgretNames
import EgretNetlink
import EgretNetworks
public import EgretPolicy
import EgretRun
import EgretSources
import NIOCore
import NIOPosix

/// An agent with the threads that it runs on: the process's, from its start to its end.
public final class AgentProcess: Sendable {
    /// Where an agent keeps what it knows.
    public struct Places: Hashable, Sendable {
        /// The directory of the store, which outlives a restart of the machine.
        public var state: String
        /// The directory of notes about the running kernel, which does not.
        public var runtime: String

        /// Names the directories.
        public init(state: String = "/var/lib/egret", runtime: String = "/run/egret") {
            self.state = state
            self.runtime = runtime
        }
    }

    /// What an agent holds to policies besides the endpoints of networks, and how.
    public struct Reach: Sendable {
        /// The container engines that it follows: by name, the path of each one's socket.
        public var engines: [String: String]
        /// Which of their containers are not to run: such are killed.
        public var refusals: ContainerRefusals
        /// The bridges that let nothing pass but what endpoints send and are sent that the agent knows.
        public var quarantine: [BridgePattern]
        /// What endpoints may send that no policy selects.
        public var defaultAction: DefaultAction
        /// The servers that endpoints' questions about names go to; empty for the host's.
        public var nameServers: [NameServer]
        /// Whom those of them over TLS must be vouched for by; needed if there are any.
        public var serverTrust: ServerTrust?
        /// How endpoints' questions for names are answered that no rule allows.
        public var nameDenial: NameTable.Denial
        /// How much each endpoint may ask, and hold.
        public var nameLimits: NameLimits

        /// Sets the reach.
        public init(
            engines: [String: String] = [:], refusals: ContainerRefusals = ContainerRefusals(),
            quarantine: [BridgePattern] = [], defaultAction: DefaultAction = .allow,
            nameServers: [NameServer] = [], serverTrust: ServerTrust? = nil,
            nameDenial: NameTable.Denial = .refused, nameLimits: NameLimits = NameLimits()
        ) {
            self.refusals = refusals
            self.nameServers = nameServers
            self.serverTrust = serverTrust
            self.nameDenial = nameDenial
            self.nameLimits = nameLimits
            self.engines = engines
            self.quarantine = quarantine
            self.defaultAction = defaultAction
        }
    }

    /// Another agent works with the same store, or in the same network namespace.
    public struct AlreadyRunning: Error, Hashable, Sendable, CustomStringConvertible {
        /// The store's directory, or what else they would share.
        public var state: String
        /// What to do.
        public var advice: String
        /// One sentence for a person.
        public var description: String { "another agent works with \(state) already" }
    }

    /// The agent.
    public let agent: Agent
    private let watchers: NIOThreadPool
    private let locks: [FileLock]
    private let ticking: Task<Void, Never>
    private let following: [Task<Void, Never>]
    /// Who has changed what the kernel holds.
    private let report: AsyncStream<[String]>.Continuation
    private let hearing: Task<Void, Never>

    /// Starts an agent. On return the kernel enforces the revision in force.
    ///
    /// - Parameters:
    ///   - places: Where it keeps what it knows.
    ///   - reach: What it holds to policies.
    ///   - feedAuthorities: A file of certificates in PEM that servers of feeds are trusted by, besides the system's.
    ///   - manager: Keeps sockets for the next agent.
    ///   - handed: What it has handed to this process: what a former agent had it keep.
    ///   - hasRelay: Whether another process holds connections, so that they go on without the agent: only where this process's
    ///     program calls ``RelayProcess/run(_:telling:)`` before anything else.
    ///   - log: Takes lines for whoever runs the agent; called on any thread.
    /// - Returns: The agent with its threads; ``stop()`` ends them.
    /// - Throws: ``AlreadyRunning``; an error that says why the store cannot be used, or the kernel not be brought there.
    ///   The kernel is then as it was.
    public static func start(
        _ places: Places = Places(), reach: Reach = Reach(), feedAuthorities: String? = nil,
        manager: ServiceManager? = nil, handed: [HandedDescriptor] = [], hasRelay: Bool = false,
        log: @escaping @Sendable (String) -> Void
    ) async throws -> AgentProcess {
        try Directory.make(places.state, mode: 0o700)
        guard let lock = try FileLock.tryAcquire("\(places.state)/agent.lock") else {
            throw AlreadyRunning(
                state: places.state,
                advice: "end it first, as by systemctl stop egret-agent; the agent of another network namespace takes "
                    + "another directory, --state")
        }
        let namespace = try NetworkNamespace.currentCookie()
        try Directory.make(places.runtime, mode: 0o755)
        guard let place = try FileLock.tryAcquire("\(places.runtime)/agent-\(namespace).lock") else {
            throw AlreadyRunning(
                state: "this network namespace",
                advice: "end it first, as by systemctl stop egret-agent: each network namespace has one")
        }
        for part in ["", "/bridges", "/routes", "/endpoints-\(namespace)", "/groups-\(namespace)"] {
            try Directory.removeHalves(in: places.runtime + part)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let traffic = TrafficBook()
        // Beside opening the policies' store, which looks through all of it.
        async let trafficStore = AgentProcess.trafficStore("\(places.state)/traffic.sqlite", traffic, namespace, log)
        let book = NameBook(traffic: traffic, now: { WallTime.now.seconds }, log: log)
        let notes = "\(places.runtime)/names-\(namespace)"
        let budgetTable = Dataplane(try NetlinkConnection.netfilter())
        let setting = NameService.Setting(
            path: notes, bootID: try NetworkStore.currentBootID(),
            servers: {
                reach.nameServers.isEmpty ? HostResolvers.addresses().map { NameServer($0) } : reach.nameServers
            },
            areServersChosen: !reach.nameServers.isEmpty, trust: reach.serverTrust, denial: reach.nameDenial,
            limits: reach.nameLimits, kept: manager.map { KeptSockets($0, handed: handed, log: log) },
            relay: hasRelay ? RelayProcess(path: "\(notes).relay", log: log) : nil, budgets: budgetTable.batchSender,
            now: { WallTime.now.seconds })
        let enforcement = try KernelEnforcement(
            directory: "\(places.runtime)/bridges", routes: "\(places.runtime)/routes", quarantine: reach.quarantine,
            traffic: traffic, names: (setting, book),
            // Without an identity nothing is noted, and the next agent reads everything back.
            record: (try? KernelRecord.identity(namespace)).map { identity in
                KernelRecord(path: "\(places.runtime)/ruleset-\(namespace)", identity: identity)
            })
        let (routes, names) = (enforcement.routes, enforcement.names)
        let watch = try Watch(besides: enforcement.dataplane)
        let clock = try BootClock.system()
        let feeds = FeedKeeper(
            FeedArchive(directory: "\(places.state)/feeds"),
            try FeedFetcher(group: MultiThreadedEventLoopGroup.singleton, authorities: feedAuthorities),
            uptime: clock.uptime, log: log)
        let budgets = try BudgetKeeper(
            budgetTable, try UsageStore(path: "\(places.state)/usage.sqlite", log: log),
            kernel: "\(try NetworkStore.currentBootID()) \(namespace)", names: names)
        let links = try WatchedLinks()
        let source = HostEndpoints(
            networks: try NetworkEndpoints(links: links),
            attached: try AttachedEndpoints(
                directory: "\(places.runtime)/endpoints-\(namespace)", followed: Swift.Set(reach.engines.keys),
                links: links),
            groups: try AttachedGroups(directory: "\(places.runtime)/groups-\(namespace)"),
            fileNote: FilePolicies.note(places.runtime, namespace))
        let store = try PolicyStore(path: "\(places.state)/agent.sqlite")
        // After all that has asked for this thread's network namespace.
        let counts = await trafficStore
        let agent = Agent(
            loop: group.next(), store: store, enforcement: enforcement, source: source,
            defaultAction: reach.defaultAction, timeZones: SystemTimeZones.database(), networkNamespace: namespace,
            now: { WallTime.now.seconds }, traffic: traffic, trafficStore: counts, clock: clock,
            feeds: feeds, names: names, budgets: budgets, log: log)
        try await agent.start()
        // Where the kernel is left as it is, what it leads to is too.
        if await agent.hasTaken { names?.settle() }
        let (changes, report) = AsyncStream.makeStream(of: [String].self)
        routes.start(log: log) { report.yield($0) }
        let engines = reach.engines.sorted { $0.key < $1.key }.map { name, path in
            EngineFollower(
                EngineFollower.Engine(name: name, socketPath: path), agent: agent, refusals: reach.refusals,
                group: group, log: log)
        }
        // What runs already has its policies before anybody is told that the agent is ready.
        let following = await follow(engines)
        let listener = AgentProcess.listener(traffic, log)
        return AgentProcess(
            agent, watch, routes, names, listener, [lock, place], following, changes: changes, report)
    }

    private static func follow(_ engines: [EngineFollower]) async -> [Task<Void, Never>] {
        let (reports, report) = AsyncStream.makeStream(of: String.self)
        let tasks = engines.map { follower in
            Task { await follower.run { report.yield(follower.engine.name) } }
        }
        var waiting = Swift.Set(engines.map(\.engine.name))
        if waiting.isEmpty { return tasks }
        for await name in reports {
            waiting.remove(name)
            if waiting.isEmpty { break }
        }
        return tasks
    }

    /// Opens the counts and flows of former agents. Enforcement does without them.
    private static func trafficStore(
        _ path: String, _ traffic: TrafficBook, _ namespace: UInt64, _ log: (String) -> Void
    ) -> TrafficStore? {
        do {
            let store = try TrafficStore(path: path, log: log)
            try store.load(into: traffic, kernel: "\(NetworkStore.currentBootID()) \(namespace)")
            return store
        } catch {
            log("counts and flows are not kept: \(error)")
            return nil
        }
    }

    /// Listens to log records. Enforcement does without.
    private static func listener(_ traffic: TrafficBook, _ log: (String) -> Void) -> LogListener? {
        do {
            return try LogListener(book: traffic)
        } catch {
            log("flows are not told, only counted: \(error)")
            return nil
        }
    }

    private init(
        _ agent: Agent, _ watch: Watch, _ routes: RouteService, _ names: NameService?, _ listener: LogListener?,
        _ locks: [FileLock], _ following: [Task<Void, Never>], changes: AsyncStream<[String]>,
        _ report: AsyncStream<[String]>.Continuation
    ) {
        self.following = following
        self.routes = routes
        self.names = names
        self.listener = listener
        self.agent = agent
        self.locks = locks
        self.report = report
        hearing = Task { for await authors in changes { await agent.kernelChanged(by: authors) } }
        ticking = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                await agent.tick()
            }
        }
        watchers = NIOThreadPool(numberOfThreads: 1)
        watchers.start()
        watchers.submit { state in
            if case .active = state { watch.run { report.yield($0.authors) } }
        }
        self.watch = watch
    }

    private let watch: Watch
    private let routes: RouteService
    private let names: NameService?
    private let listener: LogListener?

    /// How long servers have for the answers to what endpoints have asked before the agent's end.
    private static let patience: Duration = .seconds(2)

    /// Ends the threads, when what endpoints have asked is answered. The kernel goes on with what it was last given.
    public func stop() async {
        ticking.cancel()
        for task in following { task.cancel() }
        watch.stop()
        // On the watch's thread, which has nothing to do any more: this may wait.
        if let names {
            try? await watchers.runIfActive { names.finish(within: AgentProcess.patience) }
        }
        await routes.stop()
        await listener?.stop()
        try? await watchers.shutdownGracefully()
        report.finish()
        for task in [ticking, hearing] + following { await task.value }
        await agent.keepCounts()
        // What is fetched for feeds comes back to the agent's loop, which lives as long as the process.
        withExtendedLifetime(locks) {}
    }
}

/// Waits on a thread of its own for others' changes of the agent's tables.
private final class Watch: @unchecked Sendable {
    // The thread of `run` uses it; others only ring the bell.
    private let tables: TableWatch
    private let bell: (read: Descriptor, write: Descriptor)

    init(besides dataplane: Dataplane) throws {
        tables = try TableWatch(HostPlan.tables, besides: dataplane)
        bell = try Descriptor.pipe()
    }

    func run(_ hear: (TableChanges) -> Void) {
        var both = Poll()
        both.add(tables.descriptor)
        both.add(bell.read)
        var pause = Poll()
        pause.add(bell.read)
        while true {
            guard let ready = try? both.wait(), ready[bell.read].isEmpty else { return }
            guard var changes = try? tables.pending() else {
                // The agent compares by itself as well, though more seldom.
                guard let rest = try? pause.wait(timeout: .seconds(1)), rest[bell.read].isEmpty else { return }
                continue
            }
            if changes.changes.isEmpty && !changes.someWereLost { continue }
            // What belongs together comes within moments: the kernel is compared once for all of it.
            guard let rest = try? pause.wait(timeout: .milliseconds(20)), rest[bell.read].isEmpty else { return }
            if let more = try? tables.pending() {
                changes.authors += more.authors.filter { !changes.authors.contains($0) }
            }
            hear(changes)
        }
    }

    func stop() { try? bell.write.write([1]) }
}
