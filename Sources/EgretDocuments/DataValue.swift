// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What JSON and YAML have in common: values that commands print, and what a program passes on without knowing it.
public enum DataValue: Codable, Hashable, Sendable {
    /// Nothing.
    case null
    /// True or false.
    case bool(Bool)
    /// A whole number.
    case integer(Int64)
    /// A whole number above `Int64.max`.
    case natural(UInt64)
    /// Any other number.
    case number(Double)
    /// A text.
    case string(String)
    /// A list.
    case array([DataValue])
    /// Members by their names.
    case object([String: DataValue])

    /// Reads any value.
    ///
    /// - Throws: The decoder's error if there is none.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let natural = try? value.decode(UInt64.self) {
            self = .natural(natural)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let array = try? value.decode([DataValue].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: DataValue].self))
        }
    }

    /// Writes the value as it was read.
    ///
    /// - Throws: The encoder's error.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .natural(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }

    /// A member of an object; `nil` if it has none by that name, or is none.
    public subscript(_ key: String) -> DataValue? {
        if case .object(let members) = self { return members[key] }
        return nil
    }

    /// The text, if it is one.
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The members of a list; empty if it is none.
    public var items: [DataValue] {
        if case .array(let items) = self { items } else { [] }
    }
}
