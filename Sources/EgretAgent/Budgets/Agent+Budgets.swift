// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretDataplane
import EgretPolicy

extension Agent {
    // MARK: - Keeping

    /// Brings the kernel to the budgets of the policies in force.
    func keepBudgets() {
        if hasTaken { noting("budgets") { try keepBudgets(of: reading.catalog) } }
    }

    /// Brings the kernel to the budgets of a catalog that is in force, or is about to be.
    func keepBudgets(of catalog: PolicyCatalog) throws {
        guard let budgets else { return }
        budgets.know(catalog)
        try budgets.keep(enforced, prices: Agent.prices(catalog), at: now())
    }

    /// What the price lists of a catalog count.
    static func prices(_ catalog: PolicyCatalog) -> [EndpointBudget] {
        EndpointBudget.all(of: catalog.priceLists, groups: catalog.groups)
    }

    /// Counts what was used since it was last counted.
    func countBudgets() {
        guard let budgets else { return }
        if budgets.isStale { keepBudgets() }
        noting("budgets") {
            let time = now()
            for event in try budgets.tick(at: time) {
                guard let budget = budgets.book.budgets[event.account] else { continue }
                log(Agent.words(event, budget, granted: budgets.book.state(of: event.account, at: time).granted))
            }
        }
        if budgets.unwritten == toldUnwritten { return }
        toldUnwritten = budgets.unwritten
        log(budgetTrouble ?? "what is used of budgets is written again")
    }

    /// What is wrong with what is kept of budgets, though the kernel holds them; `nil` if nothing is.
    var budgetTrouble: String? {
        budgets?.unwritten.map {
            "what is used of budgets cannot be written, and is not known if this machine starts anew meanwhile: \($0)"
        }
    }

    /// Mends what others have changed.
    func mendBudgets() {
        guard let budgets else { return }
        let former = budgets.comparisons
        defer { if budgets.comparisons != former { hasWorked = true } }
        noting("budgets") {
            let drift = try budgets.mend(at: now())
            if drift.isEmpty { return }
            drifts += 1
            repairs += 1
            log(
                "mended: somebody has changed what the kernel holds of budgets: \(drift.prefix(3).joined(separator: ", "))"
            )
        }
    }

    /// A part of a budget that was reached, as a line of the log: of what is granted in the period, too.
    static func words(_ event: BudgetKeeper.Event, _ budget: TrafficBudget, granted: UInt64) -> String {
        let whose = event.account.account.isEmpty ? "" : " of \(event.account.account)"
        let name = "the budget \(event.account.budget)\(whose) (\(event.account.policy))"
        let more = granted == 0 ? "" : " and \(BudgetAmount(granted, budget.unit)) more"
        let amount = budget.amount.map { " of \($0)\(more)" } ?? ""
        if event.percent < 100 { return "\(name): \(event.percent)%\(amount) are used" }
        return event.isSpent
            ? "\(name) is used up: \(budget.onExhausted)" : "\(name): all\(amount) is used"
    }

    // MARK: - Answers

    /// What is used of budgets in their present periods.
    ///
    /// Of endpoints that are gone, those are among them that have used something of a budget that is still written.
    public func budgetStates() throws -> [BudgetInfo] {
        guard let budgets else { return [] }
        countBudgets()
        budgets.know(reading.catalog)
        let time = now()
        var forecasts = BudgetBook.Forecasts(at: time)
        return budgets.book.accounts(at: time).compactMap { account in
            guard !account.isOfPriceList, let budget = budgets.book.budget(of: account) else { return nil }
            let state = budgets.book.state(of: account, at: time)
            let ends = budget.period.end(at: time)
            let forecast = budgets.book.forecast(of: account, by: &forecasts)
            // What is used of packets and connections has no price.
            let price = budget.unit == .bytes ? budget.price : nil
            let isExhausted = budgets.isSpent(account) && budget.isOpen(at: time)
            return BudgetInfo(
                policy: account.policy, budget: account.budget, account: account.account,
                endpoints: budgets.users[account] ?? 0, unit: budget.unit.rawValue, used: state.used,
                amount: budget.amount?.count, granted: state.granted, period: budget.period.description,
                when: budget.schedule?.description, isOpen: budget.schedule?.isOpen(at: time),
                ends: ends.map { Int($0) }, forecast: forecast, cost: price?.micros(of: state.used),
                costForecast: forecast.flatMap { price?.micros(of: $0) }, currency: price?.currency,
                onExhausted: budget.amount == nil ? "count" : budget.onExhausted.description,
                isExhausted: isExhausted, refused: budgets.refused[account]?.packets ?? 0)
        }
    }

