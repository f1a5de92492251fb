// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretNftables
import EgretPolicy

/// The budgets of a run: each is a total for the run, counted in a table of its own.
final class RunBudgets {
    /// What was used of a budget.
    struct Use: Encodable, Hashable {
        var policy: String
        var budget: String
        /// Bytes, IP headers included.
        var used: UInt64
        /// How many bytes might be used; absent where they were only counted.
        var amount: UInt64?
        /// Packets that were held back.
        var refused: UInt64
        /// What it costs, as `0.42 USD`; absent where the budget has no price.
        var cost: String?
    }

    /// What the kernel holds.
    let program: TableProgram
    private let budgets: [EgressBudget]
    private let dataplane: Dataplane

    /// A budget, and whose it is.
    struct EgressBudget {
        var policy: String
        var budget: TrafficBudget
        var account: String
        /// Whether its policy decides: in audit mode it only counts.
        var isEnforced: Bool

        var holdsBack: Bool { isEnforced && budget.amount != nil && budget.onExhausted != .alert }
    }

    static func budgets(of policies: PolicySet) -> [EgressBudget] {
        policies.policies.flatMap { policy in
            policy.budgets.map { budget in
                EgressBudget(
                    policy: policy.name, budget: budget, account: BudgetPlan.name(of: [policy.name, budget.name]),
                    isEnforced: policy.mode == .enforce)
            }
        }
    }

    /// Puts the budgets into the kernel. Nothing leaves yet.
    ///
    /// - Returns: `nil` if the policies have none.
    init?(_ policies: PolicySet, for endpoint: Endpoint, slot: Int, _ dataplane: Dataplane) throws {
        budgets = RunBudgets.budgets(of: policies)
        if budgets.isEmpty { return nil }
        self.dataplane = dataplane
        var plan = BudgetPlan(table: BudgetPlan.table(slot: slot))
        plan.accounts = budgets.filter(\.holdsBack).map { entry in
            BudgetPlan.Account(
                name: entry.account, left: entry.budget.amount?.bytes ?? 0, onExhausted: entry.budget.onExhausted)
        }
        let link = BudgetPlan.Link(
            attachment: .link(endpoint.interface, index: endpoint.interfaceIndex), addresses: endpoint.addresses)
        plan.members = [
            BudgetPlan.Member(
                name: "run", links: [link],
                meters: budgets.map { entry in
                    BudgetPlan.Meter(
                        name: entry.account, clause: BudgetPlan.Clause(entry.budget, groups: policies.groups),
                        account: entry.holdsBack ? entry.account : nil)
                })
        ]
        program = plan.program
        var transaction = Transaction([Transaction.Step(.addTable, in: program.table)])
        for operation in program.installation { transaction.append(operation, in: program.table) }
        try dataplane.commit(transaction)
    }

    /// Whether budgets are several that hold packets back: what one drops, others' quotas have counted.
    var needCorrection: Bool { budgets.count { $0.holdsBack } > 1 }

    /// Gives quotas what is left by the counters of what passed.
    func correct() throws {
        guard let found = try dataplane.meters(in: program.table) else { return }
        var changes = Transaction()
        for entry in budgets where entry.holdsBack {
            guard let amount = entry.budget.amount?.bytes, let quota = found.quotas[BudgetPlan.quota(of: entry.account)]
            else { continue }
            let used = found.counters[BudgetPlan.counter(of: entry.account)]?.bytes ?? 0
            let account = BudgetPlan.Account(
                name: entry.account, left: amount > used ? amount - used : 0, onExhausted: entry.budget.onExhausted)
            let steps = BudgetPlan.correction(
                of: account, amount: amount, bytes: quota.bytes, used: quota.used,
                leftover: BudgetPlan.leftover(ofAmount: amount))
            for step in steps ?? [] { changes.append(step, in: program.table) }
        }
        if !changes.steps.isEmpty { try dataplane.commit(changes) }
    }

    /// What was used; to be asked before the table goes.
    func uses() throws -> [Use] {
        let counters = try dataplane.counters(in: program.table)
        return budgets.map { entry in
            let used = counters[BudgetPlan.counter(of: entry.account)]?.bytes ?? 0
            return Use(
                policy: entry.policy, budget: entry.budget.name, used: used, amount: entry.budget.amount?.bytes,
                refused: counters[BudgetPlan.refusals(of: entry.account)]?.packets ?? 0,
                cost: entry.budget.price.map { TrafficPrice.text(ofMicros: $0.micros(of: used), in: $0.currency) })
        }
    }

    /// Takes a run's table away, if it is there.
    static func remove(slot: Int, _ dataplane: Dataplane) throws {
        try dataplane.removeTables([BudgetPlan.table(slot: slot)])
    }
}

extension RunBudgets.Use {
    /// `command-line budget 1: 1.20 MB of 2.00 MB used, 3 packets held back, costs 0.01 USD`.
    var line: String {
        let whole = amount.map { " of \(RoundedBytes.text($0))" } ?? ""
        let held = refused == 0 ? "" : ", \(refused) \(refused == 1 ? "packet" : "packets") held back"
        let costs = cost.map { ", costs \($0)" } ?? ""
        return "\(policy) \(budget): \(RoundedBytes.text(used))\(whole) used\(held)\(costs)".withVisibleControls
    }
}
