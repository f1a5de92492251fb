// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Names of bridges: one, or all that begin alike.
public struct BridgePattern: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// As it is written: `docker0`, or `br-*`.
    public let description: String
    /// How many bytes of a name are compared; 16, with the terminator, for the whole of it.
    let length: UInt8
    /// The bytes, the first of them highest.
    let value: UInt128

    /// Reads a pattern; `nil` if no interface could have such a name.
    ///
    /// - Parameter text: A name as the kernel takes it, or the beginning of one with `*` behind it.
    public init?(_ text: String) {
        let isPrefix = text.hasSuffix("*")
        let name = isPrefix ? String(text.dropLast()) : text
        let isSound = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && ![0x2a, 0x2f, 0x3a].contains($0) }
        guard (1...15).contains(name.utf8.count), isSound, name != ".", name != ".." else { return nil }
        description = text
        length = isPrefix ? UInt8(name.utf8.count) : 16
        let bytes = Array(name.utf8) + [UInt8](repeating: 0, count: Int(length) - name.utf8.count)
        value = bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// By what is written.
    public static func < (left: BridgePattern, right: BridgePattern) -> Bool { left.description < right.description }
}
