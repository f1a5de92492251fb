// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretEvaluator
public import EgretPolicy

/// What a policy set lets pass to names, as long as they lead to public addresses that no narrower rule is about.
public struct NameReach: Sendable {
    /// The names and patterns that rules are about, in the order in which they are asked, each once.
    public let patterns: [DomainPattern]
    private let evaluator: PolicyEvaluator
    private let policies: PolicySet
    private let place: IPAddress
    private let time: Int64?

    /// Prepares the answers for a time, in seconds since 1970-01-01T00:00Z; `nil` for one that nobody knows.
    public init(_ policies: PolicySet, at time: Int64? = nil) {
        evaluator = PolicyEvaluator(policies: policies)
        self.policies = policies
        self.time = time
        var patterns: [DomainPattern] = []
        var known: Set<DomainPattern> = []
        for pattern in evaluator.nameClauses.flatMap(\.patterns) where known.insert(pattern).inserted {
            patterns.append(pattern)
        }
        self.patterns = patterns
        place = HeaderSpace(evaluator, at: time).typicalAddress(.ipv4)
    }

    /// What may be asked of a name, or of a name below another that no rule names by itself.
    public func services(of pattern: DomainPattern) -> ServiceSet {
        guard let name = pattern.example, case .allowed(let clauses) = evaluator.decide(name: name) else {
            return .nothing
        }
        // The name's rules, as rules about one address: everything else decides as it always does.
        let target = Destination.block(AddressBlock(IPPrefix(place)))
        let policies = policies.policies.map { policy in
            var policy = policy
            policy.rules = policy.rules.enumerated().flatMap { index, rule -> [EgressRule] in
                let written = rule.at(index)
                let clause = DecidingClause.rule(policy: policy.name, index: written.clauseIndex ?? index)
                guard clauses.contains(clause), !self.policies.patterns(of: rule).isEmpty else { return [written] }
                let traffic = NamedTraffic(rule)
                let services =
                    traffic.pinned + traffic.checked.map { .ports(.tcp, $0) }
                    + traffic.checkedDatagrams.map { .ports(.udp, $0) }
                if services.isEmpty { return [written] }
                var pinned = written
                pinned.destinations = [target]
                pinned.domains = []
                pinned.services = services
                return [written, pinned]
            }
            return policy
        }
        let set = PolicySet(
            policies: policies, groups: Array(self.policies.groups.values), networkDefault: self.policies.networkDefault
        )
        return HeaderSpace(set, at: time).allowed(at: place)
    }
}

extension DomainPattern {
    /// The name, or one below it that nobody writes out.
    var example: DomainName? {
        isWildcard ? try? DomainName.parse("egret-asks-for-any.\(base)") : base
    }
}

extension HeaderSpace {
    /// An address of the internet that no narrow rule is about: inside the largest piece of it.
    public func typicalAddress(_ family: AddressFamily) -> IPAddress {
        var best: ClosedRange<UInt128> = 0...0
        forEachPublicRange(family) { range in
            if range.upperBound - range.lowerBound > best.upperBound - best.lowerBound { best = range }
        }
        return IPAddress(family: family, rawValue: best.lowerBound + (best.upperBound - best.lowerBound) / 2)
    }

    /// Visits the addresses of the internet, those of each piece by themselves.
    public func forEachPublicRange(_ family: AddressFamily, _ body: (ClosedRange<UInt128>) -> Void) {
        let steps = steps(family)
        let ranges = AddressRangeSet(BuiltInGroup.internet.blocks).ranges(family)
        var place = 0
        for index in steps.values.indices {
            let piece = steps.starts[index]...steps.end(of: index)
            while place > 0 && ranges[place - 1].upperBound >= piece.lowerBound { place -= 1 }
            while place < ranges.count && ranges[place].upperBound < piece.lowerBound { place += 1 }
            var next = place
            while next < ranges.count && ranges[next].lowerBound <= piece.upperBound {
                body(max(ranges[next].lowerBound, piece.lowerBound)...min(ranges[next].upperBound, piece.upperBound))
                next += 1
            }
        }
    }

    /// How many pieces there are of a family.
    public func pieceCount(_ family: AddressFamily) -> Int { steps(family).values.count }
}
