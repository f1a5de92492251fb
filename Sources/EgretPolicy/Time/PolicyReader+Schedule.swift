// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let scheduleSchema = DocumentFields.Schema(
        name: "when", fields: ["days", "hours", "timezone", "from", "until", "onClose"],
        foreign: [
            "timeZone": "write timezone", "tz": "write timezone", "zone": "write timezone",
            "day": "write days: and a list",
            "hour": "write hours: and a list", "time": "write hours", "start": "write from", "end": "write until",
            "to": "write until", "weekdays": "write days",
        ]
    )

    /// Of what decides nothing about connections: there is nothing to close.
    private static let plainScheduleSchema: DocumentFields.Schema = {
        var schema = PolicyReader.scheduleSchema
        schema.fields.removeAll { $0 == "onClose" }
        schema.foreign["onClose"] = "remove it: rules end connections or let them go on, and all else goes by the clock"
        return schema
    }()

    private static let closingWords = [
        "close": "cut", "kill": "cut", "drop": "cut", "deny": "cut", "keep": "drain", "finish": "drain",
    ]

    /// Reads `when` of a rule, or of something else (`limit`), which has no `onClose`.
    mutating func readSchedule(_ node: DocumentNode, of owner: String = "rule") -> Schedule? {
        let mistakes = result.diagnostics.count
        let schema = owner == "rule" ? PolicyReader.scheduleSchema : PolicyReader.plainScheduleSchema
        guard let fields = fields(node, schema) else { return nil }
        let days = fields["days"].map { readDays($0) } ?? []
        let hours = fields["hours"].map { readHours($0) } ?? []
        let zone = fields["timezone"].map { readTimeZone($0) } ?? .utc
        let from = fields["from"].flatMap { readLocalTime($0, "from") }
        let until = fields["until"].flatMap { readLocalTime($0, "until") }
        let onClose =
            fields["onClose"].map {
                word($0, "onClose", as: Schedule.ClosingAction.self, others: PolicyReader.closingWords)
            } ?? .cut
        guard let zone, let onClose, result.diagnostics.count == mistakes else { return nil }
        if !["days", "hours", "from", "until"].contains(where: { fields.has($0) }) {
            error(
                DiagnosticCode.empty, at: node.location, "when names no time",
                "write days, hours, from or until; leave when out for a \(owner) that always holds"
            )
            return nil
        }
        let schedule = Schedule(days: days, hours: hours, from: from, until: until, zone: zone, onClose: onClose)
        checkBounds(of: schedule, fields, owner)
        return schedule
    }

    private mutating func checkBounds(of schedule: Schedule, _ fields: DocumentFields, _ owner: String) {
        guard let from = schedule.from, let until = schedule.until else { return }
        let place = fields["until"]?.location ?? fields.node.location
        if schedule.bounds.isEmpty {
            error(
                DiagnosticCode.neverOpen, at: place, "the \(owner) ends before it begins: from \(from) until \(until)",
                "write an until that is later than from")
            return
        }
        let first = schedule.bounds.lowerBound
        guard !schedule.isOpen(at: first), schedule.nextChange(after: first) == nil else { return }
        error(
            DiagnosticCode.neverOpen, at: place,
            "the \(owner) never holds: none of its hours lies between \(from) and \(until)",
            "write other days or hours, or a longer time")
    }

    private mutating func readDays(_ node: DocumentNode) -> [Weekday] {
        let every = "leave days out for every day"
        guard let items = items(node, "days", emptyMessage: "days is empty", emptySuggestion: every) else { return [] }
        var days: [Weekday] = []
        for item in items {
            guard let text = string(item, "an entry of days", expected: "a day such as mon, or mon-fri") else {
                continue
            }
            do throws(SyntaxProblem) {
                let new = try ScheduleSyntax.days(text)
                if let twice = new.first(where: { days.contains($0) }) {
                    error(
                        DiagnosticCode.repeatedTime, at: item.location, "\(twice.rawValue) is among the days already",
                        "write each day once")
                }
                days += new
            } catch {
                result.diagnostics.append(error.diagnostic(at: item.location))
            }
        }
        return days
    }

    private mutating func readHours(_ node: DocumentNode) -> [Schedule.Hours] {
        let whole = "leave hours out for the whole day"
        guard let items = items(node, "hours", emptyMessage: "hours is empty", emptySuggestion: whole) else {
            return []
        }
        var all: [Schedule.Hours] = []
        for item in items {
            guard let text = string(item, "an entry of hours", expected: "hours such as \"09:00-17:00\"") else {
                continue
            }
            do throws(SyntaxProblem) {
                let hours = try ScheduleSyntax.hours(text)
                if let other = all.first(where: { $0.overlaps(hours) }) {
                    error(
                        DiagnosticCode.repeatedTime, at: item.location, "the hours \(hours) overlap \(other)",
                        "write hours that do not overlap")
                }
                all.append(hours)
            } catch {
                result.diagnostics.append(error.diagnostic(at: item.location))
            }
        }
        return all
    }

    private mutating func readLocalTime(_ node: DocumentNode, _ field: String) -> Schedule.LocalTime? {
        guard let text = string(node, field, expected: "a date such as 2026-12-24, or 2026-12-24T18:00") else {
            return nil
        }
        do throws(SyntaxProblem) {
            return try ScheduleSyntax.localTime(text)
        } catch {
            result.diagnostics.append(error.diagnostic(at: node.location))
            return nil
        }
    }

    mutating func readTimeZone(_ node: DocumentNode) -> TimeZoneRules? {
        guard let name = string(node, "timezone", expected: "the name of a zone, such as Europe/Zurich") else {
            return nil
        }
        if let known = knownTimeZones[name] { return known }
        switch timeZones.answer(name) {
        case .success(let rules):
            knownTimeZones[name] = rules
            return rules
        case .failure(let problem):
            result.diagnostics.append(problem.diagnostic(at: node.location))
            return nil
        }
    }
}

extension TimeZoneDatabase {
    /// The rules of a zone, or what is wrong with its name.
    func answer(_ name: String) -> Result<TimeZoneRules, SyntaxProblem> {
        let problem: (message: String, suggestion: String)
        if !TimeZoneDatabase.isName(name) || name.first == "+" || name.first == "-" {
            problem = (
                "\(quoted(name)) is not the name of a time zone",
                "write a name such as Europe/Zurich or UTC; a fixed distance is Etc/GMT-2 for two hours east"
            )
        } else {
            switch lookUp(name) {
            case .rules(let rules): return .success(rules)
            case .unreadable(let reason):
                problem = (
                    "the time zone \(name) cannot be read: \(reason)",
                    "install the package tzdata, or set TZDIR to where the zones are"
                )
            case .unknown:
                let names = names()
                let last = names.first { $0.lowercased().hasSuffix("/\(name.lowercased())") }
                problem = (
                    "there is no time zone \(quoted(name)) here",
                    (last ?? Spelling.nearest(to: name, among: names)).map { "did you mean \"\($0)\"?" }
                        ?? (names.count > 1
                            ? "write a name such as Europe/Zurich or UTC" : "install the package tzdata")
                )
            }
        }
        return .failure(SyntaxProblem(DiagnosticCode.timeZone, problem.message, suggestion: problem.suggestion))
    }
}

extension Schedule.Hours {
    /// Whether some minute of some day is in both.
    func overlaps(_ other: Schedule.Hours) -> Bool {
        ranges.contains { mine in other.ranges.contains { mine.overlaps($0) } }
    }

    private var ranges: [Range<Int64>] {
        crossesMidnight ? [start..<1_440, 0..<end] : [start..<end]
    }
}
