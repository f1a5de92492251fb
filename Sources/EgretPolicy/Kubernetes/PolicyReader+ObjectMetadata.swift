// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What `metadata` of an object of Kubernetes says.
struct ObjectMetadata {
    /// An object that this one belongs to.
    struct Owner {
        var kind: String
        var name: String
    }

    var name: String
    var namespace: String
    var labels: [String: String] = [:]
    var owners: [Owner] = []
    /// Where the name stands.
    var location: SourceLocation
}

extension PolicyReader {
    private static let metadataSchema = DocumentFields.Schema(
        name: "metadata",
        fields: [
            "name", "namespace", "labels", "annotations", "generateName", "uid", "resourceVersion", "generation",
            "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "ownerReferences",
            "finalizers", "managedFields",
        ]
    )

    /// Reads `metadata` of a policy of Kubernetes.
    ///
    /// - Parameters:
    ///   - document: The document.
    ///   - kind: Its kind, for messages.
    ///   - isNamespaced: Whether objects of the kind are in a namespace: `default` if none is written.
    /// - Returns: Name and namespace, or `nil` after reporting what is wrong with them.
    mutating func readObjectMetadata(
        _ document: DocumentFields, _ kind: String, isNamespaced: Bool
    ) -> ObjectMetadata? {
        let suggestion = "write metadata: { name: ... } with a name of lower-case letters, digits and hyphens"
        guard let node = required("metadata", in: document, of: "the \(kind)", suggestion: suggestion),
            let metadata = fields(node, PolicyReader.metadataSchema)
        else { return nil }
        checkLabels(metadata["labels"])
        let namespace = readNamespace(metadata, kind, isNamespaced: isNamespaced)
        guard let name = required("name", in: metadata, of: "metadata", suggestion: "write name: and a name"),
            let text = string(name, "name", expected: "a name of lower-case letters, digits and hyphens")
        else { return nil }
        if let problem = ObjectName.problem(withPolicyName: text) {
            result.diagnostics.append(problem.diagnostic(at: name.location))
            return nil
        }
        guard let namespace else { return nil }
        return ObjectMetadata(name: text, namespace: namespace, location: name.location)
    }

    private mutating func readNamespace(
        _ metadata: DocumentFields, _ kind: String, isNamespaced: Bool
    ) -> String? {
        guard let node = metadata["namespace"], node.content != .null else { return "default" }
        guard isNamespaced else {
            error(
                DiagnosticCode.unknownField, at: metadata.location(of: "namespace"),
                "a \(kind) is the whole cluster's and has no namespace", "remove it"
            )
            return nil
        }
        guard let text = string(node, "namespace", expected: "the name of a namespace") else { return nil }
        if text.isEmpty { return "default" }
        guard let problem = ObjectName.problem(withNamespace: text) else { return text }
        result.diagnostics.append(problem.diagnostic(at: node.location))
        return nil
    }

    private mutating func checkLabels(_ node: DocumentNode?) {
        guard let node, node.content != .null else { return }
        _ = readLabels(node, "labels")
    }

    /// The labels of an object.
    mutating func readLabels(_ node: DocumentNode, _ field: String) -> [String: String] {
        guard case .mapping(let entries) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location,
                "\(field) is a mapping of texts, and here is \(node.found)",
                "write \(field): { app: web }"
            )
            return [:]
        }
        var labels: [String: String] = [:]
        for entry in entries {
            checkLabelKey(entry.key, at: entry.keyLocation)
            if let value = readLabelValue(entry.value, "the value of \(quoted(entry.key))") {
                labels[entry.key] = value
            }
        }
        return labels
    }

    /// Notes the name of an object; reports one that is taken.
    mutating func claim(_ kind: String, _ name: String, at location: SourceLocation) {
        let key = "\(kind)/\(name)"
        guard let first = objectNames[key] else {
            objectNames[key] = location
            return
        }
        error(
            DiagnosticCode.duplicateName, at: location, "the \(kind) \(name) is defined already at \(first)",
            "remove one of the two, or give it another name"
        )
    }
}
