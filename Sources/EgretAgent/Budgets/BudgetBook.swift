// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretPolicy

/// Whose traffic counts together: a budget of a policy, and an endpoint's name, a label's value, or nothing.
struct BudgetAccount: Hashable, Sendable, Comparable {
    var policy: String
    var budget: String
    var account: String

    static func < (left: BudgetAccount, right: BudgetAccount) -> Bool {
        (left.policy, left.budget, left.account) < (right.policy, right.budget, right.account)
    }
}

/// A budget as it is written: what accounts of endpoints that are gone are about.
struct BudgetName: Hashable, Sendable {
    var policy: String
    var budget: String
}

/// What an endpoint has used of a budget on a day.
struct UsageKey: Hashable, Sendable {
    /// Days since 1970-01-01, by the clocks of the budget's zone.
    var day: Int64
    var endpoint: String
    var policy: String
    var budget: String
}

/// What an endpoint has used of a budget in an hour.
struct HourlyUsageKey: Hashable, Sendable {
    /// Hours since 1970-01-01T00:00Z.
    var hour: Int64
    /// The day, whose hours are those of the budget's zone, and the rest.
    var ofDay: UsageKey
}

/// What is used of budgets, when: pure, told by readings of the kernel's counters.
struct BudgetBook: Sendable {
    /// What is used of an account in a stretch of time, in its unit.
    struct Stretch: Hashable, Sendable {
        var used: UInt64 = 0
        var granted: UInt64 = 0
    }

    /// A stretch of an account.
    struct Place: Hashable, Sendable {
        var account: BudgetAccount
        var start: Int64
    }

    /// What a counter counts.
    struct Meter: Hashable, Sendable {
        var endpoint: String
        var account: BudgetAccount
    }

    /// What counters count, and for which budgets, at one time.
    struct Counting: Sendable {
        var meters: [String: Meter] = [:]
        var budgets: [BudgetAccount: TrafficBudget] = [:]

        /// These, and others where these say nothing.
        func besides(_ other: Counting?) -> Counting {
            guard let other else { return self }
            return Counting(
                meters: meters.merging(other.meters) { own, _ in own },
                budgets: budgets.merging(other.budgets) { own, _ in own })
        }
    }

    /// What a reading has brought, for the store.
    struct Changes: Hashable, Sendable {
        var usage: [HourlyUsageKey: TrafficAmount] = [:]
        var stretches: Swift.Set<Place> = []
        /// The accounts that are of something else than they were.
        var units: Swift.Set<BudgetAccount> = []
        var readings: [String: TrafficAmount] = [:]
        var gone: Swift.Set<String> = []
        /// The counters that count something else than they did, or nothing any more.
        var meters: Swift.Set<String> = []

        var isEmpty: Bool { self == Changes() }
    }

    /// So many stretches of an account are kept: more than a rolling window has.
    private static let stretchLimit = 256
    /// So many days of usage are kept.
    static let days = 3 * 366
    /// Usage is kept by the hour for so many hours besides the present one.
    static let hours: Int64 = 48
    /// So many accounts are kept, and those that count now.
    static let accounts = 10_000

    /// The budget of each account that counts now.
    private(set) var budgets: [BudgetAccount: TrafficBudget] = [:]
    /// The budgets of the policies in force, whoever obeys them.
    private(set) var written: [BudgetName: TrafficBudget] = [:]
    /// What counters count, by their names.
    private(set) var meters: [String: Meter] = [:]
    private(set) var stretches: [BudgetAccount: [Int64: Stretch]] = [:]
    /// What the stretches of accounts are of, where that is not bytes.
    private(set) var units: [BudgetAccount: BudgetAmount.Unit] = [:]
    /// When accounts began to count, in seconds since 1970; 0 where nobody has noted it.
    private(set) var beginnings: [BudgetAccount: Int64] = [:]
    private(set) var readings: [String: TrafficAmount] = [:]
    /// The part of its amount, in per cent, that was last told of an account.
    private var told: [BudgetAccount: Int] = [:]
    private(set) var changes = Changes()

    /// What counts now.
    var counting: Counting { Counting(meters: meters, budgets: budgets) }

    init() {}

