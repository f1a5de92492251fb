// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The name of a network interface: 1 to 15 bytes, no slash, no white space, neither `.` nor `..`.
///
/// The limit is `IFNAMSIZ` less its terminator; the rest is `dev_valid_name` in `net/core/dev.c`.
public struct InterfaceName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name.
    public let rawValue: String

    /// Names that the kernel has for all links together: of files, and of their switches (`dev_valid_name` in `net/core/dev.c`,
    /// `sysctl_dev_name_is_allowed` in `net/ipv4/devinet.c`).
    private static let reserved: Set<String> = [".", "..", "all", "default"]
    /// What ends a name or divides it for the kernel, and the sign for which it puts a number.
    private static let forbidden = Set("/:%\u{7f}".utf8)

    /// Creates a name, or `nil` if the kernel would refuse it, or make another one of it.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard (1...15).contains(bytes.count), !InterfaceName.reserved.contains(String(text)),
            bytes.allSatisfy({ $0 > 0x20 && !InterfaceName.forbidden.contains($0) })
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
