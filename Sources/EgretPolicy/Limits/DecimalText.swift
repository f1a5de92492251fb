// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads a decimal number with a unit, exactly, as `1.5Gbit` or `64KiB`.
enum DecimalText {
    /// The number in the unit's base, if the text is digits with at most one point, and one of the units.
    ///
    /// - Parameters:
    ///   - text: Digits, perhaps a point and more digits, then the unit with nothing between.
    ///   - units: Each unit's size in the base.
    /// - Returns: The number; `nil` if the text is something else, too large, or not a whole number of the base.
    static func read(_ text: some StringProtocol, units: [String: UInt64]) -> UInt64? {
        let number = text.prefix { ($0.isASCII && $0.isNumber) || $0 == "." }
        guard let unit = units[String(text.dropFirst(number.count))] else { return nil }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), let whole = UInt64(parts[0]) else {
            return nil
        }
        let (product, isTooLarge) = whole.multipliedReportingOverflow(by: unit)
        if isTooLarge { return nil }
        guard parts.count == 2 else { return product }
        guard parts[1].count <= 9, let digits = UInt64(parts[1]) else { return nil }
        let scale = (0..<parts[1].count).reduce(UInt64(1)) { power, _ in power * 10 }
        let (scaled, isTooFine) = digits.multipliedReportingOverflow(by: unit)
        guard !isTooFine, scaled % scale == 0 else { return nil }
        let (sum, overflows) = product.addingReportingOverflow(scaled / scale)
        return overflows ? nil : sum
    }

    /// The number in the largest unit that leaves no fraction.
    static func write(_ number: UInt64, units: [(name: String, size: UInt64)]) -> String {
        let unit = units.last { number != 0 && number % $0.size == 0 } ?? units[0]
        return "\(number / unit.size)\(unit.name)"
    }
}