    /// Begins with what a former agent has left: what counters counted, it is told of endpoints that are gone by now.
    init(
        stretches: [BudgetAccount: [Int64: Stretch]], readings: [String: TrafficAmount],
        meters: [String: Meter] = [:], units: [BudgetAccount: BudgetAmount.Unit] = [:],
        beginnings: [BudgetAccount: Int64] = [:]
    ) {
        self.stretches = stretches
        self.units = units
        self.beginnings = beginnings
        self.readings = readings
        self.meters = meters
    }

    /// Says what counts from now on. What was used stays known, and what counters were read at until they are gone.
    mutating func keep(_ budgets: [BudgetAccount: TrafficBudget], _ meters: [String: Meter], at time: Int64) {
        for (account, budget) in budgets where self.budgets[account] == nil {
            told[account] = part(of: account, budget, at: time)
        }
        for (account, budget) in budgets where self.budgets[account]?.unit != budget.unit && !account.isOfPriceList {
            if stretches[account] == nil || !isCounted(account, in: budget.unit) { beginnings[account] = time }
        }
        beginnings = beginnings.filter { budgets[$0.key] != nil || stretches[$0.key] != nil }
        for name in Swift.Set(self.meters.keys).union(meters.keys) where self.meters[name] != meters[name] {
            changes.meters.insert(name)
        }
        (self.budgets, self.meters) = (budgets, meters)
    }

    /// Says which budgets the policies in force have.
    mutating func know(_ written: [BudgetName: TrafficBudget]) { self.written = written }

    /// Forgets accounts that nobody uses now.
    mutating func forget(_ accounts: [BudgetAccount]) {
        for account in accounts where budgets[account] == nil {
            stretches[account] = nil
            units[account] = nil
            beginnings[account] = nil
        }
    }

    /// Forgets what counters were read at that count nothing now: the kernel has them no more.
    ///
    /// Until it has let them go this is not to be called: if they are asked for again after all, they go on from there.
    mutating func forgetGone() {
        for name in readings.keys where meters[name] == nil {
            readings[name] = nil
            changes.readings[name] = nil
            changes.gone.insert(name)
        }
    }

    /// Forgets what counters were read at: they have begun anew.
    mutating func forgetReadings() {
        changes.gone.formUnion(readings.keys)
        changes.readings = [:]
        readings = [:]
    }

    /// Takes in what counters show.
    ///
    /// What has come since the last reading counts for the time of this one: after a pause over a period's end that is
    /// the new period, which is left with less rather than more.
    mutating func note(_ counters: [String: TrafficAmount], at time: Int64) {
        for account in budgets.keys { gather(account, at: time) }
        for (name, amount) in counters {
            guard let meter = meters[name], let budget = budgets[meter.account] else { continue }
            let former = readings[name] ?? TrafficAmount()
            if former == amount, readings[name] != nil { continue }
            let fresh = amount.since(former)
            readings[name] = amount
            changes.readings[name] = amount
            changes.gone.remove(name)
            if fresh == TrafficAmount() { continue }
            use(fresh, of: name, meter, budget, at: time)
        }
    }

    /// Takes in what counters show of endpoints that nobody asks for any more: they went while nobody read.
    ///
    /// What counts from now on is to be said after this, or what counted until then is told: these counters are forgotten.
    ///
    /// - Parameters:
    ///   - counters: What counters show.
    ///   - wanted: What counters will count, by their names: these are read as ever.
    ///   - former: What counters counted until then, if what counts from now on has been said already; `nil` if it has not.
    ///   - time: Now.
    mutating func noteGone(
        _ counters: [String: TrafficAmount], besides wanted: [String: Meter], as former: Counting? = nil, at time: Int64
    ) {
        let former = former ?? counting
        for (name, amount) in counters where wanted[name] == nil {
            guard let meter = former.meters[name] else { continue }
            let fresh = amount.since(readings[name] ?? TrafficAmount())
            if fresh == TrafficAmount() { continue }
            readings[name] = amount
            changes.readings[name] = amount
            changes.gone.remove(name)
            use(fresh, of: name, meter, former.budgets[meter.account] ?? budget(of: meter.account), at: time)
        }
    }

