// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
public import EgretPolicy

/// Turns a policy set into nftables objects.
///
/// A pure function: equal inputs give equal programs. The evaluator is its specification: for every flow the
/// kernel, running the program, and the evaluator give the same verdict by the same clause.
public struct PolicyCompiler {
    private let rules: RuleSequence
    private let groups: [String: DestinationGroup]
    private let prefix: String
    private let logGroup: UInt16
    private let tableThreshold: Int
    private var output: PolicyProgram
    private var effectChains: [Int: String] = [:]
    private var serviceChains: [ServicePair: String] = [:]
    private var leafChains: [Leaf: String] = [:]

    private init(_ policies: PolicySet, generation: Generation, logGroup: UInt16, tableThreshold: Int) {
        rules = RuleSequence(policies)
        groups = policies.groups
        prefix = "g\(generation.rawValue)"
        self.logGroup = logGroup
        self.tableThreshold = tableThreshold
        output = PolicyProgram(
            generation: generation,
            program: TableProgram(table: .egret),
            egressChain: prefix,
            replyChain: "\(prefix)-reply",
            clauses: []
        )
    }

    /// Compiles a policy set.
    ///
    /// - Parameters:
    ///   - policies: What to compile.
    ///   - generation: The number that tells this state of the policy from every other that an endpoint's open
    ///     connections may have been admitted under.
    ///   - logGroup: The nfnetlink_log group that refused and audited packets go to.
    ///   - tableThreshold: From how many blocks of a prefix length on they have a hash table of their own.
    /// - Returns: The objects.
    /// - Complexity: O(*p* log *r*) for *p* prefixes in *r* rules, plus, for each set of rules that overlap in
    ///   some address, the product of their number and the number of their ports.
    public static func compile(
        _ policies: PolicySet,
        generation: Generation,
        logGroup: UInt16,
        tableThreshold: Int = 1_024
    ) -> PolicyProgram {
        var compiler = PolicyCompiler(
            policies, generation: generation, logGroup: logGroup, tableThreshold: tableThreshold)
        compiler.compile()
        return compiler.output
    }

    private mutating func compile() {
        output.program.limits = [RateLimit("\(prefix)-log", packetsPerSecond: 200, burst: 400)]
        output.program.chains = [Chain(output.egressChain), Chain(output.replyChain)]
        addAddressMap(UInt32.self, family: .ipv4, number: 2, .ipv4Source, .ipv4Destination) {
            .ipv4Intervals($0, verdicts: $1)
        }
        addAddressMap(UInt128.self, family: .ipv6, number: 10, .ipv6Source, .ipv6Destination) {
            .ipv6Intervals($0, verdicts: $1)
        }
        // A packet of neither family cannot be here; should one be, nothing has allowed it.
        for chain in [output.egressChain, output.replyChain] {
            output.program.rules.append(Rule(in: chain, [.verdict(.drop)]))
        }
    }
}

// MARK: - By address

extension PolicyCompiler {
    private mutating func addAddressMap<Address: FixedWidthInteger & UnsignedInteger & Sendable>(
        _: Address.Type,
        family: AddressFamily,
        number: UInt128,
        _ source: Selector,
        _ destination: Selector,
        contents: ([AddressInterval<Address>], [Verdict]) -> SetContents
    ) {
        let matches = rules.entries.map { AddressMatch<Address>($0.rule, family: family, groups: groups) }
        let everywhere = matches.indices.filter { matches[$0].explicit.isEverything }
        let host = matches.indices.filter { matches[$0].matchesHost }
        var partition = AddressPartition<Address>()
        var intervals: [AddressInterval<Address>] = []
        // Few ranges are cut by others; reserving for them all keeps a long list from being copied as it grows.
        intervals.reserveCapacity(matches.reduce(0) { $0 + ($1.explicit.isEverything ? 0 : $1.explicit.ranges.count) })
        var targets = VerdictTable()
        var targetOfCoverage: [UInt32] = []
        targetOfCoverage.append(
            targets.index(of: target(of: AddressPartition<Address>.Coverage(), everywhere: everywhere, host: host)))
        partition.forEachPiece(of: matches) { piece, coverages in
            while targetOfCoverage.count < coverages.count {
                let coverage = coverages[targetOfCoverage.count]
                targetOfCoverage.append(targets.index(of: target(of: coverage, everywhere: everywhere, host: host)))
            }
            let target = targetOfCoverage[piece.coverage]
            if target == targetOfCoverage[0] { return }
            if let last = intervals.last, last.verdictIndex == target, last.upperBound + 1 == piece.lower {
                intervals[intervals.count - 1].upperBound = piece.upper
            } else {
                intervals.append(AddressInterval(piece.lower, piece.upper, verdictIndex: target))
            }
        }
        let isFamily = Statement.equal(.networkProtocol, number)
        let name = "\(prefix)-\(family)"
        let keyType: DataType = family == .ipv4 ? .ipv4Address : .ipv6Address
        let tables = AddressTables(intervals, threshold: tableThreshold)
        for table in tables.blocks {
            let name = "\(name)-\(table.prefixLength)"
            output.program.sets.append(
                Set(
                    name,
                    keyType: keyType,
                    mapsToVerdict: true,
                    size: UInt32(clamping: table.entries.count),
                    contents: contents(table.entries, targets.verdicts)
                )
            )
            let isWhole = table.prefixLength == Address.bitWidth
            for (chain, address) in [(output.egressChain, destination), (output.replyChain, source)] {
                let lookUp: Statement =
                    isWhole
                    ? .verdictMap(address, name)
                    : .blockVerdictMap(address, prefixLength: table.prefixLength, name)
                output.program.rules.append(Rule(in: chain, [isFamily, lookUp]))
            }
        }
        if !tables.intervals.isEmpty {
            output.program.sets.append(
                Set(
                    name,
                    keyType: keyType,
                    hasIntervals: true,
                    mapsToVerdict: true,
                    contents: contents(tables.intervals, targets.verdicts)
                )
            )
            output.program.rules += [
                Rule(in: output.egressChain, [isFamily, .verdictMap(destination, name)]),
                Rule(in: output.replyChain, [isFamily, .verdictMap(source, name)]),
            ]
        }
        for chain in [output.egressChain, output.replyChain] {
            output.program.rules.append(Rule(in: chain, [isFamily, .verdict(targets.verdicts[0])]))
        }
    }

