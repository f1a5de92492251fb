// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A rule about names as a clause of a policy set.
public struct NameClause: Hashable, Sendable {
    /// The clause, as decisions name it.
    public var clause: DecidingClause
    /// The rule.
    public var rule: EgressRule
    /// The names that it covers: its own, and those of its groups.
    public var patterns: [DomainPattern]

    /// Whether its names may not be asked, whatever later rules say.
    public var denies: Bool { rule.action == .deny || rule.action == .reject }
    /// How traffic to its names passes.
    public var traffic: NamedTraffic { NamedTraffic(rule) }
}

extension PolicySet {
    /// The servers that questions about names go to: those of the first policy that decides and names any. They stand for each
    /// other. None where no policy says.
    public var nameServers: [DNSServer] {
        policies.first { $0.mode == .enforce && !$0.nameServers.isEmpty }?.nameServers ?? []
    }

    /// Whether a rule has the name in QUIC's first packets read.
    public var readsDatagrams: Bool { nameClauses.contains { !$0.traffic.checkedDatagrams.isEmpty } }

    /// The names that limits and budgets are about: which addresses they have matters, whether a rule is about them or not.
    public var countedNames: [DomainPattern] {
        limits.flatMap { $0.patterns(groups) } + policies.flatMap(\.budgets).flatMap { $0.patterns(groups) }
    }

    /// Whether it matters which names an endpoint resolves: a rule that decides, a limit or a budget is about names.
    public var dependsOnNames: Bool { !nameClauses.isEmpty || !countedNames.isEmpty }

    /// The rules about names that decide, in the order in which they are asked: the place is the rule's number.
    ///
    /// A name belongs to those that cover it and stand before the first that covers and denies it. Left out are rules
    /// behind one that decides about everything, and those of tiers that are never asked.
    public var nameClauses: [NameClause] {
        var found: [NameClause] = []
        var left: EgressPolicy.Tier?
        let enforcing = policies.filter { $0.mode == .enforce }
        let reachesBaseline =
            !enforcing.contains { $0.tier == .workload }
            || enforcing.contains { $0.tier == .workload && $0.rules.contains { $0.action == .pass } }
        for policy in enforcing where policy.tier != .baseline || reachesBaseline {
            for (index, rule) in policy.rules.enumerated() where left != policy.tier {
                let patterns = patterns(of: rule)
                if !patterns.isEmpty, rule.action != .pass {
                    let clause = DecidingClause.rule(policy: policy.name, index: rule.clauseIndex ?? index)
                    found.append(NameClause(clause: clause, rule: rule, patterns: patterns))
                }
                guard rule.isEverywhere, rule.services.isEmpty, rule.portNames.isEmpty, rule.schedule == nil else {
                    continue
                }
                if rule.action != .pass { return found }
                left = policy.tier
            }
        }
        return found
    }
}
