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
}
