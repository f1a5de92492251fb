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
        guard let groups = IPv6Address.groups(of: Substring(text)) else { return nil }
        self.init(rawValue: groups.reduce(0) { $0 << 16 | UInt128($1) })
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

    private static func groups(of text: Substring) -> [UInt16]? {
        let halves = splitAtDoubleColon(text)
        guard let halves, let head = halfGroups(halves.0, mayEndInIPv4: halves.1 == nil) else { return nil }
        guard let tailText = halves.1 else { return head.count == 8 ? head : nil }
        guard let tail = halfGroups(tailText, mayEndInIPv4: true), head.count + tail.count <= 7 else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    private static func splitAtDoubleColon(_ text: Substring) -> (Substring, Substring?)? {
        var index = text.startIndex
        while index < text.endIndex {
            let next = text.index(after: index)
            if text[index] == ":" && next < text.endIndex && text[next] == ":" {
                let tail = text[text.index(after: next)...]
                if tail.first == ":" { return nil }
                return (text[..<index], tail)
            }
            index = next
        }
        return (text, nil)
    }

    private static func halfGroups(_ text: Substring, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (offset, part) in parts.enumerated() {
            if mayEndInIPv4 && offset == parts.count - 1 && part.contains(".") {
                guard let tail = IPv4Address(part) else { return nil }
                groups.append(UInt16(tail.rawValue >> 16))
                groups.append(UInt16(truncatingIfNeeded: tail.rawValue))
                continue
            }
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexDigit),
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups.count <= 8 ? groups : nil
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}
