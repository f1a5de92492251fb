// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The ways in which an IPv6 address can stand for an IPv4 one that a packet then reaches.
///
/// The inverse of ``IPAddress/embeddedIPv4``, for whole ranges.
public enum IPv4Embedding: Hashable, Sendable, CaseIterable {
    /// `::ffff:0:0/96`, RFC 4291 section 2.5.5.2.
    case mapped
    /// `64:ff9b::/96`, RFC 6052 section 2.1.
    case nat64
    /// `2002::/16`, RFC 3056 section 2: the IPv4 address follows the first 16 bits.
    case sixToFour

    /// The first IPv6 address that stands for the IPv4 address.
    public func first(_ address: UInt128) -> UInt128 {
        switch self {
        case .mapped: 0xffff << 32 | address
        case .nat64: 0x0064_ff9b << 96 | address
        case .sixToFour: 0x2002 << 112 | address << 80
        }
    }

    /// The last IPv6 address that stands for the IPv4 address.
    public func last(_ address: UInt128) -> UInt128 {
        self == .sixToFour ? first(address) | ((1 << 80) - 1) : first(address)
    }
}
