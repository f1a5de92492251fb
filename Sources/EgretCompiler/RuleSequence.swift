// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// What happens to some traffic: one clause decides, or the clock, or what a name was resolved to, says which.
enum Ruling: Hashable, Sendable {
    /// A clause decides.
    ///
    /// - `effect`: Its place in `RuleSequence.effects`.
    /// - `audit`: The place of the clause that would refuse the traffic if the policies that are only audited decided too.
    case clause(effect: Int, audit: Int? = nil)
    /// The outcome depends on whether a schedule, by its place in `RuleSequence.schedules`, is open.
    indirect case timed(schedule: Int, open: Ruling, closed: Ruling)
    /// The outcome depends on whether the set of a rule about names, by its place in `RuleSequence.nameUses`, holds the
    /// address.
    indirect case named(Int, held: Ruling, free: Ruling)
    /// The outcome depends on whether the name check has let the packet's flow through for a rule about names, by its place
    /// in `RuleSequence.nameUses`: datagrams that begin with a name that is read.
    indirect case spoken(Int, said: Ruling, unsaid: Ruling)

    /// What an outcome may depend on.
    enum Condition: Hashable, Sendable {
        /// A schedule is open.
        case open(schedule: Int)
        /// A rule's set holds the address.
        case held(names: Int)
        /// The name check has let the flow through for the rule.
        case said(names: Int)
    }

    /// A condition and what follows from it.
    typealias Branches = (condition: Condition, holds: Ruling, otherwise: Ruling)

    /// The condition that it depends on first; `nil` where one clause decides.
    var branches: Branches? {
        switch self {
        case .clause: nil
        case .timed(let schedule, let open, let closed): (.open(schedule: schedule), open, closed)
        case .named(let names, let held, let free): (.held(names: names), held, free)
        case .spoken(let names, let said, let unsaid): (.said(names: names), said, unsaid)
        }
    }

    /// One of two outcomes; the one if they are the same.
    static func branch(_ condition: Condition, _ holds: Ruling, _ otherwise: Ruling) -> Ruling {
        if holds == otherwise { return holds }
        switch condition {
        case .open(let schedule): return .timed(schedule: schedule, open: holds, closed: otherwise)
        case .held(let names): return .named(names, held: holds, free: otherwise)
        case .said(let names): return .spoken(names, said: holds, unsaid: otherwise)
        }
    }
}

/// A rule about names that lets traffic out, as the program looks its addresses up.
struct NameUse: Hashable, Sendable {
    /// Its number among the rules about names.
    var number: Int
    var traffic: NamedTraffic
}

/// A schedule as one kind of rule uses it: beyond the compiled windows a rule that lets traffic out does not hold, and
/// one that holds it back does.
struct ScheduleUse: Hashable, Sendable {
    var schedule: Schedule
    /// Whether the rule denies or rejects.
    var holdsBack: Bool
}

/// The rules of a policy set in the order in which they are asked, and what follows when none of them decides.
struct RuleSequence: Sendable {
    struct Entry: Sendable {
        var tier: EgressPolicy.Tier
        var rule: EgressRule
        /// The place of the clause's effect in `effects`; `nil` for `pass`.
        var effect: Int?
        /// The place of its schedule in `schedules`; `nil` for a rule that always holds.
        var schedule: Int?
        /// Whether its policy only tells what it would have decided.
        var isAudited: Bool
        /// The place of its names in `nameUses`; `nil` for a rule that no set belongs to.
        var names: Int?
    }

    private(set) var entries: [Entry] = []
    /// Every clause that can decide, each once, though several rules may stand for one.
    private(set) var effects: [(clause: DecidingClause, effect: CompiledClause.Effect)] = []
    /// The schedules of all rules, each once for either kind of rule.
    private(set) var schedules: [ScheduleUse] = []
    /// The rules about names that let traffic out.
    private(set) var nameUses: [NameUse] = []
    /// Places in `entries` of these, rising.
    private(set) var named: [Int] = []
    private var enforced = Ends()
    private var audited = Ends()
    private let hasAudits: Bool

    /// What decides where no rule does.
    private struct Ends: Sendable {
        var workloadDefault: End?
        var networkDefault = End(plain: 0, answered: 0)
    }

    /// The place of a default in `effects`, and of the same where its refusal is answered.
    private struct End: Sendable {
        var plain: Int
        var answered: Int
    }

