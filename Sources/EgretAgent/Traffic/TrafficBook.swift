// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretNames
import EgretPolicy
import Synchronization

/// What clauses have counted and which flows were seen, over programs that come and go.
///
/// A clause's total grows by what one counter shows more than at its last reading, and by nothing else: programs that
/// are replaced are read once more before they go, and those that come begin at zero.
final class TrafficBook: Sendable {
    /// The name that a flow of datagrams has said; `nil` if none is known.
    typealias NamesSaid = @Sendable (_ source: SocketAddress, _ destination: SocketAddress) -> String?

    /// A counter of the kernel's, which is also the prefix of log records: whose it is, and what it showed last.
    struct Reading: Hashable, Sendable {
        var clause: TrafficClause
        var amount = TrafficAmount()
    }

    /// What is kept.
    struct State: Sendable {
        var readings: [String: Reading] = [:]
        var totals: [TrafficClause: TrafficAmount] = [:]
        var refused = FlowTable()
        var allowed = FlowTable()
        /// The number of sightings.
        var sequence: UInt64 = 0
        /// Records that were lost.
        var lost: UInt64 = 0
        /// Who is who.
        var owners = TrafficOwners()
        /// Says who is who now; `nil` if `owners` does.
        var newOwners: (@Sendable () -> TrafficOwners)?
        /// What flows of datagrams have said.
        var namesSaid: NamesSaid?
        /// Clauses of counters that are gone: their last records may be on the way.
        var former: [String: TrafficClause] = [:]
        /// Programs that are known, by generation, with the names of their counters.
        var programs: [UInt16: [String]] = [:]
        /// The counters of limits that are in force.
        var limits: Swift.Set<String> = []
    }

    fileprivate static let formerLimit = 4_096
    private let state = Mutex(State())

    /// Looks at, or changes, everything at one moment.
    func with<Result>(_ body: (inout sending State) -> sending Result) -> sending Result { state.withLock(body) }

    // MARK: - Programs

    /// Notes a program that comes: before packets can meet it. One that is known already costs nothing.
    ///
    /// - Parameters:
    ///   - key: Its key.
    ///   - program: The program.
    ///   - policies: Its policies.
    ///   - isThere: Whether a former agent's is kept: its counters go on from where they were last read.
    func come(_ key: ProgramKey, _ program: PolicyProgram, _ policies: PolicySet, isThere: Bool = false) {
        state.withLock { state in
            guard state.programs[program.generation.rawValue] == nil else { return }
            for clause in program.clauses {
                let account = TrafficClause(clause, of: policies, key.direction)
                if isThere, state.readings[clause.name]?.clause == account { continue }
                state.readings[clause.name] = Reading(clause: account)
            }
            state.programs[program.generation.rawValue] = program.clauses.map(\.name)
        }
    }

    /// Notes which limits are in force from now on, by the names of their counters.
    func come(limits: [String: LimitProgram.Refusal]) {
        state.withLock { state in
            for (name, refusal) in limits where !state.limits.contains(name) {
                let clause = TrafficClause(refusal)
                if state.readings[name]?.clause != clause { state.readings[name] = Reading(clause: clause) }
            }
            let gone = state.limits.subtracting(limits.keys)
            state.limits = Swift.Set(limits.keys)
            state.forget(Array(gone))
        }
    }

    /// Forgets programs that have gone. Their counters have been read.
    func retire(_ generations: some Sequence<UInt16>) {
        state.withLock { state in
            state.forget(generations.flatMap { state.programs.removeValue(forKey: $0) ?? [] })
        }
    }

    /// Forgets all programs but some, those of a former agent too. Their counters have been read.
    func keep(_ generations: Swift.Set<UInt16>) {
        state.withLock { state in
            state.programs = state.programs.filter { generations.contains($0.key) }
            let known = Swift.Set(state.programs.values.joined()).union(state.limits)
            state.forget(state.readings.keys.filter { !known.contains($0) })
        }
    }

    /// Notes that somebody else may be who: worked out when it is needed.
    func know(_ owners: @escaping @Sendable () -> TrafficOwners) {
        state.withLock { $0.newOwners = owners }
    }

    /// Hears how to learn what flows of datagrams have said.
    func nameFlows(by namesSaid: @escaping NamesSaid) {
        state.withLock { $0.namesSaid = namesSaid }
    }

    /// Forgets what policies counted that are no more.
    func keep(policies: Swift.Set<String>) {
        state.withLock { state in
            for clause in state.totals.keys where !clause.policy.isEmpty && !policies.contains(clause.policy) {
                state.totals[clause] = nil
            }
        }
    }

