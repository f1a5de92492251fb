// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@testable import EgretCommands

@Suite("Budgets of a run")
struct RunBudgetsTests {
    @Test("those of policies in audit mode count and hold nothing back, as under an agent")
    func audit() {
        let budget = TrafficBudget(name: "b", amount: BudgetAmount(bytes: 1_000), onExhausted: .cut)
        let policies = PolicySet(policies: [
            EgressPolicy(name: "held", rules: [], budgets: [budget]),
            EgressPolicy(name: "looked-at", mode: .audit, rules: [], budgets: [budget]),
        ])
        let found = RunBudgets.budgets(of: policies)
        #expect(found.map(\.policy) == ["held", "looked-at"])
        #expect(found.map(\.holdsBack) == [true, false])
    }

    @Test("what was used is told in its unit")
    func lines() {
        func line(_ unit: String, _ used: UInt64, of amount: UInt64) -> String {
            RunBudgets.Use(policy: "p", budget: "b", unit: unit, used: used, amount: amount, refused: 0, cost: nil).line
        }
        #expect(line("bytes", 1_200_000, of: 2_000_000) == "p b: 1.20 MB of 2.00 MB used")
        #expect(line("packets", 1_200_000, of: 2_000_000) == "p b: 1200000 packets of 2000000 packets used")
        #expect(line("connections", 1, of: 5) == "p b: 1 connection of 5 connections used")
    }
}
