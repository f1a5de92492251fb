// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    /// Takes a mapping apart, reporting fields that do not belong.
    mutating func fields(_ node: DocumentNode, _ schema: DocumentFields.Schema) -> DocumentFields? {
        DocumentFields(node, schema, diagnostics: &result.diagnostics)
    }

    /// The text of a field; reports other types. `expected` completes "expected ...".
    mutating func string(_ node: DocumentNode, _ field: String, expected: String) -> String? {
        if case .string(let text) = node.content { return text }
        let isScalar = !node.text.isEmpty
        error(
            DiagnosticCode.wrongType, at: node.location, "\(field) is a text, and here is \(node.found)",
            isScalar ? "put it in quotes if you mean the text: \"\(node.text)\"" : "write \(expected)"
        )
        return nil
    }

    /// The items of a list that must not be empty; `nil` after reporting, with `emptyMessage` for an empty one.
    mutating func items(
        _ node: DocumentNode, _ field: String, emptyMessage: String, emptySuggestion: String
    ) -> [DocumentNode]? {
        guard case .sequence(let items) = node.content else {
            let suggestion =
                node.text.isEmpty
                ? "begin each entry with a hyphen and a space" : "write a list: \(field): [\(node.text)]"
            error(
                DiagnosticCode.wrongType, at: node.location, "\(field) is a list, and here is \(node.found)",
                node.content == .null ? emptySuggestion : suggestion
            )
            return nil
        }
        if items.isEmpty {
            error(DiagnosticCode.empty, at: node.location, emptyMessage, emptySuggestion)
            return nil
        }
        return items
    }

    /// A value out of a fixed set of words; reports others with the nearest spelling.
    mutating func word<Value: RawRepresentable & CaseIterable>(
        _ node: DocumentNode, _ field: String, as: Value.Type, others: [String: String] = [:]
    ) -> Value? where Value.RawValue == String {
        let words = Value.allCases.map(\.rawValue)
        let choice = Spelling.list(words, conjunction: "or")
        guard case .string(let text) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "\(field) is one word, and here is \(node.found)",
                "write \(choice)"
            )
            return nil
        }
        if let value = Value(rawValue: text) { return value }
        error(
            DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not a value of \(field)",
            others[text.lowercased()].map { "did you mean \"\($0)\"?" }
                ?? Spelling.suggestion(for: text, among: words, verb: "write")
        )
        return nil
    }

    /// The value of a required field; reports its absence and an empty value.
    mutating func required(
        _ key: String, in fields: DocumentFields, of owner: String, suggestion: String
    ) -> DocumentNode? {
        if let node = fields[key], node.content != .null { return node }
        error(
            DiagnosticCode.missingField, at: fields.has(key) ? fields.location(of: key) : fields.node.location,
            fields.has(key) ? "\(key) of \(owner) has no value" : "\(owner) has no \(key)", suggestion
        )
        return nil
    }
}
