// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNftables
import EgretPolicy
import Synchronization

/// The names of all endpoints: the two proxies, what reads the names in QUIC, what they may let out, and what they tell.
///
/// They are threads of the agent. They start with the first policy that has rules about names, or limits or budgets for some.
/// When the agent ends, no name resolves and nothing opens; where somebody keeps their sockets, questions and connections wait there
/// for the next agent. Connections that were let through are in the relay's hands, and go on.
final class NameService: Sendable {
    /// Where things are, and who is asked.
    struct Setting: Sendable {
        /// The beginning of the files' names: notes about the running kernel.
        var path: String
        /// The machine's start.
        var bootID: String
        /// The servers that questions go to, as they are now.
        var servers: @Sendable () -> [NameServer]
        /// Whether whoever runs the agent has named them, once for all; else they are the host's.
        var areServersChosen = false
        /// Whom servers over TLS must be vouched for by; else the system's authorities do, for those that policies name.
        var trust: ServerTrust?
        /// How questions are answered that no rule allows.
        var denial: NameTable.Denial = .refused
        /// How much each endpoint may ask, and hold.
        var limits = NameLimits()
        /// By which way what the proxies send for endpoints leaves, by the endpoint's address and where it goes.
        var departure: @Sendable (IPAddress, SocketAddress, IPProtocol) -> Departure = { _, _, _ in .main }
        /// Keeps the proxies' sockets over the agent's end; `nil` where nobody does.
        var kept: KeptSockets?
        /// Holds connections over the agent's end; `nil` where nobody does.
        var relay: RelayProcess?
        /// Puts elements into the sets of the table of budgets, by the socket that owns it; `nil` where nobody keeps budgets.
        var budgets: BatchSender?
        /// The time, in seconds since 1970.
        var now: @Sendable () -> Int64
    }

    struct Entry: Sendable {
        var member: NameMember
        var judge: ConnectionJudge
        /// Whether the time makes a difference.
        var changes: ScheduleChanges

        init(member: NameMember, judge: ConnectionJudge) {
            self.member = member
            self.judge = judge
            changes = ScheduleChanges(of: member.policies)
        }
    }

    struct State {
        var entries: [Int: Entry] = [:]
        /// What decides about connections, by the number of the program that endpoints obey: they have it together.
        var judges: [Generation: ConnectionJudge] = [:]
        /// What former agents' endpoints have resolved, by link.
        var inherited: [String: [NameHolding]] = [:]
        /// When what is inherited is looked through next, in milliseconds.
        var nextAgeing: UInt64 = 0
        var servers: [NameServer] = []
        /// The addresses of all endpoints of this host.
        var neighbours: Swift.Set<IPAddress> = []
        /// Whether a rule wants names in QUIC read.
        var readsDatagrams = false
        /// Whether nobody has looked at the table of budgets yet who is going to.
        var awaitsBudgets = false
        /// Whether endpoints are known: the proxies are to work.
        var hasBegun = false
    }

    struct Proxies {
        var questions: NameProxy
        var connections: ConnectionProxy
        /// What opens in the kernel.
        var sets: NameSets
        /// What limits and budgets know endpoints' names by.
        var counted: CountedNameSets
        /// Reads the names in QUIC, once a rule wants that.
        var datagrams: DatagramProxy?
    }

    let registry = NameRegistry()
    let book: NameBook
    let setting: Setting
    let journal: HoldingsJournal
    private let sender: BatchSender
    /// When open connections were let through.
    let times: ConnectionTimes
    /// The flows of datagrams that were let through.
    let passed = PassedFlows()
    let state = Mutex(State())
    let proxies = Mutex<Proxies?>(nil)
    /// The proxies that have ended by themselves and are not started again yet, and why they have.
    let ended = Mutex<[KeptSockets.Owner: String]>([:])
    /// Whether what reads the names in QUIC has ended by itself, and is not begun again yet.
    let haveDatagramsEnded = Mutex(false)
    /// Whether no relay is there though one should be, and whether the former one is of no use.
    let lostRelay = Mutex<(isLost: Bool, isOther: Bool)>((isLost: false, isOther: false))
    /// Whether all endpoints are known that were there when the agent began.
    let isSettled = Mutex(false)
    /// Whether it is noted where the proxies listen.
    private let areNoted = Mutex(false)

