// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// A list of addresses as feeds publish them: one address or CIDR a line, comments after `#` or `;`.
///
/// Addresses are those of policies: one spelling, no bits beyond the prefix length. White space around them, empty lines
/// and both kinds of line ends are taken.
public struct FeedList: Hashable, Sendable {
    /// A line that is no address.
    public struct Mistake: Hashable, Sendable {
        /// The line's number, from 1.
        public var line: Int
        /// What is wrong with it, and what to write.
        public var message: String
    }

    /// How many mistakes are kept; the others are counted.
    public static let keptMistakes = 20

    /// The blocks, in order; of the right lines only, if some are wrong.
    public private(set) var blocks: [AddressBlock] = []
    /// The first mistakes.
    public private(set) var mistakes: [Mistake] = []
    /// The number of all mistakes.
    public private(set) var mistakeCount = 0

    /// Reads a list.
    ///
    /// - Complexity: O(*n*) in the number of bytes; a million lines take a fraction of a second.
    public init(_ bytes: [UInt8]) {
        var line = 1
        var place = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
        while place < bytes.count {
            var end = place
            while end < bytes.count, bytes[end] != 0x0a { end += 1 }
            read(bytes, place, end, line)
            line += 1
            place = end + 1
        }
    }

    private mutating func read(_ bytes: [UInt8], _ lineStart: Int, _ lineEnd: Int, _ line: Int) {
        var start = lineStart
        while start < lineEnd, FeedList.isSpace(bytes[start]) { start += 1 }
        var end = start
        while end < lineEnd, bytes[end] != UInt8(ascii: "#"), bytes[end] != UInt8(ascii: ";") { end += 1 }
        while end > start, FeedList.isSpace(bytes[end - 1]) { end -= 1 }
        if start == end { return }
        var scanner = FeedScanner(bytes: bytes, place: start, end: end)
        if let prefix = scanner.prefix() {
            blocks.append(AddressBlock(prefix))
            return
        }
        do throws(SyntaxProblem) {
            let text = String(decoding: bytes[start..<min(end, start + 200)], as: UTF8.self)
            blocks.append(AddressBlock(try AddressSyntax.parse(Substring(text))))
        } catch {
            mistakeCount += 1
            guard mistakes.count < FeedList.keptMistakes else { return }
            mistakes.append(
                Mistake(line: line, message: error.message + (error.suggestion.map { "; \($0)" } ?? "")))
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
}

/// Reads the plain spellings of addresses fast. What it does not know it leaves to the grammar of policies.
private struct FeedScanner {
    let bytes: [UInt8]
    var place: Int
    let end: Int

    mutating func prefix() -> IPPrefix? {
        let start = place
        if let address = ipv4() { return finish(.v4(IPv4Address(rawValue: address))) }
        place = start
        guard let groups = ipv6() else { return nil }
        let raw = UInt128(groups.high) << 64 | UInt128(groups.low)
        return finish(.v6(IPv6Address(rawValue: raw)))
    }

    /// The prefix length, if there is one, and the end.
    private mutating func finish(_ address: IPAddress) -> IPPrefix? {
        if place == end { return IPPrefix(address) }
        guard bytes[place] == UInt8(ascii: "/"), place + 1 < end, end - place <= 4 else { return nil }
        place += 1
        if bytes[place] == 0x30, place + 1 < end { return nil }
        guard let length = decimal(limit: address.family.bitWidth), place == end,
            !IPPrefix.hasHostBits(address, length: length)
        else { return nil }
        return IPPrefix(address, length: length)
    }

    private mutating func decimal(limit: Int) -> Int? {
        var value = 0
        let start = place
        while place < end, (0x30...0x39).contains(bytes[place]) {
            value = value * 10 + Int(bytes[place] - 0x30)
            place += 1
            if value > limit || place - start > 3 { return nil }
        }
        return place > start ? value : nil
    }

    private mutating func ipv4() -> UInt32? {
        var value: UInt32 = 0
        for octet in 0..<4 {
            if octet > 0 {
                guard place < end, bytes[place] == UInt8(ascii: ".") else { return nil }
                place += 1
            }
            if place + 1 < end, bytes[place] == 0x30, (0x30...0x39).contains(bytes[place + 1]) { return nil }
            guard let number = decimal(limit: 255) else { return nil }
            value = value << 8 | UInt32(number)
        }
        return value
    }

    /// Eight groups, or fewer with one `::`; not those that end in an IPv4 address.
    private mutating func ipv6() -> (high: UInt64, low: UInt64)? {
        var head = Groups()
        var tail = Groups()
        var hasGap = false
        if end - place >= 2, bytes[place] == 0x3a {
            guard bytes[place + 1] == 0x3a else { return nil }
            hasGap = true
            place += 2
        }
        while place < end, bytes[place] != UInt8(ascii: "/") {
            guard let group = hexadecimal(), head.count + tail.count < 8 else { return nil }
            if hasGap { tail.append(group) } else { head.append(group) }
            guard place < end, bytes[place] == 0x3a else { break }
            place += 1
            guard place < end else { return nil }
            if bytes[place] == 0x3a {
                if hasGap { return nil }
                hasGap = true
                place += 1
            } else if bytes[place] == UInt8(ascii: "/") {
                return nil
            }
        }
        let count = head.count + tail.count
        guard hasGap ? count <= 7 : count == 8 else { return nil }
        return head.joined(with: tail)
    }

    private mutating func hexadecimal() -> UInt16? {
        var value: UInt16 = 0
        let start = place
        while place < end, place - start < 4 {
            let byte = bytes[place]
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt16(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt16(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt16(byte - 0x61 + 10)
            default: return place > start ? value : nil
            }
            place += 1
        }
        return place > start ? value : nil
    }

    /// Up to eight groups, the last in the lowest bits.
    private struct Groups {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0

        mutating func append(_ group: UInt16) {
            high = high << 16 | low >> 48
            low = low << 16 | UInt64(group)
            count += 1
        }

        /// These groups at the front, those at the end, zeros between.
        func joined(with tail: Groups) -> (high: UInt64, low: UInt64) {
            var front = self
            while front.count < 8 { front.append(0) }
            return (front.high | tail.high, front.low | tail.low)
        }
    }
}
