// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretFlows
import EgretPolicy

/// Words for the clauses of one policy set.
struct ClauseText {
    private let policies: PolicySet

    init(_ policies: PolicySet) {
        self.policies = policies
    }

    /// The clause in a few words: the flag, or policy and rule, or the default.
    func short(_ clause: DecidingClause) -> String {
        switch clause {
        case .rule(let policy, let index):
            guard let rule = rule(policy, index) else { return "\(policy) rule \(index + 1)" }
            if let location = rule.location, location.line == 0 { return rule.name ?? location.file }
            return "\(policy)/\(rule.name ?? "rule \(index + 1)")"
        case .policyDefault(let policy):
            return policy == "command-line" ? "default" : "\(policy)/default"
        case .networkDefault: return "default"
        }
    }

    /// Where the clause stands, if it was written down.
    func location(_ clause: DecidingClause) -> SourceLocation? {
        switch clause {
        case .rule(let policy, let index): rule(policy, index)?.location
        case .policyDefault(let policy): policies.policies.first { $0.name == policy }?.location
        case .networkDefault: nil
        }
    }

    private func rule(_ policy: String, _ index: Int) -> EgressRule? {
        guard let rules = policies.policies.first(where: { $0.name == policy })?.rules, rules.indices.contains(index)
        else { return nil }
        return rules[index]
    }
}

extension FlowKey {
    /// `443/tcp`, `icmp/8`, `gre`.
    var serviceText: String {
        if let port { return "\(port)/\(`protocol`)" }
        if let icmpType { return "\(`protocol`)/\(icmpType)" }
        return `protocol`.description
    }

    /// The flag value that covers exactly this: `203.0.113.10:443`, `[2001:db8::1]:53/udp`, `203.0.113.10:gre`.
    var flagText: String {
        let address = destination.family == .ipv6 ? "[\(destination)]" : "\(destination)"
        if `protocol` == .tcp, let port { return "\(address):\(port)" }
        return "\(address):\(serviceText)"
    }
}
