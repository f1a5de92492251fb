// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretFlows
import EgretPolicy
import EgretRun

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
            guard let rule = policies.rule(of: clause) else { return "\(policy) rule \(index + 1)" }
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
        case .rule: policies.rule(of: clause)?.location
        case .policyDefault(let policy): policies.policies.first { $0.name == policy }?.location
        case .networkDefault: nil
        }
    }
}

extension RunRules {
    /// What the clauses of a program that refuse are called, and where they stand.
    init(refusals program: PolicyProgram, of policies: PolicySet) {
        let text = ClauseText(policies)
        let refusals = program.clauses.filter { $0.isEnforced && ($0.effect == .deny || $0.effect == .reject) }
        let words = refusals.map { compiled in
            let location = text.location(compiled.clause).flatMap { $0.line == 0 ? nil : ", \($0)" } ?? ""
            return (compiled.name, (text.short(compiled.clause) + location).withVisibleControls)
        }
        self.init(Dictionary(words, uniquingKeysWith: { first, _ in first }))
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
    var flagText: String { flagText(naming: nil) }

    /// The same, by a name of the address if there is one: `www.example.test:443`.
    func flagText(naming name: String?) -> String {
        let address = name ?? (destination.family == .ipv6 ? "[\(destination)]" : "\(destination)")
        if `protocol` == .tcp, let port { return "\(address):\(port)" }
        return "\(address):\(serviceText)"
    }

    /// The flag value that covers this by the name that was asked for: `wikipedia.org:443`, `time.example.org:123/udp`.
    func flagText(for name: DomainName) -> String {
        if `protocol` == .tcp, let port { return "\(name):\(port)" }
        return "\(name):\(serviceText)"
    }
}
