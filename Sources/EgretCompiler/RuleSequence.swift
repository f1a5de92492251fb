// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// The rules of a policy set in the order in which they are asked, and what follows when none of them decides.
struct RuleSequence: Sendable {
    struct Entry: Sendable {
        var tier: EgressPolicy.Tier
        var rule: EgressRule
        /// The place of the clause's effect in `effects`; `nil` for `pass`.
        var effect: Int?
    }

    private(set) var entries: [Entry] = []
    /// Every clause that can decide.
    private(set) var effects: [(clause: DecidingClause, effect: CompiledClause.Effect)] = []
    private let workloadDefault: Int?
    private let networkDefault: Int

    init(_ policies: PolicySet) {
        var effects: [(clause: DecidingClause, effect: CompiledClause.Effect)] = []
        for policy in policies.policies {
            for (index, rule) in policy.rules.enumerated() {
                let effect = CompiledClause.Effect(rule.action)
                entries.append(Entry(tier: policy.tier, rule: rule, effect: effect.map { _ in effects.count }))
                if let effect { effects.append((.rule(policy: policy.name, index: index), effect)) }
            }
        }
        workloadDefault = policies.workloadDefault.map { policy, action in
            effects.append((.policyDefault(policy: policy.name), CompiledClause.Effect(action)))
            return effects.count - 1
        }
        networkDefault = effects.count
        effects.append((.networkDefault, CompiledClause.Effect(policies.networkDefault)))
        self.effects = effects
    }

    /// The effect on traffic that matches, of the active rules, just those that `covers` holds for.
    ///
    /// - Parameters:
    ///   - active: Places in `entries`, rising.
    ///   - covers: Whether a rule's match covers the traffic.
    /// - Returns: A place in `effects`.
    func effect(active: [Int], covers: (EgressRule) -> Bool) -> Int {
        var decidedTier: EgressPolicy.Tier?
        for index in active {
            let entry = entries[index]
            if let decidedTier, entry.tier <= decidedTier { continue }
            if let workloadDefault, entry.tier == .baseline, decidedTier != .workload { return workloadDefault }
            guard covers(entry.rule) else { continue }
            guard let effect = entry.effect else {
                decidedTier = entry.tier
                continue
            }
            return effect
        }
        if let workloadDefault, decidedTier != .workload, decidedTier != .baseline { return workloadDefault }
        return networkDefault
    }
}
