// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@testable import EgretNames

/// The moments at which open connections may end by themselves.
struct ScheduleMomentsTests {
    @Test("each moment is the first of all rules', also when it is asked for again, and after many others")
    func moments() throws {
        let schedules = [
            Schedule(hours: [try #require(Schedule.Hours(start: 540, end: 1_020))], onClose: .cut),
            Schedule(hours: [try #require(Schedule.Hours(start: 600, end: 660))], onClose: .drain),
        ]
        let rules = schedules.map { EgressRule(action: .allow, schedule: $0) } + [EgressRule(action: .allow)]
        let moments = ScheduleMoments(
            PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)]))
        let midnight: Int64 = 20_780 * 86_400
        let (nine, ten, eleven, five) = (midnight + 32_400, midnight + 36_000, midnight + 39_600, midnight + 61_200)
        for _ in 0..<2 {
            #expect(moments.next(after: midnight) == nine)
            #expect(moments.next(after: nine) == ten)
            #expect(moments.next(after: ten) == eleven)
            #expect(moments.next(after: eleven) == five)
            for second in 0..<300 { #expect(moments.next(after: five + Int64(second)) == nine + 86_400) }
        }
        let always = ScheduleMoments(PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [])]))
        for _ in 0..<2 { #expect(always.next(after: midnight) == nil) }
    }
}
