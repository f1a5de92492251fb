// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables
import EgretPolicy

extension BudgetPlan {
    /// All that the table should hold; what is used of quotas and what counters have counted is the kernel's.
    public var program: TableProgram {
        var program = TableProgram(table: table)
        program.chains = hooks + accounts.flatMap { [Chain($0.check), Chain($0.spent)] }
        addLeading(to: &program)
        for account in accounts {
            program.counters.append(Counter(BudgetPlan.refusals(of: account.name)))
            program.rules += spending(account, &program)
        }
        var matches = Matches(horizon: horizon)
        let stages = stages
        // Members may have a counter together: links of one endpoint that otherwise count differently.
        var counted: Swift.Set<String> = []
        for meter in members.flatMap(\.meters) where counted.insert(meter.name).inserted {
            program.counters += meter.counters.map { Counter($0) }
        }
        for member in members { BudgetPlan.add(member, stages, &matches, to: &program) }
        program.sets += matches.sets
        // Named by what they hold, and the only sets of their names.
        var named: Swift.Set<String> = []
        for set in members.flatMap(\.meters).flatMap({ FarSideMatch.portSets($0.clause.services) })
        where named.insert(set.name).inserted { program.sets.append(set) }
        return program
    }

    /// The steps that give an account another amount, whatever has been used: its quota, or what counts in its place, is made
    /// anew.
    ///
    /// - Parameter account: The account as it is to be.
    /// - Returns: Steps for one transaction.
    public static func renewal(of account: Account) -> [EgretNftables.Operation] {
        var steps: [EgretNftables.Operation] = [.flushChain(account.check)]
        if let tally = Tally(of: account) {
            for counter in tally.counters { steps.append(.deleteCounter(counter.name)) }
            for set in tally.sets { steps.append(.deleteSet(set.name)) }
            for counter in tally.counters { steps.append(.addCounter(counter)) }
            for set in tally.sets { steps.append(.addSet(set)) }
        } else {
            steps += [.deleteQuota(account.quota.name), .addQuota(account.quota)]
        }
        for rule in account.asking { steps.append(.addRule(rule)) }
        return steps
    }

    // MARK: - Whose packet it is

    /// Behind the place where other tools filter: what they drop has not been used.
    private var hooks: [Chain] {
        BudgetPlan.hooks.map { hook, _ in
            Chain(hook.rawValue, base: BaseChain(kind: .filter, hook: hook, priority: 200))
        }
    }

    /// What a packet goes through: first every account is asked, the sender's and the receiver's, those that are used up
    /// before the others, and then what passes them all is counted. Nothing counts that did not leave, and what an
    /// account drops that is used up uses nothing of others.
    private enum Step: String, CaseIterable {
        case refuse = "spent-"
        case ask = ""
        case count = "used-"

        func map(_ direction: TrafficDirection, _ family: AddressFamily? = nil) -> String {
            rawValue + (direction == .egress ? "from" : "to") + (family.map { $0 == .ipv4 ? "4" : "6" } ?? "")
        }
    }

    /// A step in a direction, and the meters that it has to do with.
    private struct Stage {
        var step: Step
        var direction: TrafficDirection
        /// The accounts that are used up.
        var exhausted: Swift.Set<String>

        func meters(_ member: Member) -> [Meter] {
            member.meters.filter { meter in
                guard meter.clause.direction.covers(direction) else { return false }
                return step == .count || meter.account.map { exhausted.contains($0) == (step == .refuse) } ?? false
            }
        }

        func map(_ family: AddressFamily? = nil) -> String { step.map(direction, family) }

        /// The map of the control groups that are so many levels below the root.
        func map(level: UInt8) -> String { "\(map())-cgroups\(level)" }

        func chain(_ member: Member) -> String { "\(map())-\(member.name)" }
    }

    private var stages: [Stage] {
        let exhausted = Swift.Set(accounts.filter(\.isSpent).map(\.name))
        return Step.allCases.flatMap { step in
            [TrafficDirection.egress, .ingress].map { Stage(step: step, direction: $0, exhausted: exhausted) }
        }
    }

    private static let hooks: [(hook: Hook, directions: [TrafficDirection])] = [
        (.forward, [.egress, .ingress]), (.input, [.egress]), (.output, [.ingress]),
    ]