    init(_ policies: PolicySet) {
        hasAudits = policies.policies.contains { $0.mode == .audit }
        var places: [DecidingClause: Int] = [:]
        var scheduled: [ScheduleUse: Int] = [:]
        let numbers = RuleSequence.numbers(of: policies.nameClauses)
        for policy in policies.policies {
            for (index, rule) in policy.rules.enumerated() {
                let clause = DecidingClause.rule(policy: policy.name, index: rule.clauseIndex ?? index)
                let effect = CompiledClause.Effect(rule.action).map { place(of: clause, $0, &places) }
                let schedule = rule.schedule.map { schedule in
                    let use = ScheduleUse(schedule: schedule, holdsBack: rule.action.holdsBack)
                    if let place = scheduled[use] { return place }
                    scheduled[use] = schedules.count
                    schedules.append(use)
                    return schedules.count - 1
                }
                var names: Int?
                if let number = numbers[clause], !policies.patterns(of: rule).isEmpty, !rule.action.holdsBack {
                    names = nameUses.count
                    nameUses.append(NameUse(number: number, traffic: NamedTraffic(rule)))
                    named.append(entries.count)
                }
                entries.append(
                    Entry(
                        tier: policy.tier, rule: rule, effect: effect, schedule: schedule,
                        isAudited: policy.mode == .audit, names: names))
            }
        }
        let enforcing = policies.policies.filter { $0.mode == .enforce }
        enforced.workloadDefault = workloadDefault(of: enforcing, &places)
        if hasAudits { audited.workloadDefault = workloadDefault(of: policies.policies, &places) }
        enforced.networkDefault = end(of: .networkDefault, policies.networkDefault, &places)
        audited.networkDefault = enforced.networkDefault
    }

