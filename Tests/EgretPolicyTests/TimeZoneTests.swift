// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import EgretTesting
import Testing

@Suite("Time zones and schedules, against what Python's zoneinfo says")
struct TimeZoneTests {
    /// The lines of `Zones/zones.txt`, split at spaces.
    private let lines: [[Substring]]
    private let zones: [String: TimeZoneRules]

    init() throws {
        let text = String(decoding: try contents(of: testDirectory + "/Zones/zones.txt"), as: UTF8.self)
        lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        zones = try capturedZones()
    }

    @Test("the offset from UTC is right in the past, at every change and in the far future")
    func offsets() throws {
        var count = 0
        for line in lines where line[0] == "at" {
            let zone = try #require(zones[String(line[1])])
            let time = try #require(Int64(line[2]))
            #expect(String(zone.offset(at: time)) == line[3], "\(zone) at \(time)")
            count += 1
        }
        #expect(count > 1_500)
    }

    @Test("the windows of a schedule are those that asking for every minute finds")
    func windows() throws {
        var count = 0
        for line in lines where line[0] == "open" {
            let zone = try #require(zones[String(line[1])])
            let schedule = Schedule(
                days: line[2] == "-" ? [] : line[2].split(separator: ",").compactMap { Weekday(rawValue: String($0)) },
                hours: line[3] == "-" ? [] : line[3].split(separator: ",").compactMap(hours), zone: zone)
            let first = try #require(Int64(line[4]))
            let last = try #require(Int64(line[5]))
            let windows = schedule.windows(from: first, through: last - 1)
            let text = windows.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
            #expect((text.isEmpty ? "-" : text) == line[6], "\(line[1...5])")
            for window in windows {
                #expect(schedule.isOpen(at: window.lowerBound) && schedule.isOpen(at: window.upperBound - 1))
                #expect(window.upperBound == last || !schedule.isOpen(at: window.upperBound))
                #expect(window.lowerBound == first || !schedule.isOpen(at: window.lowerBound - 1))
            }
            count += 1
        }
        #expect(count > 400)
    }

