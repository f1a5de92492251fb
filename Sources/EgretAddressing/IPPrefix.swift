// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A block of addresses: an address and how many leading bits are fixed (RFC 4632, RFC 4291 section 2.3).
///
/// The address is always the first of the block; host bits are cleared by ``init(_:length:)`` and can be
/// detected beforehand with ``hasHostBits(_:length:)``.
public struct IPPrefix: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first address of the block.
    public let address: IPAddress
    /// The number of fixed leading bits: 0 to 32, or 0 to 128.
    public let length: Int

    /// Creates the block of `length` bits that contains `address`, clearing host bits.
    ///
    /// Returns `nil` when the length does not fit the family.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.family.bitWidth).contains(length) else { return nil }
        let mask = IPPrefix.hostMask(family: address.family, length: length)
        self.address = IPAddress(family: address.family, rawValue: address.rawValue & ~mask)
        self.length = length
    }

    /// The block of exactly one address.
    public init(_ address: IPAddress) {
        self.address = address
        length = address.family.bitWidth
    }

    /// Creates the block of all addresses of a family.
    public init(allOf family: AddressFamily) {
        address = IPAddress(family: family, rawValue: 0)
        length = 0
    }

    /// Parses `ADDRESS/LENGTH` or a bare address, which is a block of one. Host bits are cleared.
    public init?(_ text: some StringProtocol) {
        let text = Substring(text)
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { return nil }
            self.init(address)
            return
        }
        let digits = text[text.index(after: slash)...]
        guard let address = IPAddress(text[..<slash]), (1...3).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits == "0" || digits.first != "0", let length = Int(digits)
        else { return nil }
        self.init(address, length: length)
    }

    /// The family.
    public var family: AddressFamily { address.family }

    /// The first address, as a number.
    public var lowerBound: UInt128 { address.rawValue }

    /// The last address, as a number.
    public var upperBound: UInt128 { address.rawValue | IPPrefix.hostMask(family: family, length: length) }

    /// Whether the block is one address.
    public var isSingleAddress: Bool { length == family.bitWidth }

    /// Whether the address lies in the block. Never across families.
    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && (lowerBound...upperBound).contains(other.rawValue)
    }

    /// Whether all of the other block lies in this one.
    public func contains(_ other: IPPrefix) -> Bool {
        other.length >= length && contains(other.address)
    }

    /// Whether the two blocks share an address.
    public func overlaps(_ other: IPPrefix) -> Bool {
        contains(other) || other.contains(self)
    }

    /// Whether bits of `address` beyond the first `length` are set, as in `192.0.2.1/24`.
    public static func hasHostBits(_ address: IPAddress, length: Int) -> Bool {
        guard let prefix = IPPrefix(address, length: length) else { return false }
        return prefix.address != address
    }

    /// The blocks of which no packet that leaves a host can have its source: this network's, loopback, multicast and broadcast
    /// addresses (RFC 1122, 3.2.1.3; RFC 4291, 2.5 and 2.7).
    private static let neverSources: [IPPrefix] = [
        "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/127", "::ffff:0:0/96", "ff00::/8",
    ].compactMap { IPPrefix($0) }

    /// A block with one of some addresses that no packet which leaves a host can have as its source: nobody could answer.
    ///
    /// - Parameters:
    ///   - first: The first of the addresses.
    ///   - last: The last, of the same family.
    /// - Returns: The block; `nil` if all of them can be sources.
    public static func neverSource(from first: IPAddress, through last: IPAddress) -> IPPrefix? {
        neverSources.first { block in
            block.family == first.family && first.rawValue <= block.upperBound && block.lowerBound <= last.rawValue
        }
    }

    /// `ADDRESS/LENGTH`, or the bare address for a block of one.
    public var description: String {
        isSingleAddress ? address.description : "\(address)/\(length)"
    }

    /// By family, first address, then the larger block first.
    public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    private static func hostMask(family: AddressFamily, length: Int) -> UInt128 {
        let hostBits = family.bitWidth - length
        return hostBits == 128 ? .max : (UInt128(1) << UInt128(hostBits)) - 1
    }
}
