// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables

/// What leads an endpoint's questions and its connections to names to the proxies that police them.
///
/// It stands beside the policy's program, in the same table, and looks addresses up in its sets of names. What it leads
/// to a proxy bears the policy's generation, so that it passes on its way in: the proxy decides about it, by the same
/// policy. `docs/design/names.md` says how.
public struct NameProgram: Hashable, Sendable {
    /// The addresses that a rule reaches by name, and the ports on which a connection must say one.
    public struct Door: Hashable, Sendable {
        /// The names of the sets in the policy's program, by family.
        public var sets: [AddressFamily: String]
        /// The TCP ports on which connections are led to the name check. None for a rule that wants no name.
        public var checkedPorts: [PortRange]
        /// The UDP ports on which the first datagrams of flows are led to the check of QUIC's names.
        public var checkedDatagrams: [PortRange]

        /// Creates a door.
        public init(
            sets: [AddressFamily: String], checkedPorts: [PortRange], checkedDatagrams: [PortRange] = []
        ) {
            self.sets = sets
            self.checkedPorts = checkedPorts
            self.checkedDatagrams = checkedDatagrams
        }
    }

    /// The proxies of an endpoint: what their sockets are bound to.
    public struct Proxies: Hashable, Sendable {
        /// The addresses of the host's end of the link, one of each family at most: questions are translated to them.
        public var addresses: [IPAddress]
        /// The port of the proxy for questions.
        public var namesPort: UInt16
        /// The port of the proxy that checks connections.
        public var checksPort: UInt16
        /// The port of the proxy that checks datagrams; `nil` where no rule wants that.
        public var datagramsPort: UInt16?

        /// Creates the description.
        public init(addresses: [IPAddress], namesPort: UInt16, checksPort: UInt16, datagramsPort: UInt16? = nil) {
            self.addresses = addresses
            self.namesPort = namesPort
            self.checksPort = checksPort
            self.datagramsPort = datagramsPort
        }
    }

    /// The names of counters of what no proxy has seen.
    public struct Counters: Hashable, Sendable {
        /// Questions beyond what may come in a second.
        public var flooded: String
        /// Packets that nobody was there to take, and first datagrams beyond what may come in a second.
        public var unheard: String
        /// Packets of connections that were led to a proxy, and questions, that were about to leave by themselves.
        public var strayed: String
    }

    /// Questions per second that reach the proxy: what it answers has limits of its own, and this keeps a flood from
    /// filling its sockets.
    public static let questionsPerSecond: UInt64 = 4_000
    /// Questions at once.
    public static let questionBurst: UInt32 = 8_000

    /// Datagrams per second that reach the check of QUIC's names: the first ones of flows, and what comes before it decides.
    public static let datagramsPerSecond: UInt64 = 4_000
    /// Datagrams at once.
    public static let datagramBurst: UInt32 = 8_000

    /// The objects, all of them named after the endpoint's interface.
    public var program: TableProgram
    /// The counters.
    public let counters: Counters

    private let endpoint: Endpoint
    private let isFrom: Statement

    /// Makes the objects.
    ///
    /// - Parameters:
    ///   - doors: One for each rule with names.
    ///   - endpoint: Whose packets are led.
    ///   - proxies: Where to.
    ///   - generation: The policy's.
    ///   - slot: The run's slot.
    public init(_ doors: [Door], for endpoint: Endpoint, to proxies: Proxies, generation: Generation, slot: Int) {
        let name = endpoint.interface.rawValue
        counters = Counters(flooded: "\(name)-flooded", unheard: "\(name)-unheard", strayed: "\(name)-strayed")
        self.endpoint = endpoint
        isFrom = .equal(.inputInterface, UInt128(endpoint.interfaceIndex))
        program = TableProgram(table: BaseProgram.table)
        program.counters = [Counter(counters.flooded), Counter(counters.unheard), Counter(counters.strayed)]
        program.limits = [
            RateLimit(
                "\(name)-questions", packetsPerSecond: NameProgram.questionsPerSecond, burst: NameProgram.questionBurst)
        ]
        program.chains = [
            Chain(lead), Chain(check),
            Chain(chain("prerouting"), base: BaseChain(kind: .filter, hook: .prerouting, priority: -150)),
            // Before everybody else's destination NAT: the first that translates a connection decides.
            Chain(chain("resolve"), base: BaseChain(kind: .nat, hook: .prerouting, priority: -115)),
            Chain(chain("guard"), base: BaseChain(kind: .filter, hook: .forward, priority: -20)),
            Chain(chain("arrive"), base: BaseChain(kind: .filter, hook: .input, priority: -20)),
        ]
        let checksDatagrams = proxies.datagramsPort != nil && doors.contains { !$0.checkedDatagrams.isEmpty }
        if checksDatagrams { program.sets = AddressFamily.allCases.map { passedSet($0) } }
        let matches = doors.enumerated().flatMap { number, door in
            conditions(of: door, door.checkedPorts, of: .tcp, ports: "ports-\(number)")
                + (checksDatagrams
                    ? conditions(of: door, door.checkedDatagrams, of: .udp, ports: "datagrams-\(number)") : [])
        }
        program.rules = [Rule(in: chain("prerouting"), [isFrom, .verdict(.goto(lead))])]
        program.rules += limiting() + leading(matches, besidesPassed: checksDatagrams)
        if checksDatagrams, let port = proxies.datagramsPort {
            let limit = "\(name)-first"
            program.limits.append(
                RateLimit(
                    limit, packetsPerSecond: NameProgram.datagramsPerSecond, burst: NameProgram.datagramBurst))
            program.rules += diverting(
                [.equal(.transportProtocol, 17)], within: limit, to: port, generation, slot: slot)
        }
        program.rules += diverting([], to: proxies.checksPort, generation, slot: slot)
        program.rules += resolving(proxies, generation) + guarding()
        program.rules += arriving(proxies, datagramsPort: checksDatagrams ? proxies.datagramsPort : nil)
    }

