// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDocuments
import EgretPolicy

/// What files define, document by document.
enum DocumentIndex {
    /// The kinds that the agent keeps.
    static let kinds = Swift.Set(AgentAPI.kinds)

    /// Whether an object is a policy: the others say what policies speak of.
    static func isPolicy(_ object: String) -> Bool {
        !["DestinationGroup/", "PriceList/", "Namespace/", "Node/"].contains { object.hasPrefix($0) }
    }

    /// Splits files into documents.
    ///
    /// - Parameters:
    ///   - files: The files.
    ///   - known: Documents that have been split before: they are not looked into again.
    /// - Returns: The documents that define something to be kept, those with mistakes among them, and how many others
    ///   there are of each kind.
    static func read(
        _ files: [SourceFile], known: [StoredDocument] = []
    ) -> (documents: [StoredDocument], passedOver: [String: Int]) {
        let names = Swift.Set(files.map(\.name))
        var former: [Place: StoredDocument] = [:]
        for document in known where names.contains(document.file) {
            former[Place(file: document.file, line: document.line)] = document
        }
        var documents: [StoredDocument] = []
        var passedOver: [String: Int] = [:]
        for file in files {
            for part in DocumentSplitter.split(file.text) {
                if let document = former[Place(file: file.name, line: part.line)], document.text == part.text {
                    documents.append(document)
                    continue
                }
                let (nodes, diagnostics) = DocumentReader.read(
                    text: Array(part.text.utf8), file: file.name, amongManifests: true)
                let objects = nodes.flatMap(objects)
                for case .other(let kind) in objects { passedOver[kind, default: 0] += 1 }
                let names = objects.compactMap { if case .kept(let name) = $0 { name } else { nil } }
                // What nobody can name is kept for the reader, which reports its mistakes.
                let hasMistakes = diagnostics.contains { $0.severity == .error }
                guard !names.isEmpty || objects.contains(.unknown) || hasMistakes else { continue }
                documents.append(StoredDocument(objects: names, file: file.name, line: part.line, text: part.text))
            }
        }
        return (documents, passedOver)
    }

    private struct Place: Hashable {
        var file: String
        var line: Int
    }

    private enum Object: Hashable {
        case kept(String)
        case other(kind: String)
        case unknown
    }

    private static func objects(of node: DocumentNode) -> [Object] {
        guard case .mapping = node.content, let kind = node["kind"]?.string else { return [.unknown] }
        if kind.hasSuffix("List"), case .sequence(let items)? = node["items"]?.content {
            let itemKind = String(kind.dropLast(4))
            return items.flatMap { item in
                item["kind"] == nil && !itemKind.isEmpty ? [object(item, kind: itemKind)] : objects(of: item)
            }
        }
        return [object(node, kind: kind)]
    }

    private static func object(_ node: DocumentNode, kind: String) -> Object {
        guard kinds.contains(kind) else { return isForeign(node) ? .other(kind: kind) : .unknown }
        guard let name = node["metadata"]?["name"]?.text, !name.isEmpty else { return .unknown }
        if kind != "NetworkPolicy" { return .kept("\(kind)/\(name)") }
        let namespace = node["metadata"]?["namespace"]?.text ?? ""
        return .kept("\(kind)/\(namespace.isEmpty ? "default" : namespace)/\(name)")
    }

    /// Whether the document is of an API that has kinds which say nothing here.
    private static func isForeign(_ node: DocumentNode) -> Bool {
        guard let version = node["apiVersion"]?.string else { return false }
        return !version.hasPrefix("egret.dev/")
    }
}

extension DocumentNode {
    /// The value of a key of a mapping.
    fileprivate subscript(_ key: String) -> DocumentNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }

    fileprivate var string: String? {
        if case .string(let text) = content { return text }
        return nil
    }
}