    /// Where members' packets go in a step: by their links, by their bridges and addresses, or by the control groups of
    /// their sockets, which are so many levels below the root.
    private struct Entries {
        var links: [SetElement] = []
        var ports: [AddressFamily: [SetElement]] = [:]
        var groups: [UInt8: [SetElement]] = [:]
    }

    private func entries(_ stage: Stage) -> Entries {
        var entries = Entries()
        for member in members where !stage.meters(member).isEmpty {
            let verdict = Verdict.jump(stage.chain(member))
            for link in member.links {
                switch link.attachment {
                case .link(_, let index):
                    entries.links.append(SetElement(UInt128(index), verdict: verdict))
                case .port(_, _, let bridge):
                    for address in link.addresses {
                        entries.ports[address.family, default: []].append(
                            SetElement(UInt128(bridge), [address.rawValue], verdict: verdict))
                    }
                case .cgroup(let id, let level):
                    // What a group is sent no hook sees: budgets of that are refused.
                    if stage.direction == .egress {
                        entries.groups[level, default: []].append(SetElement(UInt128(id), verdict: verdict))
                    }
                }
            }
        }
        return entries
    }

    /// The maps, and the rules that ask them: a packet that none goes on from pays for none.
    private func addLeading(to program: inout TableProgram) {
        let stages = stages
        var asked: [String: [Selector]] = [:]
        var levels: [String: [UInt8]] = [:]
        for stage in stages {
            let entries = entries(stage)
            levels[stage.map()] = entries.groups.keys.sorted()
            for (level, groups) in entries.groups.sorted(by: { $0.key < $1.key }) {
                program.sets.append(
                    Set(
                        stage.map(level: level), keyType: .cgroup, mapsToVerdict: true,
                        contents: .elements(groups.sorted())))
            }
            let isEgress = stage.direction == .egress
            let interface: Selector = isEgress ? .inputInterface : .outputInterface
            if !entries.links.isEmpty {
                asked[stage.map()] = [interface]
                program.sets.append(
                    Set(
                        stage.map(), keyType: .interfaceIndex, mapsToVerdict: true,
                        contents: .elements(entries.links.sorted())))
            }
            for family in AddressFamily.allCases {
                guard let ports = entries.ports[family] else { continue }
                asked[stage.map(family)] = [interface, isEgress ? family.source : family.destination]
                program.sets.append(
                    Set(
                        stage.map(family), concatenating: .interfaceIndex, [family.dataType],
                        contents: ports.sorted()))
            }
        }
        if members.contains(where: \.readsDatagrams) {
            program.rules.append(
                Rule(in: Hook.input.rawValue, NameProgram.isLedDatagram + [.verdict(.return)]))
        }
        // Each lets a packet go on by returning: the receiver is asked after the sender.
        for (hook, directions) in BudgetPlan.hooks {
            for stage in stages {
                // Whoever is in a group below another one counts for both.
                for level in hook == .output ? levels[stage.map()] ?? [] : [] {
                    program.rules.append(
                        Rule(in: hook.rawValue, [.verdictMap(.socketCgroup(level: level), stage.map(level: level))]))
                }
                guard directions.contains(stage.direction) else { continue }
                if let selectors = asked[stage.map()] {
                    program.rules.append(Rule(in: hook.rawValue, [.verdictMap(selectors[0], stage.map())]))
                }
                for family in AddressFamily.allCases {
                    guard let selectors = asked[stage.map(family)] else { continue }
                    program.rules.append(
                        Rule(
                            in: hook.rawValue,
                            [family.isPackets, .concatenatedVerdictMap(selectors, stage.map(family))]))
                }
            }
        }
    }

    // MARK: - What counts

    private static func add(
        _ member: Member, _ stages: [Stage], _ matches: inout Matches, to program: inout TableProgram
    ) {
        for stage in stages {
            let meters = stage.meters(member)
            if meters.isEmpty { continue }
            let chain = stage.chain(member)
            program.chains.append(Chain(chain))
            if member.isLed, meters.contains(where: \.clause.asksFarSide) {
                // Its far end is this host, and connection tracking knows where it was going.
                let led = "\(chain)-led"
                program.chains.append(Chain(led))
                program.rules.append(Rule(in: chain, [HostNames.hasLabel, .verdict(.goto(led))]))
                addRules(of: meters, member, stage, to: led, isLed: true, &matches, &program)
            }
            addRules(of: meters, member, stage, to: chain, isLed: false, &matches, &program)
        }
    }

