// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDNSWire
import EgretEvaluator
import EgretFlows
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretNftables
import EgretPolicy
import Synchronization

/// The names of one run: the proxies, what they may let out, and what they tell.
///
/// They are threads of this process. If it ends, they do, and the command with it; nothing opens.
final class RunNames: Sendable {
    /// What the proxies are told about a run.
    struct Setting: Sendable {
        var policies: PolicySet
        var program: PolicyProgram
        /// The run's slot.
        var slot: Int
        /// The name of the host's end of the run's link.
        var interface: String
        var endpointAddresses: [IPAddress]
        /// The servers that questions go to.
        var resolvers: [NameServer]
        /// Whether the user has named them; else they are the host's.
        var areResolversChosen: Bool
        /// Whom servers over TLS must be vouched for by; needed if there are any.
        var trust: ServerTrust?
        /// How questions are answered that no rule allows.
        var denial: NameTable.Denial
        /// How much the command may ask, and hold.
        var limits: NameLimits
        /// The time, in seconds since 1970.
        var now: @Sendable () -> Int64
    }

    /// The netlink ports by which the proxies put addresses into sets.
    var netlinkPorts: [UInt32] { [sets.netlinkPort] + (counted?.netlinkPorts ?? []) }
    /// Where the proxies listen.
    func proxies(at addresses: [IPAddress]) -> NameProgram.Proxies {
        NameProgram.Proxies(
            addresses: addresses, namesPort: questions.port, checksPort: connections.port,
            datagramsPort: datagrams?.port)
    }
    /// The port of the proxy for questions.
    var namesPort: UInt16 { questions.port }

    private let questions: NameProxy
    private let connections: ConnectionProxy
    /// Reads names in QUIC, if a rule wants that.
    private let datagrams: DatagramProxy?
    private let sets: NameSets
    /// The sets by which limits and budgets know names, if any are about names.
    private let counted: RunCountedNames?
    private let log: RunNameLog
    /// By which ways the proxies send.
    let departures: RunDepartures

    private static let endpoint = 1

    /// Starts the proxies. Nothing leads to them yet.
    init(_ setting: Setting) throws(LinuxError) {
        let registry = NameRegistry()
        let names = setting.program.names
        let sets = try NameSets(table: BaseProgram.table.name) { _, rule, family in
            names.first { $0.number == rule }?.set(family) ?? ""
        }
        self.sets = sets
        let countsNames = !setting.policies.countedNames.isEmpty
        let counted = try countsNames ? RunCountedNames(slot: setting.slot) : nil
        self.counted = counted
        let log = RunNameLog(setting.policies, registry, now: setting.now)
        self.log = log
        let departures = RunDepartures(slot: setting.slot, hasRoutes: !setting.policies.routes.isEmpty)
        self.departures = departures
        registry.set(RunNames.endpoint(setting, log.judge), now: BootClock.milliseconds)
        questions = try NameProxy(
            registry: registry, trust: setting.trust,
            hooks: NameProxy.Hooks(
                commit: { sets.commit($0) },
                prepare: { _, holdings in try counted?.note(holdings) },
                departure: { departures.departure(to: $1, over: $2 ? .tcp : .udp) },
                event: { _, event in log.note(event) },
                failed: { error in RunNames.warn("names are resolved no more, and new ones stay closed", error) }
            ))
        var settings = ConnectionProxy.Settings()
        // Every other connection of the run has the host's address too.
        settings.keepsSource = false
        settings.departure = { departures.departure(to: $1, over: .tcp) }
        settings.codePoint = { endpoint, server in log.judge.codePoint(to: server, of: endpoint) }
        settings.protocols = { _, port in log.judge.protocols(port) }
        connections = try ConnectionProxy(
            registry: registry,
            settings: settings,
            hooks: ConnectionProxy.Hooks(
                begin: { endpoint, destination in log.judge.beginning(endpoint, destination) },
                allows: { endpoint, attempt in log.judge.decide(endpoint, attempt).verdict == .allow },
                event: { _, event in log.note(event) },
                failed: { error in RunNames.warn("connections by name pass no more, and open ones have ended", error) }
            ))
        let readsDatagrams = names.contains { !$0.traffic.checkedDatagrams.isEmpty }
        datagrams = try readsDatagrams ? RunNames.startDatagrams(setting, registry, sets, log) : nil
    }

    /// How long the kernel looks a flow up that was let through: until the connection's own entry lets it pass.
    private static let passing: UInt64 = 60_000
    /// The same where a rule's time may end what it has let through: every packet is looked up then.
    private static let longPassing: UInt64 = 86_400_000

