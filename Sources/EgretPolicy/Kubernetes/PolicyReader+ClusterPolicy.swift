// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private enum ClusterTier: String, CaseIterable {
        case admin = "Admin"
        case baseline = "Baseline"

        var tier: EgressPolicy.Tier { self == .admin ? .admin : .baseline }
    }

    private static let subjectSchema = DocumentFields.Schema(
        name: "subject", fields: ["namespaces", "pods"],
        foreign: [
            "namespaceSelector": "write namespaces, or pods: with both selectors in it",
            "podSelector": "write pods: with namespaceSelector and podSelector in it",
            "matchLabels": "write namespaces: { matchLabels: ... }",
        ]
    )

    private static let podsSchema = DocumentFields.Schema(
        name: "pods", fields: ["namespaceSelector", "podSelector"],
        foreign: [
            "matchLabels": "write podSelector: { matchLabels: ... }", "namespaces": "write namespaceSelector",
            "pods": "write podSelector",
        ]
    )

    /// Reads a policy of `policy.networking.k8s.io`.
    mutating func readClusterPolicy(_ document: DocumentFields, _ dialect: ClusterPolicyDialect) {
        let kind = dialect.rawValue
        let mark = result.diagnostics.count
        let metadata = readObjectMetadata(document, kind, isNamespaced: false)
        if dialect == .baselineAdmin, let metadata, metadata.name != "default" {
            error(
                DiagnosticCode.invalidName, at: metadata.location,
                "the one \(kind) of a cluster is named default, and here is \(quoted(metadata.name))",
                "write name: default"
            )
        }
        guard
            let node = required(
                "spec", in: document, of: "the \(kind)", suggestion: "write spec: with subject, ingress and egress"),
            let spec = fields(node, PolicyReader.specSchema(dialect))
        else { return }
        let tier = readTier(spec, dialect)
        let priority = readClusterPriority(spec, dialect)
        let subject = readSubject(spec, of: "the \(kind)")
        var rules: [TrafficDirection: [ClusterPolicy.Rule]] = [:]
        for direction in TrafficDirection.allCases {
            rules[direction] = list(direction.rawValue, in: spec, limit: dialect.limit)
                .compactMap { readClusterRule($0, direction, dialect, tier) }
        }
        guard let metadata, let tier, let priority, let subject, !hasErrors(since: mark) else { return }
        claim(kind, metadata.name, at: metadata.location)
        result.clusterPolicies.append(
            ClusterPolicy(
                kind: kind, name: metadata.name, tier: tier, priority: priority, subject: subject,
                ingress: rules[.ingress] ?? [], egress: rules[.egress] ?? [], location: document.node.location
            ))
    }

    private static func specSchema(_ dialect: ClusterPolicyDialect) -> DocumentFields.Schema {
        var schema = DocumentFields.Schema(
            name: "spec", fields: dialect.specFields,
            foreign: [
                "podSelector": "write subject: { pods: { namespaceSelector: {}, podSelector: ... } }",
                "policyTypes": "remove it: a direction without rules is not touched",
                "selects": "write subject", "rules": "write ingress or egress",
                "default": "remove it: a last rule for every peer decides what no other rule matched",
            ]
        )
        if dialect != .cluster { schema.foreign["tier"] = "remove it: the kind is the tier" }
        if dialect == .baselineAdmin { schema.foreign["priority"] = "remove it: there is only one of this kind" }
        return schema
    }

    private mutating func readTier(_ spec: DocumentFields, _ dialect: ClusterPolicyDialect) -> EgressPolicy.Tier? {
        switch dialect {
        case .admin: .admin
        case .baselineAdmin: .baseline
        case .cluster:
            required("tier", in: spec, of: "spec", suggestion: "write tier: Admin or tier: Baseline")
                .flatMap { word($0, "tier", as: ClusterTier.self)?.tier }
        }
    }

    /// The priority; the one policy of v1alpha1 that has none stands after every other of its tier.
    private mutating func readClusterPriority(_ spec: DocumentFields, _ dialect: ClusterPolicyDialect) -> Int? {
        if dialect == .baselineAdmin { return 1000 }
        return required(
            "priority", in: spec, of: "spec", suggestion: "write priority: and a number from 0 (asked first) to 1000"
        ).flatMap { readPriority($0) }
    }

    private mutating func readSubject(_ spec: DocumentFields, of owner: String) -> ClusterPolicy.Pods? {
        let suggestion = "write subject: { namespaces: {} } for every pod"
        guard let node = required("subject", in: spec, of: owner, suggestion: suggestion),
            let fields = fields(node, PolicyReader.subjectSchema)
        else { return nil }
        let namespaces = present("namespaces", in: fields)
        let pods = present("pods", in: fields)
        if namespaces != nil && pods != nil {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "pods"),
                "subject has both namespaces and pods",
                "write pods alone, with namespaceSelector and podSelector in it"
            )
            return nil
        }
        if let namespaces {
            return readLabelSelector(namespaces, "namespaces", readsNull: true).map {
                ClusterPolicy.Pods(namespaces: $0)
            }
        }
        if let pods { return readNamespacedPods(pods) }
        if fields.isEmpty || fields.has("namespaces") || fields.has("pods") {
            error(DiagnosticCode.empty, at: node.location, "subject says nothing", suggestion)
        }
        return nil
    }

    /// Reads `pods`: a selector of namespaces, by default all, and one of pods.
    mutating func readNamespacedPods(_ node: DocumentNode) -> ClusterPolicy.Pods? {
        guard let fields = fields(node, PolicyReader.podsSchema) else { return nil }
        let namespaces =
            fields.has("namespaceSelector") ? selector("namespaceSelector", in: fields) : LabelSelector.everything
        let pods = required(
            "podSelector", in: fields, of: "pods", suggestion: "write podSelector: {} for every pod"
        ).flatMap { readLabelSelector($0, "podSelector", readsNull: true) }
        guard let pods else { return nil }
        return ClusterPolicy.Pods(namespaces: namespaces ?? .everything, pods: pods)
    }
}
