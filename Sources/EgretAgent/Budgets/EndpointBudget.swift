// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretPolicy

/// A budget that an endpoint's traffic counts for.
struct EndpointBudget: Hashable, Sendable {
    /// The policy's name.
    var policy: String
    /// The budget.
    var budget: TrafficBudget
    /// Whether it holds anybody back: one of a policy in audit mode only counts.
    var isEnforced: Bool
    /// Which packets it is about.
    var clause: BudgetPlan.Clause

    /// The budgets of policies that decide about an endpoint.
    static func all(of policies: PolicySet?) -> [EndpointBudget] {
        guard let policies else { return [] }
        return policies.policies.flatMap { policy in
            policy.budgets.map { budget in
                EndpointBudget(
                    policy: policy.name, budget: budget, isEnforced: policy.mode == .enforce,
                    clause: BudgetPlan.Clause(budget, groups: policies.groups))
            }
        }
    }

    /// Whether packets are held back when its amount is used up.
    var holdsBack: Bool { isEnforced && budget.amount != nil && budget.onExhausted != .alert }
}

/// What endpoints' budgets come to: what is counted, and what the kernel should hold.
struct BudgetDemand: Equatable {
    private(set) var plan = BudgetPlan()
    private(set) var budgets: [BudgetAccount: TrafficBudget] = [:]
    private(set) var meters: [String: BudgetBook.Meter] = [:]
    /// The accounts that hold packets back, by the names that their objects carry.
    private(set) var accounts: [String: BudgetAccount] = [:]
    /// How many endpoints use each account.
    private(set) var users: [BudgetAccount: Int] = [:]

    /// Nothing counts.
    init() {}

    init(_ endpoints: [EnforcedEndpoint]) {
        var members: [String: BudgetPlan.Member] = [:]
        for endpoint in endpoints where !endpoint.budgets.isEmpty {
            let name = endpoint.endpoint.workload.id.description
            let link = BudgetPlan.Link(
                attachment: endpoint.endpoint.attachment, addresses: endpoint.endpoint.addresses)
            if members[name] != nil {
                members[name]?.links.append(link)
                continue
            }
            members[name] = BudgetPlan.Member(
                name: BudgetPlan.name(of: ["endpoint", name]), links: [link],
                meters: endpoint.budgets.map { meter($0, of: name, endpoint.endpoint.workload.labels) })
        }
        plan.members = members.sorted { $0.key < $1.key }.map(\.value)
        plan.accounts = accounts.sorted { $0.value < $1.value }.compactMap { name, account in
            budgets[account].map {
                BudgetPlan.Account(name: name, left: $0.amount?.bytes ?? 0, onExhausted: $0.onExhausted)
            }
        }
    }

    private mutating func meter(
        _ entry: EndpointBudget, of endpoint: String, _ labels: [String: String]
    ) -> BudgetPlan.Meter {
        let budget = entry.budget
        let account = BudgetAccount(
            policy: entry.policy, budget: budget.name, account: budget.account(of: endpoint, labels: labels))
        budgets[account] = budget
        users[account, default: 0] += 1
        let name = BudgetPlan.name(of: ["meter", endpoint, entry.policy, budget.name])
        meters[BudgetPlan.counter(of: name)] = BudgetBook.Meter(endpoint: endpoint, account: account)
        guard entry.holdsBack else { return BudgetPlan.Meter(name: name, clause: entry.clause, account: nil) }
        let kernelName = BudgetPlan.name(of: ["account", account.policy, account.budget, account.account])
        accounts[kernelName] = account
        return BudgetPlan.Meter(name: name, clause: entry.clause, account: kernelName)
    }

    /// The plan with what is left, and what is used up, of accounts now.
    func plan(_ state: (BudgetAccount) -> (left: UInt64, isSpent: Bool)) -> BudgetPlan {
        var plan = plan
        for place in plan.accounts.indices {
            guard let account = accounts[plan.accounts[place].name] else { continue }
            let now = state(account)
            plan.accounts[place].left = min(now.left, BudgetPlan.quotaLimit)
            plan.accounts[place].isSpent = now.isSpent
        }
        return plan
    }
}