    private static func numbers(of names: [NameClause]) -> [DecidingClause: Int] {
        Dictionary(names.enumerated().map { ($1.clause, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private mutating func workloadDefault(of policies: [EgressPolicy], _ places: inout [DecidingClause: Int]) -> End? {
        PolicySet.workloadDefaults(of: policies).first.map { policy, action in
            end(of: .policyDefault(policy: policy.name), action, &places)
        }
    }

    private mutating func end(
        of clause: DecidingClause, _ action: DefaultAction, _ places: inout [DecidingClause: Int]
    ) -> End {
        let plain = place(of: clause, CompiledClause.Effect(action), &places)
        guard action == .deny, nameUses.contains(where: { !$0.traffic.answered.isEmpty }) else {
            return End(plain: plain, answered: plain)
        }
        // Looked up last: both have the clause's name.
        effects.append((clause, .reject))
        return End(plain: plain, answered: effects.count - 1)
    }

    private mutating func place(
        of clause: DecidingClause, _ effect: CompiledClause.Effect, _ places: inout [DecidingClause: Int]
    ) -> Int {
        // Rules of one clause that act differently (an unreadable peer's denial) keep their own counters.
        if let place = places[clause], effects[place].effect == effect { return place }
        places[clause] = effects.count
        effects.append((clause, effect))
        return effects.count - 1
    }

    /// What happens to traffic that some rules match.
    ///
    /// - Parameters:
    ///   - active: Places in `entries` of the rules that cover the address, rising.
    ///   - isForwarded: Whether names count: they never lead to what the host itself receives.
    ///   - service: What is asked for.
    /// - Returns: What the kernel is to do.
    func ruling(active: [Int], isForwarded: Bool, _ service: ServiceKey) -> Ruling {
        let matching = matches(active, isForwarded: isForwarded, service)
        let decided = ruling(matching[...], isAudit: false, leaving: nil, isAnswered: false)
        guard hasAudits else { return decided }
        return combine(
            decided, ruling(matching[...], isAudit: true, leaving: nil, isAnswered: false), known: [:])
    }

    /// How a rule meets some traffic.
    private struct Match {
        enum Kind {
            /// By its address.
            case certain
            /// If its set holds the address.
            case named
            /// If its set holds the address, and then it only wants a refusal answered.
            case answering
            /// If the name check has let the flow through; if not, as `answering`.
            case spoken
        }

        var entry: Int
        var kind: Kind
    }

    private func matches(_ active: [Int], isForwarded: Bool, _ service: ServiceKey) -> [Match] {
        var matches = active.filter { index in
            let services = entries[index].rule.services
            return services.isEmpty || service.isCovered(by: services)
        }.map { Match(entry: $0, kind: .certain) }
        guard isForwarded, !named.isEmpty else { return matches }
        let certain = Swift.Set(matches.map(\.entry))
        for index in named where !certain.contains(index) {
            guard let use = entries[index].names else { continue }
            if service.isCovered(by: nameUses[use].traffic.pinned) {
                matches.append(Match(entry: index, kind: .named))
            } else if service.isChecked(by: nameUses[use].traffic) {
                matches.append(Match(entry: index, kind: .spoken))
            } else if service.isAnswered(by: nameUses[use].traffic) {
                matches.append(Match(entry: index, kind: .answering))
            }
        }
        return matches.sorted { $0.entry < $1.entry }
    }

    /// Follows the rules from one on.
    ///
    /// - Parameters:
    ///   - matching: The rules that match, or do for some addresses, rising.
    ///   - isAudit: Whether policies that are only audited decide too.
    ///   - left: The last tier that a rule has passed on.
    ///   - isAnswered: Whether a rule before has the refusal by default answered.
    /// - Returns: What the kernel is to do.
    private func ruling(
        _ matching: ArraySlice<Match>, isAudit: Bool, leaving left: EgressPolicy.Tier?, isAnswered: Bool
    ) -> Ruling {
        let ends = isAudit ? audited : enforced
        var left = left
        for (offset, match) in matching.enumerated() {
            let entry = entries[match.entry]
            if entry.isAudited && !isAudit { continue }
            if let left, entry.tier <= left { continue }
            if ends.workloadDefault != nil, entry.tier == .baseline, left != .workload { break }
            if match.kind == .answering && isAnswered { continue }
            let isDecided = entry.effect.map { Ruling.clause(effect: $0) }
            if match.kind == .certain && entry.schedule == nil {
                if let isDecided { return isDecided }
                left = entry.tier
                continue
            }
            func rest(_ left: EgressPolicy.Tier?, _ isAnswered: Bool) -> Ruling {
                ruling(matching.dropFirst(offset + 1), isAudit: isAudit, leaving: left, isAnswered: isAnswered)
            }
            let otherwise = rest(left, isAnswered)
            var open =
                match.kind == .answering ? rest(left, true) : isDecided ?? rest(entry.tier, isAnswered)
            if let use = entry.names {
                switch match.kind {
                case .certain: break
                case .named, .answering: open = .branch(.held(names: use), open, otherwise)
                case .spoken:
                    let refused = isAnswered ? otherwise : rest(left, true)
                    open = .branch(.said(names: use), open, .branch(.held(names: use), refused, otherwise))
                }
            }
            return entry.schedule.map { .branch(.open(schedule: $0), open, otherwise) } ?? open
        }
        if let end = ends.workloadDefault, left != .workload, left != .baseline {
            return .clause(effect: isAnswered ? end.answered : end.plain)
        }
        return .clause(effect: isAnswered ? ends.networkDefault.answered : ends.networkDefault.plain)
    }

    /// What is enforced, with the clause that would refuse it if all policies decided.
    private func combine(_ decided: Ruling, _ whole: Ruling, known: [Ruling.Condition: Bool]) -> Ruling {
        if let branch = decided.branches {
            return combine(branch, known) { combine($0, whole, known: $1) }
        }
        if let branch = whole.branches {
            return combine(branch, known) { combine(decided, $0, known: $1) }
        }
        guard case .clause(let effect, _) = decided, case .clause(let refusal, _) = whole else { return decided }
        let isNews = effects[refusal].effect.isRefusal && !effects[effect].effect.isRefusal
        return .clause(effect: effect, audit: isNews ? refusal : nil)
    }

    private func combine(
        _ branch: Ruling.Branches, _ known: [Ruling.Condition: Bool],
        _ body: (Ruling, [Ruling.Condition: Bool]) -> Ruling
    ) -> Ruling {
        if let holds = known[branch.condition] { return body(holds ? branch.holds : branch.otherwise, known) }
        let holds = body(branch.holds, known.merging([branch.condition: true]) { $1 })
        let otherwise = body(branch.otherwise, known.merging([branch.condition: false]) { $1 })
        return .branch(branch.condition, holds, otherwise)
    }
}

extension RuleAction {
    /// Whether the action keeps traffic in.
    var holdsBack: Bool { self == .deny || self == .reject }
}

extension CompiledClause.Effect {
    /// Whether the packets do not leave.
    var isRefusal: Bool { self == .deny || self == .reject }
}