    private static func startDatagrams(
        _ setting: Setting, _ registry: NameRegistry, _ sets: NameSets, _ log: RunNameLog
    ) throws(LinuxError) -> DatagramProxy {
        let (generation, interface) = (setting.program.generation, setting.interface)
        return try DatagramProxy(
            registry: registry,
            hooks: DatagramProxy.Hooks(
                begin: { endpoint, destination in log.judge.beginning(endpoint, destination, over: .udp) },
                allows: { endpoint, attempt in log.judge.decide(endpoint, attempt).verdict == .allow },
                pass: { endpoint, attempt in
                    let family = attempt.destination.address.family
                    var wanted = [NameProgram.passedSet(family, of: interface): passing]
                    let time = log.judge.mayCut(endpoint, attempt) ? longPassing : passing
                    for rule in log.judge.rulesOfFlows(attempt) {
                        wanted[CompiledNameRule.flowSet(rule, family, of: generation)] = time
                    }
                    try sets.pass(from: attempt.source, to: attempt.destination, in: wanted)
                },
                event: { _, event in log.note(event, over: .udp) },
                failed: { error in warn("names in QUIC are read no more, and what says them is dropped", error) }
            ))
    }

    /// Says that a proxy has ended by itself, while the command goes on.
    private static func warn(_ text: String, _ error: LinuxError) {
        Console.error(["egret: warning: \(text): \(error)"])
    }

    private static func endpoint(_ setting: Setting, _ judge: ConnectionJudge) -> NameEndpoint {
        return NameEndpoint(
            id: endpoint,
            addresses: setting.endpointAddresses,
            rules: NameRule.rules(of: setting.policies),
            countedNames: setting.policies.countedNames,
            limits: setting.limits,
            denial: setting.denial,
            trustedServers: setting.policies.trustedServers(besides: setting.resolvers),
            servers: setting.resolvers,
            replaceableServers: setting.areResolversChosen
                ? setting.policies.replaceableServers(among: setting.resolvers) : [],
            isOpen: { judge.allowsQuestions(to: $0, isHost: false, overStream: $1) },
            isOpenHere: { judge.allowsQuestions(to: $0, isHost: true, overStream: $1) }
        )
    }

    /// Has what is resolved from now on known to limits or budgets that are about names, by their sets.
    func fill(_ sets: [(table: Table, set: NamedSet)]) { counted?.fill(sets) }

    /// What leads to the proxies.
    static func doors(_ program: PolicyProgram) -> [NameProgram.Door] {
        program.names.compactMap { name in
            guard name.effect == .allow else { return nil }
            var sets: [AddressFamily: String] = [:]
            for family in AddressFamily.allCases { sets[family] = name.set(family) }
            return NameProgram.Door(
                sets: sets, checkedPorts: name.traffic.checked, checkedDatagrams: name.traffic.checkedDatagrams)
        }
    }

    /// The names by which the run has held an address.
    func names(of address: IPAddress) -> Swift.Set<DomainName> { log.names(of: address) }

    /// The name that the QUIC connection from a port of the command's to a server has said, and was let through for.
    func nameSaid(from sourcePort: UInt16, to server: SocketAddress) -> DomainName? {
        log.nameSaid(from: sourcePort, to: server)
    }

    /// What was refused since the last call, in order.
    func takeLogEntries() -> [NameLogEntry] { log.takeEntries() }

    /// Whether a rule's time may end connections that it has let through.
    var cutsByTime: Bool { log.judge.cutsByTime }

    /// Ends connections that may go on no more by the clock. To be called about once a second.
    func endClosed() {
        guard log.haveTimesChanged() else { return }
        connections.reset { [log] _, attempt in log.mustEnd(attempt) }
    }

    /// Ends the proxies and their connections.
    ///
    /// - Returns: What they have seen, and let out.
    func end() -> (report: NameReport, relayed: [FlowCollector.Relayed]) {
        connections.stop()
        datagrams?.stop()
        questions.stop()
        return log.finish()
    }
}

/// What the proxies ask and tell, on their threads.
final class RunNameLog: Sendable {
    let judge: ConnectionJudge

    private struct State {
        var journal = NameJournal()
        var relayed: [Place: FlowCollector.Relayed] = [:]
        /// What waits to be written down.
        var entries: [NameLogEntry] = []
    }

    /// What waits at most; what goes beyond is in the report only.
    private static let entryLimit = 10_000

    private struct Place: Hashable {
        var key: FlowKey
        var name: String?
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Int64
    private let times: ConnectionTimes
    private let changes: Mutex<ScheduleChanges>
    private static let endpoint = 1

    init(_ policies: PolicySet, _ registry: NameRegistry, now: @escaping @Sendable () -> Int64) {
        self.now = now
        times = ConnectionTimes(now: now)
        changes = Mutex(ScheduleChanges(of: policies))
        judge = ConnectionJudge(policies, registry: registry, time: now)
    }

    func names(of address: IPAddress) -> Swift.Set<DomainName> {
        state.withLock { $0.journal.names(of: address) }
    }

