// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Schedule.Hours: CustomStringConvertible {
    /// `09:00-17:00`.
    public var description: String { "\(Schedule.Hours.text(start))-\(Schedule.Hours.text(end))" }

    private static func text(_ minute: Int64) -> String { "\(padded(minute / 60, 2)):\(padded(minute % 60, 2))" }
}

extension Schedule.LocalTime: CustomStringConvertible {
    /// `2026-12-24` or `2026-12-24T18:00`.
    public var description: String {
        minute.map { "\(date)T\(padded($0 / 60, 2)):\(padded($0 % 60, 2))" } ?? date.description
    }
}

extension Schedule: CustomStringConvertible {
    /// The days as a policy writes them: runs of three or more with a hyphen.
    public var dayWords: [String] {
        var words: [String] = []
        var rest = days[...]
        while let first = rest.first {
            let run = rest.enumerated().prefix { $0.element.index == first.index + $0.offset }.count
            if run >= 3, let last = rest.prefix(run).last {
                words.append("\(first.rawValue)-\(last.rawValue)")
                rest = rest.dropFirst(run)
            } else {
                words.append(first.rawValue)
                rest = rest.dropFirst()
            }
        }
        return words
    }

    /// `mon-fri 09:00-17:00 until 2026-12-24 (Europe/Zurich)`.
    public var description: String {
        var words: [String] = []
        if !days.isEmpty { words.append(dayWords.joined(separator: ", ")) }
        if !hours.isEmpty { words.append(hours.map(\.description).joined(separator: ", ")) }
        if let from { words.append("from \(from)") }
        if let until { words.append("until \(until)") }
        return (words + ["(\(zone))"]).joined(separator: " ")
    }
}

extension TimeZoneRules {
    /// A moment by the zone's clocks, with its offset: `2026-03-29 03:00 +02:00`.
    public func text(of unixTime: Int64) -> String {
        let offset = offset(at: unixTime)
        let local = min(max(unixTime, TimeZoneRules.earliest), TimeZoneRules.latest) + offset
        let day = local.floored(by: 86_400)
        let minute = (local - day * 86_400) / 60
        let distance = (offset < 0 ? -offset : offset) / 60
        return "\(CivilDate(dayNumber: day)) \(padded(minute / 60, 2)):\(padded(minute % 60, 2))"
            + " \(offset < 0 ? "-" : "+")\(padded(distance / 60, 2)):\(padded(distance % 60, 2))"
    }
}

extension Schedule.LocalTime {
    /// Reads a moment, as policies write them, by the clocks of a zone.
    ///
    /// - Returns: Seconds since 1970-01-01T00:00Z, or what is wrong with the text or the zone.
    public static func read(
        _ text: String, in zone: String, of database: TimeZoneDatabase, at location: SourceLocation
    ) -> (unixTime: Int64?, diagnostic: Diagnostic?) {
        do throws(SyntaxProblem) {
            let rules = try database.answer(zone).get()
            return (rules.firstMoment(ofLocalTime: try ScheduleSyntax.localTime(text).seconds), nil)
        } catch {
            return (nil, error.diagnostic(at: location))
        }
    }
}
