// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables
import EgretPolicy

extension HostRoutePlan {
    /// All that the table should hold.
    public var program: TableProgram {
        var program = TableProgram(table: HostRoutePlan.table)
        program.counters = [HostRoutePlan.droppedCounter, HostRoutePlan.strayedCounter, HostRoutePlan.answeredCounter]
            .map { Counter($0) }
        program.chains = HostRoutePlan.hooks + ["led", "guard", "answers", "stray", "sent", "lost"].map { Chain($0) }
        program.sets = membership + networks
        program.rules = arriving + remembering + guarding + translating + RouteProgram.answering + answers
        program.rules += departing
        program.rules += [Rule(in: "stray", [.counter(HostRoutePlan.strayedCounter), .verdict(.drop)])]
        for number in ways.keys.sorted() where !leaving.contains(number) {
            program.chains += [Chain("take-\(number)"), Chain("way-\(number)"), Chain("sent-\(number)")]
            program.rules += taking(number) + sending(number)
        }
        for group in groups { add(group, to: &program) }
        return program
    }

    private static let hooks = [
        Chain("prerouting", base: BaseChain(kind: .filter, hook: .prerouting, priority: -140)),
        Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -20)),
        Chain("postrouting", base: BaseChain(kind: .nat, hook: .postrouting, priority: 80)),
        Chain("output", base: BaseChain(kind: .route, hook: .output, priority: -140)),
        // Behind everybody's destination NAT, which may have packets leave by another interface.
        Chain("departure", base: BaseChain(kind: .filter, hook: .output, priority: -20)),
    ]

    static func has(_ label: UInt8) -> Statement {
        .equal(.connectionLabel(label), UInt128(1) << UInt128(label))
    }

    private static func isOn(_ number: Int) -> Statement { has(HostRouteMark.label(way: number)) }

    private var isLed: [Statement] { [Direction.original.statement, HostRoutePlan.has(HostRouteMark.led)] }

    // MARK: - Who is led

    /// The maps from where a packet comes in to the clauses that its sender has.
    private var membership: [EgretNftables.Set] {
        var links: [SetElement] = []
        var ports: [AddressFamily: [SetElement]] = [:]
        for member in members {
            let verdict = Verdict.goto("group-\(member.group)")
            switch member.attachment {
            case .link(_, let index): links.append(SetElement(UInt128(index), verdict: verdict))
            case .port(_, _, let bridge):
                for address in member.addresses {
                    ports[address.family, default: []].append(
                        SetElement(UInt128(bridge), [address.rawValue], verdict: verdict))
                }
            // The way of its packets is chosen before the hook that knows it.
            case .cgroup: break
            }
        }
        return [
            Set("links", keyType: .interfaceIndex, mapsToVerdict: true, contents: .elements(links.sorted()))
        ]
            + AddressFamily.allCases.map { family in
                Set(
                    HostRoutePlan.ports(family), concatenating: .interfaceIndex, [family.dataType],
                    contents: (ports[family] ?? []).sorted())
            }
    }

    private static func ports(_ family: AddressFamily) -> String { family == .ipv4 ? "ports4" : "ports6" }
    private static func within(_ family: AddressFamily) -> String { family == .ipv4 ? "within4" : "within6" }
    private static func opened(_ family: AddressFamily) -> String { family == .ipv4 ? "opened4" : "opened6" }

    /// The addresses of this host's networks, and the interfaces that forward for the sake of ways only.
    private var networks: [EgretNftables.Set] {
        AddressFamily.allCases.flatMap { family in
            let ranges = AddressRangeSet(localNetworks.map { AddressBlock($0) }).ranges(family)
            return [
                Set(
                    HostRoutePlan.within(family), keyType: family.dataType, hasIntervals: true,
                    contents: .elements(ranges.map { SetElement($0.lowerBound, $0.upperBound) })),
                Set(
                    HostRoutePlan.opened(family), keyType: .interfaceIndex,
                    contents: .elements((opened[family] ?? []).sorted().map { SetElement(UInt128($0)) })),
            ]
        }
    }

    /// The hooks. A connection whose first packet has passed without choosing a way never chooses one: its translation
    /// is settled.
    private var arriving: [Rule] {
        var rules = [
            // What goes to a proxy has a mark for that in the same bits; the proxy chooses for what it sends on.
            Rule(
                in: "prerouting",
                [
                    .equal(.packetMark(mask: HostNames.mark.mask), UInt128(HostNames.mark.value)), .verdict(.accept),
                ]),
            Rule(in: "prerouting", isLed + [.verdict(.goto("led"))]),
            Rule(in: "prerouting", [Direction.reply.statement, .verdict(.accept)]),
            Rule(in: "prerouting", [.connectionState(in: [.invalid, .untracked]), .verdict(.accept)]),
            Rule(in: "prerouting", [.connectionStatus(in: .confirmed), .verdict(.accept)]),
            Rule(in: "prerouting", [.verdictMap(.inputInterface, "links")]),
        ]
        for family in AddressFamily.allCases {
            rules.append(
                Rule(
                    in: "prerouting",
                    [
                        family.isPackets,
                        .concatenatedVerdictMap([.inputInterface, family.source], HostRoutePlan.ports(family)),
                    ]))
        }
        rules.append(Rule(in: "forward", isLed + [.verdict(.goto("guard"))]))
        rules.append(
            Rule(in: "forward", [Direction.reply.statement, HostRoutePlan.has(HostRouteMark.led), .verdict(.accept)]))
        rules += AddressFamily.allCases.map { family in
            Rule(
                in: "forward",
                [family.isPackets, .inSet(.inputInterface, HostRoutePlan.opened(family)), .verdict(.drop)])
        }
        return rules
    }

    // MARK: - Choosing

    private func add(_ group: Group, to program: inout TableProgram) {
        let chain = "group-\(group.number)"
        program.chains.append(Chain(chain))
        program.rules.append(
            Rule(in: chain, [.equal(.destinationAddressType, AddressType.local.rawValue), .verdict(.accept)]))
        program.rules += AddressFamily.allCases.map { family in
            Rule(
                in: chain,
                [family.isPackets, .inSet(family.destination, HostRoutePlan.within(family)), .verdict(.accept)])
        }
        for (index, clause) in group.clauses.enumerated() {
            for family in AddressFamily.allCases {
                let name = "route-\(group.number)-\(index)-\(family == .ipv4 ? "ipv4" : "ipv6")"
                program.chains.append(Chain(name))
                let match = FarSideMatch(clause.route, groups: group.destinations, family: family, set: name)
                program.sets += match.set.map { [$0] } ?? []
                program.rules += match.conditions.map { Rule(in: chain, $0 + [.verdict(.jump(name))]) }
                program.rules += choosing(clause, family, in: name)
            }
        }
        for set in group.clauses.flatMap({ FarSideMatch.portSets($0.route) }) where !program.sets.contains(set) {
            program.sets.append(set)
        }
        program.rules.append(Rule(in: chain, [.verdict(.accept)]))
    }

    private func choosing(_ clause: Clause, _ family: AddressFamily, in chain: String) -> [Rule] {
        if let candidate = choice(clause, family) {
            return [Rule(in: chain, [.verdict(.goto("take-\(candidate.way)"))])]
        }
        return switch clause.route.fallback {
        case .drop: [Rule(in: chain, [.counter(HostRoutePlan.droppedCounter), .verdict(.drop)])]
        case .main: [Rule(in: chain, [.verdict(.accept)])]
        case .next: []
        }
    }

    /// A connection that cannot be labelled would be on the way with its first packet only.
    private func taking(_ number: Int) -> [Rule] {
        let (take, way) = ("take-\(number)", "way-\(number)")
        var passing: [Statement] = []
        if ways[number]?.isPath ?? false {
            passing.append(.setPacketMark(mask: HostRouteMark.mask, value: HostRouteMark.packet(way: number)))
        }
        return [
            Rule(in: take, [.addConnectionLabel(HostRouteMark.led)]),
            Rule(in: take, [.addConnectionLabel(HostRouteMark.label(way: number))]),
            Rule(in: take, [HostRoutePlan.isOn(number), .verdict(.goto(way))]),
            Rule(in: take, [.verdict(.goto("stray"))]),
            Rule(in: way, passing + [.verdict(.accept)]),
        ]
    }

    // MARK: - Holding to the choice

    private var remembering: [Rule] {
        ways.keys.sorted().map { number in
            Rule(
                in: "led",
                [HostRoutePlan.isOn(number), .verdict(.goto(leaving.contains(number) ? "stray" : "way-\(number)"))])
        } + [Rule(in: "led", [.verdict(.goto("stray"))])]
    }

    /// Whatever other rules and tables have made of a packet: it leaves by its connection's way or not at all.
    private var guarding: [Rule] {
        ways.sorted { $0.key < $1.key }.flatMap { number, way -> [Rule] in
            if !way.isPath && !leaving.contains(number) { return [] }
            let stray = Statement.verdict(.goto("stray"))
            guard let output = outputs[number], !leaving.contains(number) else {
                return [Rule(in: "guard", [HostRoutePlan.isOn(number), stray])]
            }
            let mark = UInt128(HostRouteMark.packet(way: number))
            return [
                Statement.notEqual(.outputInterface, UInt128(output)),
                .notEqual(.packetMark(mask: HostRouteMark.mask), mark),
            ]
            .map { Rule(in: "guard", [HostRoutePlan.isOn(number), $0, stray]) }
        }
    }

    // MARK: - What the host's proxies send

    private static let isSentByWay = Statement.equal(
        .packetMark(mask: HostRouteMark.sentByWays.mask), UInt128(HostRouteMark.sentByWays.value))

    /// What proxies send for endpoints bears the mark of the way that was chosen for it, by which it was routed already.
    ///
    /// Who sends on a connection that is on no way any more hears of it at once.
    private var departing: [Rule] {
        var rules = [Rule(in: "departure", [HostRoutePlan.isSentByWay, .verdict(.goto("sent"))])]
        for number in ways.keys.sorted() where !leaving.contains(number) {
            let mark = UInt128(HostRouteMark.packet(way: number))
            rules.append(
                Rule(
                    in: "sent",
                    [.equal(.packetMark(mask: HostRouteMark.mask), mark), .verdict(.goto("sent-\(number)"))]))
        }
        let strayed = Statement.counter(HostRoutePlan.strayedCounter)
        rules += [
            Rule(in: "sent", [.verdict(.goto("lost"))]),
            Rule(in: "lost", [.equal(.transportProtocol, 6), strayed, .rejectWithTCPReset]),
            Rule(in: "lost", [.verdict(.goto("stray"))]),
        ]
        return rules
    }

    /// What a proxy sends by a way leaves by its interface, and on a connection that has begun there: a number may have been
    /// another way's, and a connection with translations of that one is none of this one's.
    private func sending(_ number: Int) -> [Rule] {
        let chain = "sent-\(number)"
        let lost = Statement.verdict(.goto("lost"))
        var rules: [Rule] = []
        if ways[number]?.isPath ?? false {
            guard let output = outputs[number] else { return [Rule(in: chain, [lost])] }
            rules.append(Rule(in: chain, [.notEqual(.outputInterface, UInt128(output)), lost]))
        }
        let label = HostRouteMark.label(way: number)
        return rules + RouteProgram.beginning(in: chain, label: label, after: [HostRouteMark.led])
    }

    /// A way without a source address of its own gets what the network's connections get; what proxies send for endpoints
    /// gets the interface's, whatever it had when the proxy connected.
    private var translating: [Rule] {
        ways.sorted { $0.key < $1.key }.flatMap { number, way -> [Rule] in
            if leaving.contains(number) { return [] }
            guard let source = way.sourceAddress else {
                return way.isPath
                    ? [Rule(in: "postrouting", [HostRoutePlan.isSentByWay, HostRoutePlan.isOn(number), .masquerade])]
                    : []
            }
            let conditions: [Statement] = [source.family.isPackets, HostRoutePlan.isOn(number)]
            return way.sourceTranslations(source).map { Rule(in: "postrouting", conditions + $0) }
        }
    }

    /// From an address of a way, and about to leave by another interface.
    private var answers: [Rule] {
        ways.keys.sorted().flatMap { number -> [Rule] in
            guard let output = outputs[number] else { return [] }
            return (addresses[number] ?? []).map { address in
                Rule(
                    in: "answers",
                    [
                        address.family.isPackets, .equal(address.family.source, address.rawValue),
                        .notEqual(.outputInterface, UInt128(output)), .counter(HostRoutePlan.answeredCounter),
                        .setPacketMark(mask: HostRouteMark.answerMask, value: HostRouteMark.answer(way: number)),
                        .verdict(.accept),
                    ])
            }
        }
    }
}