    /// Changes what may be used of budgets in the present period.
    public func change(_ change: BudgetChange, author: String) throws -> [BudgetInfo] {
        guard let budgets else { throw APIError("notFound", "there are no budgets") }
        budgets.know(reading.catalog)
        let accounts = budgets.book.accounts(at: now()).filter {
            $0.policy == change.policy && $0.budget == change.budget && !$0.isOfPriceList
                && (change.account == nil || $0.account == change.account)
        }
        guard !accounts.isEmpty else {
            let whose = change.account.map { " of \($0)" } ?? ""
            throw APIError(
                "notFound", "there is no budget \(change.budget)\(whose) in the policy \(change.policy)",
                advice: "egret budget ls shows which there are")
        }
        guard let unit = budgets.book.budget(of: accounts[0])?.amount?.unit else {
            throw APIError("invalid", "the budget \(change.budget) has no amount: it only counts")
        }
        if let more = change.grant {
            guard change.unit ?? BudgetAmount.Unit.bytes.rawValue == unit.rawValue else {
                throw APIError(
                    "invalid", "the budget \(change.budget) is of \(unit.rawValue)",
                    advice: "grant \(unit.rawValue), for example \(unit == .bytes ? "5GB" : "500 \(unit.rawValue)")")
            }
            let time = now()
            guard accounts.allSatisfy({ budgets.book.canGrant(more, to: $0, at: time) }) else {
                throw APIError(
                    "invalid",
                    "with so much more, the budget \(change.budget) has more \(unit.rawValue) than can be counted",
                    advice: "all together may be 2^63 - 1 \(unit.rawValue): grant less")
            }
            try budgets.grant(more, to: accounts, at: now())
        } else {
            try budgets.reset(accounts, at: now())
        }
        let what = change.grant.map { "\(BudgetAmount($0, unit)) more" } ?? "the whole amount again"
        log("\(author) gave the budget \(change.budget) of the policy \(change.policy) \(what)")
        let changed = Swift.Set(accounts.map(\.account))
        return try budgetStates().filter {
            $0.policy == change.policy && $0.budget == change.budget && changed.contains($0.account)
        }
    }

    /// What was used, summed.
    public func usage(_ query: UsageQuery) throws -> [UsageRow] {
        guard let budgets else { return [] }
        countBudgets()
        let start = try query.since.map { text throws(APIError) in try UsageStart(text, at: now()) }
        // Of all policies in force, also of those whose endpoints are gone.
        let prices = Dictionary(
            reading.catalog.egressPolicies.flatMap { policy in
                policy.budgets.compactMap { budget in budget.price.map { ([policy.name, budget.name], $0) } }
            },
            uniquingKeysWith: { first, _ in first })
        let lists = query.hasPriceLists ? reading.catalog.priceLists : []
        let (found, day) = try used(since: start, lists, budgets.store)
        let shares = PricedUsage(found, lists).costs()
        var rows: [UsageRow: (TrafficAmount, [String: UInt64])] = [:]
        for (key, amount) in found where key.day >= day {
            if !query.hasPriceLists, PriceList.name(ofAccount: key.policy) != nil { continue }
            let row = UsageRow(key, query.keys)
            rows[row, default: (TrafficAmount(), [:])].0 += amount
            let price = prices[[key.policy, key.budget]].map {
                (micros: $0.micros(of: amount.bytes), currency: $0.currency)
            }
            if let (cost, currency) = price ?? shares[key] {
                let former = rows[row]?.1[currency] ?? 0
                rows[row]?.1[currency] = former.addingClamped(cost)
            }
        }
        return rows.map { row, sum in
            var row = row
            (row.packets, row.bytes, row.cost) = (sum.0.packets, sum.0.bytes, sum.1)
            return row
        }.sorted { $0.order.lexicographicallyPrecedes($1.order) }
    }

