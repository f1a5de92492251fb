// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// What JSON and YAML have in common: the values that commands print.
enum DataValue: Decodable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case natural(UInt64)
    case number(Double)
    case text(String)
    case list([DataValue])
    case mapping([String: DataValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let boolean = try? value.decode(Bool.self) {
            self = .boolean(boolean)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let natural = try? value.decode(UInt64.self) {
            self = .natural(natural)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([DataValue].self) {
            self = .list(list)
        } else {
            self = .mapping(try value.decode([String: DataValue].self))
        }
    }

    /// The value as a YAML document in block style, keys sorted, with a line feed at its end.
    var yaml: String {
        lines.map { $0 + "\n" }.joined()
    }

    private var lines: [String] {
        switch self {
        case .list(let items) where !items.isEmpty:
            items.flatMap { item in
                item.lines.enumerated().map { $0 == 0 ? "- \($1)" : "  \($1)" }
            }
        case .mapping(let entries) where !entries.isEmpty:
            entries.sorted { $0.key < $1.key }.flatMap { key, value in
                let key = YAMLScalar.text(key)
                guard value.isNested else { return ["\(key): \(value.scalar)"] }
                return ["\(key):"] + value.lines.map { "  \($0)" }
            }
        default: [scalar]
        }
    }

    private var isNested: Bool {
        switch self {
        case .list(let items): !items.isEmpty
        case .mapping(let entries): !entries.isEmpty
        default: false
        }
    }

    private var scalar: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .natural(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): YAMLScalar.text(value)
        case .list: "[]"
        case .mapping: "{}"
        }
    }
}
