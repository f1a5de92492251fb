// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let workloadSchema = DocumentFields.Schema(
        name: "", fields: ["matchLabels", "matchExpressions", "names", "namespaces", "namespaceSelector"],
        foreign: [
            "labels": "write matchLabels", "name": "write names: and a list",
            "namespace": "write namespaces: and a list",
            "podSelector": "write its matchLabels directly in the selector",
            "labelSelector": "write its matchLabels directly in the selector",
        ]
    )

    /// Reads a selector of workloads: `selects` of a policy, `endpoints` of an entry of `to`.
    ///
    /// - Parameters:
    ///   - node: The selector's mapping.
    ///   - field: The field that holds it.
    ///   - everything: What to write for every workload, which an empty selector does not mean.
    /// - Returns: The selector, or `nil` after reporting what is wrong.
    mutating func readWorkloadSelector(_ node: DocumentNode, _ field: String, everything: String) -> WorkloadSelector? {
        var schema = PolicyReader.workloadSchema
        schema.name = field
        if case .mapping(let entries) = node.content { proposeMatchLabels(for: entries, in: &schema) }
        let mistakes = result.diagnostics.count
        guard let fields = fields(node, schema) else { return nil }
        let selector = WorkloadSelector(
            names: fields["names"].map { readNames($0, "names") } ?? [],
            namespaces: fields["namespaces"].map { readNames($0, "namespaces") } ?? [],
            namespaceLabels: fields["namespaceSelector"].flatMap { readLabelSelector($0, "namespaceSelector") }
                ?? .everything,
            labels: readOwnLabels(node, field)
        )
        guard result.diagnostics.count == mistakes else { return nil }
        if selector == .everything {
            error(
                DiagnosticCode.emptySelector, at: node.location,
                "\(field) asks for nothing, and would choose every workload", everything
            )
            return nil
        }
        return selector
    }

    /// The part of a selector that is a label selector.
    private mutating func readOwnLabels(_ node: DocumentNode, _ field: String) -> LabelSelector {
        guard case .mapping(let entries) = node.content else { return .everything }
        let labels = entries.filter { ["matchLabels", "matchExpressions"].contains($0.key) }
        if labels.isEmpty { return .everything }
        return readLabelSelector(DocumentNode(.mapping(labels), location: node.location), field) ?? .everything
    }

    private mutating func readNames(_ node: DocumentNode, _ field: String) -> [String] {
        guard
            let items = items(
                node, field, emptyMessage: "\(field) is empty, and an empty list would choose nothing",
                emptySuggestion: "write at least one name, or leave \(field) out")
        else { return [] }
        return items.compactMap { item in
            guard let name = string(item, "an entry of \(field)", expected: "a name") else { return nil }
            let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let isNamespace = field == "namespaces"
            if parts.count <= (isNamespace ? 1 : 2),
                parts.allSatisfy({ !$0.isEmpty && LabelSyntax.isName($0[...], limit: 253) })
            {
                return name
            }
            error(
                DiagnosticCode.invalidName, at: item.location,
                "\(quoted(name)) cannot be the name of a \(isNamespace ? "namespace" : "workload")",
                isNamespace
                    ? "write one name in full; to choose by labels write namespaceSelector"
                    : "write NAME or NAMESPACE/NAME in full; to choose by labels write matchLabels"
            )
            return nil
        }
    }
}
