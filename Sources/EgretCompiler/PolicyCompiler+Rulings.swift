// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

/// The chain of one clause.
struct EffectChain: Hashable {
    /// The clause's place in `RuleSequence.effects`.
    var effect: Int
    /// Whether connections that it lets through are noted. One that is not is judged packet by packet.
    var isStamped: Bool
    /// Whether those between two endpoints are noted, too.
    var isDrained: Bool
}

/// The chain of one ruling.
struct RulingChain: Hashable {
    var ruling: Ruling
    var isStamped: Bool
    var isDrained: Bool
}

extension PolicyCompiler {
    /// The chain that carries a ruling out.
    ///
    /// - Parameters:
    ///   - ruling: The ruling.
    ///   - isStamped: Whether connections are noted as admitted. Not those that a schedule may refuse one day and cut.
    ///   - isDrained: Whether a schedule that drains may refuse them one day, so that those between endpoints are noted, too.
    /// - Returns: The chain's name.
    mutating func rulingChain(_ ruling: Ruling, isStamped: Bool = true, isDrained: Bool = false) -> String {
        switch ruling {
        case .clause(let effect, nil): return effectChain(effect, isStamped: isStamped, isDrained: isDrained)
        case .clause(let effect, let audit?): return auditChain(ruling, effect, audit, isStamped, isDrained)
        case .named(let names, let held, let free):
            return nameChain(ruling, names, held, free, isStamped, isDrained)
        case .spoken(let names, let said, let unsaid):
            return speechChain(ruling, names, said, unsaid, isStamped, isDrained)
        case .timed(let schedule, let open, let closed):
            let key = RulingChain(ruling: ruling, isStamped: isStamped, isDrained: isDrained)
            if let name = rulingChains[key] { return name }
            let cuts = rules.schedules[schedule].schedule.onClose == .cut
            let drains = !cuts && use.isOfEndpoints
            let (refusesOpen, refusesClosed) = (mayRefuse(open), mayRefuse(closed))
            let isOpen = rulingChain(
                open, isStamped: isStamped && !(cuts && refusesClosed), isDrained: isDrained || drains && refusesClosed)
            let isClosed = rulingChain(
                closed, isStamped: isStamped && !(cuts && refusesOpen), isDrained: isDrained || drains && refusesOpen)
            let name = addChain("t\(rulingChains.count)")
            output.program.rules += [
                Rule(in: name, [.inSet(.time, scheduleSet(schedule)), .verdict(.goto(isOpen))]),
                Rule(in: name, [.verdict(.goto(isClosed))]),
            ]
            rulingChains[key] = name
            return name
        }
    }

    /// What a policy that is only audited would have refused: counted and logged by its clause, and then as is enforced.
    private mutating func auditChain(
        _ ruling: Ruling, _ effect: Int, _ audit: Int, _ isStamped: Bool, _ isDrained: Bool
    ) -> String {
        let key = RulingChain(ruling: ruling, isStamped: isStamped, isDrained: isDrained)
        if let name = rulingChains[key] { return name }
        let next = effectChain(effect, isStamped: isStamped, isDrained: isDrained)
        let counter = "\(prefix)-a\(audit)"
        if !output.program.counters.contains(Counter(counter)) {
            output.program.counters.append(Counter(counter))
            output.clauses.append(
                CompiledClause(
                    clause: rules.effects[audit].clause, effect: rules.effects[audit].effect, name: counter,
                    isEnforced: false))
        }
        let name = addChain("t\(rulingChains.count)")
        output.program.rules += [
            Rule(in: name, [.connectionState(in: .new), .counter(counter)]),
            Rule(in: name, [.connectionState(in: .new)] + log(counter)),
            Rule(in: name, [.verdict(.goto(next))]),
        ]
        rulingChains[key] = name
        return name
    }

    private func mayRefuse(_ ruling: Ruling) -> Bool {
        switch ruling {
        case .clause(let effect, _): rules.effects[effect].effect.isRefusal
        case .timed(_, let open, let closed), .named(_, let open, let closed), .spoken(_, let open, let closed):
            mayRefuse(open) || mayRefuse(closed)
        }
    }

    private func log(_ name: String) -> [Statement] {
        [
            Direction.original.statement, .limit("\(prefix)-log"),
            .log(group: logGroup, prefix: name, snapLength: 128, queueThreshold: 1),
        ]
    }
}

// MARK: - Time

extension PolicyCompiler {
    /// The set of the moments at which a schedule is open, as one kind of rule uses it.
    private mutating func scheduleSet(_ place: Int) -> String {
        if let name = scheduleSets[place] { return name }
        let name = "\(prefix)-w\(place)"
        scheduleSets[place] = name
        output.program.sets.append(
            Set(
                name, keyType: .time, hasIntervals: true,
                contents: .elements(rules.schedules[place].moments(within: horizon))))
        return name
    }
}

