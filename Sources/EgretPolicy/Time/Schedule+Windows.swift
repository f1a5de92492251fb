// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Schedule {
    /// When the rule holds between two times: exact, in order, and neither touching nor overlapping.
    ///
    /// - Parameters:
    ///   - first: The first second of interest, since 1970-01-01T00:00Z.
    ///   - last: The last, itself included.
    /// - Returns: Ranges whose union is every second from `first` through `last` at which ``isOpen(at:)``.
    /// - Complexity: O(*d*) in the days between, if the schedule has days or hours; otherwise O(1).
    public func windows(from first: Int64, through last: Int64) -> [Range<Int64>] {
        let lower = max(first, bounds.lowerBound)
        let upper = min(last == .max ? last : last + 1, bounds.upperBound)
        guard lower < upper else { return [] }
        if isAlwaysOpen { return [lower..<upper] }
        let week = Weekday.allCases.map { localRanges(on: $0) }
        var found: [Range<Int64>] = []
        var moment = lower
        while moment < upper {
            let (range, offset) = zone.segment(at: moment)
            let end = min(upper, range.upperBound)
            append(from: moment, to: end, offset: offset, week, &found)
            moment = end
        }
        return found
    }

    /// The first moment after a time at which the rule begins or ceases to hold.
    ///
    /// - Returns: The moment, or `nil` if nothing changes any more.
    public func nextChange(after unixTime: Int64) -> Int64? {
        guard unixTime < bounds.upperBound, !bounds.isEmpty else { return nil }
        let isOpen = isOpen(at: unixTime)
        if isAlwaysOpen {
            let next = isOpen ? bounds.upperBound : bounds.lowerBound
            return next < TimeZoneRules.latest ? next : nil
        }
        var moment = max(unixTime, bounds.lowerBound - 1) + 1
        // The pattern is a week's. Only changes of the zone's offset can hide an hour, and no two years' all do.
        for _ in 0..<40 where moment < bounds.upperBound {
            let end = moment + 20 * 86_400
            let windows = windows(from: moment, through: end)
            if let window = windows.first {
                if !isOpen { return window.lowerBound }
                if window.lowerBound > moment { return moment }
                if window.upperBound <= end { return window.upperBound }
            } else if isOpen {
                return moment
            }
            moment = end + 1
        }
        return isOpen && bounds.upperBound < TimeZoneRules.latest ? bounds.upperBound : nil
    }

    /// Whether days and hours leave nothing out.
    private var isAlwaysOpen: Bool {
        Weekday.allCases.allSatisfy { localRanges(on: $0) == [0..<86_400] }
    }

    /// The seconds of a day on which the rule holds by the zone's clocks, merged; those of hours that began on the day
    /// before included.
    func localRanges(on day: Weekday) -> [Range<Int64>] {
        let yesterday = Weekday.allCases[(day.index + 6) % 7]
        var ranges: [Range<Int64>] = []
        for hours in hours.isEmpty ? [Hours.wholeDay] : hours {
            if days.isEmpty || days.contains(day) {
                ranges.append(hours.start * 60..<(hours.crossesMidnight ? 86_400 : hours.end * 60))
            }
            if hours.crossesMidnight, days.isEmpty || days.contains(yesterday) { ranges.append(0..<hours.end * 60) }
        }
        var merged: [Range<Int64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) { merged.appendMerging(range) }
        return merged
    }

    private func append(
        from start: Int64, to end: Int64, offset: Int64, _ week: [[Range<Int64>]], _ found: inout [Range<Int64>]
    ) {
        let firstDay = (start + offset).floored(by: 86_400)
        let lastDay = (end - 1 + offset).floored(by: 86_400)
        for day in firstDay...lastDay {
            for range in week[CivilDate(dayNumber: day).weekday.index] {
                let midnight = day * 86_400 - offset
                let clipped = (midnight + range.lowerBound..<midnight + range.upperBound).clamped(to: start..<end)
                if !clipped.isEmpty { found.appendMerging(clipped) }
            }
        }
    }
}

extension Sequence where Element == Schedule {
    /// The moments in a time at which one of the schedules begins or ceases to be open: at each other moment of it, the same are
    /// open as at the last of these before, or where there is none, at the beginning.
    ///
    /// - Parameters:
    ///   - first: When the time begins, in seconds since 1970-01-01T00:00Z: a change at that moment is not told.
    ///   - last: When it ends: a change at that moment is told.
    /// - Returns: The moments, rising, each once.
    public func changes(after first: Int64, through last: Int64) -> [Int64] {
        var changes: Set<Int64> = []
        for schedule in self {
            for window in schedule.windows(from: first, through: last) {
                if window.lowerBound > first { changes.insert(window.lowerBound) }
                if window.upperBound <= last { changes.insert(window.upperBound) }
            }
        }
        return changes.sorted()
    }
}

extension Sequence where Element == EgressPolicy {
    /// The schedules of the policies' rules.
    public var schedules: Set<Schedule> { Set(flatMap(\.rules).compactMap(\.schedule)) }
}

extension Schedule.Hours {
    /// From midnight to midnight.
    static let wholeDay = Schedule.Hours(unchecked: 0, 1_440)

    private init(unchecked start: Int64, _ end: Int64) {
        self.start = start
        self.end = end
    }
}

extension [Range<Int64>] {
    /// Appends a range that begins no earlier than those there, joining it to the last if they touch.
    fileprivate mutating func appendMerging(_ range: Range<Int64>) {
        if let last, range.lowerBound <= last.upperBound {
            self[count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
        } else {
            append(range)
        }
    }
}