    /// Prepares for names; nothing is started yet.
    ///
    /// - Parameters:
    ///   - setting: Where things are, and who is asked.
    ///   - sender: Puts elements into the sets, by the socket that owns the tables.
    ///   - book: Hears of what happens.
    init(_ setting: Setting, by sender: BatchSender, book: NameBook) {
        self.setting = setting
        self.sender = sender
        self.book = book
        times = ConnectionTimes(now: setting.now)
        journal = HoldingsJournal(path: "\(setting.path).holdings", bootID: setting.bootID)
        book.nameFlows { [weak self] source, destination in self?.nameSaid(from: source, to: destination) }
    }

    // MARK: - Starting

    /// Where the proxies listen; `nil` before they were started.
    var ports: HostNames.Ports? {
        proxies.withLock { $0.map { HostNames.Ports(questions: $0.questions.port, checks: $0.connections.port) } }
    }

    /// Whether there is anything to do for names.
    var isRunning: Bool { proxies.withLock { $0 != nil } }

    /// Starts the proxies if they do not run, at the ports that a former agent's had if they are free, and with its sockets if
    /// they were kept: what is led there in the kernel goes on. They read nothing before the first ``change(_:_:)``, so that
    /// what waits there finds its endpoint.
    ///
    /// - Throws: An error if sockets cannot be had, or the notes not be written.
    func start() throws {
        let opened = try proxies.withLock { proxies -> Proxies? in
            if proxies != nil { return nil }
            // A connection takes up to six descriptors.
            try? CurrentProcess.raiseOpenFileLimit()
            let former = formerPorts
            let inherited = journal.read(now: EgretLinux.BootClock.milliseconds)
            try journal.tidy { inherited.map { ($0.key, $0.value) } }
            state.withLock { state in
                state.inherited = inherited
                state.servers = setting.servers()
            }
            let sets = try makeSets()
            let counted = try CountedNameSets(limits: sender, budgets: setting.budgets)
            let formerQuestions = setting.kept?.take(.questions, at: former?.questions) ?? [:]
            let formerChecks = setting.kept?.take(.checks, at: former?.checks) ?? [:]
            let questions = try NameService.atPort(former?.questions) { (port) throws(LinuxError) in
                try makeQuestions(at: port, former: port == 0 ? [:] : formerQuestions, sets, counted)
            }
            let connections = try NameService.atPort(former?.checks) { (port) throws(LinuxError) in
                try makeConnections(at: port, former: port == 0 ? [:] : formerChecks)
            }
            let made = Proxies(questions: questions, connections: connections, sets: sets, counted: counted)
            ended.withLock { $0 = [:] }
            proxies = made
            return made
        }
        // Beside the note of the ports, as what is kept and what is noted go together; not under the lock, as the manager may be
        // slow.
        defer {
            if let opened {
                hold(opened.connections)
                setting.kept?.keep([(.questions, opened.questions.sockets), (.checks, opened.connections.sockets)])
            }
        }
        try notePorts(areNew: opened != nil)
    }

    private func makeQuestions(
        at port: UInt16, former: [ListeningPlace: Descriptor], _ sets: NameSets, _ counted: CountedNameSets
    ) throws(LinuxError) -> NameProxy {
        try NameProxy(
            registry: registry, port: port, isTransparent: true, former: former, isHeld: true, trust: setting.trust,
            laterTrust: { try ServerTrust() }, hooks: questionHooks(sets, counted))
    }

    private func makeConnections(
        at port: UInt16, former: [ListeningPlace: Descriptor]
    ) throws(LinuxError) -> ConnectionProxy {
        var settings = ConnectionProxy.Settings()
        settings.isTransparent = false
        settings.hasStandIn = true
        settings.mark = HostNames.sent
        settings.connections = 65_536
        let departure = setting.departure
        settings.departure = { departure($0.address, $1, .tcp) }
        settings.codePoint = { [self] endpoint, server in judge(endpoint)?.codePoint(to: server, of: endpoint) }
        settings.protocols = { [self] endpoint, port in judge(endpoint)?.protocols(port) ?? [] }
        return try ConnectionProxy(
            registry: registry, port: port, settings: settings, former: former, isHeld: true, hooks: connectionHooks)
    }