    func nameSaid(from sourcePort: UInt16, to server: SocketAddress) -> DomainName? {
        state.withLock { $0.journal.nameSaid(from: sourcePort, to: server) }
    }

    func note(_ event: NameEvent) {
        let entry = NameLogEntry(event)
        state.withLock { state in
            state.journal.note(event)
            if let entry, state.entries.count < RunNameLog.entryLimit { state.entries.append(entry) }
        }
    }

    func note(_ event: ConnectionEvent, over transport: IPProtocol = .tcp) {
        if case .ended(let attempt, let volume) = event { noteEnd(attempt, volume) }
        times.note(event, of: RunNameLog.endpoint)
        let entry = NameLogEntry(event, over: transport)
        state.withLock { state in
            state.journal.note(event, over: transport)
            if let entry, state.entries.count < RunNameLog.entryLimit { state.entries.append(entry) }
        }
    }

    func takeEntries() -> [NameLogEntry] {
        state.withLock { state in
            defer { state.entries = [] }
            return state.entries
        }
    }

    /// Whether rules have begun or ceased to hold since the last call.
    func haveTimesChanged() -> Bool { changes.withLock { $0.haveHappened(by: now()) } }

    /// Whether the time of a rule that cuts ends an open connection.
    func mustEnd(_ attempt: ConnectionAttempt) -> Bool {
        let beginning = times.beginning(of: attempt, of: RunNameLog.endpoint)
        return judge.decide(RunNameLog.endpoint, open: attempt, since: beginning).verdict != .allow
    }

    private func noteEnd(_ attempt: ConnectionAttempt, _ volume: InternetSocket.Volume?) {
        let destination = attempt.destination
        // By the rule that has let it through: that rule's time may be over.
        let beginning = times.beginning(of: attempt, of: RunNameLog.endpoint) ?? now()
        var name: String?
        var decision = judge.evaluator.decide(
            judge.flow(destination, names(of: destination.address), .nothing), at: beginning)
        if case .name(let spoken) = attempt.speech {
            name = spoken.name.lowercased()
            decision = judge.decide(RunNameLog.endpoint, attempt, at: beginning)
        }
        let isAllowed = decision.verdict == .allow
        let header = RunNameLog.headerBytes(destination)
        let relayed = FlowCollector.Relayed(
            key: FlowKey(destination: destination.address, protocol: .tcp, port: destination.port),
            name: name,
            clause: isAllowed ? decision.clause : nil,
            isAudited: isAllowed && decision.isAudited,
            sent: Traffic(volume?.segmentsReceived, volume?.bytesReceived, header: header),
            received: Traffic(volume?.segmentsSent, volume?.bytesSent, header: header)
        )
        state.withLock { state in
            let place = Place(key: relayed.key, name: name)
            if var sum = state.relayed[place] {
                sum.connections += 1
                sum.sent += relayed.sent
                sum.received += relayed.received
                state.relayed[place] = sum
            } else if state.relayed.count < FlowCollector.destinationLimit {
                state.relayed[place] = relayed
            }
        }
    }

    /// What the headers of a segment take: IP's, and TCP's with the time stamps that nearly every segment has.
    private static func headerBytes(_ destination: SocketAddress) -> UInt64 { destination.isIPv6 ? 72 : 52 }

    func finish() -> (report: NameReport, relayed: [FlowCollector.Relayed]) {
        state.withLock { ($0.journal.report, Array($0.relayed.values)) }
    }
}

extension Traffic {
    fileprivate init(_ segments: UInt64?, _ bytes: UInt64?, header: UInt64) {
        let segments = segments ?? 0
        self.init(packets: segments, bytes: (bytes ?? 0) &+ segments &* header)
    }
}

extension NameLogEntry {
    /// A question that was refused; `nil` for any other event.
    fileprivate init?(_ event: NameEvent) {
        switch event {
        case .denied(let name, let type): self.init(name: NameJournal.text(name), type: "\(type)", reason: "name")
        case .typeDenied(let name, let type): self.init(name: NameJournal.text(name), type: "\(type)", reason: "type")
        case .serverDenied(let name, let server):
            self.init(name: NameJournal.text(name), destination: server, reason: "server")
        case .limited(let name, let limit):
            self.init(name: NameJournal.text(name), reason: "limit: \(limit.rawValue)")
        case .addressesRemoved, .badAnswer, .commitFailed, .timedOut, .serverFailed, .granted: return nil
        }
    }

    /// A connection that was refused; `nil` for any other event.
    fileprivate init?(_ event: ConnectionEvent, over transport: IPProtocol) {
        guard let refused = NameJournal.Connection(refusedBy: event, over: transport) else { return nil }
        self.init(
            name: refused.name, destination: refused.address, port: refused.port, transport: refused.transport,
            reason: refused.words)
    }
}