    @Test("windows, isOpen and nextChange agree at random times, with and without bounds")
    func agreement() {
        var generator = SeededGenerator(seed: 11)
        let all = zones.values.sorted { $0.name < $1.name }
        for _ in 0..<300 {
            let schedule = random(all, &generator)
            let first = Int64.random(in: 1_600_000_000...2_000_000_000, using: &generator)
            let last = first + Int64.random(in: 0...2_000_000, using: &generator)
            let windows = schedule.windows(from: first, through: last)
            for (left, right) in zip(windows, windows.dropFirst()) { #expect(left.upperBound < right.lowerBound) }
            for _ in 0..<50 {
                let time = Int64.random(in: first...last, using: &generator)
                let isOpen = schedule.isOpen(at: time)
                #expect(windows.contains { $0.contains(time) } == isOpen, "\(schedule) at \(time)")
            }
            // The changes, one after the other, are the windows' ends.
            var changes: [Int64] = []
            var moment = first
            while let next = schedule.nextChange(after: moment), next <= last {
                changes.append(next)
                moment = next
            }
            let ends = windows.flatMap { [$0.lowerBound, $0.upperBound] }.filter { $0 > first && $0 <= last }
            #expect(changes == ends, "\(schedule) from \(first) through \(last)")
            #expect([schedule].changes(after: first, through: last) == ends)
        }
    }

    @Test("changes of several schedules come in order and once, one at the beginning not and one at the end too")
    func changes() throws {
        let day: Int64 = 20_780 * 86_400
        let schedules = [
            Schedule(hours: [try #require(Schedule.Hours(start: 540, end: 1_020))]),
            Schedule(hours: [try #require(Schedule.Hours(start: 600, end: 1_020))]),
        ]
        let (nine, ten, five) = (day + 32_400, day + 36_000, day + 61_200)
        #expect(schedules.changes(after: day, through: day + 86_400) == [nine, ten, five])
        #expect(schedules.changes(after: nine - 1, through: five) == [nine, ten, five])
        #expect(schedules.changes(after: nine, through: five - 1) == [ten])
        #expect(schedules.changes(after: five, through: nine).isEmpty)
        #expect([Schedule()].changes(after: day, through: day + 86_400).isEmpty)
        let rules = [schedules[0], schedules[1], schedules[0], nil].map { EgressRule(action: .allow, schedule: $0) }
        let policies = [EgressPolicy(name: "p", rules: rules), EgressPolicy(name: "q", rules: [rules[1]])]
        #expect(policies.schedules == Set(schedules))
    }

    @Test("local times that clocks skip or show twice are the first moment at which they show that time or a later one")
    func oddLocalTimes() throws {
        let zurich = try #require(zones["Europe/Zurich"])
        func moment(_ year: Int64, _ month: Int64, _ day: Int64, _ minute: Int64) throws -> Int64 {
            let date = try #require(CivilDate(year: year, month: month, day: day))
            return zurich.firstMoment(ofLocalTime: date.dayNumber * 86_400 + minute * 60)
        }
        #expect(try moment(2026, 3, 29, 119) == 1_774_745_940)
        #expect(try moment(2026, 3, 29, 150) == 1_774_746_000, "02:30 is skipped: the moment of the change, 01:00Z")
        #expect(try moment(2026, 3, 29, 180) == 1_774_746_000)
        #expect(try moment(2026, 10, 25, 150) == 1_792_888_200, "02:30 is shown at 00:30Z and at 01:30Z")
        #expect(try moment(2026, 10, 25, 180) == 1_792_893_600)
        // Samoa went without 30 December 2011; in São Paulo summer time began at midnight.
        let apia = try #require(zones["Pacific/Apia"])
        let skipped = try #require(CivilDate(year: 2011, month: 12, day: 30)).dayNumber * 86_400
        #expect(apia.firstMoment(ofLocalTime: skipped) == apia.firstMoment(ofLocalTime: skipped + 86_400))
        #expect(apia.firstMoment(ofLocalTime: skipped) == 1_325_239_200)
        let paulo = try #require(zones["America/Sao_Paulo"])
        let midnight = try #require(CivilDate(year: 2018, month: 11, day: 4)).dayNumber * 86_400
        #expect(paulo.firstMoment(ofLocalTime: midnight) == 1_541_300_400)
        #expect(paulo.firstMoment(ofLocalTime: midnight + 3_600) == 1_541_300_400)
    }

    @Test("a day alone in until is held to its end, and from is at its beginning")
    func bounds() throws {
        let day = try #require(CivilDate(year: 2028, month: 2, day: 29))
        let schedule = Schedule(from: .init(day), until: .init(day), zone: try #require(zones["Asia/Kathmandu"]))
        let start = day.dayNumber * 86_400 - 20_700
        #expect(schedule.bounds == start..<start + 86_400)
        #expect(!schedule.isOpen(at: start - 1) && schedule.isOpen(at: start) && !schedule.isOpen(at: start + 86_400))
        #expect(schedule.nextChange(after: 0) == start)
        #expect(schedule.nextChange(after: start) == start + 86_400)
        #expect(schedule.nextChange(after: start + 86_400) == nil)
        #expect(Schedule().nextChange(after: 0) == nil)
        #expect(Schedule().windows(from: 5, through: 9) == [5..<10])
        #expect(Schedule().isOpen(at: 1 << 40))
    }

    @Test("of two schedules is known for certain that they are never open at once, or nothing is")
    func apart() throws {
        let hours = try [(540, 1_020), (1_020, 540), (1_320, 360)].map {
            try #require(Schedule.Hours(start: $0.0, end: $0.1))
        }
        func schedule(
            _ days: [Weekday] = [], _ hours: [Schedule.Hours] = [], _ from: Int64? = nil, _ until: Int64? = nil,
            zone: TimeZoneRules = .utc
        ) -> Schedule {
            func time(_ day: Int64) -> Schedule.LocalTime { Schedule.LocalTime(CivilDate(dayNumber: day)) }
            return Schedule(days: days, hours: hours, from: from.map(time), until: until.map(time), zone: zone)
        }
        let (day, night) = (schedule([], [hours[0]]), schedule([], [hours[1]]))
        #expect(day.isApart(from: night) && night.isApart(from: day) && !day.isApart(from: day))
        #expect(schedule([.mon]).isApart(from: schedule([.tue])))
        // Monday's night reaches into Tuesday.
        #expect(!schedule([.mon], [hours[2]]).isApart(from: schedule([.tue])))
        #expect(schedule([.mon], [hours[2]]).isApart(from: schedule([.tue], [hours[0]])))
        #expect(schedule([], [], nil, 100).isApart(from: schedule([], [], 101)))
        #expect(!schedule([], [], nil, 100).isApart(from: schedule([], [], 100)))
        // By the clocks of two zones only what is a day and more apart is.
        let zurich = try #require(zones["Europe/Zurich"])
        #expect(!day.isApart(from: schedule([], [hours[1]], zone: zurich)))
        #expect(schedule([], [], nil, 100).isApart(from: schedule([], [], 102, zone: zurich)))
    }

    @Test("no time traps, and no bytes do")
    func extremes() throws {
        let zurich = try #require(zones["Europe/Zurich"])
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let schedule = Schedule(days: [.mon], hours: [hours], zone: zurich)
        for time in [Int64.min, .min + 1, -(1 << 59), 1 << 59, .max - 1, .max] {
            _ = zurich.offset(at: time)
            _ = zurich.firstMoment(ofLocalTime: time)
            _ = schedule.isOpen(at: time)
            _ = schedule.nextChange(after: time)
            #expect(schedule.windows(from: time, through: time).count <= 1)
        }
        #expect(schedule.windows(from: 9, through: 3) == [])
        let line = try #require(lines.first { $0[0] == "zone" && $0[1] == "Europe/Zurich" })
        let good = bytes(ofHex: line[2])
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<3_000 {
            var bad = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bad[Int.random(in: 0..<bad.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bad.removeLast(.random(in: 1...bad.count, using: &generator)) }
            if let rules = try? TimeZoneRules(tzif: bad, name: "bad") {
                _ = rules.offset(at: .random(in: .min ... .max, using: &generator))
                _ = rules.offset(at: .random(in: 0...4_000_000_000, using: &generator))
            }
        }
        #expect(throws: TimeZoneReadError.self) { try TimeZoneRules(tzif: [], name: "empty") }
        #expect(throws: TimeZoneReadError.self) { try TimeZoneRules(tzif: Array(good.dropLast()), name: "cut") }
    }

    @Test("a file of version 1 is read, and one with leap seconds is refused")
    func versions() throws {
        // One change, at 1: from 0 to 3,600.
        func file(leaps: UInt8) -> [UInt8] {
            var bytes = Array("TZif".utf8) + [UInt8](repeating: 0, count: 16)
            for count: UInt8 in [0, 0, leaps, 1, 2, 4] { bytes += [0, 0, 0, count] }
            bytes += [0, 0, 0, 1, 1] + [0, 0, 0, 0, 0, 0] + [0, 0, 0x0e, 0x10, 1, 0] + Array("ABC\0".utf8)
            return bytes + [UInt8](repeating: 0, count: Int(leaps) * 8)
        }
        let rules = try TimeZoneRules(tzif: file(leaps: 0), name: "one")
        #expect(rules.offset(at: 0) == 0)
        #expect(rules.offset(at: 1) == 3_600)
        #expect(throws: TimeZoneReadError.self) { try TimeZoneRules(tzif: file(leaps: 1), name: "right/one") }
    }

    private func hours(_ text: Substring) -> Schedule.Hours? {
        let ends = text.split(separator: "-").compactMap { Int64($0) }
        return ends.count == 2 ? Schedule.Hours(start: ends[0], end: ends[1]) : nil
    }

    private func random(_ zones: [TimeZoneRules], _ generator: inout SeededGenerator) -> Schedule {
        func local(_ range: ClosedRange<Int64>) -> Schedule.LocalTime? {
            guard Int.random(in: 0..<3, using: &generator) == 0 else { return nil }
            let date = CivilDate(dayNumber: .random(in: range, using: &generator))
            return .init(date, minute: Bool.random(using: &generator) ? .random(in: 0..<1_440, using: &generator) : nil)
        }
        return Schedule(
            days: Weekday.allCases.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 },
            hours: (0..<Int.random(in: 0...3, using: &generator)).compactMap { _ in
                Schedule.Hours(
                    start: .random(in: 0..<1_440, using: &generator), end: .random(in: 1...1_440, using: &generator))
            },
            from: local(18_500...21_000), until: local(21_001...23_200),
            zone: zones.randomElement(using: &generator) ?? .utc)
    }
}