    /// Where packets go whose far address these rules cover.
    ///
    /// - Parameters:
    ///   - coverage: The rules that cover them.
    ///   - everywhere: The rules that cover every address.
    ///   - host: The rules that cover what the host itself receives.
    /// - Returns: A verdict that leads to their chain.
    private mutating func target<Address>(
        of coverage: AddressPartition<Address>.Coverage,
        everywhere: [Int],
        host: [Int]
    ) -> Verdict {
        let explicit = everywhere + coverage.explicit.map(Int.init)
        let forwarded = Swift.Set(explicit + coverage.builtIn.map(Int.init)).sorted()
        let received = Swift.Set(explicit + host).sorted()
        let pair = ServicePair(
            forwarded: ServiceProgram(active: forwarded, in: rules),
            received: ServiceProgram(active: received, in: rules)
        )
        return .goto(serviceChain(pair))
    }
}

/// The verdicts of one map, each once.
private struct VerdictTable {
    private(set) var verdicts: [Verdict] = []
    private var places: [Verdict: UInt32] = [:]

    mutating func index(of verdict: Verdict) -> UInt32 {
        if let place = places[verdict] { return place }
        let place = UInt32(verdicts.count)
        verdicts.append(verdict)
        places[verdict] = place
        return place
    }
}

// MARK: - By protocol, port and type

/// What happens at one address: to packets that pass through, and to packets that the host receives.
private struct ServicePair: Hashable {
    var forwarded: ServiceProgram
    var received: ServiceProgram
}

/// What happens to one protocol's packets.
private struct Leaf: Hashable {
    var `protocol`: IPProtocol
    var program: ServiceProgram.ProtocolProgram
}

extension PolicyCompiler {
    private mutating func serviceChain(_ pair: ServicePair) -> String {
        if let name = serviceChains[pair] { return name }
        let name: String
        if pair.forwarded == pair.received {
            name = serviceChain(pair.forwarded)
        } else {
            let received = serviceChain(pair.received)
            let forwarded = serviceChain(pair.forwarded)
            name = addChain("h\(serviceChains.count)")
            // Only a packet on its way into the host has no output interface.
            let isReceived: [Statement] = [
                .equal(.outputInterface, 0), .notEqual(.destinationAddressType, AddressType.multicast.rawValue),
            ]
            output.program.rules += [
                Rule(in: name, isReceived + [.verdict(.goto(received))]),
                Rule(in: name, [.verdict(.goto(forwarded))]),
            ]
        }
        serviceChains[pair] = name
        return name
    }

    private mutating func serviceChain(_ program: ServiceProgram) -> String {
        if let effect = program.uniform { return effectChain(effect) }
        let key = ServicePair(forwarded: program, received: program)
        if let name = serviceChains[key] { return name }
        let elements = program.protocols.sorted { $0.key < $1.key }.map { number, program in
            SetElement(UInt128(number.rawValue), verdict: .goto(leafChain(Leaf(protocol: number, program: program))))
        }
        let otherwise = effectChain(program.otherwise)
        let name = addChain("s\(serviceChains.count)")
        if let only = elements.first, elements.count == 1, let verdict = only.verdict {
            output.program.rules.append(
                Rule(in: name, [.equal(.transportProtocol, only.lowerBound), .verdict(verdict)])
            )
        } else {
            addVerdictMap(in: name, .transportProtocol, .inetProtocol, elements)
        }
        output.program.rules.append(Rule(in: name, [.verdict(.goto(otherwise))]))
        serviceChains[key] = name
        return name
    }

