// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A set of addresses as sorted ranges, apart from each other by at least one address.
struct RangeSet<Address: FixedWidthInteger & UnsignedInteger & Sendable>: Hashable, Sendable {
    struct Range: Hashable, Sendable {
        var lower: Address
        var upper: Address
    }

    private(set) var ranges: [Range]

    static var everything: RangeSet { RangeSet([Range(lower: .min, upper: .max)]) }

    var isEmpty: Bool { ranges.isEmpty }

    var isEverything: Bool { ranges == RangeSet.everything.ranges }

    /// The union of ranges in any order, overlapping or not.
    ///
    /// Works in the array it is given: a feed can have millions of ranges.
    init(_ unsorted: consuming [Range] = []) {
        ranges = unsorted
        if RangeSet.areApart(ranges) { return }
        ranges.sort { $0.lower < $1.lower }
        var kept = 0
        for index in ranges.indices.dropFirst() {
            let range = ranges[index]
            let last = ranges[kept]
            if last.upper == .max || range.lower <= last.upper + 1 {
                ranges[kept].upper = Swift.max(last.upper, range.upper)
            } else {
                kept += 1
                ranges[kept] = range
            }
        }
        ranges.removeSubrange((kept + 1)...)
    }

    /// Whether the ranges are sorted, and no two of them touch.
    private static func areApart(_ ranges: [Range]) -> Bool {
        var last: Range?
        for range in ranges {
            if let last, last.upper == .max || range.lower <= last.upper + 1 { return false }
            last = range
        }
        return true
    }

    func union(_ other: RangeSet) -> RangeSet {
        RangeSet(ranges + other.ranges)
    }

    func subtracting(_ other: RangeSet) -> RangeSet {
        var result: [Range] = []
        var holes = other.ranges[...]
        for range in ranges {
            var lower = range.lower
            var covered = false
            while let hole = holes.first, hole.upper < lower { holes.removeFirst() }
            for hole in holes {
                guard hole.lower <= range.upper else { break }
                if hole.lower > lower { result.append(Range(lower: lower, upper: hole.lower - 1)) }
                guard hole.upper < range.upper else {
                    covered = true
                    break
                }
                lower = hole.upper + 1
            }
            if !covered { result.append(Range(lower: lower, upper: range.upper)) }
        }
        return RangeSet(result)
    }
}
