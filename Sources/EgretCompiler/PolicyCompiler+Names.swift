// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

extension PolicyCompiler {
    /// The sets of the rules about names, and what the run time must know of these rules.
    mutating func addNames() {
        for (number, clause) in nameClauses.enumerated() {
            let options = clause.rule.naming
            var compiled = CompiledNameRule(
                number: number, clause: clause.clause, patterns: clause.patterns,
                effect: clause.denies ? .deny : .allow, furtherTypes: options.records,
                permittedAddresses: options.permittedAddresses, traffic: clause.traffic, options: options)
            if !clause.denies {
                compiled.ipv4Set = addNameSet(number, .ipv4)
                compiled.ipv6Set = addNameSet(number, .ipv6)
                if !clause.traffic.checkedDatagrams.isEmpty {
                    for family in AddressFamily.allCases { addFlowSet(number, family) }
                }
            }
            output.names.append(compiled)
        }
        // Also where only limits or budgets are about names: their addresses must be known.
        if use == .endpoint(.egress), dependsOnNames {
            let leading = HostNames.leading(output.names, output.generation)
            output.program.chains += leading.chains
            output.program.sets += leading.sets
            output.program.rules += leading.rules
            output.leadingChain = HostNames.lead(output.generation)
        }
    }

    private mutating func addNameSet(_ number: Int, _ family: AddressFamily) -> String {
        let name = nameSet(number, family)
        var set = Set(
            name, keyType: family.dataType,
            size: use.isOfEndpoints ? CompiledNameRule.sharedSetSize : CompiledNameRule.setSize)
        // What one endpoint has resolved opens nothing for the others that obey the program.
        if use.isOfEndpoints { set.furtherKeyTypes = [family.dataType] }
        set.hasTimeouts = true
        output.program.sets.append(set)
        return name
    }

    private func nameSet(_ number: Int, _ family: AddressFamily) -> String {
        CompiledNameRule.set(number, family, of: output.generation)
    }

    private mutating func addFlowSet(_ number: Int, _ family: AddressFamily) {
        var set = CompiledNameRule.flows(CompiledNameRule.flowSet(number, family, of: output.generation), family)
        if use.isOfEndpoints { set.size = CompiledNameRule.sharedSetSize }
        output.program.sets.append(set)
    }

    /// The chain that looks the packet's flow up among those that the name check has let through for a rule.
    ///
    /// - Parameters:
    ///   - ruling: The ruling that it carries out.
    ///   - names: The place in `rules.nameUses`.
    ///   - said: What happens to a flow in the set.
    ///   - unsaid: What happens to any other.
    ///   - isStamped: Whether connections are noted as admitted.
    ///   - isDrained: Whether a schedule that drains may refuse them one day.
    /// - Returns: The chain's name.
    mutating func speechChain(
        _ ruling: Ruling, _ names: Int, _ said: Ruling, _ unsaid: Ruling, _ isStamped: Bool, _ isDrained: Bool
    ) -> String {
        let number = rules.nameUses[names].number
        var conditions: [[Statement]] = []
        for family in AddressFamily.allCases {
            let set = CompiledNameRule.flowSet(number, family, of: output.generation)
            let toServer: [Selector] = [family.source, .sourcePort, family.destination, .destinationPort]
            let toClient: [Selector] = [family.destination, .destinationPort, family.source, .sourcePort]
            for (direction, flow) in [(Direction.original, toServer), (Direction.reply, toClient)] {
                // Also asked about errors about flows, which have no ports: they are no flow's in the set.
                conditions.append([
                    direction.statement, family.isPackets,
                    .equal(.transportProtocol, UInt128(IPProtocol.udp.rawValue)), .inConcatenatedSet(flow, set),
                ])
            }
        }
        return lookUpChain(ruling, conditions, said, unsaid, isStamped, isDrained)
    }

    /// The chain that looks the far address up in the set of a rule about names.
    ///
    /// - Parameters:
    ///   - ruling: The ruling that it carries out.
    ///   - names: The place in `rules.nameUses`.
    ///   - held: What happens to an address in the set.
    ///   - free: What happens to any other.
    ///   - isStamped: Whether connections are noted as admitted.
    ///   - isDrained: Whether a schedule that drains may refuse them one day.
    /// - Returns: The chain's name.
    mutating func nameChain(
        _ ruling: Ruling, _ names: Int, _ held: Ruling, _ free: Ruling, _ isStamped: Bool, _ isDrained: Bool
    ) -> String {
        let number = rules.nameUses[names].number
        var conditions: [[Statement]] = []
        for family in AddressFamily.allCases {
            let set = nameSet(number, family)
            for (direction, own, far) in [
                (Direction.original, family.source, family.destination),
                (Direction.reply, family.destination, family.source),
            ] {
                let isHolding = use.isOfEndpoints ? Statement.inConcatenatedSet([own, far], set) : .inSet(far, set)
                conditions.append([direction.statement, family.isPackets, isHolding])
            }
        }
        return lookUpChain(ruling, conditions, held, free, isStamped, isDrained)
    }

    /// The chain in which one thing happens to what meets any of some conditions, and another to all else.
    private mutating func lookUpChain(
        _ ruling: Ruling, _ conditions: [[Statement]], _ met: Ruling, _ unmet: Ruling, _ isStamped: Bool,
        _ isDrained: Bool
    ) -> String {
        let key = RulingChain(ruling: ruling, isStamped: isStamped, isDrained: isDrained)
        if let name = rulingChains[key] { return name }
        let isMet = rulingChain(met, isStamped: isStamped, isDrained: isDrained)
        let isUnmet = rulingChain(unmet, isStamped: isStamped, isDrained: isDrained)
        let name = addChain("n\(rulingChains.count)")
        output.program.rules += conditions.map { Rule(in: name, $0 + [.verdict(.goto(isMet))]) }
        output.program.rules.append(Rule(in: name, [.verdict(.goto(isUnmet))]))
        rulingChains[key] = name
        return name
    }
}
