// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The fields of one mapping, checked against those that exist.
struct DocumentFields {
    /// What a mapping may hold.
    struct Schema {
        /// Where the mapping is, for messages: `spec`, `a rule`.
        var name: String
        /// The fields that are read.
        var fields: [String]
        /// Fields of the language that this version does not act on.
        var notSupportedYet: [String] = []
        /// Fields of other tools, with what to write here.
        var foreign: [String: String] = [:]
    }

    /// The mapping.
    let node: DocumentNode
    /// Whether the mapping held a field that does not exist, which has been reported.
    let hasUnknown: Bool
    private let entries: [DocumentNode.Entry]

    /// Takes a mapping apart; reports what is not a mapping and every field that does not belong.
    init?(_ node: DocumentNode, _ schema: Schema, diagnostics: inout [Diagnostic]) {
        guard case .mapping(let entries) = node.content else {
            diagnostics.append(
                Diagnostic(
                    .error, code: DiagnosticCode.wrongType, at: node.location,
                    "\(schema.name) is a mapping, and here is \(node.found)",
                    suggestion:
                        "write its fields as key: value; they are \(Spelling.list(schema.fields, conjunction: "and"))"
                ))
            return nil
        }
        self.node = node
        self.entries = entries
        let unknown = entries.filter { !schema.fields.contains($0.key) }
        hasUnknown = !unknown.isEmpty
        diagnostics += unknown.map { DocumentFields.problem(with: $0, schema) }
    }

    /// The value of a field; `nil` if it is absent.
    subscript(_ key: String) -> DocumentNode? {
        entries.first { $0.key == key }?.value
    }

    /// Where a field's key stands, or where the mapping begins.
    func location(of key: String) -> SourceLocation {
        entries.first { $0.key == key }?.keyLocation ?? node.location
    }

    /// Whether the field is there, whatever its value.
    func has(_ key: String) -> Bool {
        entries.contains { $0.key == key }
    }

    /// Whether the mapping holds nothing at all.
    var isEmpty: Bool { entries.isEmpty }

    private static func problem(with entry: DocumentNode.Entry, _ schema: Schema) -> Diagnostic {
        if schema.notSupportedYet.contains(entry.key) {
            return Diagnostic(
                .error, code: DiagnosticCode.notSupportedYet, at: entry.keyLocation,
                "\"\(entry.key)\" in \(schema.name) is not supported yet",
                suggestion: "remove it: this version of Egret does not enforce it, and refuses to look as if it did"
            )
        }
        let suggestion =
            schema.foreign[entry.key]
            ?? Spelling.nearest(to: entry.key, among: schema.fields).map { "did you mean \"\($0)\"?" }
            ?? "the fields of \(schema.name): \(Spelling.list(schema.fields, conjunction: "and"))"
        return Diagnostic(
            .error, code: DiagnosticCode.unknownField, at: entry.keyLocation,
            "unknown field \(quoted(entry.key)) in \(schema.name)", suggestion: suggestion
        )
    }
}
