// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// When a rule holds: days of the week, hours of the day, a first and a last moment, by the clocks of one zone.
///
/// A schedule is open while a clock on a wall of its zone shows one of its hours on one of its days. So an hour that a
/// daylight-saving change skips is not there that day, and one that is shown twice is open twice. Hours that cross
/// midnight belong to the day on which they begin.
public struct Schedule: Hashable, Sendable {
    /// Some hours of a day, in minutes from its midnight.
    public struct Hours: Hashable, Sendable {
        /// The first minute, 0 to 1439.
        public let start: Int64
        /// The minute after the last, 1 to 1440. At or before `start` it is one of the next day.
        public let end: Int64

        /// Creates hours; `nil` if they are out of range, or begin where they end.
        public init?(start: Int64, end: Int64) {
            guard (0..<1_440).contains(start), (1...1_440).contains(end), start != end else { return nil }
            self.start = start
            self.end = end
        }

        /// Whether they end on the day after.
        public var crossesMidnight: Bool { end < start }
    }

    /// A moment by the zone's clocks.
    public struct LocalTime: Hashable, Sendable {
        /// The day.
        public var date: CivilDate
        /// Minutes from its midnight, 0 to 1439; `nil` where only the day was written.
        public var minute: Int64?

        /// Creates a moment, or a whole day.
        public init(_ date: CivilDate, minute: Int64? = nil) {
            self.date = date
            self.minute = minute
        }
    }

    /// What happens to a connection when the time of the rule that decided about it ends, or that of another begins.
    public enum ClosingAction: String, Hashable, Sendable, CaseIterable {
        /// Every packet is judged by the clock: the connection ends with the rule's time.
        case cut
        /// A connection goes on as it was judged when it began.
        case drain
    }

    /// The days on which hours begin, in the week's order; empty for every day.
    public let days: [Weekday]
    /// The hours; empty for the whole day.
    public let hours: [Hours]
    /// The first moment; a day alone begins at its midnight.
    public let from: LocalTime?
    /// The moment after the last; a day alone is held to its end.
    public let until: LocalTime?
    /// The zone.
    public let zone: TimeZoneRules
    /// What happens to open connections.
    public let onClose: ClosingAction
    /// From `from` to `until` in seconds since 1970-01-01T00:00Z; empty if they contradict each other.
    public let bounds: Range<Int64>

    /// Creates a schedule. With nothing but a zone it is always open.
    public init(
        days: [Weekday] = [], hours: [Hours] = [], from: LocalTime? = nil, until: LocalTime? = nil,
        zone: TimeZoneRules = .utc, onClose: ClosingAction = .cut
    ) {
        self.days = Weekday.allCases.filter { days.contains($0) }
        self.hours = hours
        self.from = from
        self.until = until
        self.zone = zone
        self.onClose = onClose
        let lower = from.map { zone.firstMoment(ofLocalTime: $0.seconds) } ?? TimeZoneRules.earliest
        let upper = until.map { zone.firstMoment(ofLocalTime: $0.endSeconds) } ?? TimeZoneRules.latest
        bounds = lower..<max(lower, upper)
    }

    /// Whether the rule holds at a time.
    ///
    /// - Parameter unixTime: Seconds since 1970-01-01T00:00Z.
    /// - Returns: `true` if it is one of its days and hours, between `from` and `until`.
    public func isOpen(at unixTime: Int64) -> Bool {
        guard bounds.contains(unixTime) else { return false }
        let local = unixTime + zone.offset(at: unixTime)
        let day = local.floored(by: 86_400)
        let second = local - day * 86_400
        let today = holds(on: day)
        if hours.isEmpty { return today }
        return hours.contains { hours in
            let isAfterStart = second >= hours.start * 60
            let isBeforeEnd = second < hours.end * 60
            guard hours.crossesMidnight else { return today && isAfterStart && isBeforeEnd }
            return today && isAfterStart || isBeforeEnd && holds(on: day - 1)
        }
    }

    private func holds(on dayNumber: Int64) -> Bool {
        days.isEmpty || days.contains(CivilDate(dayNumber: dayNumber).weekday)
    }
}

extension Schedule.LocalTime {
    /// Seconds from 1970-01-01T00:00 by the zone's clocks.
    var seconds: Int64 { date.dayNumber * 86_400 + (minute ?? 0) * 60 }

    /// As an end: that of the day, where only the day was written.
    var endSeconds: Int64 { minute == nil ? seconds + 86_400 : seconds }
}
