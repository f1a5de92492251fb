// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables
public import EgretPolicy

/// What limits on connections and packets, and marks, come to in nf_tables: a table that packets pass which policies have
/// let through.
///
/// Each endpoint has a chain for each direction, found by a map, and each limit a chain of its own, in which the kernel
/// counts. Names say what a chain does, so one that stays what it was keeps what it has counted.
public struct LimitProgram: Sendable {
    /// An endpoint with limits.
    public struct Member: Hashable, Sendable {
        /// Its number, unique in the program.
        public var number: Int
        /// The number under which it is counted: that of one of its links, for an endpoint with several.
        public var owner: Int
        /// What tells the sets of its names from others': the index of the link that it is known by, which nobody else ever
        /// has; `nil` for the only one in the program.
        public var linkIndex: UInt32?
        /// How the host knows its packets.
        public var attachment: HostEndpoint.Attachment
        /// Its addresses.
        public var addresses: [IPAddress]
        /// The name of its network.
        public var network: String
        /// Its limits: all hold.
        public var limits: [TrafficLimit]
        /// The groups that limits may name.
        public var groups: [String: DestinationGroup]
        /// The parts of its traffic, of its own and shared, that wait in classes.
        public var shares: [TrafficDirection: [RateTree.Share]]
        /// The index of the interface that its frames wait in by classes; `nil` if they wait in none.
        public var queueIndex: UInt32?
        /// Whether ``HostNames`` leads connections of its to the proxies of this host: what passes here is then between the
        /// endpoint and the host.
        public var isLed: Bool
        /// Whether a run's name check is led the first datagrams of flows of its, which are not what leaves.
        public var readsDatagrams: Bool

        /// Creates a member.
        public init(
            number: Int, owner: Int? = nil, linkIndex: UInt32? = nil, attachment: HostEndpoint.Attachment,
            addresses: [IPAddress], network: String, limits: [TrafficLimit], groups: [String: DestinationGroup],
            shares: [TrafficDirection: [RateTree.Share]] = [:], queueIndex: UInt32? = nil, isLed: Bool = false,
            readsDatagrams: Bool = false
        ) {
            self.readsDatagrams = readsDatagrams
            self.shares = shares
            self.queueIndex = queueIndex
            self.isLed = isLed
            self.number = number
            self.owner = owner ?? number
            self.linkIndex = linkIndex
            self.attachment = attachment
            self.addresses = addresses
            self.network = network
            self.limits = limits
            self.groups = groups
        }
    }

    /// A limit that packets were refused by.
    public struct Refusal: Hashable, Sendable {
        /// The limit.
        public var limit: TrafficLimit
        /// The direction.
        public var direction: TrafficDirection
        /// Its name, or what it says.
        public var words: String { limit.name ?? limit.summary }
    }

    /// The table of a host's endpoints.
    public static let table = Table(family: .inet, name: "egret-limits")
    /// The table of a run.
    public static func table(slot: Int) -> Table { Table(family: .inet, name: "egret\(slot)-limits") }

    /// The table of a host's endpoints in which frames find the classes that they wait in.
    public static let frameTable = Table(family: .netdev, name: "egret-limits")
    /// The same of a run.
    public static func frameTable(slot: Int) -> Table { Table(family: .netdev, name: "egret\(slot)-limits") }

    /// What the table should hold.
    public private(set) var program: TableProgram
    /// What the table of frames should hold.
    public private(set) var frames: TableProgram
    /// Both.
    public var programs: [TableProgram] { [program, frames].filter { !$0.rules.isEmpty } }
    /// What each counter counts; the name is also the prefix of log records.
    public private(set) var refusals: [String: Refusal] = [:]

    private let logGroup: UInt16
    private let horizon: ClosedRange<Int64>
    private let mostDestinations: UInt32?
    private var elements: [String: [SetElement]] = [:]
    private var known: Swift.Set<String> = []
    private var matches: [MatchKey: LimitMatch] = [:]

    private var named: [String: NamedSet] = [:]
    private var namers: [String: Swift.Set<Int>] = [:]

    /// The sets of both tables that whoever resolves names must fill.
    public var namedSets: [(table: Table, set: NamedSet)] {
        programs.flatMap { program in
            program.sets.compactMap { set in named[set.name].map { (table: program.table, set: $0) } }
        }
    }

    /// The numbers of the members whose limits ask one of ``namedSets``.
    ///
    /// - Parameter set: The set.
    /// - Returns: One, or those that are counted together.
    public func members(asking set: NamedSet) -> Swift.Set<Int> { namers[set.name] ?? [] }

