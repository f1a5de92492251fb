// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// Works out header spaces: numbers decisions and programs as they come up.
///
/// Where policies audit, what they would refuse is laid over what the enforcing ones let out.
struct SpaceBuilder {
    private var enforcing: RuleWalk
    private var everything: RuleWalk?
    /// The rules of both walks, one after the other.
    private let rules: [PreparedRule]
    /// Rules that cover every address, rising.
    private let everywhere: [Int32]
    private let isHost: Bool

    private(set) var decisions: [Decision] = []
    private var decisionPlaces: [Decision: Int32] = [:]
    private(set) var programs: [ServiceProgram] = []
    private var programPlaces: [ServiceProgram: Int32] = [:]

    init(_ evaluator: PolicyEvaluator, isHost: Bool, at time: Int64?) {
        enforcing = RuleWalk(evaluator.enforcing, at: time)
        everything = evaluator.everything.map { RuleWalk($0, at: time) }
        let rules = enforcing.rules + (everything?.rules ?? [])
        self.rules = rules
        self.isHost = isHost
        everywhere = rules.indices.filter { index in
            (isHost ? rules[index].local : rules[index].remote) == .everything
        }.map { Int32(truncatingIfNeeded: $0) }
    }

    /// Each rule's clause, by the numbers that programs ask by.
    var clauses: [DecidingClause] { enforcing.rules.map(\.clause) }

    /// The program of every address of a family.
    mutating func steps(_ family: AddressFamily) -> AddressSteps {
        var isEverywhere = [Bool](repeating: false, count: rules.count)
        for rule in everywhere { isEverywhere[Int(rule)] = true }
        let ranges = rules.indices.map { isEverywhere[$0] ? [] : rules[$0].ranges(family, isHost: isHost) }
        let sweep = CoverageSweep(ranges, family: family)
        let numbers = sweep.coverages.map { coverage in
            number(program(coverage.isEmpty ? everywhere : (coverage + everywhere).sorted()))
        }
        return sweep.steps.map { numbers[Int($0)] }
    }

    private mutating func program(_ active: [Int32]) -> ServiceProgram {
        let count = Int32(truncatingIfNeeded: enforcing.rules.count)
        let split = active.firstIndex { $0 >= count } ?? active.endIndex
        var program = enforcing.program(active: active[..<split])
        let strict = active[split...].map { $0 - count }
        let audit = everything?.program(active: strict[...])
        var cases: [Int32: ServiceSet] = [:]
        for entry in program.cases {
            for (services, decision) in audited(entry, audit) {
                let place = number(decision)
                cases[place] = cases[place]?.union(services) ?? services
            }
        }
        program.cases = cases.sorted { $0.key < $1.key }.map { .init(services: $0.value, decision: $0.key) }
        return program
    }

    /// The case, in as many parts as the auditing policies make of it.
    private func audited(_ entry: ServiceProgram.Case, _ audit: ServiceProgram?) -> [(ServiceSet, Decision)] {
        let decision = enforcing.decisions[Int(entry.decision)]
        guard let audit, let everything, decision.verdict == .allow else { return [(entry.services, decision)] }
        return audit.cases.compactMap { other in
            let services = entry.services.intersection(other.services)
            if services.isEmpty { return nil }
            let strict = everything.decisions[Int(other.decision)]
            var decision = decision
            if strict.verdict != .allow {
                decision.auditRefusal = AuditRefusal(verdict: strict.verdict, clause: strict.clause)
            }
            return (services, decision)
        }
    }

    private mutating func number(_ decision: Decision) -> Int32 {
        if let place = decisionPlaces[decision] { return place }
        let place = Int32(truncatingIfNeeded: decisions.count)
        decisions.append(decision)
        decisionPlaces[decision] = place
        return place
    }

    private mutating func number(_ program: ServiceProgram) -> Int32 {
        if let place = programPlaces[program] { return place }
        let place = Int32(truncatingIfNeeded: programs.count)
        programs.append(program)
        programPlaces[program] = place
        return place
    }
}
