// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The time that a budget is for, by the clocks of a time zone.
public struct BudgetPeriod: Hashable, Sendable {
    /// How long.
    public enum Length: Hashable, Sendable {
        /// From full hour to full hour.
        case hour
        /// From midnight to midnight.
        case day
        /// From Monday to Sunday.
        case week
        /// From the first of a month to its last day.
        case month
        /// Without end.
        case total
        /// The time until now, in seconds.
        case rolling(Int64)
    }

    /// How long a rolling window may be: an hour to a year, in seconds.
    public static let rollingLimits: ClosedRange<Int64> = 3_600...366 * 86_400

    /// How long.
    public var length: Length
    /// The zone by whose clocks periods begin.
    public var zone: TimeZoneRules

    /// Creates a period.
    public init(_ length: Length, zone: TimeZoneRules = .utc) {
        self.length = length
        self.zone = zone
    }

    /// The stretch of time around a moment that is counted as one: a period, or a hundredth of a rolling window.
    ///
    /// A period begins at the first moment at which the zone's clocks show its beginning or later. An hour that clocks
    /// show twice is two hours, and a day with a change of clocks is shorter or longer.
    ///
    /// - Parameter time: Seconds since 1970-01-01T00:00Z.
    /// - Returns: From the first second to the first one after it.
    public func stretch(at time: Int64) -> Range<Int64> {
        switch length {
        case .total: return 0..<TimeZoneRules.latest
        case .rolling(let seconds):
            let step = BudgetPeriod.step(ofWindow: seconds)
            let start = time.floored(by: step) * step
            return start..<start + step
        case .hour:
            let offset = zone.offset(at: time)
            let start = (time + offset).floored(by: 3_600) * 3_600 - offset
            return clipped(start..<start + 3_600, around: time)
        case .day: return days(at: time) { ($0, $0 + 1) }
        case .week:
            return days(at: time) { day in
                let monday = day - Int64(CivilDate(dayNumber: day).weekday.index)
                return (monday, monday + 7)
            }
        case .month:
            return days(at: time) { day in
                let (year, month, _) = CivilDate(dayNumber: day).components
                return (
                    CivilDate(uncheckedYear: year, month: month, day: 1).dayNumber,
                    CivilDate(
                        uncheckedYear: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1, day: 1
                    ).dayNumber
                )
            }
        }
    }

    /// The earliest beginning of a stretch that counts at a moment: of what came before, nothing does.
    public func horizon(at time: Int64) -> Int64 {
        guard case .rolling(let seconds) = length else { return stretch(at: time).lowerBound }
        let step = BudgetPeriod.step(ofWindow: seconds)
        // The oldest stretch counts until all of it has left the window.
        return (time - seconds).floored(by: step) * step
    }

    /// The day that a moment is in, by the zone's clocks.
    public func day(at time: Int64) -> CivilDate {
        CivilDate(dayNumber: (time + zone.offset(at: time)).floored(by: 86_400))
    }

    /// A rolling window is counted in steps of a hundredth, in whole minutes.
    static func step(ofWindow seconds: Int64) -> Int64 { max(1, seconds / 6_000) * 60 }

    private func days(at time: Int64, _ bounds: (Int64) -> (Int64, Int64)) -> Range<Int64> {
        let (first, next) = bounds(day(at: time).dayNumber)
        let start = zone.firstMoment(ofLocalTime: first * 86_400)
        let end = zone.firstMoment(ofLocalTime: next * 86_400)
        return min(start, time)..<max(end, time + 1)
    }

    /// Changes of clocks within an hour end it.
    private func clipped(_ hour: Range<Int64>, around time: Int64) -> Range<Int64> {
        let segment = zone.segment(at: time).range
        return max(hour.lowerBound, segment.lowerBound)..<min(hour.upperBound, segment.upperBound)
    }
}

extension BudgetPeriod: CustomStringConvertible {
    /// As it is written: `month`, `{ rolling: 24h }`.
    public var description: String {
        switch length {
        case .hour: "hour"
        case .day: "day"
        case .week: "week"
        case .month: "month"
        case .total: "total"
        case .rolling(let seconds): "{ rolling: \(BudgetPeriod.text(ofSeconds: seconds)) }"
        }
    }

    private static func text(ofSeconds seconds: Int64) -> String {
        seconds % 86_400 == 0
            ? "\(seconds / 86_400)d" : seconds % 3_600 == 0 ? "\(seconds / 3_600)h" : "\(seconds / 60)m"
    }
}

extension BudgetPeriod {
    /// When the period around a moment ends; `nil` for one without end, and for a rolling window.
    public func end(at time: Int64) -> Int64? {
        switch length {
        case .total, .rolling: nil
        case .hour, .day, .week, .month: stretch(at: time).upperBound
        }
    }

    /// What will have been used at the period's end if it goes on as it did until now.
    ///
    /// - Parameters:
    ///   - used: What is used so far.
    ///   - time: Now.
    ///   - begin: When counting began: of what came before in the period, nothing is known. One that is still to come is none.
    ///   - schedule: The times at which anything is used; `nil` for all.
    /// - Returns: As many of whatever is used; those used so far where no time has gone.
    public func forecast(
        of used: UInt64, at time: Int64, since begin: Int64 = 0, during schedule: Schedule? = nil
    ) -> UInt64 {
        BudgetForecast(self, at: time, during: schedule).amount(of: used, since: begin)
    }
}
