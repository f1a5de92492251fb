// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNftables
import EgretPolicy

/// What leads the questions of a host's endpoints, and their connections to names, to the proxies that police them.
///
/// It stands beside the policies' programs, in the same table. An endpoint is an element of the maps, as in ``HostBase``;
/// the chains that it leads to are its pair's, and what they ask is its program's. Connections are led by translation, not by
/// `tproxy` as those of runs: where the kernel has bridges' packets pass its hooks early (`br_netfilter`, with Docker), the
/// socket that `tproxy` finds is lost. Of the first datagrams of flows to names whose QUIC is read, the check gets copies, and
/// they are dropped: nothing is led anywhere. `docs/design/names.md` says more.
public enum HostNames {
    /// The ports that the proxies listen at, for all endpoints.
    public struct Ports: Hashable, Sendable {
        /// The port of the proxy for questions.
        public var questions: UInt16
        /// The port of the proxy that checks connections.
        public var checks: UInt16

        /// Creates the pair.
        public init(questions: UInt16, checks: UInt16) {
            self.questions = questions
            self.checks = checks
        }
    }

    /// The counter of questions, and of flows' first datagrams, beyond what may come in a second.
    public static let floodedCounter = "names-flooded"
    /// The counter of what should have been led to a proxy and was about to go elsewhere.
    public static let strayedCounter = "names-strayed"
    /// The counters, all of them.
    public static let counters = [floodedCounter, strayedCounter]

    /// The mark of packets that are led to a proxy, and the bits that it is in. No way of a run or a host has it.
    public static let mark: (value: UInt32, mask: UInt32) = (0x2000_0000, 0xff00_0000)
    /// The mark of what the name check sends to servers: of bits that no way and no lead uses.
    public static let sent: UInt32 = 0x0040_0000
    /// The bits of the packet mark that say nothing about what proxies send: kube-proxy sets them on what it translates, before
    /// the rules that know such packets.
    static let others: UInt32 = 0xc000
    /// The routing table that has such packets delivered on the host: behind those of ways.
    public static let routingTable: UInt32 = 0x6600_0040
    /// The label of connections that are led to a proxy, from their first packet to their last: below those of ways.
    public static let label: UInt8 = 31

    /// The nfnetlink_log group by which the check of QUIC's names gets copies of flows' first datagrams: of its own, as each
    /// has one reader, and these are whole.
    public static let copyGroup: UInt16 = 40_958