    // MARK: - Counters

    /// Takes in what the kernel's counters show.
    func note(_ counters: [String: CounterValue]) {
        state.withLock { state in
            for (name, value) in counters {
                guard let reading = state.readings[name] else { continue }
                let shown = TrafficAmount(packets: value.packets, bytes: value.bytes)
                if shown == reading.amount { continue }
                state.totals[reading.clause, default: TrafficAmount()] += shown.since(reading.amount)
                state.readings[name]?.amount = shown
            }
        }
    }

    /// What each clause of each policy has counted.
    func clauses() -> [String: [ClauseTraffic]] {
        let totals = state.withLock { state in
            var totals = state.totals
            // Clauses that nothing has met show that they are there.
            for reading in state.readings.values where totals[reading.clause] == nil {
                totals[reading.clause] = TrafficAmount()
            }
            return totals
        }
        return Dictionary(grouping: totals, by: \.key.policy).mapValues { clauses in
            clauses.map { clause, amount in
                ClauseTraffic(
                    direction: clause.direction, rule: clause.rule, verdict: clause.verdict, packets: amount.packets,
                    bytes: amount.bytes)
            }.sorted { ($0.direction, $0.rule, $0.verdict) < ($1.direction, $1.rule, $1.verdict) }
        }
    }

    // MARK: - Flows

    /// Takes in what the kernel told.
    func note(_ events: EndpointWatch.Events, at time: Int64) {
        state.withLock { state in
            state.lost += events.lost
            if !events.records.isEmpty || !events.connections.isEmpty { state.updateOwners() }
            for record in events.records {
                guard let place = state.place(of: record) else { continue }
                state.sequence += 1
                let amount = TrafficAmount(packets: 1, bytes: record.bytes)
                if place.clause.isRefusal {
                    state.refused.note(place, amount, at: time, sequence: state.sequence)
                } else {
                    state.allowed.note(place, amount, at: time, sequence: state.sequence)
                }
            }
            // Of what is led to a proxy, the proxy tells.
            for connection in events.connections where !connection.isLed {
                for place in state.places(of: connection) {
                    state.sequence += 1
                    state.allowed.note(place, TrafficAmount(packets: 1), at: time, sequence: state.sequence)
                }
            }
        }
    }

    /// Notes what became of an endpoint's question or connection to a name.
    ///
    /// - Parameters:
    ///   - slot: The endpoint's number.
    ///   - time: When, in seconds since 1970.
    ///   - place: Makes the flow of the endpoint's name.
    func note(slot: Int, at time: Int64, _ place: (String) -> FlowPlace) {
        state.withLock { state in
            state.updateOwners()
            guard let name = state.owners.frames["endpoint-\(slot)"] else { return }
            let place = place(name)
            state.sequence += 1
            let amount = TrafficAmount(packets: 1)
            if place.clause.isRefusal {
                state.refused.note(place, amount, at: time, sequence: state.sequence)
            } else {
                state.allowed.note(place, amount, at: time, sequence: state.sequence)
            }
        }
    }

    /// The flows that somebody wants.
    func flows(_ query: FlowQuery) -> FlowList {
        let (state, all) = state.withLock { state in
            state.updateOwners()
            let tables = query.deniedOnly ? [state.refused] : [state.refused, state.allowed]
            return (state, tables.flatMap { $0.accounts })
        }
        let wanted = all.filter { place, account in
            account.sequence > query.after && (query.endpoint.map { place.endpoint == $0 } ?? true)
        }
        return FlowList(
            cursor: state.sequence,
            flows: wanted.sorted { $0.value.sequence < $1.value.sequence }.map { place, account in
                FlowInfo(place, account, peer: state.owners.endpoints[place.peer])
            },
            lost: state.lost, forgotten: state.refused.forgotten + state.allowed.forgotten)
    }

    /// How many packets of each endpoint were refused and logged.
    func refusals() -> [String: UInt64] {
        state.withLock { state in
            state.refused.accounts.reduce(into: [:]) { sums, item in
                if item.key.clause.verdict.hasPrefix("would-") { return }
                sums[item.key.endpoint, default: 0] += item.value.amount.packets
            }
        }
    }
}

/// Whose addresses and frames are.
struct TrafficOwners: Sendable {
    /// Whose each address is.
    var endpoints: [IPAddress: String] = [:]
    /// Whose each frame chain is.
    var frames: [String: String] = [:]
    /// The control groups that each program decides about, by its generation: their packets have the host's addresses.
    /// Of several that share a program all are named.
    var groups: [UInt16: String] = [:]

