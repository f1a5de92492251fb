// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy

/// What is there at some moment of a case: documents, and labels that were changed since.
struct ConformanceState {
    private struct Key: Hashable {
        var kind: String
        var name: String
    }

    private var documents: [(key: Key, node: DocumentNode)] = []
    private var podLabels: [String: [String: String?]] = [:]
    private var namespaceLabels: [String: [String: String?]] = [:]

    /// Adds objects, or puts them in place of those of the same kind and name.
    mutating func apply(_ text: [UInt8], _ file: String) throws {
        let read = DocumentReader.read(text: text, file: file)
        if let problem = read.diagnostics.first { throw ConformanceError(problem, file) }
        for document in read.documents {
            for object in ConformanceState.objects(in: document) {
                let key = ConformanceState.key(of: object)
                if let place = documents.firstIndex(where: { $0.key == key }) {
                    documents[place].node = object
                } else {
                    documents.append((key, object))
                }
            }
        }
    }

    /// Removes an object; `false` if there is none of the name.
    mutating func delete(_ kind: String, _ name: String) -> Bool {
        let count = documents.count
        documents.removeAll { $0.key == Key(kind: kind, name: name) }
        return documents.count < count
    }

    /// Sets a label, or with `nil` removes it. A pod is named `namespace/name`.
    mutating func setLabel(of kind: String, _ name: String, _ key: String, _ value: String?) {
        if kind == "pod" {
            podLabels[name, default: [:]][key] = .some(value)
        } else {
            namespaceLabels[name, default: [:]][key] = .some(value)
        }
    }

    /// The policies and the inventory.
    func read(_ location: SourceLocation) throws -> (catalog: PolicyCatalog, inventory: Inventory) {
        let result = PolicyReader.read(documents.map(\.node), scope: .manifests)
        if let problem = result.diagnostics.first(where: { $0.severity == .error }) {
            throw ConformanceError(problem, location.file)
        }
        var workloads = result.inventory.workloads
        for place in workloads.indices {
            for (key, value) in podLabels[workloads[place].id.description] ?? [:] {
                workloads[place].labels[key] = value
            }
        }
        var namespaces = result.inventory.namespaces
        for (name, labels) in namespaceLabels {
            for (key, value) in labels { namespaces[name, default: [:]][key] = value }
        }
        return (
            result.catalog, Inventory(workloads: workloads, namespaces: namespaces, nodes: result.inventory.nodes)
        )
    }

    private static func objects(in document: DocumentNode) -> [DocumentNode] {
        guard text(document, "kind") == "List", case .mapping(let entries) = document.content,
            case .sequence(let items)? = entries.first(where: { $0.key == "items" })?.value.content
        else { return [document] }
        return items
    }

    private static func key(of object: DocumentNode) -> Key {
        guard case .mapping(let entries) = object.content,
            let metadata = entries.first(where: { $0.key == "metadata" })?.value
        else { return Key(kind: text(object, "kind"), name: "") }
        let namespace = text(metadata, "namespace")
        let name = text(metadata, "name")
        return Key(kind: text(object, "kind"), name: namespace.isEmpty ? name : "\(namespace)/\(name)")
    }

    private static func text(_ node: DocumentNode, _ key: String) -> String {
        guard case .mapping(let entries) = node.content else { return "" }
        return entries.first { $0.key == key }?.value.text ?? ""
    }
}

extension ConformanceError {
    init(_ diagnostic: Diagnostic, _ file: String) {
        description = "\(file): \(DiagnosticFormatter.format(diagnostic))"
    }
}