    private struct MatchKey: Hashable {
        var destinations: [Destination]
        var domains: [DomainPattern]
        var services: [Service]
        /// Whose sets of names it asks; `nil` if it asks none, or there is one endpoint.
        var linkIndex: UInt32?
    }

    /// Whether nobody's packets are limited.
    public var isEmpty: Bool { program.rules.isEmpty && frames.rules.isEmpty }

    /// Whether a limit holds at some times only.
    public var hasTimes: Bool { (program.sets + frames.sets).contains { $0.keyType == .time } }

    /// Makes the program.
    ///
    /// - Parameters:
    ///   - members: The endpoints.
    ///   - table: Where it goes.
    ///   - frameTable: Where what is about frames goes.
    ///   - horizon: The first and last second, since 1970, for which the times of limits are worked out. Outside, every
    ///     limit holds.
    ///   - logGroup: The nfnetlink_log group that refused packets go to.
    ///   - mostDestinations: How many far addresses of a family a limit counts by themselves, for each endpoint; more are
    ///     refused. `nil` for as many as the kernel lets rules put into a set, 65,535.
    /// - Complexity: O(*m* × *l*) for *m* members with *l* limits each.
    public init(
        _ members: [Member], in table: Table = LimitProgram.table, frameTable: Table = LimitProgram.frameTable,
        horizon: ClosedRange<Int64> = 0...0, logGroup: UInt16, mostDestinations: UInt32? = nil
    ) {
        program = TableProgram(table: table)
        frames = TableProgram(table: frameTable)
        self.logGroup = logGroup
        self.horizon = horizon
        self.mostDestinations = mostDestinations
        for member in members {
            for direction in TrafficDirection.allCases { add(member, direction) }
            addClasses(member)
        }
        if !elements.isEmpty { addHooks(besidesLedDatagrams: members.contains(where: \.readsDatagrams)) }
    }

    // MARK: - Who is limited

    private static let ways: [(map: String, interface: Selector)] = [
        ("from", .inputInterface), ("to", .outputInterface), ("wait", .outputInterface),
    ]

    private mutating func addHooks(besidesLedDatagrams: Bool) {
        var sets: [EgretNftables.Set] = []
        var rules: [Rule] = []
        if besidesLedDatagrams { rules.append(Rule(in: "input", NameProgram.isLedDatagram + [.verdict(.return)])) }
        for (map, interface) in LimitProgram.ways {
            sets.append(
                Set(
                    map, keyType: .interfaceIndex, mapsToVerdict: true,
                    contents: .elements((elements[map] ?? []).sorted())))
            let hook = map == "wait" ? "postrouting" : "forward"
            var asking = [Rule(in: hook, [.verdictMap(interface, map)])]
            for family in AddressFamily.allCases {
                let name = "\(map)\(family == .ipv4 ? 4 : 6)"
                let address = map == "from" ? family.source : family.destination
                sets.append(
                    Set(
                        name, concatenating: .interfaceIndex, [family.dataType],
                        contents: (elements[name] ?? []).sorted()))
                asking.append(
                    Rule(in: hook, [family.isPackets, .concatenatedVerdictMap([interface, address], name)]))
            }
            rules += asking
            // To the host, and from the host itself.
            if let hook = ["from": "input", "to": "output"][map] {
                rules += asking.map { Rule(in: hook, $0.statements) }
            }
        }
        program.sets = sets + program.sets
        program.rules = rules + program.rules
        // Behind the policies, before the place where other tools filter.
        program.chains =
            [Hook.forward, .input, .output].map { hook in
                Chain(hook.rawValue, base: BaseChain(kind: .filter, hook: hook, priority: -5))
            } + [
                // Whoever sends to an endpoint, the host itself among them: what it waits in is settled last.
                Chain("postrouting", base: BaseChain(kind: .filter, hook: .postrouting, priority: 150))
            ] + program.chains
    }

    private mutating func add(_ member: Member, _ direction: TrafficDirection) {
        let map = direction == .egress ? "from" : "to"
        let chain = "\(map)-\(member.number)"
        let rules = rules(of: member, direction, in: chain)
        if rules.isEmpty { return }
        program.chains.append(Chain(chain))
        if member.isLed, member.limits.contains(where: { $0.holds(direction) && $0.countsByFarEnd }) {
            let led = "\(chain)-led"
            let ofLed = self.rules(of: member, direction, in: led, isLed: true)
            program.chains.append(Chain(led))
            program.rules.append(Rule(in: chain, [HostNames.hasLabel, .verdict(.goto(led))]))
            program.rules += ofLed
        }
        program.rules += rules
        lead(member, by: map, to: chain)
    }

