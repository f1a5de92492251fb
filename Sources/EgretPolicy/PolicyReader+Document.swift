// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let ownVersion = "egret.dev/v1"

    /// The kinds of Egret's own language.
    static let ownKinds = ["EgressPolicy", "DestinationGroup", "PriceList"]

    /// Reads one document of whatever kind.
    mutating func readDocument(_ document: DocumentNode) {
        // As kubectl does.
        if readsManifests && document.content == .null { return }
        guard case .mapping(let entries) = document.content else {
            error(
                DiagnosticCode.wrongType, at: document.location,
                "a document is a mapping with apiVersion, kind, metadata and spec, and here is \(document.found)",
                "begin with apiVersion: egret.dev/v1"
            )
            return
        }
        guard let kindEntry = entries.first(where: { $0.key == "kind" }), kindEntry.value.content != .null else {
            error(
                DiagnosticCode.missingField, at: document.location, "the document has no kind",
                readsManifests
                    ? "write kind: and what it is, as EgressPolicy or NetworkPolicy; files that helm and kustomize read are "
                        + "no manifests, and what they print is" : "write kind: EgressPolicy or kind: DestinationGroup"
            )
            return
        }
        guard let kind = string(kindEntry.value, "kind", expected: "EgressPolicy or DestinationGroup") else { return }
        if !readsManifests, KubernetesKinds.policies.contains(kind) {
            refusePodPolicy(kind, at: kindEntry.value.location)
            return
        }
        if kind == "Network", !readsManifests || isOwn(entries) {
            error(
                DiagnosticCode.kind, at: kindEntry.value.location, "a Network is no policy",
                "make it with: egret network apply -f FILE"
            )
            return
        }
        if kind == "PriceList", !readsManifests {
            error(
                DiagnosticCode.kind, at: kindEntry.value.location, "a PriceList is no policy",
                "give it to the agent: egret apply -f FILE"
            )
            return
        }
        guard PolicyReader.ownKinds.contains(kind) else {
            if readsManifests {
                readForeignDocument(document, kind, at: kindEntry.value.location)
            } else {
                refuseKind(kind, at: kindEntry.value.location)
            }
            return
        }
        let schema = DocumentFields.Schema(
            name: "the document", fields: ["apiVersion", "kind", "metadata", "spec"],
            foreign: ["status": "remove it: status is what a cluster reports, not what a policy says"]
        )
        guard let fields = fields(document, schema) else { return }
        result.kinds[kind, default: 0] += 1
        checkVersion(fields, kind: kind)
        switch kind {
        case "EgressPolicy": readPolicy(fields)
        case "PriceList": readPriceList(fields)
        default: readGroup(fields)
        }
    }

    private func isOwn(_ entries: [DocumentNode.Entry]) -> Bool {
        entries.first { $0.key == "apiVersion" }?.value.string.map { KubernetesKinds.group($0) == "egret.dev" } ?? true
    }

    private mutating func refuseKind(_ kind: String, at location: SourceLocation) {
        if KubernetesKinds.read[kind] != nil {
            error(
                DiagnosticCode.kind, at: location, "a \(kind) is no policy, and no workload of this command",
                "for answers about workloads of files: egret explain -f FILE --from NAMESPACE/NAME"
            )
            return
        }
        error(
            DiagnosticCode.kind, at: location, "unknown kind \(quoted(kind))",
            Spelling.nearest(to: kind, among: PolicyReader.ownKinds + KubernetesKinds.policies)
                .map { "did you mean \"\($0)\"?" } ?? "write EgressPolicy or DestinationGroup"
        )
    }

    private mutating func refusePodPolicy(_ kind: String, at location: SourceLocation) {
        error(
            DiagnosticCode.podPolicy, at: location,
            "policies of the kind \(kind) are about pods, and nothing here is one",
            "write the rules as an EgressPolicy; for answers about pods: egret explain -f FILE --from NAMESPACE/NAME"
        )
    }

    private mutating func checkVersion(_ fields: DocumentFields, kind: String) {
        let suggestion = "write apiVersion: \(PolicyReader.ownVersion)"
        guard let node = required("apiVersion", in: fields, of: "the document", suggestion: suggestion) else { return }
        guard node.content != .string(PolicyReader.ownVersion) else { return }
        error(
            DiagnosticCode.apiVersion, at: node.location,
            "\(kind) has apiVersion \(PolicyReader.ownVersion), and here is \(node.found)", suggestion
        )
    }

    /// Reads `metadata` and returns its name, with its place.
    mutating func readMetadata(_ fields: DocumentFields, of owner: String) -> (name: String, location: SourceLocation)?
    {
        let suggestion = "write metadata: { name: ... } with a name of lower-case letters, digits and hyphens"
        guard let node = required("metadata", in: fields, of: owner, suggestion: suggestion) else { return nil }
        let schema = DocumentFields.Schema(
            name: "metadata", fields: ["name", "labels", "annotations"],
            foreign: ["namespace": "remove it: a policy here belongs to no Kubernetes namespace"]
        )
        guard let metadata = self.fields(node, schema) else { return nil }
        for key in ["labels", "annotations"] {
            if let map = metadata[key] { checkStringMap(map, key) }
        }
        guard let name = required("name", in: metadata, of: "metadata", suggestion: "write name: and a name"),
            let text = string(name, "name", expected: "a name of lower-case letters, digits and hyphens")
        else { return nil }
        return (text, name.location)
    }

    private mutating func checkStringMap(_ node: DocumentNode, _ field: String) {
        if node.content == .null { return }
        guard case .mapping(let entries) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location,
                "\(field) is a mapping of texts, and here is \(node.found)",
                "write \(field): { key: value }"
            )
            return
        }
        for entry in entries { _ = string(entry.value, "the value of \(quoted(entry.key))", expected: "a text") }
    }
}
