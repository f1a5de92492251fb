// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables
public import EgretPolicy

/// The budgets of a host's endpoints: whose packets count where, and what happens to those that are too many.
///
/// Objects are named after what they count, so that whoever starts anew finds them.
public struct BudgetPlan: Hashable, Sendable {
    /// An amount that traffic uses up.
    public struct Account: Hashable, Sendable {
        /// The name that its objects carry.
        public var name: String
        /// How much is left at the beginning, in its unit.
        public var left: UInt64
        /// What it is of.
        public var unit: BudgetAmount.Unit
        /// The number of the last packet, or connection, that passes, where the kernel counts them already; `nil` where it begins
        /// to: then so many pass as are left. Of bytes a quota knows it.
        public var bound: UInt64?
        /// What happens when none is left.
        public var onExhausted: TrafficBudget.Exhaustion
        /// Whether none is left: it is asked before those that have something left, so that what it drops uses nothing.
        public var isSpent: Bool

        /// Creates an account.
        public init(
            name: String, left: UInt64, unit: BudgetAmount.Unit = .bytes, onExhausted: TrafficBudget.Exhaustion,
            isSpent: Bool = false
        ) {
            self.name = name
            self.left = left
            self.unit = unit
            self.onExhausted = onExhausted
            self.isSpent = isSpent
        }
    }

    /// What of an endpoint's traffic is counted together.
    public struct Meter: Hashable, Sendable {
        /// The name of its counter.
        public var name: String
        /// Which packets.
        public var clause: Clause
        /// What they use up; `nil` if they are only counted.
        public var account: String?
        /// Whether the connections that begin are counted beside the packets.
        public var countsConnections: Bool

        /// Creates a meter.
        public init(name: String, clause: Clause, account: String?, countsConnections: Bool = false) {
            self.name = name
            self.clause = clause
            self.account = account
            self.countsConnections = countsConnections
        }

        /// The names of its counters.
        public var counters: [String] {
            [BudgetPlan.counter(of: name)] + (countsConnections ? [BudgetPlan.opened(of: name)] : [])
        }
    }

    /// Which packets a budget is about.
    public struct Clause: Hashable, Sendable {
        /// The far side's addresses; empty, without ``names``, means all.
        public var destinations: [Destination]
        /// The far side's names, beside its addresses: what they were resolved to. Those of groups are among them.
        public var names: [DomainPattern]
        /// The far side's services; empty means all. No two of them match one packet.
        public var services: [Service]
        /// Packets of which direction.
        public var direction: TrafficBudget.Direction
        /// The groups that destinations name.
        public var groups: [String: DestinationGroup]
        /// At which times; `nil` for always.
        public var schedule: Schedule?
        /// Clauses that are asked before: a packet that one of them matches is not this one's. None of them has services or
        /// names, nor clauses before it; and this one has none either where there are any.
        public var earlier: [Clause] = []
        /// The list that it stands in: of the clauses of one that a member has, in their order, the first that matches a packet is
        /// the only one. `nil` for one that stands alone.
        public var list: String?

        /// Whether it is about all far sides that clauses before it leave.
        var isForAllFarSides: Bool { destinations.isEmpty && names.isEmpty }

        /// Whether it depends on where packets go to or come from.
        var asksFarSide: Bool { !(isForAllFarSides && services.isEmpty && earlier.isEmpty) }

        /// Takes a budget's match.
        public init(_ budget: TrafficBudget, groups: [String: DestinationGroup]) {
            destinations = budget.destinations
            names = budget.patterns(groups)
            services = Service.apart(budget.services)
            direction = budget.direction
            schedule = budget.schedule
            self.groups = Clause.groups(of: budget.destinations, groups)
        }

        /// Takes the match of a price, but for names.
        ///
        /// - Parameters:
        ///   - entry: The price.
        ///   - earlier: The prices before it in its list.
        ///   - groups: The groups that they name.
        public init(_ entry: PriceList.Entry, after earlier: [PriceList.Entry], groups: [String: DestinationGroup]) {
            destinations = entry.destinations
            names = []
            services = []
            direction = entry.direction
            self.groups = Clause.groups(of: entry.destinations, groups)
            self.earlier = earlier.map { Clause($0, after: [], groups: groups) }
        }

        /// Takes the match of a price whose list is asked in order, since ports or names are asked for.
        ///
        /// - Parameters:
        ///   - entry: The price.
        ///   - list: What its list is called.
        ///   - groups: The groups that it names.
        public init(_ entry: PriceList.Entry, of list: String, groups: [String: DestinationGroup]) {
            self.init(entry, after: [], groups: groups)
            names = entry.patterns(groups)
            services = Service.apart(entry.services)
            self.list = list
        }

        /// Hashes what tells clauses apart in practice.
        ///
        /// The addresses of groups and of earlier clauses may be many thousands, and are compared in no time where two
        /// clauses have them from one place, as those of all endpoints do.
        public func hash(into hasher: inout Hasher) {
            hasher.combine(destinations.count)
            hasher.combine(destinations.first)
            hasher.combine(names.count)
            hasher.combine(names.first)
            hasher.combine(services)
            hasher.combine(direction)
            hasher.combine(schedule == nil)
            hasher.combine(groups.count)
            hasher.combine(earlier.count)
            hasher.combine(list)
        }