    /// What was used since a day or an hour, with what its costs by price lists depend on, and the first day that is asked for.
    private func used(
        since start: UsageStart?, _ lists: [PriceList], _ store: UsageStore
    ) throws -> (usage: [UsageKey: TrafficAmount], firstDay: Int64) {
        switch start {
        case nil: return (try store.usage(since: nil), .min)
        case .hour(let hour):
            guard lists.isEmpty else {
                throw APIError(
                    "invalid", "what price lists say a part of a day has cost is not known",
                    advice: "costs are worked out by whole days: write the first, as 2026-11-01")
            }
            return (try store.usage(sinceHour: hour), .min)
        case .day(let date):
            // What a day costs depends on what came before it in its month.
            let first = lists.isEmpty ? date : PriceList.month(of: date)
            return (try store.usage(since: first.dayNumber), date.dayNumber)
        }
    }

    /// What the present month has come to by the price lists in force, and what it will by its end.
    public func costs() throws -> [CostInfo] {
        guard let budgets, !reading.catalog.priceLists.isEmpty else { return [] }
        countBudgets()
        let time = now()
        // The month of any zone has begun since.
        let day = BudgetPeriod(.day).day(at: time).dayNumber - 33
        let usage = try budgets.store.usage(since: day, byEndpoint: false)
        let lists = reading.catalog.priceLists
        var firstDays: [String: Int64] = [:]
        for list in lists { firstDays[list.name] = try budgets.store.firstDay(of: list.account) }
        return PricedUsage(usage, lists).present(at: time, firstDays: firstDays)
    }

    // MARK: - Figures

    /// What is used of budgets, for monitoring.
    func addBudgets(_ text: inout MetricsText) {
        guard let budgets else { return }
        let time = now()
        let states = budgets.book.budgets.filter { !$0.key.isOfPriceList }.sorted { $0.key < $1.key }
        if states.isEmpty { return }
        func add(_ name: String, _ help: String, _ value: (BudgetAccount, TrafficBudget) -> UInt64?) {
            text.begin(name, "gauge", help)
            for (account, budget) in states {
                guard let value = value(account, budget) else { continue }
                let labels = [("policy", account.policy), ("budget", account.budget), ("account", account.account)]
                text.add(name, labels, value)
            }
        }
        for (unit, word) in [(BudgetAmount.Unit.bytes, "Bytes"), (.packets, "Packets"), (.connections, "Connections")]
        where unit == .bytes || states.contains(where: { $0.value.unit == unit }) {
            add("egret_budget_used_\(unit.rawValue)", "\(word) that are used in the present period.") {
                $1.unit == unit ? budgets.book.state(of: $0, at: time).used : nil
            }
            add("egret_budget_left_\(unit.rawValue)", "\(word) that are left of the present period's.") {
                $1.unit == unit ? budgets.book.left(of: $0, at: time) : nil
            }
        }
        add("egret_budget_exhausted", "1 if packets are held back because the budget is used up.") { account, budget in
            budget.amount.map { _ in budgets.isSpent(account) && budget.isOpen(at: time) ? 1 : 0 }
        }
        text.add(
            "egret_budget_alerts_total", "counter",
            "How often a part of a budget was reached that is told of, since the agent's start.", budgets.alerts)
    }
}

extension UsageRow {
    fileprivate init(_ key: UsageKey, _ keys: [UsageQuery.Key]) {
        let list = PriceList.name(ofAccount: key.policy)
        self.init(
            endpoint: keys.contains(.endpoint) ? key.endpoint : nil,
            policy: keys.contains(.policy) && list == nil ? key.policy : nil, priceList: list,
            destination: keys.contains(.destination) ? key.budget : nil,
            day: keys.contains(.day) ? CivilDate(dayNumber: key.day).description : nil)
    }

    /// What price lists have counted is behind what budgets have: it is the same traffic once more.
    fileprivate var order: [String] { [priceList, day, endpoint, policy, destination].map { $0 ?? "" } }
}
