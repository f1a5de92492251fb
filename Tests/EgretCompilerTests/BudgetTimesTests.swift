// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy
import Testing

@testable import EgretCompiler

@Suite("Budgets at times in the kernel")
struct BudgetTimesTests {
    /// 2026-11-23, a Monday.
    private static let monday: Int64 = 20_780 * 86_400

    private func plan(_ budgets: [TrafficBudget]) throws -> BudgetPlan {
        var plan = BudgetPlan()
        let link = BudgetPlan.Link(
            attachment: .link(try #require(InterfaceName("egn1")), index: 7),
            addresses: [try #require(IPAddress("10.9.0.1"))])
        plan.members = [
            BudgetPlan.Member(
                name: "m", links: [link],
                meters: budgets.map { budget in
                    BudgetPlan.Meter(
                        name: budget.name, clause: BudgetPlan.Clause(budget, groups: [:]), account: budget.name,
                        countsConnections: budget.unit == .connections)
                })
        ]
        plan.accounts = budgets.map { budget in
            BudgetPlan.Account(
                name: budget.name, left: budget.amount?.count ?? 0, unit: budget.unit,
                onExhausted: budget.onExhausted)
        }
        plan.horizon = Self.monday...Self.monday + 14 * 86_400
        return plan
    }

    private func office() throws -> Schedule {
        Schedule(days: [.mon], hours: [try #require(Schedule.Hours(start: 540, end: 1_020))])
    }

    private func rules(_ plan: BudgetPlan, _ chain: String) -> [String] {
        plan.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    @Test("whoever asks, counts and begins does so at the times of the budget, and all else always")
    func conditions() throws {
        let timed = TrafficBudget(name: "a", amount: BudgetAmount(5, .connections), schedule: try office())
        let always = TrafficBudget(name: "b", amount: BudgetAmount(bytes: 1_000))
        var plan = try plan([timed, always])
        let sets = plan.program.sets.filter { $0.keyType == .time }
        #expect(sets.count == 1)
        let time = "meta time @\(try #require(sets.first).name)"
        #expect(rules(plan, "from-m") == ["\(time) jump check-a", "jump check-b"])
        #expect(
            rules(plan, "used-from-m") == [
                "\(time) counter name \"used-a\"", "counter name \"used-b\"", "ct status confirmed return",
                "ct direction == original \(time) counter name \"opened-a\"",
            ])
        plan.accounts[0].isSpent = true
        #expect(rules(plan, "spent-from-m") == ["\(time) jump check-a"])
        #expect(rules(plan, "from-m") == ["jump check-b"])
    }

    @Test("the set has the times of the horizon, and all beyond it")
    func horizon() throws {
        let plan = try plan([TrafficBudget(name: "a", amount: BudgetAmount(bytes: 1_000), schedule: try office())])
        guard case .elements(let elements) = try #require(plan.times(within: plan.horizon).first).contents else {
            Issue.record("the set has no elements")
            return
        }
        #expect(elements == ScheduleUse(schedule: try office(), holdsBack: true).moments(within: plan.horizon))
        #expect(elements.first?.lowerBound == 0)
        // What came before, the office hours of two Mondays, and what comes after.
        #expect(elements.count == 4)
    }

    @Test("other times are given in place, and nothing else changes")
    func renewal() throws {
        var plan = try plan([
            TrafficBudget(name: "a", amount: BudgetAmount(bytes: 1_000), schedule: try office()),
            TrafficBudget(name: "b", amount: BudgetAmount(bytes: 1_000), schedule: try office()),
        ])
        let former = plan.program
        let horizon = Self.monday + 8 * 86_400...Self.monday + 22 * 86_400
        var next = former
        next.setTimes(plan.times(within: horizon))
        plan.horizon = horizon
        #expect(next == plan.program)
        #expect(next.renewal(ofTimesOf: former).count == 2)
        #expect(former.renewal(ofTimesOf: former) == [])
        let difference = next.difference(from: former)
        #expect(difference.arrival == [] && difference.departure == [] && difference.switching.count == 2)
    }

    @Test("budgets without times have no such set")
    func always() throws {
        let plan = try plan([TrafficBudget(name: "a", amount: BudgetAmount(bytes: 1_000))])
        #expect(plan.times(within: plan.horizon) == [])
        #expect(plan.program.sets.allSatisfy { $0.keyType != .time })
    }
}
