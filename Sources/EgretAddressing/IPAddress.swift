// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Which of the two internet protocols an address belongs to.
public enum AddressFamily: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// IPv4, RFC 791.
    case ipv4
    /// IPv6, RFC 8200.
    case ipv6

    /// The number of bits in an address of this family: 32 or 128.
    public var bitWidth: Int { self == .ipv4 ? 32 : 128 }

    /// `ipv4` or `ipv6`.
    public var description: String { rawValue }
}

/// An address of either family.
///
/// IPv4 sorts before IPv6. An IPv4-mapped IPv6 address is an IPv6 address here and not equal to its IPv4 twin.
public enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// An IPv4 address.
    case v4(IPv4Address)
    /// An IPv6 address.
    case v6(IPv6Address)

    /// Parses either family, with the rules of ``IPv4Address`` and ``IPv6Address``.
    public init?(_ text: some StringProtocol) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// Creates an address from its number in host byte order; bits above the family's width are dropped.
    public init(family: AddressFamily, rawValue: UInt128) {
        switch family {
        case .ipv4: self = .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: rawValue)))
        case .ipv6: self = .v6(IPv6Address(rawValue: rawValue))
        }
    }

    /// The family.
    public var family: AddressFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    /// The address as a number in host byte order; an IPv4 address fills the low 32 bits.
    public var rawValue: UInt128 {
        switch self {
        case .v4(let address): UInt128(address.rawValue)
        case .v6(let address): address.rawValue
        }
    }

    /// The family's canonical text, without brackets.
    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
}
