// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The grammar of days, hours and moments.
///
///     DAY               mon
///     DAY-DAY           mon-fri, fri-mon        both ends included
///     HH:MM-HH:MM       09:00-17:00             the end not included; 22:00-06:00 ends on the next day
///     YYYY-MM-DD        2026-12-24
///     YYYY-MM-DDTHH:MM  2026-12-24T18:00
public enum ScheduleSyntax {
    /// Reads one day or a range of them, in the order of the range.
    static func days(_ text: String) throws(SyntaxProblem) -> [Weekday] {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard ends.count <= 2, let first = ends.first, let last = ends.last else {
            throw SyntaxProblem(
                DiagnosticCode.day, "\(quoted(text)) is not a day or a range of days",
                suggestion: "write for example mon-fri")
        }
        let (from, to) = (try day(first), try day(last))
        if ends.count == 2, from == to {
            throw SyntaxProblem(
                DiagnosticCode.day, "\(quoted(text)) begins and ends on one day",
                suggestion: "write \(from.rawValue), or leave days out for every day")
        }
        var days = [from]
        var next = from
        while next != to {
            next = Weekday.allCases[(next.index + 1) % 7]
            days.append(next)
        }
        return days
    }

    private static func day(_ text: String) throws(SyntaxProblem) -> Weekday {
        if let day = Weekday(rawValue: text) { return day }
        let words = Weekday.allCases.map(\.rawValue)
        let lowered = text.lowercased()
        let near =
            words.first { lowered.hasPrefix($0) } ?? Spelling.nearest(to: text, among: words)
            ?? ["workdays": "mon-fri", "weekdays": "mon-fri", "weekend": "sat-sun", "weekends": "sat-sun"][lowered]
        throw SyntaxProblem(
            DiagnosticCode.day, "\(quoted(text)) is not a day of the week",
            suggestion: near.map { "did you mean \($0)?" } ?? "use \(Spelling.list(words, conjunction: "or"))")
    }

    /// Reads hours.
    static func hours(_ text: String) throws(SyntaxProblem) -> Schedule.Hours {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        let parts = ends.compactMap { minute($0) }
        guard ends.count == 2, parts.count == 2 else { throw hoursProblem(text, ends) }
        if parts[0] == 1_440 {
            throw hoursProblem("24:00 ends a day and begins none", "write 00:00-\(ends[1])")
        }
        let end = parts[1] == 0 ? 1_440 : parts[1]
        guard let hours = Schedule.Hours(start: parts[0], end: end) else {
            throw hoursProblem(
                "the hours \(text) are empty: they end where they begin", "write 00:00-24:00 for the whole day")
        }
        return hours
    }

    private static func hoursProblem(_ text: String, _ ends: [Substring]) -> SyntaxProblem {
        let fixed = ends.map { repaired($0) }
        if ends.count == 2, let start = fixed[0], let end = fixed[1] {
            return hoursProblem("\(quoted(text)) is not written as hours are", "write \(start)-\(end)")
        }
        if ends.count == 1, fixed[0] != nil {
            return hoursProblem("\(quoted(text)) has one end only", "write both, for example 09:00-17:00")
        }
        return hoursProblem(
            "\(quoted(text)) is not a range of hours", "write two times of day from 00:00 to 24:00: 09:00-17:00")
    }

    private static func hoursProblem(_ message: String, _ suggestion: String) -> SyntaxProblem {
        SyntaxProblem(DiagnosticCode.hours, message, suggestion: suggestion)
    }

    /// The time of day that a text probably means: `9`, `9:00`, `0900`, `5pm`, ` 09:00 `.
    private static func repaired(_ text: Substring) -> String? {
        var word = text.filter { !$0.isWhitespace }.lowercased()
        var extra: Int64 = 0
        for (suffix, hours) in [("am", Int64(0)), ("pm", 12)] where word.hasSuffix(suffix) {
            word.removeLast(2)
            extra = hours
        }
        word = word.replacing("h", with: ":").replacing(".", with: ":")
        if word.utf8.count == 4, !word.contains(":") { word = "\(word.prefix(2)):\(word.suffix(2))" }
        let parts = word.split(separator: ":")
        guard (1...3).contains(parts.count), parts.allSatisfy({ $0.utf8.count <= 2 }), let hour = Int64(parts[0]),
            let minute = parts.count > 1 ? Int64(parts[1]) : 0
        else { return nil }
        let sum = extra == 12 && hour == 12 ? hour : hour + extra
        guard hour >= 0, sum < 24 || sum == 24 && minute == 0, (0..<60).contains(minute) else { return nil }
        return "\(padded(sum, 2)):\(padded(minute, 2))"
    }

    /// The minute of the day of `HH:MM`, 0 to 1440; `nil` for any other text.
    static func minute(_ text: Substring) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 5, bytes[2] == UInt8(ascii: ":"), let hour = number(bytes[0..<2]),
            let minute = number(bytes[3..<5]), minute < 60, hour < 24 || hour == 24 && minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    /// Reads a moment.
    static func localTime(_ text: String) throws(SyntaxProblem) -> Schedule.LocalTime {
        let example = "write for example 2026-12-24 or 2026-12-24T18:00"
        let parts = text.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        let bytes = Array((parts.first ?? "").utf8)
        guard bytes.count == 10, bytes[4] == 0x2d, bytes[7] == 0x2d, let year = number(bytes[0..<4]),
            let month = number(bytes[5..<7]), let day = number(bytes[8..<10])
        else {
            let separator = text.count > 10 && text.dropFirst(10).first == " " ? text.replacing(" ", with: "T") : nil
            throw SyntaxProblem(
                DiagnosticCode.localTime, "\(quoted(text)) is not a date",
                suggestion: separator.map { "write \($0)" } ?? example)
        }
        guard let date = CivilDate(year: year, month: month, day: day) else {
            throw SyntaxProblem(
                DiagnosticCode.localTime, "there is no day \(parts[0])",
                suggestion: (1...12).contains(month) && year > 0
                    ? "that month has \(CivilDate.days(inMonth: month, of: year)) days" : example)
        }
        guard parts.count == 2 else { return Schedule.LocalTime(date) }
        guard let minute = minute(parts[1]), minute < 1_440 else {
            let hasZone = parts[1].hasSuffix("Z") || parts[1].contains("+") || parts[1].dropFirst(5).contains("-")
            throw SyntaxProblem(
                DiagnosticCode.localTime, "\(quoted(text)) does not end in a time of day",
                suggestion: hasZone
                    ? "write the time by the clocks of the rule's timezone: \(parts[0])T\(parts[1].prefix(5))"
                    : "write hours and minutes, \(parts[0])T18:00")
        }
        return Schedule.LocalTime(date, minute: minute)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 0x30)
        }
        return value
    }
}