    /// Writes down what a counter has counted: as usage what of traffic it has, as used what of the budget's unit it has.
    private mutating func use(
        _ fresh: TrafficAmount, of counter: String, _ meter: Meter, _ budget: TrafficBudget?, at time: Int64
    ) {
        let isOfConnections = BudgetPlan.isOfConnections(counter)
        if !isOfConnections {
            let period = budget?.period ?? BudgetPeriod(.total)
            let key = UsageKey(
                day: period.day(at: time).dayNumber, endpoint: meter.endpoint, policy: meter.account.policy,
                budget: meter.account.budget)
            changes.usage[HourlyUsageKey(hour: time / 3_600, ofDay: key), default: TrafficAmount()] += fresh
        }
        guard let budget, isOfConnections == (budget.unit == .connections) else { return }
        let used = budget.unit == .bytes ? fresh.bytes : fresh.packets
        change(meter.account, budget, at: time) { $0.used = $0.used.addingClamped(used) }
    }

    /// What was written has not changed since.
    mutating func markWritten() { changes = Changes() }

    // MARK: - What is left

    /// The budget that an account is of, also where nobody uses it now; `nil` if no policy in force has it.
    func budget(of account: BudgetAccount) -> TrafficBudget? {
        if let budget = budgets[account] { return budget }
        let budget = written[BudgetName(policy: account.policy, budget: account.budget)]
        switch budget?.scope {
        case .endpoint: return account.account.isEmpty ? nil : budget
        case .policy: return account.account.isEmpty ? budget : nil
        case .label, nil: return budget
        }
    }

    /// The accounts that count now, and those of endpoints that are gone that have used something in the present period.
    func accounts(at time: Int64) -> [BudgetAccount] {
        let gone = stretches.keys.filter { budgets[$0] == nil && state(of: $0, at: time) != Stretch() }
        return (budgets.keys + gone).sorted()
    }

    /// What is used and granted of an account now.
    func state(of account: BudgetAccount, at time: Int64) -> Stretch {
        guard let budget = budget(of: account) else { return Stretch() }
        return sum(account, budget, at: time)
    }

    /// What will have been used of an account at its period's end if it goes on as it did; `nil` for a period without end.
    func forecast(of account: BudgetAccount, at time: Int64) -> UInt64? {
        var forecasts = Forecasts(at: time)
        return forecast(of: account, by: &forecasts)
    }

    /// The same for several accounts, with one look at the times of each budget.
    func forecast(of account: BudgetAccount, by forecasts: inout Forecasts) -> UInt64? {
        guard let budget = budget(of: account), let forecast = forecasts.forecast(account, budget) else { return nil }
        return forecast.amount(
            of: sum(account, budget, at: forecasts.time).used, since: beginnings[account] ?? 0)
    }

    /// The times of budgets around a moment, each looked at once for all accounts of its.
    struct Forecasts {
        /// The moment.
        let time: Int64
        /// How often times were looked at.
        private(set) var looks = 0
        private var known: [BudgetName: (budget: TrafficBudget, forecast: BudgetForecast?)] = [:]

        init(at time: Int64) { self.time = time }

        /// Where an account's budget leads by its period's end; `nil` for one without.
        fileprivate mutating func forecast(_ account: BudgetAccount, _ budget: TrafficBudget) -> BudgetForecast? {
            let name = BudgetName(policy: account.policy, budget: account.budget)
            if let (former, forecast) = known[name], former.period == budget.period,
                former.schedule == budget.schedule
            {
                return forecast
            }
            looks += 1
            let hasEnd = budget.period.end(at: time) != nil
            let forecast = hasEnd ? BudgetForecast(budget.period, at: time, during: budget.schedule) : nil
            known[name] = (budget, forecast)
            return forecast
        }
    }

    /// How much is left, in the budget's unit; `nil` for what is only counted.
    func left(of account: BudgetAccount, at time: Int64) -> UInt64? {
        guard let budget = budget(of: account), let amount = budget.amount else { return nil }
        let state = sum(account, budget, at: time)
        let whole = amount.count.addingClamped(state.granted)
        return whole > state.used ? whole - state.used : 0
    }

    /// Whether an account that is given so much more has no more altogether than the kernel takes for a quota.
    func canGrant(_ more: UInt64, to account: BudgetAccount, at time: Int64) -> Bool {
        let amount = budget(of: account)?.amount?.count ?? 0
        return amount.addingClamped(state(of: account, at: time).granted).addingClamped(more) <= BudgetPlan.quotaLimit
    }

    /// Adds to what may be used in the present period, in the budget's unit.
    mutating func grant(_ more: UInt64, to account: BudgetAccount, at time: Int64) {
        guard let budget = budget(of: account) else { return }
        change(account, budget, at: time) { $0.granted = $0.granted.addingClamped(more) }
    }

