// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let networkPolicySchema = DocumentFields.Schema(
        name: "spec", fields: ["podSelector", "policyTypes", "ingress", "egress"],
        foreign: [
            "policyType": "write policyTypes: and a list", "types": "write policyTypes",
            "selector": "write podSelector", "subject": "write podSelector; subject is ClusterNetworkPolicy's",
            "rules": "write ingress or egress",
            "namespaceSelector": "remove it: a NetworkPolicy is about its namespace",
            "default": "remove it: what no rule allows is denied in the directions of policyTypes",
        ]
    )

    /// A direction as `policyTypes` spells it.
    private enum PolicyType: String, CaseIterable {
        case ingress = "Ingress"
        case egress = "Egress"

        var direction: TrafficDirection { self == .ingress ? .ingress : .egress }
    }

    /// Reads a `NetworkPolicy` of `networking.k8s.io/v1`.
    mutating func readNetworkPolicy(_ document: DocumentFields) {
        let metadata = readObjectMetadata(document, "NetworkPolicy", isNamespaced: true)
        let node = document["spec"].flatMap { $0.content == .null ? nil : $0 }
        if node == nil {
            warning(
                DiagnosticCode.nullField, at: document.location(of: "spec"),
                "the NetworkPolicy has no spec, which Kubernetes reads as an empty one: it isolates every pod of its "
                    + "namespace from connections to it",
                "write spec: { podSelector: {}, policyTypes: [Ingress] } to say so"
            )
        }
        let nothing = DocumentNode(.mapping([]), location: document.node.location)
        guard let spec = fields(node ?? nothing, PolicyReader.networkPolicySchema) else { return }
        let mark = result.diagnostics.count
        let pods = selector("podSelector", in: spec) ?? .everything
        let ingress = list("ingress", in: spec).compactMap { readNetworkPolicyRule($0, .ingress) }
        let egress = list("egress", in: spec).compactMap { readNetworkPolicyRule($0, .egress) }
        let directions = readDirections(spec, hasEgress: !egress.isEmpty)
        guard let metadata, !hasErrors(since: mark) else { return }
        claim("NetworkPolicy", "\(metadata.namespace)/\(metadata.name)", at: metadata.location)
        result.networkPolicies.append(
            NetworkPolicy(
                namespace: metadata.namespace, name: metadata.name, podSelector: pods, directions: directions,
                ingress: ingress, egress: egress, location: document.node.location
            ))
    }

    /// The directions of `policyTypes`; without it ingress, and egress if there are rules for it.
    private mutating func readDirections(_ spec: DocumentFields, hasEgress: Bool) -> Set<TrafficDirection> {
        let entries = list("policyTypes", in: spec)
        if entries.count > PolicyType.allCases.count {
            error(
                DiagnosticCode.tooManyEntries, at: entries[PolicyType.allCases.count].location,
                "policyTypes has \(entries.count) entries, and Kubernetes takes at most \(PolicyType.allCases.count)",
                "write Ingress, Egress or both")
        }
        let types = entries.compactMap { readPolicyType($0) }
        let directions = types.isEmpty ? (hasEgress ? [.ingress, .egress] : [.ingress]) : Set(types)
        for type in PolicyType.allCases where !directions.contains(type.direction) {
            warnAboutRules(of: type, spec)
        }
        return directions
    }

    private mutating func readPolicyType(_ node: DocumentNode) -> TrafficDirection? {
        word(node, "policyTypes", as: PolicyType.self)?.direction
    }

    private mutating func warnAboutRules(of type: PolicyType, _ spec: DocumentFields) {
        let key = type.direction.rawValue
        guard let node = spec[key], case .sequence(let rules) = node.content else { return }
        // With `policyTypes` that leaves the direction out, an empty list is no more than tidiness.
        if rules.isEmpty && spec.has("policyTypes") { return }
        let kind = rules.isEmpty ? "an empty list of \(key) rules denies nothing" : "the \(key) rules have no effect"
        warning(
            DiagnosticCode.directionWithoutEffect, at: spec.location(of: key),
            "\(kind): policyTypes does not say \(type.rawValue)",
            "add \(type.rawValue) to policyTypes, or remove \(key)"
        )
    }
}
