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
        /// What it is of: `bytes`, `packets` or `connections`.
        var unit: String
        /// How much of that was used; bytes with IP headers.
        var used: UInt64
        /// How much might be used; absent where it was only counted.
        var amount: UInt64?
        /// Packets that were held back.
        var refused: UInt64
        /// What it costs, as `0.42 USD`; absent where the budget has no price.
        var cost: String?
    }

    /// What the kernel holds, as it was last corrected.
    private(set) var program: TableProgram
    private let budgets: [EgressBudget]
    private let plan: BudgetPlan
    private let dataplane: Dataplane

    /// A budget, and whose it is.
    struct EgressBudget {
        var policy: String
        var budget: TrafficBudget
        var account: String
        /// Whether its policy decides: in audit mode it only counts.
        var isEnforced: Bool

        var holdsBack: Bool { isEnforced && budget.amount != nil && budget.onExhausted != .alert }

        /// What the kernel is to know of it, with what is left.
        func planned(left: UInt64) -> BudgetPlan.Account {
            BudgetPlan.Account(name: account, left: left, unit: budget.unit, onExhausted: budget.onExhausted)
        }

        /// What was used, by counters.
        func used(_ counters: [String: CounterValue]) -> UInt64 {
            switch budget.unit {
            case .bytes: counters[BudgetPlan.counter(of: account)]?.bytes ?? 0
            case .packets: counters[BudgetPlan.counter(of: account)]?.packets ?? 0
            case .connections: counters[BudgetPlan.opened(of: account)]?.packets ?? 0
            }
        }
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

    /// Puts the budgets into the kernel; `nil` if the policies have none. Nothing leaves yet.
    ///
    /// Their times are those within the horizon: its first and last second, since 1970.
    init?(
        _ policies: PolicySet, for endpoint: Endpoint, slot: Int, horizon: ClosedRange<Int64>, _ dataplane: Dataplane
    ) throws {
        budgets = RunBudgets.budgets(of: policies)
        if budgets.isEmpty { return nil }
        self.dataplane = dataplane
        var plan = BudgetPlan(table: BudgetPlan.table(slot: slot))
        plan.horizon = horizon
        plan.accounts = budgets.filter(\.holdsBack).map { $0.planned(left: $0.budget.amount?.count ?? 0) }
        let link = BudgetPlan.Link(
            attachment: .link(endpoint.interface, index: endpoint.interfaceIndex), addresses: endpoint.addresses)
        plan.members = [
            BudgetPlan.Member(
                name: "run", links: [link],
                meters: budgets.map { entry in
                    BudgetPlan.Meter(
                        name: entry.account, clause: BudgetPlan.Clause(entry.budget, groups: policies.groups),
                        account: entry.holdsBack ? entry.account : nil,
                        countsConnections: entry.budget.unit == .connections)
                }, readsDatagrams: policies.readsDatagrams)
        ]
        self.plan = plan
        program = plan.program
        var transaction = Transaction([Transaction.Step(.addTable, in: program.table)])
        for operation in program.installation { transaction.append(operation, in: program.table) }
        try dataplane.commit(transaction)
    }

    /// The sets that whoever resolves names must fill.
    var namedSets: [(table: Table, set: NamedSet)] { plan.namedSets.map { (table: plan.table, set: $0.set) } }

    /// Whether budgets are several that hold packets back: what one drops, others' quotas have counted. So is one that is of more
    /// than the kernel can number.
    var needCorrection: Bool {
        let holding = budgets.filter(\.holdsBack)
        return holding.count > 1
            || holding.contains { $0.budget.unit != .bytes && $0.budget.amount?.count ?? 0 > BudgetPlan.tallyLimit }
    }

    /// Whether a budget counts at some times only.
    var hasTimes: Bool { budgets.contains { $0.budget.schedule != nil } }

    /// What the kernel is to hold with the times of other days.
    func program(within horizon: ClosedRange<Int64>) -> TableProgram {
        var further = program
        further.setTimes(plan.times(within: horizon))
        return further
    }

    /// Knows that the kernel has been given the times of a program.
    func hold(_ program: TableProgram) { self.program = program }

    /// Gives quotas what is left by the counters of what passed.
    func correct() throws {
        guard let found = try dataplane.meters(in: program.table) else { return }
        // What is left is read behind what has asked: no more may pass than are left, whatever has come in between.
        let areOfBytes = budgets.allSatisfy { $0.budget.unit == .bytes }
        let counters = try areOfBytes ? found.counters : dataplane.counters(in: program.table)
        var changes = Transaction()
        // The last numbers that pass, by the names of their sets.
        let bounds = BudgetPlan.bounds(in: program)
        var corrected = bounds
        for entry in budgets where entry.holdsBack {
            guard let amount = entry.budget.amount else { continue }
            let used = entry.used(counters)
            let account = entry.planned(left: amount.count > used ? amount.count - used : 0)
            var steps: [EgretNftables.Operation]?
            if amount.unit == .bytes {
                guard let quota = found.quotas[BudgetPlan.quota(of: entry.account)] else { continue }
                steps = BudgetPlan.correction(
                    of: account, amount: amount.count, bytes: quota.bytes, used: quota.used,
                    leftover: BudgetPlan.leftover(of: amount))
            } else {
                let numbers = BudgetPlan.numbers(of: account)
                guard let bound = bounds[numbers],
                    let asked = BudgetPlan.asked(of: account, bound: bound, { found.counters[$0]?.packets })
                else { continue }
                let correction = BudgetPlan.correction(
                    ofTally: account, amount: amount.count, bound: bound, asked: asked)
                steps = correction?.steps
                if let correction { corrected[numbers] = correction.bound }
            }
            for step in steps ?? [] { changes.append(step, in: program.table) }
        }
        if changes.steps.isEmpty { return }
        try dataplane.commit(changes)
        program.setBounds(corrected)
    }

    /// What was used; to be asked before the table goes.
    func uses() throws -> [Use] {
        let counters = try dataplane.counters(in: program.table)
        return budgets.map { entry in
            let used = entry.used(counters)
            return Use(
                policy: entry.policy, budget: entry.budget.name, unit: entry.budget.unit.rawValue, used: used,
                amount: entry.budget.amount?.count,
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
        let unit = BudgetAmount.Unit(rawValue: unit) ?? .bytes
        let whole = amount.map { " of \(RoundedBytes.text($0, unit))" } ?? ""
        let held = refused == 0 ? "" : ", \(refused) \(refused == 1 ? "packet" : "packets") held back"
        let costs = cost.map { ", costs \($0)" } ?? ""
        return "\(policy) \(budget): \(RoundedBytes.text(used, unit))\(whole) used\(held)\(costs)".withVisibleControls
    }
}