    private mutating func lead(_ member: Member, by map: String, to chain: String) {
        let verdict = Verdict.jump(chain)
        switch member.attachment {
        case .link(_, let index): elements[map, default: []].append(SetElement(UInt128(index), verdict: verdict))
        case .port(_, _, let bridge):
            for address in member.addresses {
                elements["\(map)\(address.family == .ipv4 ? 4 : 6)", default: []].append(
                    SetElement(UInt128(bridge), [address.rawValue], verdict: verdict))
            }
        // Its policies' limits are refused.
        case .cgroup: break
        }
    }

    // MARK: - What waits where

    /// Leads what an endpoint sends and receives to the classes of its rates.
    private mutating func addClasses(_ member: Member) {
        let received = member.shares[.ingress] ?? []
        if !received.isEmpty {
            let chain = "wait-\(member.number)"
            program.chains.append(Chain(chain))
            for share in received {
                let times = times(of: share.limit)
                program.rules += match(share.limit, of: member).conditions(.source).map {
                    Rule(in: chain, $0 + times + [.setPriority(RateTree.priority(of: share.leaf)), .verdict(.accept)])
                }
            }
            // A forwarded IPv6 packet still has the class that it waited in at its sender's, which is nothing here.
            program.rules.append(Rule(in: chain, [.setPriority(RateTree.priority(of: RateTree.rest))]))
            lead(member, by: "wait", to: chain)
        }
        let sent = member.shares[.egress] ?? []
        guard let queue = member.queueIndex, let interface = member.attachment.interface, !sent.isEmpty else { return }
        let chain = "endpoint-\(member.number)"
        frames.chains.append(
            Chain(
                chain,
                base: BaseChain(
                    kind: .filter, hook: .ingress, priority: -490, device: interface.rawValue)))
        for share in sent {
            let match = match(share.limit, of: member)
            for set in match.sets where known.insert("frames \(set.name)").inserted { frames.sets.append(set) }
            let times = times(of: share.limit, ofFrames: true)
            let priority = Statement.setPriority(RateTree.priority(of: share.leaf))
            frames.rules += AddressFamily.allCases.flatMap { family in
                match.conditions(family, .destination, ofFrames: true).map {
                    Rule(in: chain, $0 + times + [priority, .forward(toInterface: queue)])
                }
            }
        }
        frames.rules += AddressFamily.allCases.map {
            Rule(in: chain, [$0.isFrames, .forward(toInterface: queue)])
        }
    }

    // MARK: - What is limited

    /// What a packet meets; `isLed` where it is of a connection that is led to a proxy: its far end is then this host, and
    /// connection tracking knows where it was going.
    private mutating func rules(
        of member: Member, _ direction: TrafficDirection, in chain: String, isLed: Bool = false
    ) -> [Rule] {
        var marking: [Rule] = []
        var passing: [Rule] = []
        var beginning: [Rule] = []
        // Limits that say the same count in one chain, and a packet counts there once.
        var led: Swift.Set<String> = []
        for limit in member.limits where limit.holds(direction) {
            if limit.dscp == nil && limit.packets == nil && !limit.countsConnections { continue }
            let match = match(limit, of: member)
            let times = times(of: limit)
            let end: LimitMatch.FarEnd = isLed ? .led : direction == .egress ? .destination : .source
            if let mark = limit.dscp {
                marking += AddressFamily.allCases.flatMap { family in
                    match.conditions(family, end).map {
                        Rule(in: chain, $0 + times + [.setTrafficClass(family, mark.rawValue)])
                    }
                }
            }
            if let packets = limit.packets {
                let target = addChain("packets", [.passing(packets)], limit, member, direction, match.families, end)
                if led.insert(target).inserted {
                    passing += match.conditions(end).map { Rule(in: chain, $0 + times + [.verdict(.jump(target))]) }
                }
            }
            // What is led is the endpoint's own connections, and nobody else's to it.
            if limit.countsConnections, !(isLed && direction == .ingress) {
                let end: LimitMatch.FarEnd = isLed ? .led : direction == .egress ? .destination : .beginner
                let target = addChain(
                    "connections", limit.connectionCounts, limit, member, direction, match.families, end)
                if !led.insert(target).inserted { continue }
                let isMeant: [Statement] = [Direction.original.statement] + times
                beginning += match.conditions(end).map {
                    Rule(in: chain, isMeant + $0 + [.verdict(.jump(target))])
                }
            }
        }
        if !beginning.isEmpty {
            // Of a connection, the first packet counts: it is confirmed when that has passed.
            beginning.insert(Rule(in: chain, [.connectionStatus(in: .confirmed), .verdict(.return)]), at: 0)
        }
        return marking + passing + beginning
    }

