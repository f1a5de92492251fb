// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Finds rules that are right by the grammar and probably not what their author meant.
enum RuleDoubts {
    /// More rules than this are not compared with each other: the comparison is quadratic.
    static let comparedRules = 500

    /// The warnings about one policy, in the order of its rules.
    static func find(in policy: EgressPolicy) -> [Diagnostic] {
        // A policy in audit mode opens nothing.
        (policy.mode == .enforce ? policy.rules.compactMap { opensEverything($0) } : []) + unreachable(in: policy)
    }

    private static func opensEverything(_ rule: EgressRule) -> Diagnostic? {
        guard rule.action == .allow || rule.action == .audit else { return nil }
        let isEverywhere = rule.isEverywhere
        let whole = rule.destinations.first { destination in
            guard case .block(let block) = destination else { return false }
            return block.prefix.length == 0 && block.except.isEmpty
        }
        guard isEverywhere || whole != nil else { return nil }
        let subject = whole.map { "\($0)" } ?? "a rule without destinations"
        return Diagnostic(
            .warning, code: DiagnosticCode.opensEverything, at: rule.location,
            "\(subject) also opens the host, private networks and metadata services",
            suggestion: "use the group internet unless all of that is meant"
        )
    }

    private static func unreachable(in policy: EgressPolicy) -> [Diagnostic] {
        guard policy.rules.count <= comparedRules else { return [] }
        let matches = policy.rules.map { RuleMatch($0) }
        var found: [Diagnostic] = []
        for (index, rule) in policy.rules.enumerated() {
            guard
                let earlier = matches[..<index].indices.first(where: { earlier in
                    holds(policy.rules[earlier], whenever: rule)
                        && (matches[earlier].covers(matches[index]) || allows(policy.rules[earlier], namesOf: rule))
                })
            else { continue }
            let by = policy.rules[earlier]
            let label = by.name.map { "rule \(quoted($0))" } ?? "rule \(earlier + 1)"
            let place = by.location.map { " at \($0)" } ?? ""
            found.append(
                Diagnostic(
                    .warning, code: DiagnosticCode.unreachableRule, at: rule.location,
                    "this rule never decides: \(label)\(place) already matches everything that it matches",
                    suggestion: by.action == rule.action ? "remove it" : "move it before the other, or remove it"
                ))
        }
        return found
    }

    /// Whether a rule allows all names that another one, which is about names alone, denies: they are resolved then.
    private static func allows(_ rule: EgressRule, namesOf denial: EgressRule) -> Bool {
        guard rule.action.letsOut, denial.action.holdsBack, !denial.domains.isEmpty, denial.destinations.isEmpty,
            denial.workloads.isEmpty
        else { return false }
        return denial.domains.allSatisfy { name in rule.domains.contains { $0.covers(name) } }
    }

    /// Whether a rule holds at every time at which another does, for certain.
    private static func holds(_ rule: EgressRule, whenever other: EgressRule) -> Bool {
        guard let schedule = rule.schedule else { return true }
        return other.schedule.map { schedule.covers($0) } ?? false
    }

    /// Rules of one match and opposite actions whose times overlap in part: which of them was meant there, nobody knows.
    ///
    /// Where the later one's time holds all of the earlier one's, the earlier is an exception, as everywhere.
    static func oppositeTimes(in policy: EgressPolicy) -> [Diagnostic] {
        let scheduled = policy.rules.filter { $0.schedule != nil }
        guard (2...comparedRules).contains(scheduled.count) else { return [] }
        let matches = scheduled.map { RuleMatch($0) }
        var found: [Diagnostic] = []
        for (index, rule) in scheduled.enumerated() {
            let earlier = scheduled[..<index].indices.first { earlier in
                guard let first = scheduled[earlier].schedule, let second = rule.schedule else { return false }
                return scheduled[earlier].action.isOpposite(to: rule.action) && matches[earlier] == matches[index]
                    && first.overlaps(second) && !second.covers(first) && !first.covers(second)
            }
            guard let earlier, let location = rule.location else { continue }
            let place = scheduled[earlier].location.map { " at \($0)" } ?? ""
            found.append(
                Diagnostic(
                    .error, code: DiagnosticCode.oppositeTimes, at: location,
                    "this rule says \(rule.action.rawValue) and the one\(place) \(scheduled[earlier].action.rawValue), of the"
                        + " same traffic and partly at the same time",
                    suggestion: "let the one end where the other begins"
                ))
        }
        return found
    }
}

extension RuleAction {
    /// Whether one lets out what the other holds back.
    fileprivate func isOpposite(to other: RuleAction) -> Bool {
        letsOut == other.holdsBack && holdsBack == other.letsOut && letsOut != holdsBack
    }

    fileprivate var letsOut: Bool { self == .allow || self == .audit }
    fileprivate var holdsBack: Bool { self == .deny || self == .reject }
}