    /// What asks or counts, in a chain for packets that are led to a proxy of this host's, or for others.
    private static func addRules(
        of meters: [Meter], _ member: Member, _ stage: Stage, to chain: String, isLed: Bool,
        _ matches: inout Matches, _ program: inout TableProgram
    ) {
        func asked(_ clause: Clause, keeping: Bool) -> Matches.Key {
            Matches.Key(
                clause, stage.direction, isLed: isLed, of: clause.names.isEmpty ? nil : member.nameOwner,
                keeping: keeping)
        }
        addLists(meters, to: chain, &matches, &program) { asked($0, keeping: true) }
        for meter in meters where meter.clause.list == nil {
            let account = stage.step == .count ? nil : meter.account
            let effect: Statement =
                account.map { Statement.verdict(.jump(check($0))) } ?? .counter(counter(of: meter.name))
            // Where an account was asked for a packet, the address was kept then: also of one that it has dropped.
            let isFirst = account != nil || meter.account == nil
            program.rules += matches.conditions(asked(meter.clause, keeping: isFirst)).map {
                Rule(in: chain, $0 + [effect])
            }
        }
        let counting = stage.step == .count ? meters.filter(\.countsConnections) : []
        if counting.isEmpty { return }
        // Of a connection, the first packet counts: it is confirmed when that has passed.
        program.rules.append(Rule(in: chain, BudgetPlan.isNotFirst + [.verdict(.return)]))
        for meter in counting {
            program.rules += matches.conditions(asked(meter.clause, keeping: false)).map {
                Rule(in: chain, BudgetPlan.isTracked + $0 + [.counter(BudgetPlan.opened(of: meter.name))])
            }
        }
    }

    /// Counts by lists that are asked in order: each in a chain of its own, which the first match leaves.
    private static func addLists(
        _ meters: [Meter], to chain: String, _ matches: inout Matches, _ program: inout TableProgram,
        _ asked: (Clause) -> Matches.Key
    ) {
        var targets: Swift.Set<String> = []
        for meter in meters {
            guard let list = meter.clause.list else { continue }
            let target = "\(chain)-\(BudgetPlan.name(of: ["list", list]))"
            if targets.insert(target).inserted {
                program.chains.append(Chain(target))
                program.rules.append(Rule(in: chain, [.verdict(.jump(target))]))
            }
            program.rules += matches.conditions(asked(meter.clause)).map {
                Rule(in: target, $0 + [.counter(counter(of: meter.name)), .verdict(.return)])
            }
        }
    }

    /// The conditions of clauses, each worked out once however many endpoints have it.
    private struct Matches {
        /// What conditions depend on.
        struct Key: Hashable {
            let clause: Clause
            let direction: TrafficDirection
            let isLed: Bool
            /// Whose the sets of names are; `nil` where the clause has none.
            let owner: UInt32?
            /// Whether addresses of names that packets have stay in their sets by that.
            let keepsNames: Bool

            init(_ clause: Clause, _ direction: TrafficDirection, isLed: Bool, of owner: UInt32?, keeping: Bool) {
                self.clause = clause
                self.direction = direction
                self.isLed = isLed
                self.owner = owner
                keepsNames = keeping && !clause.names.isEmpty
            }
        }

        /// What is asked about a clause's addresses and ports, whoever's sets of names it asks besides.
        private struct Listing: Hashable {
            let clause: Clause
            let direction: TrafficDirection
            let isLed: Bool
            let family: AddressFamily
        }

        private var known: [Key: [[Statement]]] = [:]
        private var listed: [Listing: FarSideMatch] = [:]
        /// What tells the names of clauses apart.
        private var digests: [Clause: String] = [:]
        /// The addresses, and times, that they ask for.
        private(set) var sets: [EgretNftables.Set] = []
        private var setNames: Swift.Set<String> = []
        private let horizon: ClosedRange<Int64>

        init(horizon: ClosedRange<Int64>) {
            self.horizon = horizon
        }