    private mutating func match(_ limit: TrafficLimit, of member: Member) -> LimitMatch {
        let owner = limit.patterns(member.groups).isEmpty ? nil : member.linkIndex
        // A group's name means the same to all members.
        let key = MatchKey(
            destinations: limit.destinations, domains: limit.domains, services: limit.services, linkIndex: owner)
        let match = matches[key] ?? LimitMatch(limit, groups: member.groups, of: owner)
        for set in match.namedSets { namers[set.name, default: []].insert(member.number) }
        if matches.updateValue(match, forKey: key) != nil { return match }
        for set in match.sets where known.insert(set.name).inserted { program.sets.append(set) }
        for set in match.namedSets { named[set.name] = set }
        return match
    }

    /// Goes on only at a limit's times; nothing where it always holds.
    private mutating func times(of limit: TrafficLimit, ofFrames: Bool = false) -> [Statement] {
        guard let schedule = limit.schedule else { return [] }
        let name = schedule.timesName
        if known.insert(ofFrames ? "frames \(name)" : name).inserted {
            let set = schedule.timesOfHolding(within: horizon)
            if ofFrames { frames.sets.append(set) } else { program.sets.append(set) }
        }
        return [.inSet(.time, name)]
    }

    /// The chain in which a limit is counted: the member's own, or one that all share which the limit counts together.
    private mutating func addChain(
        _ kind: String, _ counts: [LimitCount], _ limit: TrafficLimit, _ member: Member, _ direction: TrafficDirection,
        _ families: [AddressFamily], _ end: LimitMatch.FarEnd
    ) -> String {
        let digest = limit.digest(direction)
        let owner: String
        switch limit.scope {
        case .endpoint, .destination: owner = "\(member.owner)"
        case .policy: owner = "all"
        case .network:
            var network = StableDigest()
            network.add(member.network)
            owner = network.text
        }
        // The address is elsewhere, and the set that it is counted in is the same.
        let isElsewhere = end == .led && limit.scope == .destination
        let name = "\(kind)-\(owner)-\(digest)" + (isElsewhere ? "-led" : "")
        let refusing = refusal(limit, direction, digest)
        guard known.insert(name).inserted else { return name }
        program.chains.append(Chain(name))
        var conditions: [[Statement]] = []
        if limit.scope == .destination {
            for count in counts {
                for family in families {
                    let each = count.each(end, family, of: "\(owner)-\(digest)", size: mostDestinations)
                    if known.insert(each.set.name).inserted { program.sets.append(each.set) }
                    conditions += each.conditions
                }
            }
        } else {
            conditions = counts.map { [$0.statement] }
        }
        program.rules += conditions.map { Rule(in: name, $0 + [.verdict(.goto(refusing))]) }
        return name
    }

    private mutating func refusal(_ limit: TrafficLimit, _ direction: TrafficDirection, _ digest: String) -> String {
        let name = "limit-\(digest)"
        guard known.insert(name).inserted else { return name }
        refusals[name] = Refusal(limit: limit, direction: direction)
        program.counters.append(Counter(name))
        program.chains.append(Chain(name))
        program.rules += [
            Rule(in: name, [.counter(name)]),
            Rule(
                in: name,
                [
                    .within(50, seconds: 1, burst: 100),
                    .log(group: logGroup, prefix: name, snapLength: 128, queueThreshold: 1),
                ]),
            Rule(in: name, [.verdict(.drop)]),
        ]
        return name
    }
}

extension TrafficLimit {
    /// Whether connections are counted.
    var countsConnections: Bool { connections != nil || newConnections != nil }

    /// Whether what it counts, or marks, depends on where packets go to or come from.
    var countsByFarEnd: Bool {
        (!isForEverything || scope == .destination) && (countsConnections || packets != nil || dscp != nil)
    }

    /// What tells the limit from every other: the same text is the same limit, also after a restart.
    func digest(_ direction: TrafficDirection) -> String {
        var digest = StableDigest()
        digest.add(policy ?? "")
        digest.add(name ?? "")
        digest.add(direction.rawValue)
        digest.add(scope.rawValue)
        for destination in destinations { digest.add("\(destination)") }
        for domain in domains { digest.add("name \(domain)") }
        for service in services { digest.add("\(service)") }
        digest.add(connections.map { "\($0)" } ?? "")
        digest.add(newConnections?.description ?? "")
        digest.add(packets?.description ?? "")
        if let schedule { digest.add(schedule.description) }
        return digest.text
    }
}
