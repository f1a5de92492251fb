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
    let rules: RuleSequence
    let groups: [String: DestinationGroup]
    let prefix: String
    let logGroup: UInt16
    let tableThreshold: Int
    let use: ProgramUse
    let horizon: ClosedRange<Int64>
    var output: PolicyProgram
    var effectChains: [EffectChain: String] = [:]
    var rulingChains: [RulingChain: String] = [:]
    var counted: Swift.Set<Int> = []
    var scheduleSets: [Int: String] = [:]
    let nameClauses: [NameClause]
    /// Whether questions must go to the proxy: names are in rules, or in limits.
    let dependsOnNames: Bool
    /// Up to how many values are compared one by one. A map finds one of many in one step, but the kernel finds the map by
    /// walking over all sets of the table (`nft_set_lookup_global`), with each rule and each list of elements that it is
    /// given: where thousands of policies have maps of their own, every change is slow. And to compare a few is quicker
    /// than to look one up, for a packet too.
    private static let mostComparisons = 4
    private var serviceChains: [ServicePair: String] = [:]
    private var leafChains: [Leaf: String] = [:]

    private init(
        _ policies: PolicySet, _ use: ProgramUse, _ generation: Generation, logGroup: UInt16, tableThreshold: Int,
        horizon: ClosedRange<Int64>
    ) {
        rules = RuleSequence(policies)
        nameClauses = policies.nameClauses
        dependsOnNames = policies.dependsOnNames
        self.use = use
        self.horizon = horizon
        groups = policies.groups
        prefix = "g\(generation.rawValue)"
        self.logGroup = logGroup
        self.tableThreshold = tableThreshold
        output = PolicyProgram(
            generation: generation,
            program: TableProgram(table: use == .run ? .egret : HostBase.table),
            egressChain: prefix,
            replyChain: "\(prefix)-reply",
            clauses: []
        )
    }

    /// Compiles a policy set.
    ///
    /// - Parameters:
    ///   - policies: What to compile. For ingress, a rule's destinations are where a connection comes from.
    ///   - use: What the program is for.
    ///   - generation: The number that tells this state of the policy from every other that an endpoint's open
    ///     connections may have been admitted under.
    ///   - logGroup: The nfnetlink_log group that refused and audited packets go to.
    ///   - tableThreshold: From how many blocks of a prefix length on they have a hash table of their own.
    ///   - horizon: The first and last second, since 1970, for which the times of rules are compiled. Outside, a rule with
    ///     a time lets nothing through, and holds back what it is to hold back.
    /// - Returns: The objects.
    /// - Complexity: O(*p* log *r*) for *p* prefixes in *r* rules, plus, for each set of rules that overlap in
    ///   some address, the product of their number and the number of their ports.
    public static func compile(
        _ policies: PolicySet,
        for use: ProgramUse = .run,
        generation: Generation,
        logGroup: UInt16,
        tableThreshold: Int = 1_024,
        horizon: ClosedRange<Int64> = 0...0
    ) -> PolicyProgram {
        var compiler = PolicyCompiler(
            policies, use, generation, logGroup: logGroup, tableThreshold: tableThreshold, horizon: horizon)
        compiler.compile()
        return compiler.output
    }

    private mutating func compile() {
        output.program.limits = [RateLimit("\(prefix)-log", packetsPerSecond: 200, burst: 400)]
        output.program.chains = [Chain(output.egressChain), Chain(output.replyChain)]
        addDrained()
        addNames()
        addAddressMap(UInt32.self, family: .ipv4) { .ipv4Intervals($0, verdicts: $1) }
        addAddressMap(UInt128.self, family: .ipv6) { .ipv6Intervals($0, verdicts: $1) }
        addPassage()
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
        let isFamily = family.isPackets
        let name = "\(prefix)-\(family)"
        let tables = AddressTables(intervals, threshold: tableThreshold)
        for table in tables.blocks {
            let name = "\(name)-\(table.prefixLength)"
            output.program.sets.append(
                Set(
                    name,
                    keyType: family.dataType,
                    mapsToVerdict: true,
                    size: UInt32(clamping: table.entries.count),
                    contents: contents(table.entries, targets.verdicts)
                )
            )
            let isWhole = table.prefixLength == Address.bitWidth
            for (chain, address) in entries(family) {
                let lookUp: Statement =
                    isWhole
                    ? .verdictMap(address, name)
                    : .blockVerdictMap(address, prefixLength: table.prefixLength, name)
                output.program.rules.append(Rule(in: chain, [isFamily, lookUp]))
            }
        }
        if let blocks = tables.blocks(atMost: PolicyCompiler.mostComparisons) {
            for block in blocks {
                let address = IPAddress(family: family, rawValue: UInt128(block.first))
                guard let prefix = IPPrefix(address, length: block.prefixLength) else { continue }
                let verdict = targets.verdicts[Int(block.verdictIndex)]
                output.program.rules += entries(family).map { chain, address in
                    Rule(in: chain, [isFamily, .inPrefix(address, prefix), .verdict(verdict)])
                }
            }
        } else if !tables.intervals.isEmpty {
            output.program.sets.append(
                Set(
                    name,
                    keyType: family.dataType,
                    hasIntervals: true,
                    mapsToVerdict: true,
                    contents: contents(tables.intervals, targets.verdicts)
                )
            )
            output.program.rules += entries(family).map { chain, address in
                Rule(in: chain, [isFamily, .verdictMap(address, name)])
            }
        }
        for chain in [output.egressChain, output.replyChain] {
            output.program.rules.append(Rule(in: chain, [isFamily, .verdict(targets.verdicts[0])]))
        }
    }

    /// The two chains that a packet enters by, and where each finds the far end's address.
    private func entries(_ family: AddressFamily) -> [(chain: String, farAddress: Selector)] {
        let isIngress = use == .endpoint(.ingress)
        return [
            (output.egressChain, isIngress ? family.source : family.destination),
            (output.replyChain, isIngress ? family.destination : family.source),
        ]
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
        // What the host itself sends to an endpoint is not judged: the far end of an ingress set is never the host.
        let received = use == .endpoint(.ingress) ? forwarded : Swift.Set(explicit + host).sorted()
        let pair = ServicePair(
            forwarded: ServiceProgram(active: forwarded, in: rules),
            received: ServiceProgram(active: received, isForwarded: use == .endpoint(.ingress), in: rules)
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
        if let ruling = program.uniform { return rulingChain(ruling) }
        let key = ServicePair(forwarded: program, received: program)
        if let name = serviceChains[key] { return name }
        let elements = program.protocols.sorted { $0.key < $1.key }.map { number, program in
            SetElement(UInt128(number.rawValue), verdict: .goto(leafChain(Leaf(protocol: number, program: program))))
        }
        let otherwise = rulingChain(program.otherwise)
        let name = addChain("s\(serviceChains.count)")
        // An endpoint's program also judges errors about connections: by what the connection is of.
        let selector: Selector = use == .run ? .transportProtocol : .connectionProtocol
        addVerdicts(in: name, .inetProtocol, elements, [([], selector)])
        output.program.rules.append(Rule(in: name, [.verdict(.goto(otherwise))]))
        serviceChains[key] = name
        return name
    }

    private mutating func leafChain(_ leaf: Leaf) -> String {
        if leaf.program.cases.isEmpty { return rulingChain(leaf.program.otherwise) }
        if let name = leafChains[leaf] { return name }
        let elements = leaf.program.cases.map { piece in
            SetElement(UInt128(piece.lower), UInt128(piece.upper), verdict: .goto(rulingChain(piece.ruling)))
        }
        let otherwise = rulingChain(leaf.program.otherwise)
        let name = addChain("p\(leafChains.count)")
        let isKnownByConnection = use != .run && leaf.protocol.hasTrackedPorts
        if use != .run && !isKnownByConnection {
            // An error about a connection has no port of it, and its type is its own.
            output.program.rules.append(
                Rule(in: name, [.connectionState(in: .related), .verdict(.goto(otherwise))]))
        }
        if leaf.protocol.hasPorts {
            // The target's port is the destination port on the way there and the source port on the way back.
            let places: [([Statement], Selector)] =
                isKnownByConnection
                ? [([], .connectionTargetPort)]
                : [([Direction.original.statement], .destinationPort), ([Direction.reply.statement], .sourcePort)]
            addVerdicts(in: name, .inetService, elements, places)
        } else {
            addTypeRules(in: name, leaf.protocol, elements)
        }
        output.program.rules.append(Rule(in: name, [.verdict(.goto(otherwise))]))
        leafChains[leaf] = name
        return name
    }

    /// An answer has its own type: what was asked with it decides.
    private mutating func addTypeRules(in chain: String, _ number: IPProtocol, _ elements: [SetElement]) {
        let isVersion6 = number == .icmpv6
        let selector: Selector = isVersion6 ? .icmpv6Type : .icmpType
        let keyType: DataType = isVersion6 ? .icmpv6Type : .icmpType
        let types = elements.flatMap { element in
            (element.lowerBound...element.upperBound).map { SetElement($0, verdict: element.verdict) }
        }
        addVerdicts(in: chain, keyType, types, [([Direction.original.statement], selector)])
        let requests: [(request: UInt128, answer: UInt128)] =
            isVersion6 ? [(128, 129)] : [(8, 0), (13, 14), (15, 16), (17, 18)]
        let answers = requests.compactMap { pair in
            types.first { $0.lowerBound == pair.request }.map { SetElement(pair.answer, verdict: $0.verdict) }
        }
        if !answers.isEmpty {
            addVerdicts(
                in: chain, keyType, answers, [([Direction.reply.statement], selector)], map: "\(chain)-answer")
        }
    }

    /// Adds rules that give the verdict of the element that a value is in; other packets go on.
    ///
    /// - Parameters:
    ///   - chain: Where.
    ///   - keyType: The elements'.
    ///   - elements: Values, or intervals of them, with verdicts.
    ///   - places: Where the value stands, and for which packets.
    ///   - map: The name of the map, if there are too many for comparisons; `nil` for the chain's.
    private mutating func addVerdicts(
        in chain: String,
        _ keyType: DataType,
        _ elements: [SetElement],
        _ places: [(condition: [Statement], value: Selector)],
        map: String? = nil
    ) {
        let hasIntervals = elements.contains { $0.lowerBound != $0.upperBound }
        if !hasIntervals, elements.count <= PolicyCompiler.mostComparisons {
            for (condition, value) in places {
                output.program.rules += elements.compactMap { element in
                    element.verdict.map {
                        Rule(in: chain, condition + [.equal(value, element.lowerBound), .verdict($0)])
                    }
                }
            }
            return
        }
        let name = map ?? chain
        output.program.sets.append(
            Set(name, keyType: keyType, hasIntervals: hasIntervals, mapsToVerdict: true, contents: .elements(elements))
        )
        output.program.rules += places.map { condition, value in
            Rule(in: chain, condition + [.verdictMap(value, name)])
        }
    }

    mutating func addChain(_ suffix: String) -> String {
        let name = "\(prefix)-\(suffix)"
        output.program.chains.append(Chain(name))
        return name
    }
}