        /// Lists of statements, of which at most one lets a packet go on.
        mutating func conditions(_ key: Key) -> [[Statement]] {
            if let found = known[key] { return found }
            let times = times(of: key.clause)
            let made = make(key).map { $0 + times }
            known[key] = made
            return made
        }

        private mutating func times(of clause: Clause) -> [Statement] {
            guard let schedule = clause.schedule else { return [] }
            let name = schedule.timesName
            if setNames.insert(name).inserted { sets.append(schedule.timesOfHolding(within: horizon)) }
            return [.inSet(.time, name)]
        }

        private mutating func make(_ key: Key) -> [[Statement]] {
            let clause = key.clause
            if !clause.earlier.isEmpty { return rest(of: clause, key.direction, isLed: key.isLed) }
            if clause.isForAllFarSides && clause.services.isEmpty { return [[]] }
            return AddressFamily.allCases.flatMap { family -> [[Statement]] in
                if clause.destinations.isEmpty && !clause.names.isEmpty { return named(key, family) }
                let match = listing(key, family)
                return match.conditions + named(key, family, besides: match.set?.name)
            }
        }

        /// The conditions of packets whose far side has an address that a clause names, or any if it names none.
        ///
        /// A clause with names is asked for each endpoint; its addresses may be many thousands, and are the same for all.
        private mutating func listing(_ key: Key, _ family: AddressFamily) -> FarSideMatch {
            let clause = key.clause
            let listing = Listing(clause: clause, direction: key.direction, isLed: key.isLed, family: family)
            if let found = listed[listing] { return found }
            let ranges = AddressRangeSet(clause.destinations.flatMap { $0.blocks(clause.groups) }).ranges(family)
            let name = "far-" + BudgetPlan.name(of: ["\(family)"] + ranges.map { "\($0)" })
            let match = FarSideMatch(
                clause.destinations, clause.services, key.direction, isLed: key.isLed, groups: clause.groups,
                family: family, set: name)
            if let set = match.set, setNames.insert(name).inserted { sets.append(set) }
            listed[listing] = match
            return match
        }

        /// The conditions of packets whose far side has an address that names were resolved to; none without names.
        ///
        /// - Parameters:
        ///   - key: The clause.
        ///   - family: The family.
        ///   - listed: The set of the clause's addresses: a packet of one of them is counted already.
        /// - Returns: Lists of statements.
        private mutating func named(_ key: Key, _ family: AddressFamily, besides listed: String? = nil) -> [[Statement]]
        {
            let clause = key.clause
            if clause.names.isEmpty { return [] }
            let digest = digests[clause] ?? NamedSet.digest(of: clause.names)
            digests[clause] = digest
            let set = NamedSet(clause.names, digest: digest, family, of: key.owner)
            if setNames.insert(set.name).inserted { sets.append(set.declaration) }
            let far = FarSideMatch.address(key.direction, isLed: key.isLed, family)
            var isFar = [family.isPackets]
            if let listed { isFar.append(.notInSet(far, listed)) }
            isFar.append(.inSet(far, set.name))
            // As long as there are packets the address stays, however long ago its name was resolved.
            let stays = key.keepsNames ? [Statement.keepInSet(far, set.name)] : []
            let port = FarSideMatch.port(key.direction, isLed: key.isLed)
            let ports: [[Statement]] =
                clause.services.isEmpty ? [[]] : clause.services.flatMap { FarSideMatch.conditions($0, port: port) }
            return ports.map { isFar + $0 + stays }
        }

        /// The conditions of what the clauses before one leave to it.
        private mutating func rest(of clause: Clause, _ direction: TrafficDirection, isLed: Bool) -> [[Statement]] {
            let earlier = clause.earlier.filter { $0.direction.covers(direction) }
            if earlier.contains(where: { $0.destinations.isEmpty }) { return [] }
            return AddressFamily.allCases.flatMap { family -> [[Statement]] in
                let taken = RangeSet<UInt128>(earlier.flatMap { $0.addresses(family).ranges })
                let ranges = clause.addresses(family).subtracting(taken).ranges.map { $0.lower...$0.upper }
                if ranges.isEmpty { return [] }
                if ranges == AddressRangeSet.everything.ranges(family) { return [[family.isPackets]] }
                let name = "far-" + BudgetPlan.name(of: ["\(family)"] + ranges.map { "\($0)" })
                if setNames.insert(name).inserted { sets.append(FarSideMatch.set(name, ranges, family)) }
                let far = FarSideMatch.address(direction, isLed: isLed, family)
                return [[family.isPackets, .inSet(far, name)]]
            }
        }
    }

