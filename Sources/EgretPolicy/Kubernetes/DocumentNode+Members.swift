// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension DocumentNode {
    /// The value of a key in a mapping of which Egret reads only a part; `nil` if it is missing or has no value.
    func member(_ key: String) -> DocumentNode? {
        guard case .mapping(let entries) = content,
            let value = entries.first(where: { $0.key == key })?.value, value.content != .null
        else { return nil }
        return value
    }

    /// The value at the end of a path of keys.
    func member(at path: String...) -> DocumentNode? {
        path.reduce(self) { $0?.member($1) }
    }

    /// The items, if it is a list.
    var items: [DocumentNode] {
        if case .sequence(let items) = content { items } else { [] }
    }

    /// The text, if it is one.
    var string: String? {
        if case .string(let text) = content { text } else { nil }
    }
}
