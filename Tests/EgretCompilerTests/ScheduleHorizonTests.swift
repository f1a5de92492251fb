// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("The times of rules in the kernel, as the days pass")
struct ScheduleHorizonTests {
    /// 2026-11-23, a Monday.
    private static let monday: Int64 = 20_780 * 86_400

    private func program(at time: Int64) throws -> TableProgram {
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let office = Schedule(days: [.mon, .fri], hours: [hours])
        let (first, last) = (CivilDate(dayNumber: 20_790), CivilDate(dayNumber: 20_796))
        let week = Schedule(from: Schedule.LocalTime(first), until: Schedule.LocalTime(last))
        let rules = [
            EgressRule(action: .deny, services: [.ports(.tcp, PortRange(25))], schedule: office),
            EgressRule(action: .allow, services: [.ports(.tcp, PortRange(443))], schedule: office),
            EgressRule(action: .allow, services: [.ports(.tcp, PortRange(22))], schedule: week),
            EgressRule(action: .allow, services: [.ports(.tcp, PortRange(80))]),
        ]
        return PolicyCompiler.compile(
            PolicySet(policies: [EgressPolicy(name: "p", rules: rules)]),
            generation: try #require(Generation(rawValue: 7)), logGroup: 5, horizon: ScheduleHorizon.seconds(at: time)
        ).program
    }

    private func times(_ program: TableProgram) -> [String: Swift.Set<SetElement>] {
        program.sets.filter { $0.keyType == .time }.reduce(into: [:]) { times, set in
            if case .elements(let elements) = set.contents { times[set.name] = Swift.Set(elements) }
        }
    }

    @Test("a run's program changes in elements of its sets of times and in nothing else")
    func renewal() throws {
        var former = try program(at: ScheduleHorizonTests.monday)
        var present = times(former)
        #expect(present.count == 3 && former.renewal(ofTimesOf: former).isEmpty)
        var kept = 0
        for day in 1...30 {
            let next = try program(at: ScheduleHorizonTests.monday + Int64(day) * 86_400)
            #expect(next.rules == former.rules && next.chains == former.chains)
            for step in next.renewal(ofTimesOf: former) {
                #expect(step.table == BaseProgram.table)
                switch step.operation {
                case .addElements(let set): present[set.name]?.formUnion(times(of: set))
                case .deleteElements(let set): present[set.name]?.subtract(times(of: set))
                default: Issue.record("\(step.operation)")
                }
            }
            #expect(present == times(next), "day \(day)")
            kept += times(next).count { $0.value == times(former)[$0.key] }
            former = next
        }
        // What is as before is not touched.
        #expect(kept > 10)
    }

    private func times(of set: EgretNftables.Set) -> [SetElement] {
        guard case .elements(let elements) = set.contents else { return [] }
        return elements
    }

    @Test("times are worked out anew when half of them is over, and when the clock was set")
    func due() {
        let now = ScheduleHorizonTests.monday
        let seconds = ScheduleHorizon.seconds(at: now)
        for time in [now, now + 86_400, now + 7 * 86_400 - 1, now - 3_600] {
            #expect(!ScheduleHorizon.isDue(seconds, at: time))
            #expect(!ScheduleHorizon.isDue(until: seconds.upperBound, at: time))
        }
        for time in [now + 7 * 86_400, now + 14 * 86_400, now + 400 * 86_400, now - 3_601, 0] {
            #expect(ScheduleHorizon.isDue(seconds, at: time))
            #expect(ScheduleHorizon.isDue(until: seconds.upperBound, at: time))
        }
    }
}
