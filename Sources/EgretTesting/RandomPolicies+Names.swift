// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

extension RandomPolicies {
    /// Names that random policies speak of, and one more.
    public static let names = ["a.test.example", "b.test.example", "x.a.test.example", "test.example", "other.example"]
        .compactMap { try? DomainName.parse($0) }

    private static let patterns = [
        "a.test.example", "b.test.example", "*.test.example", "*.a.test.example", "test.example",
    ].compactMap { try? DomainPattern.parse($0) }

    /// A set of policies some of whose rules are about names.
    public mutating func namingPolicySet() -> PolicySet {
        let set = policySet()
        var groups = Array(set.groups.values)
        for place in groups.indices where Bool.random(using: &generator) { groups[place].domains = patterns() }
        let withNames = Swift.Set(groups.filter { !$0.domains.isEmpty }.map(\.name))
        let policies = set.policies.map { policy in
            var policy = policy
            policy.rules = policy.rules.map { naming($0, withNames) }
            return policy
        }
        return PolicySet(policies: policies, groups: groups, networkDefault: set.networkDefault)
    }

    /// The rule with names, or without groups that have some, where it could not keep them.
    private mutating func naming(_ rule: EgressRule, _ withNames: Swift.Set<String>) -> EgressRule {
        var rule = rule
        let letsOut = rule.action == .allow || rule.action == .audit
        guard letsOut || rule.action != .pass && rule.services.isEmpty else {
            rule.destinations.removeAll { if case .group(let name) = $0 { withNames.contains(name) } else { false } }
            return rule
        }
        guard Bool.random(using: &generator) else { return rule }
        rule.domains = patterns()
        if Bool.random(using: &generator) { rule.destinations = [] }
        guard letsOut else { return rule }
        rule.naming.whenUnverified = Bool.random(using: &generator) ? .pin : .deny
        rule.naming.quic = NameOptions.QUIC.allCases.randomElement(using: &generator) ?? .refuse
        if Int.random(in: 0..<4, using: &generator) == 0 {
            rule.services = rule.services.filter { if case .ports(.tcp, _) = $0 { true } else { false } }
            rule.naming.applications =
                [[.ssh], [.tls], [.ssh, .tls], [.http, .redis]]
                .randomElement(using: &generator) ?? [.tls]
        }
        return rule
    }

    private mutating func patterns() -> [DomainPattern] {
        RandomPolicies.patterns.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
    }

    /// Names by which an address is held: each address has its own, some none.
    public static func names(of address: IPAddress) -> Swift.Set<DomainName> {
        Swift.Set(names.enumerated().filter { (address.rawValue >> UInt128($0.offset)) & 1 == 1 }.map(\.element))
    }
}
