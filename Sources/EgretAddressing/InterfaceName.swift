// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The name of a network interface: 1 to 15 bytes, no slash, no white space, neither `.` nor `..`.
///
/// The limit is `IFNAMSIZ` less its terminator; the rest is `dev_valid_name` in `net/core/dev.c`.
public struct InterfaceName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name.
    public let rawValue: String

    /// Creates a name, or `nil` if the kernel would refuse it.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard (1...15).contains(bytes.count), text != ".", text != "..",
            bytes.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") && $0 != 0x7f })
        else { return nil }
        rawValue = String(text)
    }

    /// The name.
    public var description: String { rawValue }

    /// By bytes.
    public static func < (left: InterfaceName, right: InterfaceName) -> Bool {
        left.rawValue < right.rawValue
    }
}