    /// Starts proxies again that have ended by themselves, at their ports and with their sockets: what has waited there is
    /// answered, and what leads there in the kernel goes on.
    ///
    /// - Throws: An error if one cannot be started, when the other was; it is tried again with the next call.
    func restart() throws {
        if ended.withLock({ $0.isEmpty }) { return }
        try proxies.withLock { proxies -> Void in
            guard var running = proxies else { return }
            var failure: (any Error)?
            // The former one's thread has ended, or is about to. It stops last, as the sockets are closed with it where nobody else
            // has them.
            let (questions, connections) = (running.questions, running.connections)
            do {
                let (sets, counted) = (running.sets, running.counted)
                let new = try replacing(.questions) {
                    try makeQuestions(at: questions.port, former: questions.sockets, sets, counted)
                }
                if let new {
                    running.questions = new
                    proxies = running
                    let isHeld = questions.isHeld
                    questions.stop()
                    if !isHeld { new.begin() }
                }
            } catch {
                failure = error
            }
            let other = try replacing(.checks) {
                try makeConnections(at: connections.port, former: connections.sockets)
            }
            if let other {
                running.connections = other
                proxies = running
                hold(other)
                let isHeld = connections.isHeld
                connections.leave()
                if !isHeld { other.begin() }
            }
            if let failure { throw failure }
        }
    }

    /// Makes a proxy in the place of one that has ended; `nil` if it has not. If it cannot be made, that is still to be done.
    private func replacing<Proxy>(_ proxy: KeptSockets.Owner, _ make: () throws -> Proxy) throws -> Proxy? {
        // First: the new one may end, too.
        guard let why = ended.withLock({ $0.removeValue(forKey: proxy) }) else { return nil }
        do {
            return try make()
        } catch {
            ended.withLock { $0[proxy] = why }
            throw error
        }
    }

    /// Hears that a proxy has ended by itself.
    func noteEnd(of proxy: KeptSockets.Owner, _ error: LinuxError) {
        ended.withLock { $0[proxy] = "\(error)" }
        book.noteEnd(of: proxy, "\(error)")
    }

    /// Notes where the proxies listen for the next agent, unless that is done.
    private func notePorts(areNew: Bool) throws {
        guard let ports else { return }
        try areNoted.withLock { isDone in
            if areNew { isDone = false }
            if isDone { return }
            try File.replace(
                "\(setting.path).ports", with: Array("\(ports.questions) \(ports.checks)\n".utf8), mode: 0o600)
            isDone = true
        }
    }

    /// The ports that a former agent has led questions to: they are to be had again if they can be.
    private var formerPorts: HostNames.Ports? {
        guard let text = try? File.readText("\(setting.path).ports", limit: 64) else { return nil }
        let words = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        return words.count == 2 ? HostNames.Ports(questions: words[0], checks: words[1]) : nil
    }

    /// Tries a port, and another if somebody has it.
    private static func atPort<Proxy>(
        _ wanted: UInt16?, _ make: (UInt16) throws(LinuxError) -> Proxy
    ) throws(LinuxError) -> Proxy {
        if let wanted, let proxy = try? make(wanted) { return proxy }
        return try make(0)
    }

    /// Has the proxies work, if they wait for that. Questions wait on where the table of budgets is to be looked at first.
    func begin() {
        let running = proxies.withLock { $0 }
        running?.connections.begin()
        let awaitsBudgets = state.withLock { state in
            state.hasBegun = true
            return state.awaitsBudgets
        }
        if !awaitsBudgets { running?.questions.begin() }
    }

    /// Has questions wait until somebody has looked at the table of budgets for the first time: before, what answers give would
    /// get into none of its sets, though its rules count already.
    func awaitBudgets() { state.withLock { $0.awaitsBudgets = true } }

    /// Hears that somebody has looked at the table of budgets, or could not.
    func noteBudgets() {
        let isDue = state.withLock { state in
            defer { state.awaitsBudgets = false }
            return state.awaitsBudgets && state.hasBegun
        }
        if !isDue { return }
        let running = proxies.withLock { $0 }
        running?.questions.begin()
    }

    /// Has nothing kept that nobody uses, once the policies of the agent's start are in force.
    func settle() {
        isSettled.withLock { $0 = true }
        if let running = proxies.withLock({ $0 }) { return running.connections.settle() }
        setting.kept?.forget()
        setting.relay?.endConnections()
    }

    /// Ends the proxies at the end of the process, when the questions that were read have their answers. What has come since
    /// is the next agent's, if the sockets are kept, and so are the connections that the relay has.
    ///
    /// - Parameter limit: How long the answers may take.
    func finish(within limit: Duration) {
        // They stay known, so that nobody starts others.
        let running = proxies.withLock { $0 }
        running?.datagrams?.stop()
        running?.connections.leave()
        running?.questions.finish(within: limit)
    }