    /// Nobody.
    init() {}

    /// The control groups that a clause's program decides about; the name begins with the program's: `g32768-…`.
    func group(ofClause name: String) -> String? {
        if groups.isEmpty { return nil }
        return UInt16(name.dropFirst().prefix { $0.isASCII && $0.isNumber }).flatMap { groups[$0] }
    }

    /// Endpoints with their names, addresses, and frame chains.
    init(_ owners: some Sequence<(name: String, addresses: [IPAddress], frames: String)>) {
        for owner in owners {
            for address in owner.addresses { endpoints[address] = owner.name }
            frames[owner.frames] = owner.name
        }
    }
}

extension TrafficBook.State {
    fileprivate mutating func updateOwners() {
        guard let newOwners else { return }
        owners = newOwners()
        self.newOwners = nil
    }

    /// Forgets counters, but for late records.
    fileprivate mutating func forget(_ names: [String]) {
        if former.count > TrafficBook.formerLimit { former = [:] }
        for name in names {
            guard let reading = readings.removeValue(forKey: name) else { continue }
            former[name] = reading.clause
        }
    }

    /// Where a log record belongs; `nil` if it is of nobody that is known.
    fileprivate func place(of record: EndpointWatch.Record) -> FlowPlace? {
        let clause: TrafficClause
        let endpoint: String
        let peer: IPAddress
        if let known = readings[record.prefix]?.clause ?? former[record.prefix] {
            let isEgress = known.direction == TrafficDirection.egress.rawValue
            let owner = owners.endpoints[isEgress ? record.source : record.destination]
            guard let name = owner ?? owners.group(ofClause: record.prefix) else { return nil }
            (clause, endpoint, peer) = (known, name, isEgress ? record.destination : record.source)
        } else if record.prefix.hasSuffix("-spoofed"), let name = owners.frames[String(record.prefix.dropLast(8))] {
            // The source is not to be believed: the port that it came by is.
            (clause, endpoint, peer) = (.refused(.egress, "spoofed"), name, record.destination)
        } else if record.prefix == HostBase.invalid {
            if let name = owners.endpoints[record.source] {
                (clause, endpoint, peer) = (.refused(.egress, "invalid"), name, record.destination)
            } else if let name = owners.endpoints[record.destination] {
                (clause, endpoint, peer) = (.refused(.ingress, "invalid"), name, record.source)
            } else {
                return nil
            }
        } else {
            return nil
        }
        return FlowPlace(
            endpoint: endpoint, clause: clause, peer: peer, protocol: record.transport, port: record.port,
            icmpType: record.icmpType)
    }

    private func nameSaid(on connection: EndpointWatch.Connection) -> String? {
        guard connection.transport == .udp, let namesSaid, let own = connection.sourcePort, let port = connection.port
        else { return nil }
        return namesSaid(
            SocketAddress(connection.source, port: own), SocketAddress(connection.destination, port: port))
    }

    /// Where a connection belongs: with two endpoints if both ends are.
    fileprivate func places(of connection: EndpointWatch.Connection) -> [FlowPlace] {
        func place(
            _ endpoint: String, _ direction: TrafficDirection, _ peer: IPAddress, _ name: String? = nil
        ) -> FlowPlace {
            FlowPlace(
                endpoint: endpoint, clause: .allowed(direction), peer: peer, protocol: connection.transport,
                port: connection.port, icmpType: connection.icmpType, name: name)
        }
        return [
            (owners.endpoints[connection.source] ?? owners.groups[UInt16(truncatingIfNeeded: connection.mark >> 16)])
                .map { place($0, .egress, connection.destination, nameSaid(on: connection)) },
            owners.endpoints[connection.destination].map { place($0, .ingress, connection.source) },
        ].compactMap(\.self)
    }
}

extension FlowInfo {
    fileprivate init(_ place: FlowPlace, _ account: FlowAccount, peer: String?) {
        self.init(
            endpoint: place.endpoint, direction: place.clause.direction, verdict: place.clause.verdict,
            policy: place.clause.policy.isEmpty ? nil : place.clause.policy,
            rule: place.clause.rule.isEmpty ? nil : place.clause.rule, peer: place.peer.description,
            peerEndpoint: peer, protocol: place.protocol.description, port: place.port.map(Int.init),
            icmpType: place.icmpType.map(Int.init), name: place.name, packets: account.amount.packets,
            bytes: account.amount.bytes,
            first: Int(account.first), last: Int(account.last))
    }
}
