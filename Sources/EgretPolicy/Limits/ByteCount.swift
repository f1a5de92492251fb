// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How much: bytes.
public struct ByteCount: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Bytes.
    public var bytes: UInt64

    /// Creates an amount.
    public init(bytes: UInt64) {
        self.bytes = bytes
    }

    /// Reads `64KiB`, `100GB`, `1.5MB`, `1500B`: a number and a unit of bytes. `kB`, `MB` … are powers of 1,000 and
    /// `KiB`, `MiB` … of 1,024 (IEC 80000-13).
    ///
    /// `nil` for everything else, a number without a unit among it.
    public init?(_ text: some StringProtocol) {
        guard let bytes = DecimalText.read(text, units: ByteCount.units) else { return nil }
        self.bytes = bytes
    }

    /// `64KiB`.
    public var description: String {
        let binary = DecimalText.write(
            bytes, units: [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)])
        let decimal = DecimalText.write(
            bytes,
            units: [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)])
        return binary.utf8.count < decimal.utf8.count ? binary : decimal
    }

    /// The smaller one first.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    private static let units: [String: UInt64] = [
        "B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
        "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
    ]
}
