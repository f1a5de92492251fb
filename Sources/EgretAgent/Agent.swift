// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretCompiler
import EgretPolicy
import NIOCore

/// Holds policies and endpoints, and keeps the kernel at what they say.
///
/// What it does to the store and the kernel it does on a thread of its own, one thing at a time; nothing awaits in the
/// middle, so that every call is all or nothing for every other.
public actor Agent {
    nonisolated let loop: any EventLoop
    /// The thread that the agent's work is done on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.executor.asUnownedSerialExecutor()
    }

    let store: PolicyStore
    let enforcement: any Enforcement
    let source: any EndpointSource
    /// The time, in seconds since 1970.
    let now: @Sendable () -> Int64
    /// Takes lines for whoever runs the agent.
    let log: @Sendable (String) -> Void
    /// What endpoints may send that no policy selects.
    let defaultAction: DefaultAction
    let timeZones: TimeZoneDatabase
    /// The kernel's cookie of the network namespace that the endpoints' links are in.
    let networkNamespace: UInt64

    var revision: RevisionInfo?
    var documents: [StoredDocument] = []
    var reading = PolicyReading()
    var endpointsPresent: [AgentEndpoint] = []
    /// The bridges that networks made for Docker have.
    var closedBridges: Swift.Set<BridgePattern> = []
    /// What the kernel enforces. It is noted together with the budgets that it asks for.
    private(set) var enforced: [EnforcedEndpoint] = [] {
        didSet { hasWorked = true }
    }
    /// Whether the agent has done something since it last gave memory back that takes much for a while.
    var hasWorked = false
    /// Whether memory is to be given back once more, though nothing was done since it last was.
    var returnsMore = false
    var lastReturn: Int64 = 0
    /// Why the kernel is not where it should be; `nil` if it is.
    var problem: String?
    var repairs = 0
    /// How many containers were killed that are not to run.
    var killed = 0
    var drifts = 0
    /// How long changes took.
    var latency = DurationHistogram()
    var changes = 0
    /// Whether the kernel is the agent's: it is not while an empty store stands before policies of a former one.
    var hasTaken = true
    /// What is wrong until then.
    static let lostStore = "the store is empty, and the kernel holds the policies of a former one"
    /// Why the latest change that somebody asked for did not come about; `nil` if it did.
    var lastFailure: String?
    var failures = 0
    /// Whether the kernel is back from a change that nobody confirmed, and the store does not know yet.
    var isBack = false
    var lastTidying: Int64 = 0
    var lastComparison: Int64 = 0
    var nextAttempt: Int64 = 0
    /// What was last told of what is used of budgets and cannot be written.
    var toldUnwritten: String?
    let traffic: TrafficBook
    let trafficStore: TrafficStore?
    let clock: BootClock
    let budgets: BudgetKeeper?
    let feeds: FeedKeeper?
    let names: NameService?
    /// Whether a list has come that is not in force yet.
    var hasNewLists = false
    /// Until when the revision in force must be confirmed; `nil` if it need not be.
    var deadline: ConfirmationDeadline?
    var lastReading: Int64 = 0

    /// Creates an agent. Nothing is done until ``start()``.
    init(
        loop: any EventLoop, store: PolicyStore, enforcement: sending any Enforcement,
        source: sending any EndpointSource, defaultAction: DefaultAction = .allow, timeZones: TimeZoneDatabase,
        networkNamespace: UInt64,
        now: @escaping @Sendable () -> Int64, traffic: TrafficBook = TrafficBook(),
        trafficStore: TrafficStore? = nil, clock: BootClock,
        feeds: FeedKeeper? = nil, names: NameService? = nil, budgets: sending BudgetKeeper? = nil,
        log: @escaping @Sendable (String) -> Void
    ) {
        self.clock = clock
        self.feeds = feeds
        self.names = names
        self.budgets = budgets
        self.traffic = traffic
        self.trafficStore = trafficStore
        self.networkNamespace = networkNamespace
        self.loop = loop
        self.store = store
        self.enforcement = enforcement
        self.source = source
        self.timeZones = timeZones
        self.defaultAction = defaultAction
        self.now = now
        self.log = log
    }

    var desired: DesiredState { desired(reading) }

    func desired(_ reading: PolicyReading) -> DesiredState {
        var catalog = reading.catalog
        catalog.networkDefault = defaultAction
        return DesiredState(
            catalog: catalog, endpoints: endpointsPresent, namespaces: reading.namespaces, nodes: reading.nodes,
            quarantine: closedBridges)
    }

    // MARK: - Starting

    /// Brings the kernel to the revision in force. On return it enforces it.
    ///
    /// A store that never had a revision, in front of a kernel that holds policies, leaves the kernel as it is until the first
    /// change: the store was lost, not the policies.
    ///
    /// - Throws: An error if the store cannot be read, or the kernel not be brought there; the kernel is then as it was.
    public func start() async throws {
        noting("revisions that were not applied to their end") {
            for number in try store.pending() {
                try store.fail(number, reason: "the agent was ended while it applied it")
                log("revision \(number) was not applied to its end, and is put aside")
            }
        }
        revision = try store.current()
        deadline = try revision.flatMap { try store.deadline(of: $0.number) }
        let number = try numberInForce()
        // Beside each other; nobody else has the agent yet, who could find it between the two.
        async let written = read(number)
        let present = Result { try source.endpoints() }
        (documents, reading) = try await written
        for warning in reading.warnings { log(warning) }
        endpointsPresent = try present.get()
        closedBridges = try source.quarantine()
        if revision == nil, try enforcement.holdsPolicies() {
            hasTaken = false
            problem = Agent.lostStore
            log("the store is empty and the kernel holds policies: they stay as they are until the first change")
            return
        }
        try take()
        tellOfAlterations()
        log(
            "revision \(revision?.number ?? 0) with \(count(documents.count, "document")) is in force for "
                + count(enforced.count { !$0.generations.isEmpty }, "endpoint"))
        noting("going back") { try rollBackIfOverdue() }
    }

    /// The number of the revision whose documents are in force; `nil` if none are.
    private func numberInForce() throws -> Int? {
        guard let revision else { return nil }
        if !isOverdue(revision) { return revision.number }
        // What nobody has confirmed does not come back, unless there is nothing to go back to.
        guard let before = try store.predecessor(of: revision.number) else { return nil }
        return try store.revision(before) == nil ? revision.number : before
    }

    /// Reads the documents of a revision, or of none; on any thread.
    private nonisolated func read(_ number: Int?) throws -> (documents: [StoredDocument], reading: PolicyReading) {
        let documents = try number.map { try store.documents(of: $0) } ?? []
        do {
            return (documents, try PolicyReading(documents, timeZones: timeZones, isNew: false, feeds: feeds))
        } catch {
            let mistakes = error.diagnostics?.joined(separator: "\n") ?? error.message
            throw APIError(
                "failed", "revision \(number ?? 0) cannot be read any more: \(mistakes)",
                advice:
                    "the kernel goes on with what it was last given; start the version of Egret that has applied it, or "
                    + "move agent.sqlite out of the agent's directory, and agent.sqlite-wal and agent.sqlite-shm if they are "
                    + "there, start the agent, which leaves the kernel as it is until the first change, and apply the "
                    + "policies with the mistakes corrected")
        }
    }

    // MARK: - Keeping

    /// Looks after what changes with time. To be called about once a second.
    ///
    /// One thing that fails does not keep the others from being done.
    public func tick() {
        let time = now()
        noting("going back") { try rollBackIfOverdue() }
        if !hasTaken { return }
        noting("endpoints") { if try presentEndpoints() != endpointsPresent { try refresh() } }
        noting("times") {
            // As the enforcement sees it: where a clock was set back a little, the times that it has will do.
            let isDue = enforcement.timesHoldUntil.map { ScheduleHorizon.isDue(until: $0, at: time) }
            if isDue ?? false { hold(try enforcement.apply(desired, at: time)) }
        }
        noting("names") { try names?.tick() }
        noting("queues") { if try enforcement.hearsOfQueues() { try compare(by: []) } }
        // What is done every so often does not depend on the calendar.
        let uptime = clock.uptime()
        if problem != nil, uptime >= nextAttempt { noting("mending") { try mend(because: "another attempt") } }
        if uptime - lastComparison >= 30 {
            lastComparison = uptime
            noting("comparing") { try compare(by: []) }
            noting("feeds") { try readFeeds() }
            mendBudgets()
        }
        countBudgets()
        fetchFeeds()
        noting(traffic: "flows") { try trafficStore?.saveFlows(traffic) }
        if uptime - lastReading >= 15 {
            lastReading = uptime
            noting(traffic: "counters") { try readCounters() }
        }
        if uptime - lastTidying >= 60 {
            lastTidying = uptime
            noting("tidying") { try enforcement.tidy() }
        }
        returnMemory(at: uptime)
    }

    private func take() throws {
        if !enforcement.readsCountersThatGo {
            noting(traffic: "counters") { traffic.note(try enforcement.counters()) }
        }
        try source.noteTakeOver()
        hold(try takeWhatIsThere())
        hasTaken = true
        problem = nil
        try source.note(hasPolicies: !documents.isEmpty)
    }

    /// Notes what the kernel enforces now, and brings it to the budgets of that.
    ///
    /// - Parameters:
    ///   - endpoints: What it enforces.
    ///   - fresh: The policies that are in force from now on; `nil` for those that were.
    func hold(_ endpoints: [EnforcedEndpoint], of fresh: PolicyReading? = nil) {
        enforced = endpoints
        if let fresh { reading = fresh }
        keepBudgets()
    }

    /// Notes what the kernel enforces of policies that are in force only if their budgets can be kept too.
    func hold(_ endpoints: [EnforcedEndpoint], budgetsOf catalog: PolicyCatalog) throws {
        enforced = endpoints
        if hasTaken { try keepBudgets(of: catalog) }
    }

    /// Takes over. A link may go at any moment: then it is done with those that are there.
    private func takeWhatIsThere() throws -> [EnforcedEndpoint] {
        for _ in 0..<8 {
            do {
                return try enforcement.take(to: desired, at: now())
            } catch {
                let present = try presentEndpoints()
                if present == endpointsPresent { throw error }
                endpointsPresent = present
            }
        }
        return try enforcement.take(to: desired, at: now())
    }

    /// The endpoints that are kept, and those that were, as long as their links are there: a record that is gone opens nothing.
    private func presentEndpoints() throws -> [AgentEndpoint] {
        let kept = try source.endpoints()
        if kept == endpointsPresent { return kept }
        let links = Swift.Set(kept.map(\.interfaceIndex))
        let names = Swift.Set(kept.map(\.workload.id))
        return kept
            + endpointsPresent.filter { endpoint in
                !links.contains(endpoint.interfaceIndex) && !names.contains(endpoint.workload.id)
                    && source.hasLink(endpoint)
            }
    }

    /// Reads feeds again, and has what has changed in force.
    private func readFeeds() throws {
        guard hasNewLists || reading.areFeedsDue else { return }
        try takeFeeds()
    }

    /// Has in force what feeds hold now.
    func takeFeeds() throws {
        hasWorked = true
        let fresh = try PolicyReading(
            documents, timeZones: timeZones, former: reading, isNew: false, feeds: feeds)
        if fresh.catalog == reading.catalog { return hasNewLists = false }
        hold(try enforcement.apply(desired(fresh), at: now()), of: fresh)
        hasNewLists = false
        log("feeds have changed, and what they hold is in force")
    }

    /// Reads the endpoints again and brings the kernel to what they are now.
    func refresh() throws {
        if !hasTaken {
            throw APIError("failed", Agent.lostStore, advice: "apply the policies again: egret apply -f DIR")
        }
        endpointsPresent = try presentEndpoints()
        closedBridges = try source.quarantine()
        do {
            hold(try enforcement.apply(desired, at: now()))
        } catch {
            // An endpoint may have gone in between.
            endpointsPresent = try presentEndpoints()
            try take()
        }
        problem = nil
    }

    /// Hears that somebody else has changed the agent's tables.
    ///
    /// - Parameter authors: Who, as far as the kernel tells.
    public func kernelChanged(by authors: [String]) {
        if hasTaken { noting("comparing") { try compare(by: authors) } }
    }

    private func compare(by authors: [String]) throws {
        let former = enforcement.comparisons
        defer { if enforcement.comparisons != former { hasWorked = true } }
        let drift = try enforcement.drift()
        // Endpoints that are gone take their chains with them.
        if drift.isEmpty { return }
        drifts += 1
        if try presentEndpoints() != endpointsPresent {
            try refresh()
            if try enforcement.drift().isEmpty { return }
        }
        let who = authors.isEmpty ? "somebody" : authors.joined(separator: " and ")
        try mend(because: "\(who) has changed what the kernel holds: \(summary(drift))")
    }

    /// Says what others had changed while no agent ran; the take-over has mended it.
    private func tellOfAlterations() {
        let found = enforcement.alterations
        if found.isEmpty { return }
        drifts += 1
        repairs += 1
        log("somebody has changed what the kernel holds while no agent ran: \(summary(found)); mended")
    }

    private func mend(because reason: String) throws {
        log(reason)
        endpointsPresent = try presentEndpoints()
        try take()
        repairs += 1
        log("mended: the kernel is at revision \(revision?.number ?? 0)")
    }

    /// Does a part of the work; if it fails, that is noted, and everything else goes on.
    func noting(_ part: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            note(problem: "\(part): \(error)")
        }
    }

    /// Does what enforcement does not depend on.
    func noting(traffic part: String, _ body: () throws -> Void) {
        do { try body() } catch { log("\(part): \(error)") }
    }

    private func note(problem text: String) {
        if problem != text { log("not in force: \(text)") }
        problem = text
        nextAttempt = clock.uptime() + 1
    }

    private func summary(_ drift: [String]) -> String {
        let shown = drift.prefix(3).joined(separator: ", ")
        return drift.count > 3 ? "\(shown) and \(drift.count - 3) more" : shown
    }

    func count(_ number: Int, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }
}

extension Agent {
    /// Answers as soon as the agent has done what it was at: whoever watches over it knows that it is not stuck.
    func isAlive() -> Bool { true }
}
