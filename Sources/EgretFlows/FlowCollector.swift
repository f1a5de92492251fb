// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretEvaluator
public import EgretPolicy

/// Gathers what the kernel tells of one endpoint's traffic into a report.
///
/// A state machine without I/O. The caller feeds it connections as they end, log records as they come, and when
/// the run is over the connections still open and the counters.
public struct FlowCollector: Sendable {
    /// A connection that the endpoint began, as the kernel accounted for it.
    public struct Connection: Hashable, Sendable {
        /// Where it went, after any translation by the host.
        public var key: FlowKey
        /// Whether that is the host itself.
        public var destinationIsHost: Bool
        /// The port that the endpoint sent from, before any translation; `nil` if it is not known, or there are no ports.
        public var sourcePort: UInt16?
        /// What the endpoint sent.
        public var sent: Traffic
        /// What came back.
        public var received: Traffic

        /// Creates a connection.
        public init(
            key: FlowKey, destinationIsHost: Bool, sourcePort: UInt16? = nil, sent: Traffic, received: Traffic
        ) {
            self.key = key
            self.destinationIsHost = destinationIsHost
            self.sourcePort = sourcePort
            self.sent = sent
            self.received = received
        }
    }

    /// The name that a QUIC connection has said, which was let through for that: by the port that the endpoint sends from,
    /// and the server's address and port. `nil` if it has said none, or that is not known any more.
    public typealias NameSaid =
        @Sendable (_ sourcePort: UInt16, _ server: IPAddress, _ port: UInt16) -> DomainName?

    /// The most destinations that get a line of their own in each half of the report. What goes beyond is in
    /// the totals, and ``RunReport/omittedDestinations`` counts it: a port scan does not exhaust memory.
    public static let destinationLimit = 10_000

    /// A connection that a proxy has let out, as the proxy accounted for it.
    public struct Relayed: Hashable, Sendable {
        /// Where it went.
        public var key: FlowKey
        /// The name that its client said; `nil` if it said none.
        public var name: String?
        /// The clause that let it out.
        public var clause: DecidingClause?
        /// Whether the clause is an `audit`.
        public var isAudited: Bool
        /// How many connections.
        public var connections: UInt64 = 1
        /// What the endpoint sent.
        public var sent: Traffic
        /// What came back.
        public var received: Traffic

        /// Creates the description of one connection.
        public init(
            key: FlowKey, name: String?, clause: DecidingClause?, isAudited: Bool, sent: Traffic, received: Traffic
        ) {
            self.key = key
            self.name = name
            self.clause = clause
            self.isAudited = isAudited
            self.sent = sent
            self.received = received
        }
    }

    private struct ReachedKey: Hashable {
        var key: FlowKey
        var name: String?
        var clause: DecidingClause?
    }

    private struct RefusedKey: Hashable {
        var key: FlowKey
        var destinationIsHost: Bool
        var reason: RefusalReason
    }

    private let evaluator: PolicyEvaluator
    private let namesOf: @Sendable (IPAddress) -> Set<DomainName>
    private let nameSaid: NameSaid
    private let clock: (@Sendable () -> Int64)?
    /// The times of rules; `nil` where no rule depends on the time.
    private var times: RuleTimes?
    private var reached: [ReachedKey: RunReport.Reached] = [:]
    private var refused: [RefusedKey: Traffic] = [:]
    private var loggedPackets: [RefusalReason: UInt64] = [:]
    private var loggedAudits: UInt64 = 0
    private var report = RunReport()

    /// Creates a collector for an endpoint that obeys these policies throughout.
    ///
    /// - Parameters:
    ///   - policies: The policies.
    ///   - namesOf: The names by which the endpoint has held an address.
    ///   - nameSaid: The name that a QUIC connection has said.
    ///   - clock: The time, in seconds since 1970: from now on the endpoint obeys the policies. `nil` where no rule with a
    ///     time is in force.
    public init(
        policies: PolicySet, namesOf: @escaping @Sendable (IPAddress) -> Set<DomainName> = { _ in [] },
        nameSaid: @escaping NameSaid = { _, _, _ in nil },
        clock: (@Sendable () -> Int64)? = nil
    ) {
        self.namesOf = namesOf
        self.nameSaid = nameSaid
        self.clock = clock
        evaluator = PolicyEvaluator(policies: policies)
        if evaluator.dependsOnTime, let clock { times = RuleTimes(policies, since: clock()) }
    }

    /// Notes a connection with its final, or at the run's end its present, account.
    ///
    /// The clause is the evaluator's: the kernel keeps the account by connection, not by rule. Where rules depend on the
    /// time, it is the one that has let the connection out last. What the kernel has admitted is noted in any case.
    public mutating func note(_ connection: Connection) {
        let names = namesOf(connection.key.destination)
        var moments: [Int64?] = [nil]
        if let clock, let known = times?.moments(until: clock()) { moments = known }
        var decision =
            admission(connection, isHost: connection.destinationIsHost, names, at: moments)
            // An address may have become the host's since the caller listed them, or ceased to be.
            ?? admission(connection, isHost: !connection.destinationIsHost, names, at: moments)
        var name: String?
        if decision == nil {
            (name, decision) = admissionBySpeech(connection, names, at: moments)
        } else if !names.isEmpty {
            let unnamed = admission(connection, isHost: connection.destinationIsHost, [], at: moments)
            if unnamed?.clause != decision?.clause { name = names.map(\.text).min() }
        }
        note(
            Relayed(
                key: connection.key, name: name, clause: decision?.clause, isAudited: decision?.isAudited ?? false,
                sent: connection.sent, received: connection.received))
    }

