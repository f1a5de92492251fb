// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let foreignPeerFields = [
        "namespaceSelector": "write namespaces, or pods: with both selectors in it",
        "podSelector": "write pods: with namespaceSelector and podSelector in it",
        "ipBlock": "write networks: and a list of CIDRs", "cidr": "write networks: and a list of CIDRs",
        "cidrs": "write networks", "except": "put a rule with action Pass for those addresses before this one",
        "sameLabels": "that was dropped after v1alpha1's first days: write namespaces or pods",
        "notSameLabels": "that was dropped after v1alpha1's first days: write namespaces or pods",
    ]

    private static let allPeerFields = ["namespaces", "pods", "nodes", "networks", "domainNames"]

    /// Reads one peer.
    mutating func readClusterPeer(
        _ node: DocumentNode, _ direction: TrafficDirection, _ dialect: ClusterPolicyDialect,
        _ action: ClusterPolicy.Action?, _ tier: EgressPolicy.Tier?
    ) -> ClusterPolicy.Peer? {
        guard case .mapping(let entries) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "a peer is a mapping, and here is \(node.found)",
                "write for example - namespaces: {}"
            )
            return nil
        }
        let known = dialect.peerFields(direction)
        if checkPeerFields(entries, known, direction, dialect) { return nil }
        let written = entries.filter { known.contains($0.key) && $0.value.content != .null }
        let unknown = entries.filter { !known.contains($0.key) }
        guard let entry = written.first, written.count == 1, unknown.isEmpty else {
            return written.count > 1 ? refusePeers(written) : unreadablePeer(node, unknown, dialect)
        }
        for entry in entries where entry.value.content == .null { warnAboutNull(entry.key, at: entry.keyLocation) }
        switch entry.key {
        case "namespaces":
            return readLabelSelector(entry.value, entry.key, readsNull: true).map { .pods(.init(namespaces: $0)) }
        case "pods": return readNamespacedPods(entry.value).map { .pods($0) }
        case "nodes": return readLabelSelector(entry.value, entry.key, readsNull: true).map { .nodes($0) }
        case "networks": return readNetworks(entry.value).map { .networks($0) }
        default: return readDomainNames(entry, action, tier)
        }
    }

    /// Reports misspelled fields and those of other kinds or of the other direction; whether there were any.
    private mutating func checkPeerFields(
        _ entries: [DocumentNode.Entry], _ known: [String], _ direction: TrafficDirection,
        _ dialect: ClusterPolicyDialect
    ) -> Bool {
        var isWrong = false
        for entry in entries where !known.contains(entry.key) {
            let suggestion: String
            if PolicyReader.allPeerFields.contains(entry.key) {
                suggestion =
                    direction == .ingress
                    ? "\(entry.key) is a peer of egress rules only" : "\(dialect.rawValue) has no \(entry.key)"
            } else if let advice = PolicyReader.foreignPeerFields[entry.key] {
                suggestion = advice
            } else if let near = Spelling.nearest(to: entry.key, among: known) {
                suggestion = "did you mean \"\(near)\"?"
            } else {
                continue
            }
            isWrong = true
            error(
                DiagnosticCode.unknownField, at: entry.keyLocation, "unknown field \(quoted(entry.key)) in a peer",
                suggestion)
        }
        return isWrong
    }

    private mutating func refusePeers(_ written: [DocumentNode.Entry]) -> ClusterPolicy.Peer? {
        let names = written.map(\.key)
        error(
            DiagnosticCode.contradiction, at: written[1].keyLocation,
            "a peer has one field, and here are \(Spelling.list(names, conjunction: "and"))",
            "write one peer for each: the rule matches any"
        )
        return nil
    }

    /// A peer without any field that is known: of a newer version, or empty.
    private mutating func unreadablePeer(
        _ node: DocumentNode, _ unknown: [DocumentNode.Entry], _ dialect: ClusterPolicyDialect
    ) -> ClusterPolicy.Peer {
        let names = unknown.map { quoted($0.key) }
        let accept = dialect.actions.first?.word ?? "Accept"
        warning(
            DiagnosticCode.unreadablePeer, at: node.location,
            names.isEmpty
                ? "the peer says nothing that this version knows"
                : "the peer is of a newer version: nobody here knows \(Spelling.list(names, conjunction: "and"))",
            "so the rule matches nothing if it says \(accept), and denies everything if not"
        )
        return .unknown
    }

    private mutating func readNetworks(_ node: DocumentNode) -> [IPPrefix]? {
        let example = "write for example networks: [203.0.113.0/24]"
        guard
            let items = items(
                node, "networks", emptyMessage: "networks is empty, so the peer is nobody", emptySuggestion: example)
        else { return nil }
        checkCount(items, "networks", limit: 25)
        return items.compactMap { readCIDR($0, "an entry of networks") }
    }

    private mutating func readDomainNames(
        _ entry: DocumentNode.Entry, _ action: ClusterPolicy.Action?, _ tier: EgressPolicy.Tier?
    ) -> ClusterPolicy.Peer? {
        guard
            let items = items(
                entry.value, "domainNames", emptyMessage: "domainNames is empty, so the peer is nobody",
                emptySuggestion: "write for example domainNames: [example.org]")
        else { return nil }
        checkCount(items, "domainNames", limit: 25)
        let names = items.compactMap { readDomainName($0) }
        if tier == .baseline {
            warning(
                DiagnosticCode.unreadablePeer, at: entry.keyLocation,
                "domainNames goes with the tier Admin, and this policy is of the tier Baseline",
                "so the rule matches nothing if it says Accept, and denies everything if not"
            )
        } else if let action, action != .accept {
            warning(
                DiagnosticCode.unreadablePeer, at: entry.keyLocation,
                "domainNames goes with rules that accept, and this one does not",
                "so the rule denies everything; write networks: and the addresses"
            )
        }
        return .domainNames(names)
    }

    private mutating func readDomainName(_ node: DocumentNode) -> DomainPattern? {
        guard let text = string(node, "an entry of domainNames", expected: "a name") else { return nil }
        do throws(DomainProblem) {
            let pattern = try DomainPattern.parse(text)
            if !text.utf8.allSatisfy({ $0 < 0x80 }) {
                error(
                    DiagnosticCode.domain, at: node.location,
                    "\(quoted(text)) has letters that Kubernetes does not take in domainNames", "write \(pattern)")
                return nil
            }
            if pattern.base.labels.count > 1 { return pattern }
            throw DomainProblem("\(quoted(text)) has one label, and names of the world have more")
        } catch {
            result.diagnostics.append(error.syntaxProblem.diagnostic(at: node.location))
            return nil
        }
    }
}
