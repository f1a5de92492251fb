// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// When a rule holds: days of the week, hours of the day, a first and a last moment, by the clocks of one zone.
///
/// A schedule is open while a clock on a wall of its zone shows one of its hours on one of its days. So an hour that a
/// daylight-saving change skips is not there that day, and one that is shown twice is open twice. Hours that cross
/// midnight belong to the day on which they begin. Copies share their storage.
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

    private struct Parts: Hashable, Sendable {
        let days: [Weekday]
        let hours: [Hours]
        let from: LocalTime?
        let until: LocalTime?
        let zone: TimeZoneRules
        let onClose: ClosingAction
        let bounds: Range<Int64>
    }

    private final class Storage: Sendable {
        let parts: Parts

        init(_ parts: Parts) { self.parts = parts }
    }

    /// Beside the rule: few rules have a schedule, and each would have the room for one.
    private let storage: Storage

    /// The days on which hours begin, in the week's order; empty for every day.
    public var days: [Weekday] { storage.parts.days }
    /// The hours; empty for the whole day.
    public var hours: [Hours] { storage.parts.hours }
    /// The first moment; a day alone begins at its midnight.
    public var from: LocalTime? { storage.parts.from }
    /// The moment after the last; a day alone is held to its end.
    public var until: LocalTime? { storage.parts.until }
    /// The zone.
    public var zone: TimeZoneRules { storage.parts.zone }
    /// What happens to open connections.
    public var onClose: ClosingAction { storage.parts.onClose }
    /// From `from` to `until` in seconds since 1970-01-01T00:00Z; empty if they contradict each other.
    public var bounds: Range<Int64> { storage.parts.bounds }

    /// Creates a schedule. With nothing but a zone it is always open.
    public init(
        days: [Weekday] = [], hours: [Hours] = [], from: LocalTime? = nil, until: LocalTime? = nil,
        zone: TimeZoneRules = .utc, onClose: ClosingAction = .cut
    ) {
        let lower = from.map { zone.firstMoment(ofLocalTime: $0.seconds) } ?? TimeZoneRules.earliest
        let upper = until.map { zone.firstMoment(ofLocalTime: $0.endSeconds) } ?? TimeZoneRules.latest
        storage = Storage(
            Parts(
                days: Weekday.allCases.filter { days.contains($0) }, hours: hours, from: from, until: until, zone: zone,
                onClose: onClose, bounds: lower..<max(lower, upper)))
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

extension Schedule {
    /// Whether both are open at the same times, written alike.
    public static func == (left: Schedule, right: Schedule) -> Bool {
        left.storage === right.storage || left.storage.parts == right.storage.parts
    }

    /// Feeds all parts to a hasher.
    public func hash(into hasher: inout Hasher) { hasher.combine(storage.parts) }
}

extension Schedule.LocalTime {
    /// Seconds from 1970-01-01T00:00 by the zone's clocks.
    var seconds: Int64 { date.dayNumber * 86_400 + (minute ?? 0) * 60 }

    /// As an end: that of the day, where only the day was written.
    var endSeconds: Int64 { minute == nil ? seconds + 86_400 : seconds }
}