        private static func groups(
            of destinations: [Destination], _ groups: [String: DestinationGroup]
        ) -> [String: DestinationGroup] {
            var named: [String: DestinationGroup] = [:]
            for case .group(let name) in destinations { named[name] = groups[name] }
            return named
        }
    }

    /// A link of an endpoint's.
    public struct Link: Hashable, Sendable {
        /// How the host knows its packets.
        public var attachment: HostEndpoint.Attachment
        /// Its addresses.
        public var addresses: [IPAddress]

        /// Creates a link.
        public init(attachment: HostEndpoint.Attachment, addresses: [IPAddress]) {
            self.attachment = attachment
            self.addresses = addresses
        }
    }

    /// An endpoint whose traffic counts.
    public struct Member: Hashable, Sendable {
        /// The name that its chains carry.
        public var name: String
        /// Its links.
        public var links: [Link]
        /// What of its traffic is counted.
        public var meters: [Meter]
        /// Whether ``HostNames`` leads connections of its to the proxies of this host: what passes here is then between the
        /// endpoint and the host.
        public var isLed: Bool
        /// Whether a run's name check is led the first datagrams of flows of its, which are not what leaves.
        public var readsDatagrams: Bool

        /// Creates a member.
        public init(
            name: String, links: [Link], meters: [Meter], isLed: Bool = false, readsDatagrams: Bool = false
        ) {
            self.readsDatagrams = readsDatagrams
            self.name = name
            self.links = links
            self.meters = meters
            self.isLed = isLed
        }

        /// What tells the sets of its names from others': the index of the first of its links, which nobody else ever has.
        var nameOwner: UInt32? { links.compactMap(\.attachment.index).min() }
    }

    /// The sets that whoever resolves names must fill, each with the links whose endpoint's they are.
    public var namedSets: [(set: NamedSet, links: [Link])] {
        var found: [(set: NamedSet, links: [Link])] = []
        // Many endpoints have the same names.
        var digests: [Clause: String] = [:]
        for member in members {
            var known: Swift.Set<String> = []
            for clause in member.meters.map(\.clause) where !clause.names.isEmpty {
                let digest = digests[clause] ?? NamedSet.digest(of: clause.names)
                digests[clause] = digest
                for family in AddressFamily.allCases {
                    let set = NamedSet(clause.names, digest: digest, family, of: member.nameOwner)
                    if known.insert(set.name).inserted { found.append((set: set, links: member.links)) }
                }
            }
        }
        return found
    }

    /// The amounts.
    public var accounts: [Account] = []
    /// The endpoints.
    public var members: [Member] = []
    /// The first and last second, since 1970, for which the times of budgets are worked out. Outside, every budget counts.
    public var horizon: ClosedRange<Int64> = 0...0

    /// The table of all endpoints of a host's networks.
    public static let hostTable = Table(family: .inet, name: "egret-budgets")

    /// The table.
    public let table: Table

    /// Creates a plan in which nothing counts.
    public init(table: Table = hostTable) {
        self.table = table
    }

    /// The table of a run.
    public static func table(slot: Int) -> Table { Table(family: .inet, name: "egret-budgets-\(slot)") }

    /// A name for objects that count the same whoever makes them: 64 bits of a digest of what they are for.
    public static func name(of parts: [String]) -> String {
        String(SHA256.digest(of: Array(parts.joined(separator: "\u{0}").utf8)).prefix(16))
    }

    /// The most bytes that the kernel takes for a quota: 2^63 - 1. It refuses more.
    public static let quotaLimit = UInt64(Int64.max)

    /// The name of an account's quota.
    public static func quota(of account: String) -> String { "left-\(account)" }
    /// The name of the counter of what an account did not let pass.
    public static func refusals(of account: String) -> String { "refused-\(account)" }
    /// The name of a meter's counter.
    public static func counter(of meter: String) -> String { "used-\(meter)" }
    /// The name of a meter's counter of the first packets of connections.
    public static func opened(of meter: String) -> String { "opened-\(meter)" }
    /// Whether a counter is one of the first packets of connections, by its name.
    public static func isOfConnections(_ counter: String) -> Bool { counter.hasPrefix("opened-") }
}

extension Service {
    /// Services that match what the given ones match, and of which no two match one packet.
    static func apart(_ services: [Service]) -> [Service] {
        var whole: Swift.Set<UInt8> = []
        var ports: [UInt8: [PortRange]] = [:]
        var types: Swift.Set<Service> = []
        for service in services {
            switch service {
            case .any(let number): whole.insert(number.rawValue)
            case .ports(let number, let range): ports[number.rawValue, default: []].append(range)
            case .icmp: types.insert(service)
            }
        }
        var result = whole.sorted().map { Service.any(IPProtocol(rawValue: $0)) }
        for (number, ranges) in ports.sorted(by: { $0.key < $1.key }) where !whole.contains(number) {
            result += PortRange.merged(sorted: ranges.sorted()).map { .ports(IPProtocol(rawValue: number), $0) }
        }
        result += types.filter { type in
            guard case .icmp(let number, _) = type else { return false }
            return !whole.contains(number.rawValue)
        }.sorted { "\($0)" < "\($1)" }
        return result
    }
}
