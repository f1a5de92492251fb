// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretDNSWire
import EgretGreetingWire
public import EgretLinux
public import EgretPolicy

/// Gathers what the proxies tell of one endpoint, in bounded memory: a state machine without I/O.
public struct NameJournal: Sendable {
    /// A question that was refused, or a connection, and how often.
    public struct Counted<Key: Hashable & Sendable>: Hashable, Sendable {
        /// What.
        public var key: Key
        /// How often.
        public var count: UInt64
    }

    /// A question of a type that no rule lets be asked.
    public struct Question: Hashable, Sendable {
        /// The name.
        public var name: String
        /// The type, as DNS spells it.
        public var type: String
    }

    /// A server that may not be asked, and what it was asked for last.
    public struct Server: Hashable, Sendable {
        /// The server.
        public var address: IPAddress
    }

    /// A connection that was refused.
    public struct Connection: Hashable, Sendable {
        /// Where it went.
        public var address: IPAddress
        /// The port.
        public var port: UInt16
        /// The name that the client said; `nil` if none could be read.
        public var name: String?
        /// Why.
        public var reason: Reason
        /// TCP; UDP for a QUIC connection, or other datagrams.
        public var transport: IPProtocol = .tcp
    }

    /// Why a connection was refused.
    public enum Reason: Hashable, Sendable {
        /// No rule lets this name out there, or the endpoint has not resolved it to the address.
        case name
        /// No name could be read, in the words of `Greeting.Absence`.
        case nothingRead(String)
        /// The rules refuse the address whatever is said.
        case address
        /// No rule holds the address by any name any more.
        case notHeld
        /// There were too many connections.
        case limit
    }

    /// An answer that lost addresses.
    public struct Removal: Hashable, Sendable {
        /// The name.
        public var name: String
        /// An address that it must not have.
        public var address: IPAddress
    }

    /// What is kept of each kind: a tunnel that asks a million names does not exhaust memory.
    public static let limit = 1_000

    private var deniedNames = BoundedCounts<String>()
    private var deniedTypes = BoundedCounts<Question>()
    private var deniedServers = BoundedCounts<Server>()
    private var removals = BoundedCounts<Removal>()
    private var limits = BoundedCounts<String>()
    private var refusals = BoundedCounts<Connection>()
    private var unreachable = BoundedCounts<Connection>()
    private var badAnswers = BoundedCounts<String>()
    private var silentServers = BoundedCounts<Server>()
    private var failedCommits = BoundedCounts<String>()
    private var resolved = BoundedCounts<String>()
    private var namesOfAddresses: [IPAddress: Swift.Set<DomainName>] = [:]
    private var namesSaid = SaidNames()
    private var unverified: UInt64 = 0

    /// Starts with nothing.
    public init() {}

    /// Notes what the proxy for questions tells.
    public mutating func note(_ event: NameEvent) {
        switch event {
        case .denied(let name, _): deniedNames.add(NameJournal.text(name))
        case .typeDenied(let name, let type): deniedTypes.add(Question(name: NameJournal.text(name), type: "\(type)"))
        case .serverDenied(_, let address): deniedServers.add(Server(address: address))
        case .limited(_, let limit): limits.add(limit.rawValue)
        case .addressesRemoved(let name, let addresses):
            for address in addresses { removals.add(Removal(name: NameJournal.text(name), address: address)) }
        case .badAnswer(_, let reason): badAnswers.add(reason)
        case .commitFailed(_, let reason): failedCommits.add(reason)
        case .timedOut(_, let address): silentServers.add(Server(address: address))
        case .serverFailed(_, let server, let reason): badAnswers.add("\(server): \(reason)")
        case .granted(let name, _, let addresses): grant(name, addresses)
        }
    }

    /// Notes what the proxy for connections, or that for datagrams, tells.
    ///
    /// - Parameters:
    ///   - event: What it tells.
    ///   - transport: What the proxy is for: TCP or UDP.
    public mutating func note(_ event: ConnectionEvent, over transport: IPProtocol = .tcp) {
        switch event {
        case .relayed(let attempt), .passed(let attempt):
            var name: DomainName?
            switch attempt.speech {
            case .nothing: unverified += 1
            case .name(let spoken): name = DomainName(ascii: spoken.name)
            }
            if attempt.transport == .udp {
                namesSaid.note(name, from: attempt.source.port, to: attempt.destination)
            }
        case .ended: break
        case .refused, .denied, .notHeld, .limited:
            if let connection = Connection(refusedBy: event, over: transport) { refusals.add(connection) }
        case .unreachable(let destination, let error):
            unreachable.add(
                Connection(
                    address: destination.address, port: destination.port, reason: .nothingRead("\(error.text)")))
        }
    }

