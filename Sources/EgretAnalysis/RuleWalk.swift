// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretEvaluator
import EgretPolicy

/// The rules of some policies, asked for all services at once where the evaluator asks for one.
struct RuleWalk {
    /// The rules, in the order in which they are asked.
    let rules: [PreparedRule]
    /// What each rule covers.
    private let services: [ServiceSet]
    /// Whether each rule holds at the time that is asked about.
    private let isOpen: [Bool]
    private let tiers: [(tier: EgressPolicy.Tier, rules: Range<Int32>)]
    private let statedDefault: (policy: String, action: DefaultAction)?
    private let networkDefault: DefaultAction

    /// What decides: the rule, or a default below 0; and the rules that were asked before it in vain.
    private struct Cause: Hashable {
        static let workloadDefault: Int32 = -1
        static let networkDefault: Int32 = -2

        var clause: Int32
        var trail: Trail
    }

    /// Rules that have passed services on, or would hold them at another time.
    private struct Trail: Hashable {
        var passed: [Int32] = []
        var closed: [Int32] = []
    }

    /// Services that nobody has decided yet.
    private struct Open {
        var services: ServiceSet
        var trail = Trail()
    }

    private(set) var decisions: [Decision] = []
    private var places: [Cause: Int32] = [:]

    init(_ policies: PreparedTiers, at time: Int64?) {
        var all: [PreparedRule] = []
        var tiers: [(tier: EgressPolicy.Tier, rules: Range<Int32>)] = []
        for (tier, rules) in policies.tiers {
            let first = Int32(truncatingIfNeeded: all.count)
            all += rules
            tiers.append((tier, first..<Int32(truncatingIfNeeded: all.count)))
        }
        rules = all
        services = all.map { ServiceSet($0.services) }
        isOpen = all.map { $0.isOpen(at: time) }
        self.tiers = tiers
        statedDefault = policies.defaults.first
        networkDefault = policies.networkDefault
    }

    /// What happens to each service of traffic to addresses that these rules cover, rising.
    mutating func program(active: ArraySlice<Int32>) -> ServiceProgram {
        var program = Program()
        var open = [Open(services: .everything)]
        var rest = active
        for (tier, range) in tiers {
            var skipped: [Open] = []
            while let rule = rest.first, rule < range.upperBound {
                rest.removeFirst()
                if !open.isEmpty { ask(rule, &open, &skipped, &program) }
            }
            if tier == .workload, statedDefault != nil {
                decide(open, by: Cause.workloadDefault, &program)
                open = []
            }
            open += skipped
        }
        decide(open, by: Cause.networkDefault, &program)
        return ServiceProgram(
            cases: program.cases.sorted { $0.key < $1.key }.map { .init(services: $0.value, decision: $0.key) },
            asked: program.asked
        )
    }

    private struct Program {
        var cases: [Int32: ServiceSet] = [:]
        var asked: [Int32] = []

        mutating func add(_ services: ServiceSet, _ decision: Int32) {
            cases[decision] = cases[decision]?.union(services) ?? services
        }
    }

    private mutating func ask(_ index: Int32, _ open: inout [Open], _ skipped: inout [Open], _ program: inout Program) {
        let rule = rules[Int(index)]
        let covered = services[Int(index)]
        var isAsked = false
        for place in open.indices {
            let hit = open[place].services.intersection(covered)
            if hit.isEmpty { continue }
            open[place].services = open[place].services.subtracting(hit)
            var trail = open[place].trail
            if !isOpen[Int(index)] {
                if trail.closed.last.map({ rules[Int($0)].clause }) != rule.clause { trail.closed.append(index) }
                open.append(Open(services: hit, trail: trail))
                continue
            }
            isAsked = true
            if rule.action == .pass {
                trail.passed.append(index)
                skipped.append(Open(services: hit, trail: trail))
            } else {
                program.add(hit, decision(Cause(clause: index, trail: trail)))
            }
        }
        if isAsked { program.asked.append(index) }
        open.removeAll { $0.services.isEmpty }
    }

    private mutating func decide(_ open: [Open], by clause: Int32, _ program: inout Program) {
        for entry in open { program.add(entry.services, decision(Cause(clause: clause, trail: entry.trail))) }
    }

    private mutating func decision(_ cause: Cause) -> Int32 {
        if let place = places[cause] { return place }
        let passed = cause.trail.passed.map { rules[Int($0)].clause }
        let closed = cause.trail.closed.map { rules[Int($0)].clause }
        let decision: Decision =
            if cause.clause >= 0 {
                Decision(
                    rules[Int(cause.clause)].action, by: rules[Int(cause.clause)].clause, passed: passed, closed: closed
                )
            } else if let statedDefault, cause.clause == Cause.workloadDefault {
                Decision(
                    statedDefault.action, by: .policyDefault(policy: statedDefault.policy), passed: passed,
                    closed: closed)
            } else {
                Decision(networkDefault, by: .networkDefault, passed: passed, closed: closed)
            }
        let place = Int32(truncatingIfNeeded: decisions.count)
        decisions.append(decision)
        places[cause] = place
        return place
    }
}

/// What happens to each service of traffic to addresses that behave alike.
struct ServiceProgram: Hashable, Sendable {
    /// Services that one decision is about.
    struct Case: Hashable, Sendable {
        var services: ServiceSet
        /// The place in the space's decisions.
        var decision: Int32
    }

    /// The cases, apart from each other and together everything.
    var cases: [Case]
    /// The rules that decide about something here, or pass something on; rising.
    var asked: [Int32]
}