    /// The set of flows of datagrams that the check has let through, and leads nowhere any more: the client's address and
    /// port, and the server's. What the policy says about addresses and flows decides about them, as about all others.
    ///
    /// - Parameters:
    ///   - family: The flows' family.
    ///   - interface: The name of the endpoint's.
    /// - Returns: The set's name.
    public static func passedSet(_ family: AddressFamily, of interface: String) -> String {
        "\(interface)-passed-\(family)"
    }

    private func passedSet(_ family: AddressFamily) -> Set {
        CompiledNameRule.flows(NameProgram.passedSet(family, of: endpoint.interface.rawValue), family)
    }

    private func chain(_ part: String) -> String { "\(endpoint.interface)-\(part)" }
    private var lead: String { chain("lead") }
    private var check: String { chain("check") }

    private static let hasLabel = Statement.equal(
        .connectionLabel(RouteMark.diversionLabel), UInt128(1) << UInt128(RouteMark.diversionLabel))
    /// Asks for datagrams that are led to a run's name check. Those that it lets through are sent again by the client, and go
    /// another way.
    static let isLedDatagram: [Statement] = [.equal(.transportProtocol, 17), hasLabel]
    private static func isQuestion(over transport: UInt128) -> [Statement] {
        [.equal(.transportProtocol, transport), .equal(.destinationPort, 53)]
    }

    /// What a new connection must be to be led through a door.
    private mutating func conditions(
        of door: Door, _ ports: [PortRange], of transport: IPProtocol, ports setName: String
    ) -> [[Statement]] {
        if ports.isEmpty { return [] }
        var isPort: [Statement] = []
        if let only = ports.first, ports.count == 1, only.lowerBound == only.upperBound {
            isPort = [.equal(.destinationPort, UInt128(only.lowerBound))]
        } else if !ports.contains(where: { $0.lowerBound <= 1 && $0.upperBound == .max }) {
            let elements = ports.map { SetElement(UInt128($0.lowerBound), UInt128($0.upperBound)) }
            let set = Set(
                chain(setName), keyType: .inetService, hasIntervals: true, contents: .elements(elements.sorted()))
            program.sets.append(set)
            isPort = [.inSet(.destinationPort, set.name)]
        }
        return AddressFamily.allCases.compactMap { family in
            door.sets[family].map { set in
                [
                    family.isPackets, .equal(.transportProtocol, UInt128(transport.rawValue)),
                    .inSet(family.destination, set),
                ] + isPort
            }
        }
    }

    /// Questions go on as long as there are not too many of them, and are led nowhere else.
    private func limiting() -> [Rule] {
        let limit: [Statement] = [.limit("\(endpoint.interface)-questions"), .verdict(.accept)]
        let refusal: [Statement] = [.counter(counters.flooded), .verdict(.drop)]
        let datagram = NameProgram.isQuestion(over: 17)
        let segment = NameProgram.isQuestion(over: 6)
        let start = segment + [Statement.connectionState(in: .new)]
        return [
            Rule(in: lead, datagram + limit), Rule(in: lead, datagram + refusal),
            Rule(in: lead, start + limit), Rule(in: lead, start + refusal),
            Rule(in: lead, segment + [Statement.verdict(.accept)]),
        ]
    }

