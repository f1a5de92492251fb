// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretEvaluator
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretPolicy
import Synchronization

/// What became of endpoints' questions and of their connections to names: figures, and flows that people can look at.
final class NameBook: Sendable {
    /// Figures since the agent's start, of all endpoints.
    struct Figures: Hashable, Sendable {
        /// Questions that could be read.
        var questions: UInt64 = 0
        /// Questions that were refused, by the reason: `name`, `type`, `server` or `limit`.
        var refused: [String: UInt64] = [:]
        /// Answers that were kept back because the kernel did not take their addresses.
        var failedCommits: UInt64 = 0
        /// Answers that were not used.
        var badAnswers: UInt64 = 0
        /// Servers that did not answer in time.
        var silentServers: UInt64 = 0
        /// Addresses that were taken out of answers.
        var removedAddresses: UInt64 = 0
        /// Connections that were let through, flows of QUIC included.
        var connections: UInt64 = 0
        /// Those of them that said no name that could be read.
        var unverified: UInt64 = 0
        /// Connections that were refused.
        var refusedConnections: UInt64 = 0
        /// How often proxies have ended by themselves.
        var endedProxies: UInt64 = 0
    }

    /// A limit of an endpoint.
    private struct ReachedLimit: Hashable {
        var endpoint: Int
        var limit: NameEvent.Limit
    }

    /// How many limits of endpoints the log tells of in a minute.
    private static let limitsInLog = 256

    private let state = Mutex(Figures())
    /// What the log says last about a server, and when it did.
    private let lastFailure = Mutex<(text: String, time: Int64)>((text: "", time: Int64.min / 2))
    /// When the log has said last that an endpoint had reached a limit, and when that was looked through.
    private let lastLimits = Mutex<(times: [ReachedLimit: Int64], tidied: Int64)>((times: [:], tidied: Int64.min))
    private let traffic: TrafficBook
    private let now: @Sendable () -> Int64
    private let log: @Sendable (String) -> Void

    init(traffic: TrafficBook, now: @escaping @Sendable () -> Int64, log: @escaping @Sendable (String) -> Void) {
        self.traffic = traffic
        self.now = now
        self.log = log
    }

    /// The figures.
    var figures: Figures { state.withLock { $0 } }

    /// Notes a question.
    func noteQuestion() { state.withLock { $0.questions += 1 } }

    /// Notes that what an endpoint has resolved before could not be taken over: it has to ask again.
    func noteLostHoldings(_ endpoint: Int) {
        state.withLock { $0.failedCommits += 1 }
        log("names: what endpoint-\(endpoint) has resolved could not be kept; it asks again")
    }

    /// Notes that what an endpoint has resolved before was taken back in part: limits or budgets have no room for it.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint.
    ///   - user: Whose set is full, in words.
    ///   - count: How many addresses of names it cannot count.
    func noteFullSet(_ endpoint: Int, of user: String, leavingOut count: Int) {
        state.withLock { $0.failedCommits += 1 }
        log(
            "names: \(user) of endpoint-\(endpoint) have no room for \(count) addresses of names; they are taken back, and it asks again"
        )
    }

    /// Notes that a proxy has ended by itself. It is started again within about a second, so this fills no log.
    func noteEnd(of proxy: KeptSockets.Owner, _ why: String) {
        state.withLock { $0.endedProxies += 1 }
        log("names: \(proxy.words) has ended, and is started again: \(why)")
    }

    /// The same of what reads the names in QUIC.
    func noteEndedReading(_ why: String) {
        state.withLock { $0.endedProxies += 1 }
        log("names: what reads those in QUIC has ended, and is started again: \(why)")
    }

    /// Notes that nobody holds connections. It is tried again every second or so.
    func noteLostRelay(_ why: String) {
        noteFailure("connections to names go on with this process alone, and those that were held have ended: \(why)")
    }

    /// Notes that flows which the check of QUIC's names had let through could not be kept: their clients connect again.
    func noteLostFlows(_ endpoint: Int) {
        state.withLock { $0.failedCommits += 1 }
        log("names: the QUIC that endpoint-\(endpoint) has begun could not be kept; it connects again")
    }

    /// Notes that nobody reads names in QUIC.
    func noteUnreadDatagrams(_ error: any Error) {
        noteFailure("those in QUIC cannot be read, and what would say them is dropped: \(error)")
    }

    /// Hears how to learn what flows of datagrams have said that the kernel tells of.
    func nameFlows(by namesSaid: @escaping TrafficBook.NamesSaid) { traffic.nameFlows(by: namesSaid) }

    /// Notes what the proxy for questions tells of an endpoint.
    func note(_ event: NameEvent, of endpoint: Int) {
        let reason = NameBook.reason(event)
        state.withLock { figures in
            if let reason { figures.refused[reason, default: 0] += 1 }
            switch event {
            case .commitFailed: figures.failedCommits += 1
            case .badAnswer, .serverFailed: figures.badAnswers += 1
            case .timedOut: figures.silentServers += 1
            case .addressesRemoved(_, let addresses): figures.removedAddresses += UInt64(addresses.count)
            case .denied, .typeDenied, .serverDenied, .limited, .granted: break
            }
        }
        if case .commitFailed(let name, let why) = event {
            log("names: an answer for \(NameJournal.text(name)) was kept back: \(why)")
        }
        if case .serverFailed(_, let server, let why) = event { noteFailure("\(server) cannot be asked: \(why)") }
        if case .limited(_, let limit) = event { noteLimit(ReachedLimit(endpoint: endpoint, limit: limit)) }
    }

