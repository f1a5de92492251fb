// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyPrinter {
    /// A budget's fields but for its match, each on a line of its own.
    static func budgetFields(_ budget: TrafficBudget) -> [String] {
        var lines: [String] = []
        if budget.direction != .egress { lines.append("direction: \(budget.direction.rawValue)") }
        if let amount = budget.amount { lines.append("amount: \(amount)") }
        lines.append("per: \(budget.period)")
        if budget.period.zone.name != "UTC" { lines.append("timezone: \(YAMLScalar.text(budget.period.zone.name))") }
        if let schedule = budget.schedule { lines.append("when: \(when(schedule, hasClosing: false))") }
        if budget.scope != .endpoint { lines.append("scope: \(YAMLScalar.text(budget.scope.description))") }
        if budget.amount != nil { lines.append("onExhausted: \(budget.onExhausted)") }
        if !budget.alertAt.isEmpty {
            lines.append("alertAt: [\(budget.alertAt.map { "\($0)%" }.joined(separator: ", "))]")
        }
        if let price = budget.price { lines.append("price: \(price)") }
        return lines
    }
}
