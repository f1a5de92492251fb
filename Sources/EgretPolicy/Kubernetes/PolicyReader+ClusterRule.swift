// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let actionWords: [String: ClusterPolicy.Action] = [
        "accept": .accept, "allow": .accept, "permit": .accept, "drop": .deny, "block": .deny, "reject": .deny,
        "next": .pass, "skip": .pass,
    ]

    private static func ruleSchema(
        _ direction: TrafficDirection, _ dialect: ClusterPolicyDialect
    ) -> DocumentFields.Schema {
        let peers = direction == .ingress ? "from" : "to"
        let other = direction == .ingress ? "to" : "from"
        var schema = DocumentFields.Schema(
            name: "an \(direction.rawValue) rule", fields: ["name", "action", peers, dialect.portsField],
            foreign: [
                other: "write \(peers)", "peers": "write \(peers)", "port": "write \(dialect.portsField): and a list",
            ]
        )
        if dialect == .cluster {
            schema.foreign["ports"] = "write protocols, for example [{ tcp: { destinationPort: { number: 443 } } }]"
        } else {
            schema.foreign["protocols"] = "write ports, for example [{ portNumber: { protocol: TCP, port: 443 } }]"
        }
        return schema
    }

    /// Reads one rule.
    mutating func readClusterRule(
        _ node: DocumentNode, _ direction: TrafficDirection, _ dialect: ClusterPolicyDialect,
        _ tier: EgressPolicy.Tier?
    ) -> ClusterPolicy.Rule? {
        guard let fields = fields(node, PolicyReader.ruleSchema(direction, dialect)) else { return nil }
        let name = fields["name"].flatMap { readClusterRuleName($0) }
        let action = readClusterAction(fields, dialect)
        let peersField = direction == .ingress ? "from" : "to"
        let everybody = "write \(peersField): [{ namespaces: {} }] for every pod"
        let items = required(peersField, in: fields, of: "the rule", suggestion: everybody).flatMap {
            self.items($0, peersField, emptyMessage: "\(peersField) is empty", emptySuggestion: everybody)
        }
        checkCount(items ?? [], peersField, limit: dialect.limit)
        let peers = (items ?? []).compactMap { readClusterPeer($0, direction, dialect, action, tier) }
        guard let action else { return nil }
        var rule = ClusterPolicy.Rule(name: name, action: action, peers: peers, location: node.location)
        readClusterPorts(fields, dialect, into: &rule)
        return rule
    }

    private mutating func readClusterRuleName(_ node: DocumentNode) -> String? {
        guard node.content != .null, let name = string(node, "name", expected: "a name for the rule") else {
            return nil
        }
        if name.unicodeScalars.count > 100 {
            error(
                DiagnosticCode.invalidName, at: node.location, "the name of a rule has at most 100 characters",
                "write a shorter name"
            )
        }
        return name.isEmpty ? nil : name
    }

    private mutating func readClusterAction(
        _ fields: DocumentFields, _ dialect: ClusterPolicyDialect
    ) -> ClusterPolicy.Action? {
        let words = dialect.actions.map(\.word)
        let choice = "write action: \(Spelling.list(words, conjunction: "or"))"
        guard let node = required("action", in: fields, of: "the rule", suggestion: choice),
            let text = string(node, "action", expected: Spelling.list(words, conjunction: "or"))
        else { return nil }
        if let found = dialect.actions.first(where: { $0.word == text }) { return found.action }
        let meant = PolicyReader.actionWords[text.lowercased()]
        let word = dialect.actions.first { $0.action == meant }?.word
        error(
            DiagnosticCode.unknownValue, at: node.location,
            "\(quoted(text)) is not an action of \(dialect.rawValue)",
            word.map { "did you mean \"\($0)\"?" } ?? Spelling.suggestion(for: text, among: words, verb: "write")
        )
        return nil
    }
}