    // MARK: - What happens

    private func spending(_ account: Account, _ program: inout TableProgram) -> [Rule] {
        let refusal: [Statement] = [.counter(BudgetPlan.refusals(of: account.name)), .verdict(.drop)]
        if let tally = Tally(of: account) {
            program.counters += tally.counters
            program.sets += tally.sets
        } else {
            program.quotas.append(account.quota)
        }
        let actions: [Rule] =
            switch account.onExhausted {
            case .deny where account.unit == .connections:
                [
                    Rule(in: account.spent, BudgetPlan.isNotFirst + [.verdict(.return)]),
                    Rule(in: account.spent, BudgetPlan.isTracked + refusal),
                ]
            case .deny:
                [Rule(in: account.spent, [Direction.original.statement, .connectionState(in: .new)] + refusal)]
            case .cut: [Rule(in: account.spent, refusal)]
            case .throttle(let rate):
                [
                    Rule(in: account.spent, [.limit(account.throttle(rate)), .verdict(.return)]),
                    Rule(in: account.spent, refusal),
                ]
            case .alert: []
            }
        if case .throttle(let rate) = account.onExhausted {
            // Packets of up to 64 KiB come by that are cut up later; one that is longer than the burst would never pass.
            let burst = UInt32(clamping: max(1 << 16, rate.bytesPerSecond / 10))
            program.limits.append(
                RateLimit(account.throttle(rate), bytesPerSecond: rate.bytesPerSecond, burst: burst))
        }
        return account.asking + actions
    }

    /// Goes on with packets of connections of which a packet has passed.
    fileprivate static let isNotFirst: [Statement] = [.connectionStatus(in: .confirmed)]
    /// Goes on with packets of connections that are their beginner's.
    fileprivate static let isTracked: [Statement] = [Direction.original.statement]
}

extension BudgetPlan.Clause {
    /// The addresses of a family that it names, whatever is asked before.
    fileprivate func addresses(_ family: AddressFamily) -> RangeSet<UInt128> {
        let all: AddressRangeSet =
            destinations.isEmpty ? .everything : AddressRangeSet(destinations.flatMap { $0.blocks(groups) })
        return RangeSet(all.ranges(family).map { RangeSet<UInt128>.Range(lower: $0.lowerBound, upper: $0.upperBound) })
    }
}

extension BudgetPlan {
    fileprivate static func check(_ account: String) -> String { "check-\(account)" }
}

extension BudgetPlan.Account {
    fileprivate var check: String { "check-\(name)" }
    fileprivate var spent: String { "spent-\(name)" }
    fileprivate var quota: Quota { Quota(BudgetPlan.quota(of: name), bytes: min(left, BudgetPlan.quotaLimit)) }

    fileprivate func throttle(_ rate: BitRate) -> String { "throttle-\(name)-\(rate.bitsPerSecond)" }

    /// Uses the packet's bytes, or the packet, or the connection that it begins, and goes where it is decided what happens if
    /// there was not so much left.
    fileprivate var asking: [Rule] {
        guard let tally = BudgetPlan.Tally(of: self) else {
            return [Rule(in: check, [.quota(BudgetPlan.quota(of: name)), .verdict(.goto(spent))])]
        }
        var rules = [Rule(in: check, [tally.isClosed, .verdict(.goto(spent))])]
        var isCounted: [Statement] = []
        if unit == .connections {
            rules.append(Rule(in: check, BudgetPlan.isNotFirst + [.verdict(.return)]))
            isCounted = BudgetPlan.isTracked
        }
        rules.append(Rule(in: check, isCounted + tally.passes + [.verdict(.return)]))
        // Should that not be noted, for want of memory, the packet is still too many.
        rules.append(Rule(in: check, isCounted + tally.closes))
        rules.append(Rule(in: check, isCounted + [.verdict(.goto(spent))]))
        return rules
    }
}
