// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension DocumentNode {
    /// What the node is, for messages: `a list`, `the number 5`, `the text "x"`.
    var found: String {
        switch content {
        case .null: text.isEmpty ? "nothing" : quoted(text)
        case .boolean(let value): "the boolean \(value)"
        case .integer: "the number \(text)"
        case .string(let value): "the text \(quoted(value))"
        case .sequence(let items): items.isEmpty ? "an empty list" : "a list"
        case .mapping(let entries): entries.isEmpty ? "an empty mapping" : "a mapping"
        }
    }
}
