// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// A key as it was read.
struct Key {
    /// Its text.
    var text: String
    /// Where it stands.
    var location: SourceLocation
    /// Whether it stands without quotes.
    var isPlain = false

    init(_ text: String, _ location: SourceLocation) {
        self.text = text
        self.location = location
    }

    init(plain text: String, _ location: SourceLocation) {
        self.init(text, location)
        isPlain = true
    }
}

/// The entries of a mapping so far.
struct MappingBuilder {
    /// The entries, in order.
    var entries: [DocumentNode.Entry] = []
    private var index: [String: SourceLocation] = [:]

    /// Where the key stands already. Small mappings are searched, large ones indexed.
    func location(of key: String) -> SourceLocation? {
        entries.count < 16 ? entries.first { $0.key == key }?.keyLocation : index[key]
    }

    mutating func append(_ entry: DocumentNode.Entry) {
        entries.append(entry)
        if entries.count == 16 {
            for entry in entries { index[entry.key] = entry.keyLocation }
        } else if entries.count > 16 {
            index[entry.key] = entry.keyLocation
        }
    }
}

extension DocumentParser {
    /// Adds an entry, or reports a key that is not allowed or stands twice.
    mutating func add(_ key: Key, _ value: DocumentNode, to mapping: inout MappingBuilder) {
        if let problem = problem(with: key) {
            diagnostics.append(problem)
            return
        }
        if let first = mapping.location(of: key.text) {
            diagnostics.append(
                DocumentReader.problem(
                    DiagnosticCode.duplicateKey, at: key.location,
                    "the key \(key.text) stands here already, at \(first)",
                    "remove one of the two"
                ))
            return
        }
        mapping.append(DocumentNode.Entry(key: key.text, keyLocation: key.location, value: value))
    }

    private func problem(with key: Key) -> Diagnostic? {
        guard key.isPlain else { return nil }
        if key.text == "<<" {
            return DocumentReader.problem(
                DiagnosticCode.unsupportedYAML, at: key.location, "merge keys (<<) are not read",
                "write the merged fields out"
            )
        }
        if case .string = ScalarResolution.content(ofPlain: key.text) { return nil }
        let text = key.text.isEmpty ? "nothing" : key.text
        return DocumentReader.problem(
            DiagnosticCode.unsupportedYAML, at: key.location, "a key is a text, and here is \(text)",
            "put it in quotes: \"\(key.text)\""
        )
    }
}
