// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How a zone's offset changes year after year: the footer of a TZif file (RFC 8536 section 3.3), a TZ string of POSIX
/// with the hours of version 3, -167 to 167.
struct RecurringOffsets: Hashable, Sendable {
    /// A day of any year.
    enum Day: Hashable, Sendable {
        /// `Jn`: day 1 to 365; 29 February is not counted, so that 60 is always 1 March.
        case julian(Int64)
        /// `n`: day 0 to 365; 29 February is counted.
        case ordinal(Int64)
        /// `Mm.w.d`: the w-th day d (0 is Sunday) of month m; the 5th is the last.
        case weekday(month: Int64, week: Int64, day: Int64)

        /// The day's number in a year, in days since 1970-01-01.
        func dayNumber(in year: Int64) -> Int64 {
            let newYear = CivilDate(uncheckedYear: year, month: 1, day: 1).dayNumber
            switch self {
            case .julian(let day): return newYear + day - 1 + (CivilDate.isLeap(year) && day >= 60 ? 1 : 0)
            case .ordinal(let day): return newYear + day
            case .weekday(let month, let week, let day):
                let first = CivilDate(uncheckedYear: year, month: month, day: 1).dayNumber
                // 1970-01-01 was a Thursday, day 4.
                let firstMatch = first + (day - (first + 4)).remainder(by: 7)
                let last = first + CivilDate.days(inMonth: month, of: year) - 1
                let wanted = firstMatch + (week - 1) * 7
                return wanted <= last ? wanted : wanted - 7
            }
        }
    }

    /// The summer time of a zone that has one.
    struct Summer: Hashable, Sendable {
        /// Seconds east of UTC.
        var offset: Int32
        /// The day it begins, and the seconds from that day's midnight by standard time.
        var startDay: Day
        var startTime: Int64
        /// The day it ends, and the seconds from that day's midnight by summer time.
        var endDay: Day
        var endTime: Int64
    }

    /// Seconds east of UTC outside summer time.
    var standard: Int32
    /// Summer time; `nil` if the zone has none.
    var summer: Summer?

    /// The stretch around a moment in which the offset does not change, and the offset.
    func segment(at time: Int64) -> (range: Range<Int64>, offset: Int32) {
        guard let summer else { return (TimeZoneRules.earliest..<TimeZoneRules.latest, standard) }
        let year = CivilDate(dayNumber: (time + Int64(standard)).floored(by: 86_400)).components.year
        // A change may be a week from its day, and so in the year before or after.
        var changes: [(time: Int64, begins: Bool)] = []
        for year in (year - 2)...(year + 2) {
            changes.append((summer.startDay.dayNumber(in: year) * 86_400 + summer.startTime - Int64(standard), true))
            changes.append((summer.endDay.dayNumber(in: year) * 86_400 + summer.endTime - Int64(summer.offset), false))
        }
        // Where summer time ends as the next begins, it goes on: all the year.
        changes.sort { ($0.time, $0.begins ? 1 : 0) < ($1.time, $1.begins ? 1 : 0) }
        let next = changes.firstIndex { $0.time > time } ?? changes.count
        let isSummer = next > 0 && changes[next - 1].begins
        let start = next > 0 ? changes[next - 1].time : TimeZoneRules.earliest
        let end = next < changes.count ? changes[next].time : TimeZoneRules.latest
        return (start..<end, isSummer ? summer.offset : standard)
    }
}
