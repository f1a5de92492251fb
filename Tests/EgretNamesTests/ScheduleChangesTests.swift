// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNames
import EgretPolicy
import Testing

/// When open connections are judged again for the time's sake.
struct ScheduleChangesTests {
    @Test("a change is told once, to the second, and when the clock is set back; so is each minute, that may hide one")
    func changes() throws {
        let schedules = [
            Schedule(hours: [try #require(Schedule.Hours(start: 540, end: 1_020))]),
            Schedule(hours: [try #require(Schedule.Hours(start: 600, end: 660))], onClose: .drain),
        ]
        let rules = schedules.map { EgressRule(action: .allow, schedule: $0) } + [EgressRule(action: .allow)]
        let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
        let (nine, ten): (Int64, Int64) = (20_780 * 86_400 + 32_400, 20_780 * 86_400 + 36_000)
        var changes = ScheduleChanges(of: policies)
        let asked: [(time: Int64, expected: Bool)] = [
            (nine - 7_200, true), (nine - 7_200, false), (nine - 7_141, false), (nine - 7_140, true),
            (nine - 10, true), (nine - 1, false), (nine, true), (nine, false), (nine + 59, false),
            (ten - 1, true), (ten, true), (ten + 1, false), (ten - 1, true), (ten, true),
        ]
        for (time, expected) in asked { #expect(changes.haveHappened(by: time) == expected, "\(time - nine)") }
    }
}
