// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables
public import EgretPolicy

/// What decides, for each new connection of a run, which way it takes, and holds it to that way.
public struct RouteProgram: Hashable, Sendable {
    /// A way with what is known of it on this host.
    public struct Way: Hashable, Sendable {
        /// 1 to `RouteWay.limit`.
        public var number: Int
        /// The way.
        public var way: RouteWay

        /// Creates the description.
        public init(number: Int, way: RouteWay) {
            self.number = number
            self.way = way
        }
    }

    /// A clause and the ways it may lead to.
    public struct Clause: Hashable, Sendable {
        /// The clause.
        public var route: EgressRoute
        /// Its ways, the preferred one first.
        public var ways: [Way]

        /// Creates the pair.
        public init(route: EgressRoute, ways: [Way]) {
            self.route = route
            self.ways = ways
        }
    }

    /// The counter of packets that were dropped because no way of their clause was usable.
    public static let droppedCounter = "dropped"
    /// The counter of packets that were dropped because they were about to leave by another way than their connection's.
    public static let strayedCounter = "strayed"

    /// The run's table.
    public static func table(slot: Int) -> Table { Table(family: .inet, name: "egret\(slot)-routes") }

    /// The counter of answers of the host that were led back by the way whose packets they answer.
    public static let answeredCounter = "answered"

    /// What of it can change while the run lasts.
    public struct State: Hashable, Sendable {
        /// The numbers of the ways that new connections may take.
        public var usable: Swift.Set<Int>
        /// The interface that packets of a way must leave by, by the way's number; none where only the source address
        /// is chosen.
        public var outputs: [Int: UInt32]
        /// The addresses that the host has by each way, by the way's number.
        public var addresses: [Int: [IPAddress]]

        /// Creates a state.
        public init(usable: Swift.Set<Int>, outputs: [Int: UInt32], addresses: [Int: [IPAddress]] = [:]) {
            self.usable = usable
            self.outputs = outputs
            self.addresses = addresses
        }
    }

    let slot: Int
    private let fixed: TableProgram
    private let clauses: [Clause]
    private let groups: [String: DestinationGroup]
    var ways: [Way] { clauses.flatMap(\.ways) }

