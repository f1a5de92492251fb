// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How much a budget is of, and of what.
public struct BudgetAmount: Hashable, Sendable, CustomStringConvertible {
    /// What is counted.
    public enum Unit: String, Hashable, Sendable, CaseIterable {
        /// Bytes of IP packets, headers included.
        case bytes
        /// IP packets, as the host forwards them.
        case packets
        /// Connections that begin.
        case connections
    }

    /// The most that a budget may be of: 2^63 - 1.
    public static let most = UInt64(Int64.max)

    /// How many.
    public var count: UInt64
    /// Of what.
    public var unit: Unit

    /// Creates an amount.
    public init(_ count: UInt64, _ unit: Unit) {
        self.count = count
        self.unit = unit
    }

    /// Creates an amount of bytes.
    public init(bytes: UInt64) { self.init(bytes, .bytes) }

    /// Reads `100GB`, `1000000 packets`, `5000 connections`.
    ///
    /// `nil` for everything else, a number without a unit among it.
    public init?(_ text: some StringProtocol) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let word = text.dropFirst(digits.count).drop { $0 == " " }
        let unit: Unit
        switch String(word) {
        case "packet", "packets": unit = .packets
        case "connection", "connections": unit = .connections
        default:
            guard let bytes = ByteCount(text)?.bytes else { return nil }
            self.init(bytes: bytes)
            return
        }
        guard let count = UInt64(digits) else { return nil }
        self.init(count, unit)
    }

    /// As it is written: `100GB`, `1000000 packets`.
    public var description: String {
        switch unit {
        case .bytes: ByteCount(bytes: count).description
        case .packets: count == 1 ? "1 packet" : "\(count) packets"
        case .connections: count == 1 ? "1 connection" : "\(count) connections"
        }
    }
}
