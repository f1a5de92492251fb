// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An IPv6 address (RFC 4291), held in host byte order.
///
/// Zones (`fe80::1%eth0`) are not part of the address.
public struct IPv6Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    // Two halves rather than one UInt128: Swift 6.3 passes enums and structs around a UInt128 in registers and
    // spills them to places that are not aligned to 16 bytes, which traps. `KernelFlowsTests` has the case.
    private var high: UInt64
    private var low: UInt64

    /// The address as a number: `::1` is `1`, whatever the machine's byte order.
    public var rawValue: UInt128 {
        get { UInt128(high) << 64 | UInt128(low) }
        set { self = IPv6Address(rawValue: newValue) }
    }

    /// Creates an address from its number in host byte order.
    public init(rawValue: UInt128) {
        high = UInt64(truncatingIfNeeded: rawValue >> 64)
        low = UInt64(truncatingIfNeeded: rawValue)
    }

    /// Parses the forms of RFC 4291, section 2.2: full, compressed with one `::`, and with a dotted IPv4 tail.
    public init?(_ text: some StringProtocol) {
        guard let address = IPv6Address.read(Substring(text)) else { return nil }
        self = address
    }

    /// The eight 16-bit groups, most significant first.
    public var groups: [UInt16] {
        (0..<8).map { UInt16(truncatingIfNeeded: rawValue >> (112 - 16 * UInt128($0))) }
    }

    /// The canonical text of RFC 5952: lower case, no leading zeros, the longest run of zeros compressed.
    ///
    /// IPv4-mapped addresses (`::ffff:192.0.2.1`) are written with the dotted tail.
    public var description: String {
        if rawValue >> 32 == 0xffff {
            return "::ffff:\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: rawValue)))"
        }
        let groups = self.groups
        var longest = 0..<0
        var start = 0
        while start < 8 {
            guard groups[start] == 0 else {
                start += 1
                continue
            }
            var end = start
            while end < 8 && groups[end] == 0 { end += 1 }
            if end - start > longest.count && end - start > 1 { longest = start..<end }
            start = end
        }
        func joined(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return joined(0..<8) }
        return joined(0..<longest.lowerBound) + "::" + joined(longest.upperBound..<8)
    }

    /// Numeric order.
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Reads a text byte by byte: groups come in from the right, and those that `::` stands for are put in at the end.
    private static func read(_ text: Substring) -> IPv6Address? {
        var value: UInt128 = 0
        var count = 0
        // How many groups are before the `::`.
        var gap: Int?
        var group: UInt128 = 0
        var digits = 0
        // How many colons are right before this place.
        var colons = 0
        var start = text.startIndex
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text.utf8[index]
            if byte == UInt8(ascii: ".") {
                // The last two groups, in IPv4's form; whatever of them has been read as a group is read anew.
                guard let tail = IPv4Address(text[start...]) else { return nil }
                return made(of: value << 32 | UInt128(tail.rawValue), count + 2, gap)
            }
            index = text.utf8.index(after: index)
            if byte == UInt8(ascii: ":") {
                if digits > 0 {
                    value = value << 16 | group
                    count += 1
                    (group, digits, colons) = (0, 0, 1)
                } else {
                    colons += 1
                    guard colons == 1 || (colons == 2 && gap == nil) else { return nil }
                    if colons == 2 { gap = count }
                }
                start = index
                continue
            }
            // One colon alone can only stand behind a group.
            guard let digit = hexDigit(byte), digits < 4, colons != 1 || count > 0 else { return nil }
            group = group << 4 | UInt128(digit)
            digits += 1
            colons = 0
        }
        if digits == 0 { return colons == 2 ? made(of: value, count, gap) : nil }
        return made(of: value << 16 | group, count + 1, gap)
    }

    /// The address of so many groups, eight in all or, with a gap behind so many of them, seven at most.
    private static func made(of value: UInt128, _ count: Int, _ gap: Int?) -> IPv6Address? {
        guard let gap else { return count == 8 ? IPv6Address(rawValue: value) : nil }
        guard count <= 7 else { return nil }
        let behind = 16 * (count - gap)
        let low = value & ((UInt128(1) << UInt128(behind)) - 1)
        return IPv6Address(rawValue: (value >> UInt128(behind)) << UInt128(16 * (8 - gap)) | low)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