    /// The address that what is led to a proxy is translated to. It is nobody's (RFC 7600, RFC 6666): the mark has them delivered here.
    static func standIn(_ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: .v4(IPv4Address(rawValue: 0xc000_0008))
        case .ipv6: .v6(IPv6Address(rawValue: 0x0100 << 112 | 8))
        }
    }

    /// The map from the interface that a packet came in by to what leads its sender's questions and connections.
    static let senders = "named"
    /// The map from bridge and source address.
    static func senders(_ family: AddressFamily) -> String { family == .ipv4 ? "named4" : "named6" }
    /// The shared chain that questions are led by.
    static let ask = "names-ask"
    /// The shared chain that connections are led by.
    static let check = "names-check"
    /// The shared chain that flows' first datagrams are copied and dropped by.
    static let read = "names-read"
    private static let hook = "names"
    private static let translation = "names-translate"
    private static let arrival = "names-arrive"
    private static let guarding = "names-guard"
    private static let sending = "names-sent"
    private static let limit = "names-questions"
    private static let datagramLimit = "names-datagrams"
    /// The names of the chains that are hooks.
    public static let hooks = [hook, translation, arrival, guarding, sending]

    /// Questions of all endpoints in a second that reach the proxy, which has limits of its own for each.
    static let questionsPerSecond: UInt64 = 40_000
    /// Questions of one address of an endpoint in a second, and at once: its flood leaves the others theirs.
    static let questionsPerAddress: (perSecond: UInt64, burst: UInt32) = (2_000, 4_000)
    /// The set of addresses that have asked of late.
    static func askers(_ family: AddressFamily) -> String { family == .ipv4 ? "names-asking4" : "names-asking6" }

    /// First datagrams of all endpoints in a second that are copied to the check of QUIC's names, as many as of a run.
    static let datagramsPerSecond = NameProgram.datagramsPerSecond
    /// First datagrams of one address of an endpoint in a second, and at once.
    static let datagramsPerAddress: (perSecond: UInt64, burst: UInt32) = (500, 1_000)
    /// The set of addresses that have begun such flows of late.
    static func beginners(_ family: AddressFamily) -> String { family == .ipv4 ? "names-reading4" : "names-reading6" }

    /// Goes on only for connections that are led to the name check.
    static let hasLabel = Statement.equal(.connectionLabel(label), UInt128(1) << UInt128(label))

    private static let isMarked = Statement.equal(.packetMark(mask: mark.mask), UInt128(mark.value))
    private static let leads: [Statement] = [
        .addConnectionLabel(label), .setPacketMark(mask: mark.mask, value: mark.value), .verdict(.accept),
    ]

    /// What all endpoints with rules about names share: the hooks, and the maps, without elements.
    static func program(_ ports: Ports) -> TableProgram {
        var program = TableProgram(table: HostBase.table)
        program.counters = counters.map { Counter($0) }
        program.limits = [
            RateLimit(limit, packetsPerSecond: questionsPerSecond, burst: 40_000),
            RateLimit(datagramLimit, packetsPerSecond: datagramsPerSecond, burst: NameProgram.datagramBurst),
        ]
        program.chains = [
            Chain(hook, base: BaseChain(kind: .filter, hook: .prerouting, priority: -150)),
            // Before everybody else's destination NAT: the first that translates a connection decides.
            Chain(translation, base: BaseChain(kind: .nat, hook: .prerouting, priority: -115)),
            Chain(arrival, base: BaseChain(kind: .filter, hook: .prerouting, priority: -90)),
            Chain(guarding, base: BaseChain(kind: .filter, hook: .forward, priority: -20)),
            // Behind everybody's destination NAT, which may lead to an endpoint of this host.
            Chain(sending, base: BaseChain(kind: .filter, hook: .output, priority: -9)),
            Chain(ask), Chain(check), Chain(read),
        ]
        program.sets = [Set(senders, keyType: .interfaceIndex, mapsToVerdict: true, size: 65_536)]
        program.sets += AddressFamily.allCases.map { family in
            Set(senders(family), concatenating: .interfaceIndex, [family.dataType])
        }
        program.sets += AddressFamily.allCases.flatMap { family in
            [askers(family), beginners(family)].map { name -> Set in
                var set = Set(name, keyType: .interfaceIndex, size: 65_536)
                set.furtherKeyTypes = [family.dataType]
                (set.hasTimeouts, set.isDynamic) = (true, true)
                return set
            }
        }
        program.rules = [Rule(in: hook, [.verdictMap(.inputInterface, senders)])]
        program.rules += AddressFamily.allCases.map { family in
            Rule(
                in: hook,
                [family.isPackets, .concatenatedVerdictMap([.inputInterface, family.source], senders(family))])
        }
        program.rules += asking + reading + [Rule(in: check, leads)] + translating(ports) + arriving
        program.rules.append(Rule(in: guarding, [hasLabel, .counter(strayedCounter), .verdict(.drop)]))
        program.rules += sending(to: HostBase.members)
        return program
    }

    /// No name leads to an endpoint of this host, past that one's policies and its network's isolation.
    ///
    /// What is sent by a way is on one: the table of routes, which says so, comes and goes, and others could remove it.
    private static func sending(to members: (AddressFamily) -> String) -> [Rule] {
        let byWays = HostRouteMark.sentByWays
        let isByWay = Statement.equal(.packetMark(mask: byWays.mask), UInt128(byWays.value))
        let stray: [Statement] = [.counter(strayedCounter), .verdict(.drop)]
        let led = HostRouteMark.led
        let isOnNone = Statement.notEqual(.connectionLabel(led), UInt128(1) << UInt128(led))
        var rules = [Rule(in: sending, [isByWay, isOnNone] + stray)]
        for isSent in [Statement.equal(.packetMark(mask: ~others), UInt128(sent)), isByWay] {
            rules += AddressFamily.allCases.map { family in
                Rule(
                    in: sending, [isSent, family.isPackets, .inSet(family.destination, members(family))] + stray)
            }
        }
        return rules
    }

    private static var asking: [Rule] {
        [
            // Of a connection over TCP, only the beginning counts.
            Rule(in: ask, [.equal(.transportProtocol, 6), .connectionState(in: .established)] + leads)
        ]
            + AddressFamily.allCases.map { family -> Rule in
                // Its own share first: what is beyond it takes nothing of the others'.
                Rule(
                    in: ask,
                    [
                        family.isPackets,
                        .withinEach(
                            [.inputInterface, family.source], set: askers(family),
                            perSecond: questionsPerAddress.perSecond, burst: questionsPerAddress.burst),
                        .limit(limit),
                    ] + leads)
            } + [Rule(in: ask, [.counter(floodedCounter), .verdict(.drop)])]
    }

    /// What is read is not sent on: the client sends it again. As it is dropped, connection tracking knows nothing of it.
    private static var reading: [Rule] {
        AddressFamily.allCases.map { family -> Rule in
            Rule(
                in: read,
                [
                    family.isPackets,
                    .withinEach(
                        [.inputInterface, family.source], set: beginners(family),
                        perSecond: datagramsPerAddress.perSecond, burst: datagramsPerAddress.burst),
                    .limit(datagramLimit),
                    .log(
                        group: copyGroup, prefix: read, snapLength: UInt32(UInt16.max), queueThreshold: 1),
                    .verdict(.drop),
                ])
        } + [Rule(in: read, [.counter(floodedCounter), .verdict(.drop)])]
    }

    private static func translating(_ ports: Ports) -> [Rule] {
        AddressFamily.allCases.flatMap { family -> [Rule] in
            func target(_ port: UInt16) -> Statement {
                .destinationTranslation(TranslationTarget(standIn(family), ports: PortRange(port)))
            }
            return [UInt128(17), 6].map { transport in
                Rule(
                    in: translation,
                    [
                        isMarked, family.isPackets, .equal(.transportProtocol, transport),
                        .equal(.destinationPort, 53), .anonymousCounter, target(ports.questions),
                    ])
            } + [
                Rule(
                    in: translation,
                    [isMarked, family.isPackets, .equal(.transportProtocol, 6), target(ports.checks)])
            ]
        }
    }

    /// What no translation has led, because its connection is older or another's, goes nowhere: the mark would have it
    /// delivered to whoever listens on this host.
    private static var arriving: [Rule] {
        AddressFamily.allCases.map { family in
            Rule(
                in: arrival,
                [
                    isMarked, family.isPackets, .notEqual(family.destination, standIn(family).rawValue),
                    .counter(strayedCounter), .verdict(.drop),
                ])
        }
    }

    // MARK: - Of a program

    /// The name of a program's chain for what its endpoints send, and the beginning of its other objects' names.
    static func lead(_ generation: Generation) -> String { "g\(generation.rawValue)-names" }

    /// The set of flows of datagrams that the check of names has let through, of endpoints that obey a program: they are
    /// copied no more. The endpoint's address and port, and the server's.
    ///
    /// - Parameters:
    ///   - family: The flows' family.
    ///   - generation: The program's.
    /// - Returns: The set's name.
    public static func passedSet(_ family: AddressFamily, of generation: Generation) -> String {
        "\(lead(generation))-passed-\(family)"
    }

    /// What leads the questions and connections of endpoints that obey a program; it is part of the program.
    ///
    /// - Parameters:
    ///   - names: The program's rules about names.
    ///   - generation: The program's.
    /// - Returns: Chains, rules and sets of ports.
    static func leading(_ names: [CompiledNameRule], _ generation: Generation) -> TableProgram {
        let lead = lead(generation)
        let (question, connection) = ("\(lead)-ask", "\(lead)-check")
        var program = TableProgram(table: HostBase.table)
        program.chains = [Chain(lead), Chain(question), Chain(connection)]
        program.rules = [Rule(in: lead, [Direction.reply.statement, .verdict(.return)])]
        program.rules += [UInt128(17), 6].map { transport in
            Rule(
                in: lead,
                [.equal(.transportProtocol, transport), .equal(.destinationPort, 53), .verdict(.goto(question))])
        }
        program.rules += [
            // Also when the address has left the set: what was led here once never leaves by itself.
            Rule(in: lead, [hasLabel, .verdict(.goto(connection))]),
            // Only what begins costs a look-up for each rule. Where a connection goes is settled by its first packet.
            Rule(in: lead, [.connectionState(in: [.established, .related, .invalid, .untracked]), .verdict(.return)]),
            Rule(in: lead, [.connectionStatus(in: .confirmed), .verdict(.return)]),
            // RTN_LOCAL: what the policies say about the host decides about its addresses, whatever names they have.
            Rule(in: lead, [.equal(.destinationAddressType, 2), .verdict(.return)]),
        ]
        let readNames = names.filter { $0.effect == .allow && !$0.traffic.checkedDatagrams.isEmpty }
        if !readNames.isEmpty {
            for family in AddressFamily.allCases { addPassing(family, lead, generation, &program) }
            for name in readNames { addDatagrams(name, lead, &program) }
        }
        for name in names where name.effect == .allow { door(name, lead, connection, &program) }
        // What bears the generation goes to a proxy or is dropped: by the shared chains, or where it arrives.
        program.rules += [(question, ask), (connection, check)].map { chain, next in
            Rule(in: chain, [generation.stamp, .verdict(.goto(next))])
        }
        return program
    }

    /// What a new connection must be to be led to the name check for a rule's sake.
    private static func door(
        _ name: CompiledNameRule, _ lead: String, _ connection: String, _ program: inout TableProgram
    ) {
        let ports = name.traffic.checked
        if ports.isEmpty { return }
        let isPort = isPort(ports, "\(lead)-p\(name.number)", &program)
        program.rules += leading(name, over: 6, isPort, to: connection, in: lead)
    }

    /// What the first datagram of a flow must be to be copied to the check of QUIC's names for a rule's sake.
    private static func addDatagrams(_ name: CompiledNameRule, _ lead: String, _ program: inout TableProgram) {
        let isPort = isPort(name.traffic.checkedDatagrams, "\(lead)-u\(name.number)", &program)
        program.rules += leading(name, over: 17, isPort, to: read, in: lead)
    }

    /// What the policies say about addresses and flows decides about flows that were let through, as about all others.
    private static func addPassing(
        _ family: AddressFamily, _ lead: String, _ generation: Generation, _ program: inout TableProgram
    ) {
        var set = CompiledNameRule.flows(passedSet(family, of: generation), family)
        set.size = CompiledNameRule.sharedSetSize
        program.sets.append(set)
        let flow: [Selector] = [family.source, .sourcePort, family.destination, .destinationPort]
        program.rules.append(
            Rule(
                in: lead,
                [
                    family.isPackets, .equal(.transportProtocol, 17), .inConcatenatedSet(flow, set.name),
                    .verdict(.return),
                ]))
    }

    /// Asks for one of some ports, by a set if there are several; for all ports it asks nothing.
    private static func isPort(
        _ ports: [PortRange], _ setName: String, _ program: inout TableProgram
    ) -> [Statement] {
        if let only = ports.first, ports.count == 1, only.lowerBound == only.upperBound {
            return [.equal(.destinationPort, UInt128(only.lowerBound))]
        }
        if ports.contains(where: { $0.lowerBound <= 1 && $0.upperBound == .max }) { return [] }
        let set = Set(
            setName, keyType: .inetService, hasIntervals: true,
            contents: .elements(ports.map { SetElement(UInt128($0.lowerBound), UInt128($0.upperBound)) }.sorted()))
        program.sets.append(set)
        return [.inSet(.destinationPort, set.name)]
    }

    /// Leads what goes to addresses that an endpoint holds by a rule's names to a chain.
    private static func leading(
        _ name: CompiledNameRule, over transport: UInt128, _ isPort: [Statement], to chain: String, in lead: String
    ) -> [Rule] {
        AddressFamily.allCases.compactMap { family -> Rule? in
            name.set(family).map { set -> Rule in
                Rule(
                    in: lead,
                    [
                        family.isPackets, .equal(.transportProtocol, transport),
                        .inConcatenatedSet([family.source, family.destination], set),
                    ] + isPort + [.verdict(.goto(chain))])
            }
        }
    }
}

extension HostEndpoint {
    /// What leads the endpoint's questions and connections to the chain of its pair.
    ///
    /// - Parameter number: The pair's number.
    /// - Returns: One element, or one for each address.
    func nameMemberships(profile number: Int) -> [Membership] {
        let verdict = Verdict.jump(HostProfileProgram.namesChain(number))
        switch attachment {
        case .link(_, let index):
            return [
                Membership(
                    Set(
                        HostNames.senders, keyType: .interfaceIndex, mapsToVerdict: true,
                        contents: .elements([SetElement(UInt128(index), verdict: verdict)])))
            ]
        case .port(_, _, let bridge):
            return addresses.map { address in
                Membership(
                    Set(
                        HostNames.senders(address.family), concatenating: .interfaceIndex, [address.family.dataType],
                        contents: [SetElement(UInt128(bridge), [address.rawValue], verdict: verdict)]))
            }
        // Its policies' names are refused.
        case .cgroup: return []
        }
    }
}
