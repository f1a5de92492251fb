// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DataValue {
    /// The value as a YAML document in block style, keys sorted, with a line feed at its end.
    public var yaml: String {
        lines.map { $0 + "\n" }.joined()
    }

    private var lines: [String] {
        switch self {
        case .array(let items) where !items.isEmpty:
            items.flatMap { item in
                item.lines.enumerated().map { $0 == 0 ? "- \($1)" : "  \($1)" }
            }
        case .object(let members) where !members.isEmpty:
            members.sorted { $0.key < $1.key }.flatMap { key, value in
                let key = YAMLScalar.text(key)
                guard value.isNested else { return ["\(key): \(value.scalar)"] }
                return ["\(key):"] + value.lines.map { "  \($0)" }
            }
        default: [scalar]
        }
    }

    private var isNested: Bool {
        switch self {
        case .array(let items): !items.isEmpty
        case .object(let members): !members.isEmpty
        default: false
        }
    }

    private var scalar: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .natural(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): YAMLScalar.text(value)
        case .array: "[]"
        case .object: "{}"
        }
    }
}
