// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Schedule {
    /// Whether the schedule is open whenever the other is, for certain: with different zones only one that is always
    /// open between its bounds is known to be.
    public func covers(_ other: Schedule) -> Bool {
        guard bounds.lowerBound <= other.bounds.lowerBound, other.bounds.upperBound <= bounds.upperBound else {
            return false
        }
        return Weekday.allCases.allSatisfy { day in
            let mine = localRanges(on: day)
            if mine == [0..<86_400] { return true }
            return zone == other.zone
                && other.localRanges(on: day).allSatisfy { inner in
                    mine.contains { $0.lowerBound <= inner.lowerBound && inner.upperBound <= $0.upperBound }
                }
        }
    }

    /// Whether the two are never open at once, for certain: with different zones only those that have no day in common
    /// from `from` to `until` are known not to be.
    public func isApart(from other: Schedule) -> Bool {
        if !bounds.overlaps(other.bounds) { return true }
        return zone == other.zone && !overlaps(other)
    }

    /// Whether both are open at some time, as far as their weeks tell; `false` if their zones differ.
    func overlaps(_ other: Schedule) -> Bool {
        guard zone == other.zone, bounds.overlaps(other.bounds) else { return false }
        return Weekday.allCases.contains { day in
            let mine = localRanges(on: day)
            return other.localRanges(on: day).contains { theirs in mine.contains { $0.overlaps(theirs) } }
        }
    }
}
