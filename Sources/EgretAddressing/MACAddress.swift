// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An EUI-48 hardware address (IEEE 802).
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address as a number in its low 48 bits: `02:00:00:00:00:01` is `0x0200_0000_0001`.
    public let rawValue: UInt64

    /// Creates an address; bits above 48 are dropped.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xffff_ffff_ffff
    }

    /// A locally administered unicast address with these low 40 bits.
    public init(locallyAdministered lowBits: UInt64) {
        self.init(rawValue: 0x02_00_0000_0000 | (lowBits & 0xff_ffff_ffff))
    }

    /// The six octets, first on the wire first.
    public var octets: [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * UInt64($0))) }
    }

    /// Six pairs of hexadecimal digits joined by colons.
    public var description: String {
        octets.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined(separator: ":")
    }
}