    /// Notes what a proxy has let out.
    public mutating func note(_ relayed: Relayed) {
        let key = ReachedKey(key: relayed.key, name: relayed.name, clause: relayed.clause)
        guard reached[key] != nil || reached.count < FlowCollector.destinationLimit else {
            report.omittedDestinations += 1
            return
        }
        var line =
            reached[key]
            ?? RunReport.Reached(
                key: relayed.key, name: relayed.name, clause: relayed.clause, isAudited: relayed.isAudited)
        line.connections += relayed.connections
        line.sent += relayed.sent
        line.received += relayed.received
        reached[key] = line
    }

    /// The decision that let the connection out, at the first of some moments at which one does; `nil` if the policy does
    /// not.
    private func admission(
        _ connection: Connection, isHost: Bool, _ names: Set<DomainName>, saying speech: Flow.Speech = .unread,
        at moments: [Int64?]
    ) -> Decision? {
        let flow = Flow(
            to: connection.key.destination,
            isHost: isHost,
            protocol: connection.key.protocol,
            port: connection.key.port,
            icmpType: connection.key.icmpType,
            names: names,
            speech: speech
        )
        for moment in moments {
            let decision = evaluator.decide(flow, at: moment)
            if decision.verdict == .allow { return decision }
        }
        return nil
    }

    /// The same for datagrams of which the first were judged by what they said, or by that they said nothing.
    private func admissionBySpeech(
        _ connection: Connection, _ names: Set<DomainName>, at moments: [Int64?]
    ) -> (name: String?, decision: Decision?) {
        guard connection.key.protocol == .udp, let port = connection.key.port, !names.isEmpty else { return (nil, nil) }
        let isHost = connection.destinationIsHost
        if let sourcePort = connection.sourcePort, let name = nameSaid(sourcePort, connection.key.destination, port) {
            let speech = Flow.Speech.name(name, .tls)
            if let decision = admission(connection, isHost: isHost, names, saying: speech, at: moments) {
                return (name.text, decision)
            }
        }
        return (nil, admission(connection, isHost: isHost, names, saying: .nothing, at: moments))
    }

    /// Notes a packet that the kernel refused and told about.
    ///
    /// - Parameters:
    ///   - key: Where it wanted to go.
    ///   - isHost: Whether that is the host itself.
    ///   - reason: Why it was refused.
    ///   - bytes: Its length.
    public mutating func noteRefused(_ key: FlowKey, isHost: Bool = false, reason: RefusalReason, bytes: UInt64) {
        loggedPackets[reason, default: 0] += 1
        let place = RefusedKey(key: key, destinationIsHost: isHost, reason: reason)
        guard refused[place] != nil || refused.count < FlowCollector.destinationLimit else {
            report.omittedDestinations += 1
            return
        }
        refused[place, default: Traffic()] += Traffic(packets: 1, bytes: bytes)
    }

    /// Notes a packet that the kernel let out and told about.
    public mutating func noteAudited() {
        loggedAudits += 1
    }

    /// Notes that the kernel could not deliver some of what it had to tell about ended connections.
    public mutating func noteLostConnections() {
        report.lostConnections = true
    }

    /// Completes the report with the kernel's counters.
    ///
    /// - Parameters:
    ///   - refusedTotals: What each reason refused.
    ///   - hasAdmitted: Whether any packet was let out: its connection must then have been noted.
    ///   - audited: The packets that `audit` clauses let out and should have logged.
    /// - Returns: The report.
    public consuming func finish(
        refusedTotals: [RefusalReason: Traffic],
        hasAdmitted: Bool = false,
        audited: UInt64 = 0
    ) -> RunReport {
        if hasAdmitted && reached.isEmpty { report.lostConnections = true }
        report.unloggedAudits = audited > loggedAudits ? audited - loggedAudits : 0
        report.refusedTotals = refusedTotals.filter { $0.value.packets > 0 }
        for (reason, total) in report.refusedTotals {
            let logged = loggedPackets[reason, default: 0]
            if total.packets > logged { report.unlogged[reason] = total.packets - logged }
        }
        report.reached = reached.values.sorted { left, right in
            let amounts = (left.sent.bytes &+ left.received.bytes, right.sent.bytes &+ right.received.bytes)
            return amounts.0 == amounts.1 ? left.key.sortKey < right.key.sortKey : amounts.0 > amounts.1
        }
        report.refused = refused.map { place, logged in
            RunReport.Refused(
                key: place.key, destinationIsHost: place.destinationIsHost, reason: place.reason, logged: logged)
        }
        .sorted { $0.key.sortKey < $1.key.sortKey }
        return report
    }
}

extension FlowKey {
    fileprivate typealias SortKey = (IPAddress, IPProtocol, UInt16)

    fileprivate var sortKey: SortKey { (destination, `protocol`, port ?? icmpType.map(UInt16.init) ?? 0) }
}