    /// Takes what is used so far for not used: as much is granted. What was counted stays counted.
    ///
    /// It is granted where it was used: what leaves a rolling window takes with it what was granted for it.
    mutating func reset(_ account: BudgetAccount, at time: Int64) {
        guard let budget = budget(of: account), isCounted(account, in: budget.unit) else { return }
        let horizon = budget.period.horizon(at: time)
        for (start, stretch) in stretches[account] ?? [:] where start >= horizon && stretch.granted < stretch.used {
            stretches[account]?[start]?.granted = stretch.used
            changes.stretches.insert(Place(account: account, start: start))
        }
    }

    /// The parts of amounts that were reached since this was last asked: the highest for each account.
    ///
    /// - Parameters:
    ///   - time: Now.
    ///   - spent: The accounts that hold packets back: what may be left of them is less than a packet.
    /// - Returns: The accounts with the parts, in per cent.
    mutating func reached(at time: Int64, spent: Swift.Set<BudgetAccount>) -> [(account: BudgetAccount, percent: Int)] {
        var found: [(BudgetAccount, Int)] = []
        for (account, budget) in budgets where budget.amount != nil {
            let now = spent.contains(account) ? 100 : min(100, part(of: account, budget, at: time))
            if let percent = (budget.alertAt + [100]).last(where: { $0 <= now }), percent > told[account] ?? 0 {
                found.append((account, percent))
            }
            told[account] = now
        }
        return found.sorted { $0.0 < $1.0 }
    }

    private func part(of account: BudgetAccount, _ budget: TrafficBudget, at time: Int64) -> Int {
        guard let amount = budget.amount else { return 0 }
        let state = sum(account, budget, at: time)
        let whole = amount.count.addingClamped(state.granted)
        let (high, low) = state.used.multipliedFullWidth(by: 100)
        return high < whole ? Int(clamping: whole.dividingFullWidth((high, low)).quotient) : .max
    }

    /// Whether what is known of an account is of a unit: what was used of another one says nothing.
    private func isCounted(_ account: BudgetAccount, in unit: BudgetAmount.Unit) -> Bool {
        units[account] ?? .bytes == unit
    }

    private func sum(_ account: BudgetAccount, _ budget: TrafficBudget, at time: Int64) -> Stretch {
        guard isCounted(account, in: budget.unit) else { return Stretch() }
        let horizon = budget.period.horizon(at: time)
        return (stretches[account] ?? [:]).reduce(into: Stretch()) { sum, entry in
            if entry.key < horizon { return }
            sum.used = sum.used.addingClamped(entry.value.used)
            sum.granted = sum.granted.addingClamped(entry.value.granted)
        }
    }

    /// Of a clock that has gone back: what was counted at later times is counted now.
    private mutating func gather(_ account: BudgetAccount, at time: Int64) {
        if let begin = beginnings[account], begin > time { beginnings[account] = time }
        guard let budget = budgets[account], let known = stretches[account], !known.isEmpty,
            isCounted(account, in: budget.unit)
        else { return }
        let present = budget.period.stretch(at: time).lowerBound
        for (start, stretch) in known where start > present {
            stretches[account]?[start] = nil
            changes.stretches.insert(Place(account: account, start: start))
            change(account, budget, at: time) {
                $0.used = $0.used.addingClamped(stretch.used)
                $0.granted = $0.granted.addingClamped(stretch.granted)
            }
        }
    }

    private mutating func change(
        _ account: BudgetAccount, _ budget: TrafficBudget, at time: Int64, _ body: (inout Stretch) -> Void
    ) {
        // Prices are of months of usage: nobody asks what is left of them, and they take no budget's place.
        if account.isOfPriceList { return }
        if !isCounted(account, in: budget.unit) {
            for start in stretches[account, default: [:]].keys {
                changes.stretches.insert(Place(account: account, start: start))
            }
            stretches[account] = nil
            units[account] = budget.unit == .bytes ? nil : budget.unit
            changes.units.insert(account)
        }
        let start = budget.period.stretch(at: time).lowerBound
        body(&stretches[account, default: [:]][start, default: Stretch()])
        changes.stretches.insert(Place(account: account, start: start))
        // By number, not by time: a clock that goes forward and back again finds what it left.
        if let known = stretches[account], known.count > BudgetBook.stretchLimit, let oldest = known.keys.min() {
            stretches[account]?[oldest] = nil
            changes.stretches.insert(Place(account: account, start: oldest))
        }
    }
}
