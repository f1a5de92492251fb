// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What an amount of traffic costs, in one currency.
public struct TrafficPrice: Hashable, Sendable, CustomStringConvertible {
    /// Millionths of the currency's unit, for each ``unit`` of bytes.
    public var micros: UInt64
    /// The currency (ISO 4217): three capital letters.
    public var currency: String
    /// The amount that the price is for.
    public var unit: ByteCount

    /// Creates a price.
    public init(micros: UInt64, currency: String, unit: ByteCount) {
        self.micros = micros
        self.currency = currency
        self.unit = unit
    }

    /// Reads `0.09 USD/GB`, `5 EUR/TiB`.
    ///
    /// `nil` for everything else, a price with more than six decimals among it.
    public init?(_ text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: true)
        guard words.count == 2 else { return nil }
        let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, halves[0].utf8.count == 3, halves[0].utf8.allSatisfy({ (0x41...0x5a).contains($0) }),
            let micros = DecimalText.read("\(words[0])u", units: ["u": 1_000_000]), micros <= 1_000_000_000_000,
            // A unit and no number: 10GB would be read as 110GB.
            halves[1].first?.isLetter == true, let unit = ByteCount("1\(halves[1])"), unit.bytes > 0
        else { return nil }
        self.init(micros: micros, currency: String(halves[0]), unit: unit)
    }

    /// What some traffic costs, in millionths of the currency's unit, rounded down.
    public func micros(of bytes: UInt64) -> UInt64 {
        let (high, low) = bytes.multipliedFullWidth(by: micros)
        return high < unit.bytes ? unit.bytes.dividingFullWidth((high, low)).quotient : .max
    }

    /// `0.09 USD/GB`.
    public var description: String {
        "\(TrafficPrice.text(ofMicros: micros, in: currency))/\(unit.description.dropFirst())"
    }

    /// Millionths with at least two decimals, and their currency: `0.09 USD`.
    public static func text(ofMicros micros: UInt64, in currency: String) -> String {
        "\(text(ofMicros: micros)) \(currency)"
    }

    /// Millionths as a decimal number with at least two decimals: `0.09`, `12.00`.
    public static func text(ofMicros micros: UInt64) -> String {
        let fraction = String(micros % 1_000_000)
        var digits = Array(String(repeating: "0", count: 6 - fraction.utf8.count) + fraction)
        while digits.count > 2, digits.last == "0" { digits.removeLast() }
        return "\(micros / 1_000_000).\(String(digits))"
    }
}
