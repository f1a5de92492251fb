// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How often something may happen: so many times in a second, a minute or an hour.
public struct EventRate: Hashable, Sendable, CustomStringConvertible {
    /// The time that a rate is for.
    public enum Unit: String, Hashable, Sendable, CaseIterable {
        /// `s`.
        case second = "s"
        /// `min`.
        case minute = "min"
        /// `h`.
        case hour = "h"

        /// Its length.
        public var seconds: UInt64 {
            switch self {
            case .second: 1
            case .minute: 60
            case .hour: 3_600
            }
        }
    }

    /// How many times; at least 1.
    public var count: UInt32
    /// In what time.
    public var unit: Unit

    /// Creates a rate.
    public init(count: UInt32, unit: Unit = .second) {
        self.count = count
        self.unit = unit
    }

    /// Reads `20/s`, `600/min` or `1000/h`: a whole number from 1 to a hundred million, and the time that it is for.
    ///
    /// `nil` for everything else, a number without a time among it.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let unit = Unit(rawValue: String(parts[1])),
            parts[0].allSatisfy({ $0.isASCII && $0.isNumber }), let count = UInt32(parts[0]),
            (1...100_000_000).contains(count)
        else { return nil }
        self.init(count: count, unit: unit)
    }

    /// `20/s`.
    public var description: String { "\(count)/\(unit.rawValue)" }
}
