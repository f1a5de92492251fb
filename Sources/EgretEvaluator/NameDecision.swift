// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Whether a name may be asked of the DNS, and by which rules.
public enum NameDecision: Hashable, Sendable {
    /// It may: these rules cover it, in the order in which they are asked.
    case allowed([DecidingClause])
    /// It may not: the first rule that covers it denies it.
    case denied(DecidingClause)
    /// No rule is about it. It may be asked of a server where the policies let packets to the server's port 53 out.
    case unnamed
}

extension PolicyEvaluator {
    /// Decides whether a name may be asked. Times play no part: they decide about the traffic.
    ///
    /// - Complexity: O(*labels*) and the rules that cover the name.
    public func decide(name: DomainName) -> NameDecision {
        names.decide(name, ignoring: [])
    }

    /// Decides about a name as if some clauses were not there.
    public func decide(name: DomainName, ignoring ignored: Set<DecidingClause>) -> NameDecision {
        names.decide(name, ignoring: ignored)
    }

    /// The rules about names that decide, in the order in which they are asked.
    public var nameClauses: [NameClause] { names.clauses }
}

/// By which names each rule may reach an address.
typealias HeldNames = [DecidingClause: Set<DomainName>]

/// The rules about names, by name.
struct NameIndex: Sendable {
    let clauses: [NameClause]
    private(set) var matcher = DomainMatcher<Int>()

    init(_ policies: PolicySet) {
        clauses = policies.nameClauses
        for (place, clause) in clauses.enumerated() {
            for pattern in clause.patterns { matcher.insert(pattern, place) }
        }
    }

    func decide(_ name: DomainName, ignoring ignored: Set<DecidingClause>) -> NameDecision {
        var allowing: [DecidingClause] = []
        for place in matcher.matches(name).map(\.value).sorted() {
            let clause = clauses[place]
            if ignored.contains(clause.clause) { continue }
            if clause.denies { return allowing.isEmpty ? .denied(clause.clause) : .allowed(allowing) }
            if allowing.last != clause.clause { allowing.append(clause.clause) }
        }
        return allowing.isEmpty ? .unnamed : .allowed(allowing)
    }

    /// Which of some names each rule has a part in.
    func held(_ names: Set<DomainName>, ignoring ignored: Set<DecidingClause>) -> HeldNames {
        var held: HeldNames = [:]
        for name in names {
            guard case .allowed(let clauses) = decide(name, ignoring: ignored) else { continue }
            for clause in clauses { held[clause, default: []].insert(name) }
        }
        return held
    }
}