    /// Ends the proxies and their connections.
    func stop() {
        let running = proxies.withLock { proxies in
            let running = proxies
            proxies = nil
            return running
        }
        state.withLock { $0.readsDatagrams = false }
        running?.datagrams?.stop()
        running?.connections.stop()
        running?.questions.stop()
    }

    /// Ends the proxies where no policy is about names any more, and takes the notes away.
    func end() {
        stop()
        // Also where the proxy had just lost the relay, and could not say so: nobody would ever judge what that has.
        setting.relay?.endConnections()
        setting.kept?.forget()
        journal.remove()
        areNoted.withLock { isDone in
            isDone = false
            try? File.remove("\(setting.path).ports")
        }
    }

    private func makeSets() throws(LinuxError) -> NameSets {
        try NameSets(
            table: HostBase.table.name, by: sender,
            owning: { [self] endpoint, family in
                state.withLock { $0.entries[endpoint]?.member.addresses.filter { $0.family == family } ?? [] }
            },
            naming: { [self] endpoint, rule, family in
                state.withLock { $0.entries[endpoint]?.member.set(rule, family) ?? "" }
            })
    }

    private func questionHooks(_ sets: NameSets, _ counted: CountedNameSets) -> NameProxy.Hooks {
        NameProxy.Hooks(
            commit: { sets.commit($0) },
            prepare: { [self] endpoint, holdings in
                if let link = link(of: endpoint) { try counted.note(holdings, link: link) }
            },
            note: { [self] endpoint, holdings in
                if let link = link(of: endpoint) { try journal.append(holdings, link: link) }
            },
            departure: { [self] in setting.departure($0, $1, $2 ? .tcp : .udp) },
            event: { [self] endpoint, event in book.note(event, of: endpoint) },
            question: { [self] _ in book.noteQuestion() },
            refusal: { [self] endpoint, event, server, isStream in
                book.noteRefusal(endpoint, event, server: server, isStream: isStream, judge(endpoint))
            },
            failed: { [self] error in noteEnd(of: .questions, error) })
    }

    private func link(of endpoint: Int) -> String? { state.withLock { $0.entries[endpoint]?.member.link } }

    var connectionHooks: ConnectionProxy.Hooks {
        ConnectionProxy.Hooks(
            begin: { [self] endpoint, destination in
                // From here it would reach another endpoint past that one's policies and its network's isolation.
                if state.withLock({ $0.neighbours.contains(destination.address) }) { return .refuse }
                return judge(endpoint)?.beginning(endpoint, destination) ?? .refuse
            },
            allows: { [self] endpoint, attempt in
                judge(endpoint)?.decide(endpoint, attempt).verdict == .allow
            },
            event: { [self] endpoint, event in
                times.note(event, of: endpoint)
                book.note(endpoint, event, judge(endpoint))
            },
            failed: { [self] error in noteEnd(of: .checks, error) },
            describe: { [self] endpoint, attempt in
                let moment = times.beginning(of: attempt, of: endpoint)
                let until = judge(endpoint)?.end(endpoint, open: attempt, since: moment)
                return (link: link(of: endpoint) ?? "", moment: moment, until: until)
            },
            resumes: { [self] endpoint, held in resumes(held, of: endpoint) },
            lost: { [self] reason, isOther in noteLostRelay(reason, isOther: isOther) })
    }

    /// Whether an open connection may go on no more.
    ///
    /// - Parameters:
    ///   - attempt: How it began.
    ///   - endpoint: Whose it is.
    ///   - isAnew: Whether its endpoint has other rules than when it was judged last: then all of them hold as they do now, as
    ///     in the kernel. Else those whose schedules drain hold as they did then.
    /// - Returns: Whether it is to be ended.
    func mustEnd(_ attempt: ConnectionAttempt, of endpoint: Int, isAnew: Bool) -> Bool {
        // A number, or an address, may have passed on to another endpoint: what the former one has begun is not the new one's.
        guard let entry = state.withLock({ $0.entries[endpoint] }),
            entry.member.addresses.contains(attempt.source.address)
        else { return true }
        let judge = entry.judge
        let beginning = isAnew ? nil : times.beginning(of: attempt, of: endpoint)
        guard judge.decide(endpoint, open: attempt, since: beginning).verdict == .allow else { return true }
        if isAnew { times.noteJudgement(of: attempt, of: endpoint) }
        return false
    }

    func judge(_ endpoint: Int) -> ConnectionJudge? { state.withLock { $0.entries[endpoint]?.judge } }
}
