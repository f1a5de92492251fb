// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A domain name as the DNS carries it: labels of any bytes, in the letter case in which they came (RFC 1035).
///
/// Two names are equal if they differ in the case of ASCII letters alone (RFC 4343); ``isIdentical(to:)`` compares the
/// letters too.
public struct DNSName: Sendable {
    /// The most bytes that a name takes, the root's zero included.
    public static let maximumLength = 255
    /// The most bytes in a label.
    public static let maximumLabelLength = 63
    /// The name of the root.
    public static let root = DNSName(uncheckedWire: [0])

    /// The labels, each after its length, and a zero: the form without compression.
    public let wire: [UInt8]

    /// Takes bytes that are known to be a whole name.
    init(uncheckedWire wire: [UInt8]) {
        self.wire = wire
    }

    /// Creates a name from its labels, the root's left out.
    ///
    /// - Throws: ``DNSWireError`` if a label is empty or too long, or the name is.
    public init(labels: some Sequence<some Collection<UInt8>>) throws(DNSWireError) {
        var wire: [UInt8] = []
        for label in labels {
            guard (1...DNSName.maximumLabelLength).contains(label.count) else { throw .badLabel }
            wire.append(UInt8(truncatingIfNeeded: label.count))
            wire.append(contentsOf: label)
            guard wire.count < DNSName.maximumLength else { throw .nameTooLong }
        }
        wire.append(0)
        self.wire = wire
    }

    /// Parses labels joined by dots, with or without one at the end; no escapes. `.` is the root.
    public init?(_ text: some StringProtocol) {
        var bytes = Substring(text).utf8[...]
        if bytes.last == UInt8(ascii: ".") { bytes = bytes.dropLast() }
        if bytes.isEmpty {
            guard !text.isEmpty else { return nil }
            self = .root
            return
        }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let name = try? DNSName(labels: labels) else { return nil }
        self = name
    }

    /// Reads a name that fills the bytes exactly; no compression.
    public init(wire: some Sequence<UInt8>) throws(DNSWireError) {
        var reader = DNSReader(Array(wire))
        self = try reader.readName()
        guard reader.count == 0 else { throw .badLength }
    }

    /// The number of labels, the root's left out.
    public var labelCount: Int {
        var count = 0
        var place = 0
        while place < wire.count, wire[place] != 0 {
            count += 1
            place += 1 + Int(wire[place])
        }
        return count
    }

    /// The labels in order, the root's left out.
    public var labels: [ArraySlice<UInt8>] {
        var labels: [ArraySlice<UInt8>] = []
        var place = 0
        while place < wire.count, wire[place] != 0 {
            let end = min(place + 1 + Int(wire[place]), wire.count)
            labels.append(wire[(place + 1)..<end])
            place = end
        }
        return labels
    }

    /// The name in lower case, which stands for all names equal to it.
    public var lowercased: DNSName { DNSName(uncheckedWire: wire.map(ASCII.lowercased)) }

    /// Whether the letters are the same too.
    public func isIdentical(to other: DNSName) -> Bool { wire == other.wire }

    /// The name without its first label; the root has none to lose.
    public var parent: DNSName {
        guard let length = wire.first, length > 0, wire.count > Int(length) + 1 else { return self }
        return DNSName(uncheckedWire: Array(wire[(Int(length) + 1)...]))
    }

    /// The name with letters in the case that the bits choose, from the last letter on (0x20).
    ///
    /// - Parameter next: Gives 64 random bits, as often as needed.
    /// - Returns: An equal name, which is identical to this one by chance alone.
    public func mixingCase(_ next: () -> UInt64) -> DNSName {
        var result = wire
        var bits: UInt64 = 0
        var left = 0
        for (index, byte) in wire.enumerated() where ASCII.isLetter(byte) {
            if left == 0 {
                bits = next()
                left = 64
            }
            // Lengths are at most 63 and so never letters.
            result[index] = bits & 1 == 0 ? byte | 0x20 : byte & ~0x20
            bits >>= 1
            left -= 1
        }
        return DNSName(uncheckedWire: result)
    }
}

extension DNSName: Hashable {
    /// Whether they are the same but for the case of ASCII letters.
    public static func == (left: DNSName, right: DNSName) -> Bool {
        guard left.wire.count == right.wire.count else { return false }
        if left.wire == right.wire { return true }
        for index in left.wire.indices where ASCII.lowercased(left.wire[index]) != ASCII.lowercased(right.wire[index]) {
            return false
        }
        return true
    }

    /// Hashes the name in lower case.
    public func hash(into hasher: inout Hasher) {
        let lowercased = wire.map(ASCII.lowercased)
        unsafe lowercased.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}

extension DNSName: CustomStringConvertible {
    /// Labels joined by dots, without one at the end. Bytes that are not printable, and dots and backslashes inside labels,
    /// are written as `\DDD` (RFC 1035, section 5.1). The root is `.`.
    public var description: String {
        guard wire.count > 1 else { return "." }
        var text = ""
        for label in labels {
            if !text.isEmpty { text += "." }
            for byte in label {
                let isPlain = byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: ".") && byte != UInt8(ascii: "\\")
                if isPlain {
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                } else {
                    let digits = String(byte)
                    text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
                }
            }
        }
        return text
    }
}

/// What ASCII says of bytes.
enum ASCII {
    /// A capital letter as a small one, everything else as it is.
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// Whether the byte is a letter.
    @inline(__always)
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
}