    /// Makes the table.
    ///
    /// - Parameters:
    ///   - clauses: The clauses of all policies, in the order in which they are asked.
    ///   - groups: The groups that clauses may name.
    ///   - endpoint: Whose connections are led.
    ///   - slot: The run's slot.
    public init(
        _ clauses: [Clause], groups: [String: DestinationGroup], for endpoint: Endpoint, slot: Int
    ) {
        self.clauses = clauses
        self.groups = groups
        self.slot = slot
        var program = TableProgram(table: RouteProgram.table(slot: slot))
        program.counters = [
            Counter(RouteProgram.droppedCounter), Counter(RouteProgram.strayedCounter),
            Counter(RouteProgram.answeredCounter),
        ]
        program.chains = [
            Chain("prerouting", base: BaseChain(kind: .filter, hook: .prerouting, priority: -140)),
            Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -20)),
            Chain("postrouting", base: BaseChain(kind: .nat, hook: .postrouting, priority: 80)),
            Chain("output", base: BaseChain(kind: .route, hook: .output, priority: -140)), Chain("answers"),
            Chain("departure", base: BaseChain(kind: .filter, hook: .output, priority: -20)),
            Chain("from"), Chain("choose"), Chain("guard"), Chain("way-main"), Chain("way-none"),
            Chain("sent"), Chain("lost"),
        ]
        let isFrom = Statement.equal(.inputInterface, UInt128(endpoint.interfaceIndex))
        let ways = clauses.flatMap(\.ways)
        let diversion = RouteMark.diversion(slot: slot)
        program.rules = [
            // What goes to a proxy is on no way: that chooses for what it sends on.
            Rule(
                in: "prerouting",
                [
                    isFrom, .equal(.packetMark(mask: diversion.mask), UInt128(diversion.value)), .verdict(.accept),
                ]),
            Rule(in: "prerouting", [isFrom, .verdict(.goto("from"))]),
            Rule(in: "forward", [isFrom, .verdict(.goto("guard"))]),
        ]
        program.rules += RouteProgram.remembering(ways) + RouteProgram.ends() + RouteProgram.answering
        program.rules += RouteProgram.departing(slot: slot)
        for way in ways {
            let (chain, sentChain) = (RouteProgram.chain(way), RouteProgram.sentChain(way))
            program.chains += [Chain(chain), Chain(sentChain)]
            program.rules += RouteProgram.taking(way, in: chain)
            program.rules += RouteProgram.beginning(in: sentChain, label: RouteMark.label(way: way.number))
            program.rules += RouteProgram.translating(way, endpoint, slot: slot)
        }
        for (index, clause) in clauses.enumerated() {
            for family in AddressFamily.allCases {
                let chain = RouteProgram.chain(index, family)
                program.chains.append(Chain(chain))
                let match = FarSideMatch(clause.route, groups: groups, family: family, set: chain)
                program.sets += match.set.map { [$0] } ?? []
                program.rules += match.conditions.map { Rule(in: "choose", $0 + [.verdict(.jump(chain))]) }
            }
        }
        program.rules.append(Rule(in: "choose", [.verdict(.goto("way-main"))]))
        // A range of ports that several clauses name is one set.
        for set in clauses.flatMap({ FarSideMatch.portSets($0.route) }) where !program.sets.contains(set) {
            program.sets.append(set)
        }
        fixed = program
    }

    /// The whole table in a state.
    public func program(in state: State) -> TableProgram {
        var program = fixed
        program.rules += changing(in: state).flatMap(\.rules)
        return program
    }

    /// The steps that bring the table into a state; connections that have a way keep it.
    ///
    /// To be committed in one transaction.
    public func entering(_ state: State) -> [Operation] {
        changing(in: state).flatMap { chain, rules in [.flushChain(chain)] + rules.map { .addRule($0) } }
    }

    /// The chains that change, and their rules.
    private func changing(in state: State) -> [(chain: String, rules: [Rule])] {
        let choices = clauses.indices.flatMap { index in
            AddressFamily.allCases.map { family in
                (
                    RouteProgram.chain(index, family),
                    RouteProgram.choice(clauses[index], index, family, usable: state.usable)
                )
            }
        }
        let guards = ways.flatMap { RouteProgram.guarding($0, state.outputs[$0.number]) }
        return choices + [("guard", guards), ("answers", answers(in: state)), ("sent", sending(in: state))]
    }

    /// Says by which way connections leave in a state that the run's proxies make.
    public func chooser(in state: State) -> RouteChooser {
        var chooser = RouteChooser()
        for clause in clauses {
            var ways: [AddressFamily: Int] = [:]
            for family in AddressFamily.allCases {
                let way = clause.ways.first { state.usable.contains($0.number) && $0.way.carries(family) }
                ways[family] = way?.number
            }
            chooser.add(clause.route, groups: groups, taking: ways)
        }
        return chooser
    }

    private static func chain(_ way: Way) -> String { "way-\(way.number)" }

    private static func chain(_ index: Int, _ family: AddressFamily) -> String {
        "route-\(index)-\(family == .ipv4 ? "ipv4" : "ipv6")"
    }

    /// The one rule of a clause that says where a new connection goes now.
    private static func choice(
        _ clause: Clause, _ index: Int, _ family: AddressFamily, usable: Swift.Set<Int>
    ) -> [Rule] {
        let chain = chain(index, family)
        if let way = clause.ways.first(where: { usable.contains($0.number) && $0.way.carries(family) }) {
            return [Rule(in: chain, [.verdict(.goto(RouteProgram.chain(way)))])]
        }
        return switch clause.route.fallback {
        case .drop: [Rule(in: chain, [.verdict(.goto("way-none"))])]
        case .main: [Rule(in: chain, [.verdict(.goto("way-main"))])]
        case .next: []
        }
    }

    /// Connections that have chosen go on as they have begun; only new ones choose.
    private static func remembering(_ ways: [Way]) -> [Rule] {
        func has(_ number: Int) -> Statement {
            let label = RouteMark.label(way: number)
            return .equal(.connectionLabel(label), UInt128(1) << UInt128(label))
        }
        return [
            Rule(in: "from", [.equal(.destinationAddressType, AddressType.local.rawValue), .verdict(.accept)]),
            Rule(in: "from", [Direction.reply.statement, .verdict(.accept)]),
            Rule(in: "from", [.connectionState(in: [.invalid, .untracked]), .verdict(.accept)]),
        ] + ways.map { Rule(in: "from", [has($0.number), .verdict(.goto(chain($0)))]) } + [
            Rule(in: "from", [has(0), .verdict(.accept)]),
            Rule(in: "from", [.connectionState(in: [.new, .related]), .verdict(.goto("choose"))]),
            Rule(in: "from", [.counter(strayedCounter), .verdict(.drop)]),
        ]
    }

    private static func ends() -> [Rule] {
        [
            Rule(in: "way-main", [.addConnectionLabel(RouteMark.label(way: 0)), .verdict(.accept)]),
            Rule(in: "way-none", [.counter(droppedCounter), .verdict(.drop)]),
        ]
    }

    private static func taking(_ way: Way, in chain: String) -> [Rule] {
        [
            Rule(
                in: chain,
                [
                    .addConnectionLabel(RouteMark.label(way: way.number)),
                    .setPacketMark(mask: RouteMark.mask, value: RouteMark.packet(way: way.number)), .verdict(.accept),
                ]
            )
        ]
    }

    /// Whatever other rules and tables have made of a packet: it leaves by its connection's way or not at all.
    private static func guarding(_ way: Way, _ output: UInt32?) -> [Rule] {
        guard let output else { return [] }
        let label = RouteMark.label(way: way.number)
        let isOnWay: [Statement] = [
            Direction.original.statement, .equal(.connectionLabel(label), UInt128(1) << UInt128(label)),
        ]
        let mark = UInt128(RouteMark.packet(way: way.number))
        return [
            Statement.notEqual(.outputInterface, UInt128(output)), .notEqual(.packetMark(mask: RouteMark.mask), mark),
        ]
        .map { Rule(in: "guard", isOnWay + [$0, .counter(strayedCounter), .verdict(.drop)]) }
    }

    /// A way without a source address of its own gets that of its interface, as every connection does; what the run's proxies
    /// send gets it, too, whatever it had when they connected.
    private static func translating(_ way: Way, _ endpoint: Endpoint, slot: Int) -> [Rule] {
        let isOnWay = isOn(way)
        guard let source = way.way.sourceAddress else {
            return way.way.isPath ? [Rule(in: "postrouting", [isSentByWay(slot: slot), isOnWay, .masquerade])] : []
        }
        let own: [Statement]
        switch source {
        case .v4:
            guard let address = endpoint.ipv4 else { return [] }
            own = [.equal(.networkProtocol, 2), .equal(.ipv4Source, UInt128(address.rawValue))]
        case .v6:
            guard let address = endpoint.ipv6 else { return [] }
            own = [.equal(.networkProtocol, 10), .equal(.ipv6Source, address.rawValue)]
        }
        let proxies: [Statement] = [source.family.isPackets, isSentByWay(slot: slot)]
        return [own, proxies].flatMap { sender in
            way.way.sourceTranslations(source).map { Rule(in: "postrouting", sender + [isOnWay] + $0) }
        }
    }
}