    private mutating func grant(_ name: DNSName, _ addresses: [IPAddress]) {
        resolved.add(NameJournal.text(name))
        guard let name = DomainName(labels: name.labels) else { return }
        for address in addresses
        where namesOfAddresses[address] != nil || namesOfAddresses.count < NameJournal.limit * 16 {
            if (namesOfAddresses[address]?.count ?? 0) < 64 { namesOfAddresses[address, default: []].insert(name) }
        }
    }

    /// The name that a QUIC connection has said, and was let through for.
    ///
    /// Of ``limit`` connections it is known; of more, those that said one last.
    ///
    /// - Parameters:
    ///   - sourcePort: The port that the endpoint sends from.
    ///   - server: Where the connection goes.
    /// - Returns: The name that was said last between the two; `nil` if none was, or that is not known any more.
    public func nameSaid(from sourcePort: UInt16, to server: SocketAddress) -> DomainName? {
        namesSaid.name(from: sourcePort, to: server)
    }

    /// The names that an address was resolved from since the beginning.
    public func names(of address: IPAddress) -> Swift.Set<DomainName> { namesOfAddresses[address] ?? [] }

    /// A name as people write it.
    public static func text(_ name: DNSName) -> String {
        DomainName(labels: name.labels)?.text ?? name.lowercased.description
    }

    /// What was noted.
    public var report: NameReport {
        var report = NameReport(
            deniedNames: deniedNames.sorted, deniedTypes: deniedTypes.sorted, deniedServers: deniedServers.sorted,
            resolvedNames: resolved.sorted, refusedConnections: refusals.sorted, unreachable: unreachable.sorted,
            removedAddresses: removals.sorted, limitsReached: limits.sorted, badAnswers: badAnswers.sorted,
            silentServers: silentServers.sorted, failedCommits: failedCommits.sorted, unverified: unverified,
            omitted: [
                deniedNames.omitted, deniedTypes.omitted, deniedServers.omitted, removals.omitted, refusals.omitted,
                resolved.omitted, unreachable.omitted, badAnswers.omitted, silentServers.omitted, failedCommits.omitted,
            ].reduce(0, +))
        report.namesOfAddresses = namesOfAddresses
        return report
    }
}

/// What became of one endpoint's questions and of its connections to names.
public struct NameReport: Hashable, Sendable {
    /// Names that no rule lets be asked, the most frequent first.
    public var deniedNames: [NameJournal.Counted<String>] = []
    /// Questions of types that no rule lets be asked.
    public var deniedTypes: [NameJournal.Counted<NameJournal.Question>] = []
    /// Servers that may not be asked.
    public var deniedServers: [NameJournal.Counted<NameJournal.Server>] = []
    /// Names that were resolved, and how often.
    public var resolvedNames: [NameJournal.Counted<String>] = []
    /// Connections that were refused.
    public var refusedConnections: [NameJournal.Counted<NameJournal.Connection>] = []
    /// Connections whose server could not be reached; the reason is the error.
    public var unreachable: [NameJournal.Counted<NameJournal.Connection>] = []
    /// Addresses that allowed names must not have, and were taken out of answers.
    public var removedAddresses: [NameJournal.Counted<NameJournal.Removal>] = []
    /// Limits that were reached.
    public var limitsReached: [NameJournal.Counted<String>] = []
    /// Answers that were not used, by the reason.
    public var badAnswers: [NameJournal.Counted<String>] = []
    /// Servers that did not answer in time.
    public var silentServers: [NameJournal.Counted<NameJournal.Server>] = []
    /// Answers that were kept back because the kernel did not take their addresses.
    public var failedCommits: [NameJournal.Counted<String>] = []
    /// Connections that passed a name check without a name.
    public var unverified: UInt64 = 0
    /// What has no line of its own above, because too much else has.
    public var omitted: UInt64 = 0
    /// The names that addresses were resolved from.
    public var namesOfAddresses: [IPAddress: Swift.Set<DomainName>] = [:]