    private func leading(_ matches: [[Statement]], besidesPassed: Bool) -> [Rule] {
        let passed = besidesPassed ? AddressFamily.allCases.map { passing($0) } : []
        let first: [Rule] = [
            Rule(in: lead, [Direction.reply.statement, .verdict(.accept)]),
            // Also when the address has left the set: what was led here once never leaves by itself.
            Rule(in: lead, [NameProgram.hasLabel, .verdict(.goto(check))]),
            // Only what begins costs a look-up for each rule.
            Rule(in: lead, [.connectionState(in: [.established, .related, .invalid, .untracked]), .verdict(.accept)]),
            // What the policy says about the host decides about its addresses, whatever names they have.
            Rule(in: lead, [.equal(.destinationAddressType, AddressType.local.rawValue), .verdict(.accept)]),
        ]
        return first + passed + matches.map { Rule(in: lead, $0 + [.verdict(.goto(check))]) }
    }

    /// Behind the label: as long as the connection of what was led is known, its packets are led here, and never leave.
    private func passing(_ family: AddressFamily) -> Rule {
        let flow: [Selector] = [family.source, .sourcePort, family.destination, .destinationPort]
        return Rule(
            in: lead,
            [
                family.isPackets, .equal(.transportProtocol, 17),
                .inConcatenatedSet(flow, NameProgram.passedSet(family, of: endpoint.interface.rawValue)),
                .verdict(.accept),
            ])
    }

    /// The marks and the socket are one rule: what bears the generation goes to the proxy, and nowhere else.
    private func diverting(
        _ condition: [Statement], within limit: String? = nil, to port: UInt16, _ generation: Generation, slot: Int
    ) -> [Rule] {
        let (value, mask) = RouteMark.diversion(slot: slot)
        let isWithin: [Statement] = limit.map { [.limit($0)] } ?? []
        let isDiverted = condition + isWithin
        return [
            Rule(
                in: check,
                isDiverted + [
                    .transparentProxy(port: port), .addConnectionLabel(RouteMark.diversionLabel),
                    .setConnectionMark(mask: Generation.mask, value: generation.mark),
                    .setPacketMark(mask: mask, value: value), .verdict(.accept),
                ]),
            // Where nobody listens, or too much comes, the rule above ends before its verdict.
            Rule(in: check, condition + [.counter(counters.unheard), .verdict(.drop)]),
        ]
    }

    /// Likewise.
    private func resolving(_ proxies: Proxies, _ generation: Generation) -> [Rule] {
        var rules: [Rule] = []
        for address in proxies.addresses {
            let target = TranslationTarget(address, ports: PortRange(proxies.namesPort))
            let effect: [Statement] = [
                .setConnectionMark(mask: Generation.mask, value: generation.mark), .anonymousCounter,
                .destinationTranslation(target),
            ]
            for transport: UInt128 in [17, 6] {
                let condition = [isFrom, address.family.isPackets] + NameProgram.isQuestion(over: transport)
                rules.append(Rule(in: chain("resolve"), condition + effect))
            }
        }
        return rules
    }

    /// What others send to the proxies' ports fills no socket: the sockets are at all of the host's addresses, and everybody who
    /// reaches the host reaches them. What is led there comes by the endpoint's link.
    private func arriving(_ proxies: Proxies, datagramsPort: UInt16?) -> [Rule] {
        var places: [(transport: UInt128, port: UInt16)] = [
            (17, proxies.namesPort), (6, proxies.namesPort), (6, proxies.checksPort),
        ]
        if let datagramsPort { places.append((17, datagramsPort)) }
        return places.map { transport, port in
            Rule(
                in: chain("arrive"),
                [
                    .notEqual(.inputInterface, UInt128(endpoint.interfaceIndex)),
                    .equal(.transportProtocol, transport), .equal(.destinationPort, UInt128(port)), .anonymousCounter,
                    .verdict(.drop),
                ])
        }
    }

    /// What should have been led to a proxy does not leave.
    private func guarding() -> [Rule] {
        let questions = [17, 6].map { [Direction.original.statement] + NameProgram.isQuestion(over: $0) }
        let forbidden: [[Statement]] = [[NameProgram.hasLabel]] + questions
        return forbidden.map { condition in
            Rule(in: chain("guard"), [isFrom] + condition + [.counter(counters.strayed), .verdict(.drop)])
        }
    }
}