extension ScheduleUse {
    /// Runs of nanoseconds since 1970 in which the rule holds.
    func moments(within horizon: ClosedRange<Int64>) -> [SetElement] {
        let first = max(0, horizon.lowerBound)
        let last = min(max(first, horizon.upperBound), Int64.max / 2_000_000_000)
        var seconds = schedule.windows(from: first, through: last).map { (lower: $0.lowerBound, upper: $0.upperBound) }
        if holdsBack {
            // Nobody has worked out what the clock says here: what is to be held back is.
            seconds = [(0, first)] + seconds + [(last + 1, Int64.max / 1_000_000_000)]
        }
        var merged: [(lower: Int64, upper: Int64)] = []
        for range in seconds where range.lower < range.upper {
            if let end = merged.last, range.lower <= end.upper {
                merged[merged.count - 1].upper = max(end.upper, range.upper)
            } else {
                merged.append(range)
            }
        }
        return merged.map { range in
            SetElement(UInt128(range.lower) * 1_000_000_000, UInt128(range.upper) * 1_000_000_000 - 1)
        }
    }
}

extension Schedule {
    /// The name of the set of its times: by what the policy says of them. What the set holds comes and goes with the calendar.
    var timesName: String {
        var digest = StableDigest()
        digest.add(description)
        return "when-\(digest.text)"
    }

    /// The set of the times at which something holds that holds back: beyond those that have been worked out, all.
    func timesOfHolding(within horizon: ClosedRange<Int64>) -> EgretNftables.Set {
        // It also holds where nobody has worked out what the clock says.
        let moments = ScheduleUse(schedule: self, holdsBack: true).moments(within: horizon)
        return EgretNftables.Set(timesName, keyType: .time, hasIntervals: true, contents: .elements(moments))
    }
}

// MARK: - Effects

extension PolicyCompiler {
    private mutating func effectChain(_ index: Int, isStamped: Bool, isDrained: Bool) -> String {
        let (clause, effect) = rules.effects[index]
        let key = EffectChain(
            effect: index, isStamped: isStamped || effect.isRefusal,
            isDrained: isDrained && isStamped && !effect.isRefusal)
        if let name = effectChains[key] { return name }
        let counter = "\(prefix)-r\(index)"
        let name = addChain("r\(index)" + (key.isDrained ? "-drained" : key.isStamped ? "" : "-timed"))
        effectChains[key] = name
        if counted.insert(index).inserted {
            output.clauses.append(CompiledClause(clause: clause, effect: effect, name: counter))
            output.program.counters.append(Counter(counter))
        }
        // Where packets of one connection may be judged again and again, connections are counted, not packets.
        let isFirst: [Statement] = use == .run && key.isStamped ? [] : [.connectionState(in: .new)]
        let count = Rule(in: name, (effect.isRefusal ? [] : isFirst) + [.counter(counter)])
        let log = Rule(in: name, (effect.isRefusal ? [] : isFirst) + log(counter))
        let rules: [Rule] =
            switch effect {
            case .allow where isFirst.isEmpty:
                [Rule(in: name, [.counter(counter)] + passage(key))]
            case .allow: [count, Rule(in: name, passage(key))]
            case .audit: [count, log, Rule(in: name, passage(key))]
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

    /// How a packet goes on that a clause lets through.
    private func passage(_ chain: EffectChain) -> [Statement] {
        switch use {
        case .run: chain.isStamped ? [output.generation.stamp, .verdict(.accept)] : [.verdict(.accept)]
        case .endpoint where chain.isDrained: [.verdict(.goto(drainChain))]
        case .endpoint: chain.isStamped ? [.verdict(.goto(passageChain))] : [.verdict(.return)]
        }
    }

    var passageChain: String { "\(prefix)-pass" }

    /// The chain that notes on a connection that it is admitted, and lets the packet go on.
    ///
    /// Not on one between two endpoints, which the other end's program judges too: of two notes only one has room, and
    /// each packet would write both (those that drain are in a set of each program's own). And not by an error about a
    /// connection: its far address may be anybody's.
    mutating func addPassage() {
        guard case .endpoint(let direction) = use else { return }
        output.program.chains.append(Chain(passageChain))
        let areBetweenEndpoints = AddressFamily.allCases.flatMap { family in
            [Direction.original, .reply].map { packets -> [Statement] in
                let isFarDestination = (direction == .egress) == (packets == .original)
                let far = isFarDestination ? family.destination : family.source
                return [packets.statement, family.isPackets, .inSet(far, HostBase.members(family))]
            }
        }
        addDraining(areBetweenEndpoints)
        output.program.rules += areBetweenEndpoints.map { Rule(in: passageChain, $0 + [.verdict(.return)]) }
        output.program.rules += [
            Rule(in: passageChain, [.connectionState(in: .related), .verdict(.return)]),
            Rule(in: passageChain, [output.generation.stamp]),
            Rule(in: passageChain, [.verdict(.return)]),
        ]
    }
}