    private mutating func leafChain(_ leaf: Leaf) -> String {
        if leaf.program.cases.isEmpty { return effectChain(leaf.program.otherwise) }
        if let name = leafChains[leaf] { return name }
        let elements = leaf.program.cases.map { piece in
            SetElement(UInt128(piece.lower), UInt128(piece.upper), verdict: .goto(effectChain(piece.effect)))
        }
        let otherwise = effectChain(leaf.program.otherwise)
        let name = addChain("p\(leafChains.count)")
        if leaf.protocol.hasPorts {
            addPortRules(in: name, elements)
        } else {
            addTypeRules(in: name, leaf.protocol, elements)
        }
        output.program.rules.append(Rule(in: name, [.verdict(.goto(otherwise))]))
        leafChains[leaf] = name
        return name
    }

    /// The far port is the destination port on the way out and the source port on the way back.
    private mutating func addPortRules(in chain: String, _ elements: [SetElement]) {
        let directions: [(Direction, Selector)] = [(.original, .destinationPort), (.reply, .sourcePort)]
        if let only = elements.first, elements.count == 1, only.lowerBound == only.upperBound,
            let verdict = only.verdict
        {
            for (direction, port) in directions {
                output.program.rules.append(
                    Rule(in: chain, [direction.statement, .equal(port, only.lowerBound), .verdict(verdict)])
                )
            }
            return
        }
        output.program.sets.append(
            Set(
                chain,
                keyType: .inetService,
                hasIntervals: elements.contains { $0.lowerBound != $0.upperBound },
                mapsToVerdict: true,
                contents: .elements(elements)
            )
        )
        for (direction, port) in directions {
            output.program.rules.append(Rule(in: chain, [direction.statement, .verdictMap(port, chain)]))
        }
    }

    /// An answer has its own type: what was asked with it decides.
    private mutating func addTypeRules(in chain: String, _ number: IPProtocol, _ elements: [SetElement]) {
        let isVersion6 = number == .icmpv6
        let selector: Selector = isVersion6 ? .icmpv6Type : .icmpType
        let keyType: DataType = isVersion6 ? .icmpv6Type : .icmpType
        let types = elements.flatMap { element in
            (element.lowerBound...element.upperBound).map { SetElement($0, verdict: element.verdict) }
        }
        addVerdictMap(in: chain, selector, keyType, types, when: .original)
        let requests: [(request: UInt128, answer: UInt128)] =
            isVersion6 ? [(128, 129)] : [(8, 0), (13, 14), (15, 16), (17, 18)]
        let answers = requests.compactMap { pair in
            types.first { $0.lowerBound == pair.request }.map { SetElement(pair.answer, verdict: $0.verdict) }
        }
        if !answers.isEmpty {
            addVerdictMap(in: chain, selector, keyType, answers, when: .reply, suffix: "-answer")
        }
    }

    private mutating func addVerdictMap(
        in chain: String,
        _ selector: Selector,
        _ keyType: DataType,
        _ elements: [SetElement],
        when direction: Direction? = nil,
        suffix: String = ""
    ) {
        let name = chain + suffix
        output.program.sets.append(
            Set(name, keyType: keyType, mapsToVerdict: true, contents: .elements(elements))
        )
        output.program.rules.append(
            Rule(in: chain, (direction.map { [$0.statement] } ?? []) + [.verdictMap(selector, name)])
        )
    }

    private mutating func addChain(_ suffix: String) -> String {
        let name = "\(prefix)-\(suffix)"
        output.program.chains.append(Chain(name))
        return name
    }
}

// MARK: - Effects

extension PolicyCompiler {
    private mutating func effectChain(_ index: Int) -> String {
        if let name = effectChains[index] { return name }
        let (clause, effect) = rules.effects[index]
        let name = addChain("r\(index)")
        effectChains[index] = name
        output.clauses.append(CompiledClause(clause: clause, effect: effect, name: name))
        output.program.counters.append(Counter(name))
        let stamp: [Statement] = [
            .setConnectionMark(mask: Generation.mask, value: output.generation.mark), .verdict(.accept),
        ]
        let count = Rule(in: name, [.counter(name)])
        let log = Rule(
            in: name,
            [
                Direction.original.statement, .limit("\(prefix)-log"),
                .log(group: logGroup, prefix: name, snapLength: 128, queueThreshold: 1),
            ]
        )
        let rules: [Rule] =
            switch effect {
            case .allow: [Rule(in: name, [.counter(name)] + stamp)]
            case .audit: [count, log, Rule(in: name, stamp)]
            case .deny: [count, log, Rule(in: name, [.verdict(.drop)])]
            case .reject:
                [
                    count, log,
                    // Only the sender is answered; what answers it is dropped.
                    Rule(in: name, [Direction.reply.statement, .verdict(.drop)]),
                    Rule(in: name, [.equal(.transportProtocol, 6), .rejectWithTCPReset]),
                    Rule(in: name, [.rejectAdministratively]),
                ]
            }
        output.program.rules += rules
        return name
    }
}
