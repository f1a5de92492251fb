// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import Foundation
import Testing

@Suite("What an agent says of budgets")
struct BudgetInfoTests {
    @Test("an agent that knows of bytes alone is understood")
    func withoutUnit() throws {
        let text = """
            {
              "policy": "web", "budget": "monthly", "account": "shop/web", "endpoints": 1, "used": 7, "granted": 0,
              "period": "month", "onExhausted": "cut", "isExhausted": false, "refused": 0
            }
            """
        let found = try JSONDecoder().decode(BudgetInfo.self, from: Data(text.utf8))
        #expect(
            found
                == BudgetInfo(
                    policy: "web", budget: "monthly", account: "shop/web", endpoints: 1, unit: "bytes", used: 7,
                    period: "month", onExhausted: "cut", isExhausted: false, refused: 0))
    }

    @Test("what is said comes back whole")
    func whole() throws {
        var info = ScriptedService.budgets[0]
        info.unit = "packets"
        info.granted = 5
        let again = try JSONDecoder().decode(BudgetInfo.self, from: JSONEncoder().encode(info))
        #expect(again == info)
    }
}