    /// Creates an empty report.
    public init() {}

    init(
        deniedNames: [NameJournal.Counted<String>], deniedTypes: [NameJournal.Counted<NameJournal.Question>],
        deniedServers: [NameJournal.Counted<NameJournal.Server>], resolvedNames: [NameJournal.Counted<String>],
        refusedConnections: [NameJournal.Counted<NameJournal.Connection>],
        unreachable: [NameJournal.Counted<NameJournal.Connection>],
        removedAddresses: [NameJournal.Counted<NameJournal.Removal>], limitsReached: [NameJournal.Counted<String>],
        badAnswers: [NameJournal.Counted<String>], silentServers: [NameJournal.Counted<NameJournal.Server>],
        failedCommits: [NameJournal.Counted<String>], unverified: UInt64, omitted: UInt64
    ) {
        self.deniedNames = deniedNames
        self.deniedTypes = deniedTypes
        self.deniedServers = deniedServers
        self.resolvedNames = resolvedNames
        self.refusedConnections = refusedConnections
        self.unreachable = unreachable
        self.removedAddresses = removedAddresses
        self.limitsReached = limitsReached
        self.badAnswers = badAnswers
        self.silentServers = silentServers
        self.failedCommits = failedCommits
        self.unverified = unverified
        self.omitted = omitted
    }
}

/// How often things happened, of so many different ones at most.
private struct BoundedCounts<Key: Hashable & Sendable>: Sendable {
    private var counts: [Key: UInt64] = [:]
    private(set) var omitted: UInt64 = 0

    mutating func add(_ key: Key) {
        if counts[key] == nil && counts.count >= NameJournal.limit {
            omitted += 1
        } else {
            counts[key, default: 0] += 1
        }
    }

    /// The most frequent first, then by their words.
    var sorted: [NameJournal.Counted<Key>] {
        counts.map { NameJournal.Counted(key: $0.key, count: $0.value) }.sorted {
            $0.count == $1.count ? "\($0.key)" < "\($1.key)" : $0.count > $1.count
        }
    }
}

/// What flows of datagrams have said, of so many at most: those that spoke longest ago are forgotten for others.
private struct SaidNames: Sendable {
    /// The endpoint has one address of each family.
    private struct Flow: Hashable {
        var sourcePort: UInt16
        var server: SocketAddress
    }

    private struct Entry {
        var name: DomainName
        /// The higher, the later it was said.
        var turn: UInt64
    }

    private var entries: [Flow: Entry] = [:]
    private var turn: UInt64 = 0

    /// Notes a name; `nil` if the flow has said none, whatever was said before from the same port.
    mutating func note(_ name: DomainName?, from sourcePort: UInt16, to server: SocketAddress) {
        let flow = Flow(sourcePort: sourcePort, server: server)
        guard let name else {
            entries[flow] = nil
            return
        }
        if entries[flow] == nil, entries.count >= NameJournal.limit,
            let oldest = entries.min(by: { $0.value.turn < $1.value.turn })
        {
            entries[oldest.key] = nil
        }
        turn += 1
        entries[flow] = Entry(name: name, turn: turn)
    }

    func name(from sourcePort: UInt16, to server: SocketAddress) -> DomainName? {
        entries[Flow(sourcePort: sourcePort, server: server)]?.name
    }
}

extension NameJournal.Connection {
    /// A connection that was refused; `nil` for any other event.
    ///
    /// - Parameters:
    ///   - event: What a proxy tells.
    ///   - transport: What the proxy is for: TCP or UDP.
    public init?(refusedBy event: ConnectionEvent, over transport: IPProtocol = .tcp) {
        switch event {
        case .refused(let attempt):
            self.init(address: attempt.destination.address, port: attempt.destination.port, name: nil, reason: .name)
            switch attempt.speech {
            case .name(let spoken): name = spoken.name.lowercased()
            case .nothing(let absence): reason = .nothingRead(absence.rawValue)
            }
        case .denied(let place): self.init(address: place.address, port: place.port, reason: .address)
        case .notHeld(let place): self.init(address: place.address, port: place.port, reason: .notHeld)
        case .limited(let place): self.init(address: place.address, port: place.port, reason: .limit)
        case .relayed, .passed, .ended, .unreachable: return nil
        }
        self.transport = transport
    }
}
