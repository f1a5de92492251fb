// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let objectSchema = DocumentFields.Schema(
        name: "the document", fields: ["apiVersion", "kind", "metadata", "spec", "status"])

    /// Reads a document of a kind that is not Egret's own.
    ///
    /// - Parameters:
    ///   - document: The document, a mapping.
    ///   - kind: Its kind.
    ///   - location: Where the kind is written.
    ///   - inherited: What a list says of its items that do not say it themselves.
    mutating func readForeignDocument(
        _ document: DocumentNode, _ kind: String, at location: SourceLocation, inherited: String? = nil
    ) {
        guard let version = readVersion(document, kind, inherited: inherited) else { return }
        if kind == "List" || KubernetesKinds.element(ofList: kind) != nil {
            readList(document, kind, version)
            return
        }
        guard let wanted = KubernetesKinds.read[kind] else {
            passOver(kind, version, at: location)
            return
        }
        guard version == wanted else {
            judgeVersion(document, kind, version, wanted)
            return
        }
        result.kinds[kind, default: 0] += 1
        if kind == "NetworkPolicy" {
            if let fields = fields(document, PolicyReader.objectSchema) { readNetworkPolicy(fields) }
        } else if let dialect = ClusterPolicyDialect(rawValue: kind) {
            if let fields = fields(document, PolicyReader.objectSchema) { readClusterPolicy(fields, dialect) }
        } else {
            readManifest(document, kind)
        }
    }

    private mutating func readVersion(_ document: DocumentNode, _ kind: String, inherited: String?) -> String? {
        if let node = document.member("apiVersion") { return string(node, "apiVersion", expected: "a version") }
        if let inherited { return inherited }
        error(
            DiagnosticCode.missingField, at: document.location, "the document has no apiVersion",
            KubernetesKinds.read[kind].map { "write apiVersion: \($0)" } ?? "write the apiVersion of \(kind)"
        )
        return nil
    }

    /// Reads the items of a list, as `kubectl get -o yaml` prints them.
    private mutating func readList(_ document: DocumentNode, _ kind: String, _ version: String) {
        guard let items = document.member("items") else { return }
        guard case .sequence(let nodes) = items.content else {
            error(
                DiagnosticCode.wrongType, at: items.location, "items is a list, and here is \(items.found)",
                "begin each item with a hyphen"
            )
            return
        }
        let element = KubernetesKinds.element(ofList: kind)
        for node in nodes {
            guard case .mapping = node.content else {
                error(
                    DiagnosticCode.wrongType, at: node.location, "an item is an object, and here is \(node.found)",
                    "write apiVersion, kind and metadata, or remove the item"
                )
                continue
            }
            if node.member("kind") == nil, let element {
                readForeignDocument(node, element, at: node.location, inherited: version)
            } else {
                readDocument(node)
            }
        }
    }

    /// Whether documents of a kind are passed over among manifests, and nothing is said about them but how many there are.
    ///
    /// - Parameters:
    ///   - kind: What `kind` says.
    ///   - apiVersion: What `apiVersion` says.
    /// - Returns: Whether Egret reads nothing in them, whatever they hold.
    public static func passesOver(kind: String, apiVersion: String) -> Bool {
        if ownKinds.contains(kind) || kind == "Network" || kind == "List" || kind.hasSuffix("NetworkPolicy") {
            return false
        }
        return KubernetesKinds.read[kind] == nil && KubernetesKinds.element(ofList: kind) == nil
            && !KubernetesKinds.isMistaken(kind, group: KubernetesKinds.group(apiVersion))
    }

    /// What to say about a kind that Egret does not read.
    private mutating func passOver(_ kind: String, _ version: String, at location: SourceLocation) {
        let group = KubernetesKinds.group(version)
        if KubernetesKinds.isMistaken(kind, group: group) {
            let known = group == "egret.dev" ? PolicyReader.ownKinds : KubernetesKinds.kinds(ofGroup: group)
            error(
                DiagnosticCode.kind, at: location, "unknown kind \(quoted(kind)) of \(version)",
                Spelling.nearest(to: kind, among: known).map { "did you mean \"\($0)\"?" }
                    ?? "the kinds that are read: \(Spelling.list(known, conjunction: "and"))"
            )
            return
        }
        if kind.hasSuffix("NetworkPolicy") { warnAboutForeignPolicy(kind, version, at: location) }
        result.passedOver[kind, default: 0] += 1
    }

    /// A kind that is read, with an `apiVersion` that is not.
    private mutating func judgeVersion(_ document: DocumentNode, _ kind: String, _ version: String, _ wanted: String) {
        let group = KubernetesKinds.group(version)
        let location = document.member("apiVersion")?.location ?? document.location
        let isMeant =
            KubernetesKinds.groups.contains(group) || group == "extensions"
            || Spelling.nearest(to: version, among: [wanted]) != nil
        if isMeant {
            error(
                DiagnosticCode.apiVersion, at: location,
                "\(kind) is read of \(wanted), and here is \(quoted(version))", "write apiVersion: \(wanted)"
            )
            return
        }
        if KubernetesKinds.policies.contains(kind) { warnAboutForeignPolicy(kind, version, at: location) }
        result.passedOver[kind, default: 0] += 1
    }

    private mutating func warnAboutForeignPolicy(_ kind: String, _ version: String, at location: SourceLocation) {
        warning(
            DiagnosticCode.foreignPolicy, at: location,
            "the \(kind) of \(KubernetesKinds.group(version)) is another tool's policy, and is passed over",
            "write what it says as a NetworkPolicy, a ClusterNetworkPolicy or an EgressPolicy if it is to count here"
        )
    }
}
