// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An IPv4 address (RFC 791), held in host byte order.
///
/// Ordering is numeric. Only the wire targets swap bytes.
public struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The address as a number: `192.0.2.1` is `0xC000_0201`, whatever the machine's byte order.
    public var rawValue: UInt32

    /// Creates an address from its number in host byte order.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Creates an address from its four octets, most significant first.
    public init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        rawValue = UInt32(first) << 24 | UInt32(second) << 16 | UInt32(third) << 8 | UInt32(fourth)
    }

    /// Parses four decimal octets joined by dots, and nothing else.
    ///
    /// The other spellings that `inet_aton(3)` takes (`127.1`, `0x7f000001`, `2130706433`, and octets with
    /// leading zeros, which some programs read as octal) are refused: two programs that read one spelling
    /// differently are a way round a policy.
    public init?(_ text: some StringProtocol) {
        var value: UInt32 = 0
        var octets = 0
        var digits = 0
        var octet: UInt32 = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if digits > 0 && octet == 0 { return nil }
                octet = octet * 10 + UInt32(byte - UInt8(ascii: "0"))
                digits += 1
                if digits > 3 || octet > 255 { return nil }
            case UInt8(ascii: "."):
                if digits == 0 || octets == 3 { return nil }
                value = value << 8 | octet
                octets += 1
                octet = 0
                digits = 0
            default:
                return nil
            }
        }
        guard octets == 3, digits > 0 else { return nil }
        rawValue = value << 8 | octet
    }

    /// Dotted decimal.
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 0xff).\(rawValue >> 8 & 0xff).\(rawValue & 0xff)"
    }

    /// Numeric order.
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool {
        left.rawValue < right.rawValue
    }
}
