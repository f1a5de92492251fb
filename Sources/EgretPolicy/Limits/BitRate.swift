// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How fast: bits in a second, as they are on the wire, link-layer headers included.
public struct BitRate: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// What a rate may be: 8 kbit/s, below which not even one packet in a second passes, to 10 Tbit/s.
    public static let limits = BitRate(bitsPerSecond: 8_000)...BitRate(bitsPerSecond: 10_000_000_000_000)

    /// Bits in a second.
    public var bitsPerSecond: UInt64

    /// Creates a rate.
    public init(bitsPerSecond: UInt64) {
        self.bitsPerSecond = bitsPerSecond
    }

    /// Reads `10Mbit`, `1.5Gbit`, `64kbit`, `64Kibit`: a number and a unit of bits, as tc(8) writes them.
    ///
    /// `nil` for everything else, a number without a unit and `10MB`, which is bytes, among it.
    public init?(_ text: some StringProtocol) {
        guard let bits = DecimalText.read(text, units: BitRate.units) else { return nil }
        bitsPerSecond = bits
    }

    /// Bytes in a second, rounded down.
    public var bytesPerSecond: UInt64 { bitsPerSecond / 8 }

    /// `10Mbit`.
    public var description: String {
        DecimalText.write(
            bitsPerSecond,
            units: [
                ("bit", 1), ("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000), ("Tbit", 1_000_000_000_000),
            ])
    }

    /// The slower one first.
    public static func < (left: BitRate, right: BitRate) -> Bool { left.bitsPerSecond < right.bitsPerSecond }

    private static let units: [String: UInt64] = [
        "bit": 1, "kbit": 1_000, "Kbit": 1_000, "mbit": 1_000_000, "Mbit": 1_000_000, "gbit": 1_000_000_000,
        "Gbit": 1_000_000_000, "tbit": 1_000_000_000_000, "Tbit": 1_000_000_000_000, "Kibit": 1 << 10,
        "Mibit": 1 << 20, "Gibit": 1 << 30,
    ]
}