    /// Logs that an endpoint has reached a limit, each limit of each endpoint once a minute.
    private func noteLimit(_ reached: ReachedLimit) {
        let time = now()
        let isNew = lastLimits.withLock { last in
            // A clock that was set back has the log say it again.
            func isRecent(_ moment: Int64) -> Bool { moment <= time && time - moment < 60 }
            if last.times[reached].map(isRecent) == true { return false }
            if last.times.count >= NameBook.limitsInLog, last.tidied != time {
                last = (times: last.times.filter { isRecent($0.value) }, tidied: time)
            }
            guard last.times.count < NameBook.limitsInLog else { return false }
            last.times[reached] = time
            return true
        }
        if isNew { log("names: endpoint-\(reached.endpoint) has reached a limit: \(reached.limit.rawValue)") }
    }

    /// Logs why a server cannot be asked, the same thing once a minute.
    private func noteFailure(_ text: String) {
        let time = now()
        let isNew = lastFailure.withLock { last in
            guard time - last.time >= (last.text == text ? 60 : 1) else { return false }
            last = (text, time)
            return true
        }
        if isNew { log("names: \(text)") }
    }

    /// Notes a question that was refused, or its answer, as a flow to the server that it was meant for.
    func noteRefusal(
        _ endpoint: Int, _ event: NameEvent, server: IPAddress, isStream: Bool, _ judge: ConnectionJudge?
    ) {
        guard let name = NameBook.name(event), let reason = NameBook.reason(event) else { return }
        var clause = TrafficClause.refused(.egress, reason)
        if case .denied = event, let judge, let domain = DomainName(labels: name.labels),
            case .denied(let deciding) = judge.evaluator.decide(name: domain)
        {
            clause = TrafficClause(deciding, "deny", of: judge.policies, .egress)
        }
        let text = NameJournal.text(name)
        traffic.note(slot: endpoint, at: now()) { owner in
            FlowPlace(
                endpoint: owner, clause: clause, peer: server, protocol: isStream ? .tcp : .udp, port: 53, name: text)
        }
    }

    /// Notes what the proxy for connections tells, or what reads the names in datagrams.
    func note(_ endpoint: Int, _ event: ConnectionEvent, _ judge: ConnectionJudge?, over transport: IPProtocol = .tcp) {
        switch event {
        case .relayed(let attempt):
            noteConnection(attempt)
            var name: String?
            if case .name(let spoken) = attempt.speech { name = spoken.name.lowercased() }
            note(endpoint, .allowed(.egress), attempt.destination, name, transport)
        // The kernel tells of it when it leaves, as of all flows.
        case .passed(let attempt): noteConnection(attempt)
        case .refused, .denied, .ended, .notHeld, .unreachable, .limited: break
        }
        guard let refused = NameJournal.Connection(refusedBy: event, over: transport) else { return }
        state.withLock { $0.refusedConnections += 1 }
        var clause = TrafficClause.refused(.egress, "name")
        if case .refused(let attempt) = event, let judge {
            clause = TrafficClause(judge.decide(endpoint, attempt).clause, "deny", of: judge.policies, .egress)
        }
        note(endpoint, clause, SocketAddress(refused.address, port: refused.port), refused.name, transport)
    }

    private func noteConnection(_ attempt: ConnectionAttempt) {
        state.withLock { figures in
            figures.connections += 1
            if case .nothing = attempt.speech { figures.unverified += 1 }
        }
    }

    private func note(
        _ endpoint: Int, _ clause: TrafficClause, _ destination: SocketAddress, _ name: String?,
        _ transport: IPProtocol
    ) {
        traffic.note(slot: endpoint, at: now()) { owner in
            FlowPlace(
                endpoint: owner, clause: clause, peer: destination.address, protocol: transport,
                port: destination.port, name: name)
        }
    }

    /// Why a question was refused; `nil` if it was not.
    private static func reason(_ event: NameEvent) -> String? {
        switch event {
        case .denied: "name"
        case .typeDenied: "type"
        case .serverDenied: "server"
        // Some addresses were left out; the rest is the client's.
        case .limited(_, .addressesPerAnswer): nil
        case .limited: "limit"
        case .addressesRemoved, .badAnswer, .commitFailed, .timedOut, .serverFailed, .granted: nil
        }
    }

    private static func name(_ event: NameEvent) -> DNSName? {
        switch event {
        case .denied(let name, _), .typeDenied(let name, _), .serverDenied(let name, _), .limited(let name, _): name
        case .addressesRemoved, .badAnswer, .commitFailed, .timedOut, .serverFailed, .granted: nil
        }
    }
}
