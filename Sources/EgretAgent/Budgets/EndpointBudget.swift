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

    /// Works out what counts.
    ///
    /// - Parameters:
    ///   - endpoints: The endpoints, with the budgets of their policies.
    ///   - prices: What price lists count of every endpoint that has links.
    init(_ endpoints: [EnforcedEndpoint], prices: [EndpointBudget] = []) {
        var groups: [String: [LinkGroup]] = [:]
        for endpoint in endpoints {
            let budgets = endpoint.budgets + (endpoint.endpoint.control == nil ? prices : [])
            if budgets.isEmpty { continue }
            let name = endpoint.endpoint.workload.id.description
            let labels = endpoint.endpoint.workload.labels
            let accounts = budgets.map { entry in
                BudgetAccount(
                    policy: entry.policy, budget: entry.budget.name,
                    account: entry.budget.account(of: name, labels: labels))
            }
            let link = BudgetPlan.Link(
                attachment: endpoint.endpoint.attachment, addresses: endpoint.endpoint.addresses)
            if let place = groups[name]?.firstIndex(where: { $0.accounts == accounts }) {
                groups[name]?[place].links.append(link)
                if endpoint.hasNames { groups[name]?[place].isLed = true }
            } else {
                groups[name, default: []].append(
                    LinkGroup(budgets: budgets, accounts: accounts, links: [link], isLed: endpoint.hasNames))
            }
        }
        for (name, found) in groups.sorted(by: { $0.key < $1.key }) { add(found, of: name) }
        plan.accounts = accounts.sorted { $0.value < $1.value }.compactMap { name, account in
            budgets[account].map {
                BudgetPlan.Account(
                    name: name, left: $0.amount?.count ?? 0, unit: $0.unit, onExhausted: $0.onExhausted)
            }
        }
    }

    /// Links of an endpoint whose traffic counts alike. At one of several it may have labels by which other policies
    /// select it.
    private struct LinkGroup {
        let budgets: [EndpointBudget]
        /// What each of the budgets counts for.
        let accounts: [BudgetAccount]
        var links: [BudgetPlan.Link]
        /// Whether one of them has rules about names: its connections by name come to this host.
        var isLed: Bool
    }

    private mutating func add(_ groups: [LinkGroup], of endpoint: String) {
        let used = Swift.Set(groups.flatMap(\.accounts))
        for account in used { users[account, default: 0] += 1 }
        let byBudget = Dictionary(grouping: used) { BudgetName(policy: $0.policy, budget: $0.budget) }
        for group in groups {
            var meters: [BudgetPlan.Meter] = []
            for (entry, account) in zip(group.budgets, group.accounts) {
                // A counter counts for one account, and has a name of its own where there are several.
                let isOnly = byBudget[BudgetName(policy: account.policy, budget: account.budget)]?.count == 1
                let parts = [endpoint, account.policy, account.budget] + (isOnly ? [] : [account.account])
                meters.append(meter(entry, account, of: endpoint, BudgetPlan.name(of: ["meter"] + parts)))
            }
            let parts = groups.count == 1 ? [] : meters.map(\.name)
            plan.members.append(
                BudgetPlan.Member(
                    name: BudgetPlan.name(of: ["endpoint", endpoint] + parts), links: group.links, meters: meters,
                    isLed: group.isLed))
        }
    }

    private mutating func meter(
        _ entry: EndpointBudget, _ account: BudgetAccount, of endpoint: String, _ name: String
    ) -> BudgetPlan.Meter {
        budgets[account] = entry.budget
        var meter = BudgetPlan.Meter(
            name: name, clause: entry.clause, account: nil, countsConnections: entry.budget.unit == .connections)
        for counter in meter.counters { meters[counter] = BudgetBook.Meter(endpoint: endpoint, account: account) }
        guard entry.holdsBack else { return meter }
        let kernelName = BudgetPlan.name(of: ["account", account.policy, account.budget, account.account])
        accounts[kernelName] = account
        meter.account = kernelName
        return meter
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
