// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables
import EgretPolicy

/// Keeps budgets: counts what the kernel has let pass, and gives the kernel what is left.
///
/// The kernel holds packets back by itself; the keeper makes what is left larger when a period ends, and smaller or larger
/// when it is told. While it does not run, nothing opens.
final class BudgetKeeper {
    /// A part of an account that has been reached.
    struct Event: Hashable, Sendable {
        var account: BudgetAccount
        var percent: Int
        /// Whether packets are held back now.
        var isSpent: Bool
    }

    private let dataplane: Dataplane
    let store: UsageStore
    /// Which running kernel and network namespace this is.
    private let kernel: String
    /// Puts what endpoints have resolved into the table's sets; `nil` where rules about names are not to be had.
    private let names: NameService?
    private(set) var book = BudgetBook()
    private var demand = BudgetDemand()
    /// How often it was worked out what endpoints' budgets come to, which takes long for many endpoints.
    private(set) var demands = 0
    /// What the kernel holds; `nil` for nothing.
    private var program: TableProgram?
    /// The last numbers that pass, of accounts of packets and of connections, by the names of their sets: what it holds.
    private var bounds: [String: UInt64] = [:]
    /// The first and last second, since 1970, for which the kernel has been given the times of budgets.
    private var horizon: ClosedRange<Int64> = 0...0
    /// The number of the table that the book's readings are of.
    private var handle: UInt64?
    /// Whether the kernel may be otherwise than endpoints' budgets ask for: until they are kept again.
    private(set) var isStale = true
    /// What counters may count still that counted before a change that did not succeed, besides what they are to count.
    private var departing: BudgetBook.Counting?
    /// What is left of the accounts that hold packets back now: less than the packet that was too large.
    private var leftovers: [BudgetAccount: UInt64] = [:]
    /// How many packets accounts have held back since their table was made.
    private(set) var refused: [BudgetAccount: CounterValue] = [:]
    /// Why what is used is not on the disk as it is; `nil` if it is. The kernel holds budgets all the same.
    private(set) var unwritten: String?
    /// How often parts of amounts were reached since the agent's start.
    private(set) var alerts = 0
    /// How often the table was read and compared with what it is to hold, which takes much memory for a while.
    private(set) var comparisons = 0
    private var ruleset: UInt32?
    /// Whether the table whose readings the book had is gone: removed, or made anew by somebody else.
    private var isLost = false
    /// Whether sets of names may lack what endpoints have resolved.
    private var areNamesLacking = false

    /// Begins with what is in the store; the kernel is left as it is.
    init(_ dataplane: Dataplane, _ store: UsageStore, kernel: String, names: NameService? = nil) throws {
        self.dataplane = dataplane
        self.store = store
        self.kernel = kernel
        self.names = names
        handle = try dataplane.meters(in: BudgetPlan.hostTable)?.handle
        book = try store.load(kernel: handle.map { "\(kernel) \($0)" })
        guard let names, handle != nil else { return }
        // Where no former agent's rules count names yet, nobody needs to wait.
        let held = try dataplane.holdings(of: [BudgetPlan.hostTable])[BudgetPlan.hostTable]
        if held?.sets.contains(where: { NamedSet.isOfNames($0) }) ?? false { names.awaitBudgets() }
    }

    /// The accounts that hold packets back now.
    var spent: Swift.Set<BudgetAccount> { Swift.Set(leftovers.keys) }

    /// Whether an account holds packets back now.
    func isSpent(_ account: BudgetAccount) -> Bool { leftovers[account] != nil }

    /// How many endpoints use each account.
    var users: [BudgetAccount: Int] { demand.users }

    // MARK: - What counts

    /// Brings the kernel to what endpoints' budgets, and price lists, ask for.
    ///
    /// Questions for names are answered from the first time on. If that fails they are, too: a host without names is of less use
    /// than one that does not count some of its traffic for a while.
    func keep(_ endpoints: [EnforcedEndpoint], prices: [EndpointBudget] = [], at time: Int64) throws {
        defer { names?.noteBudgets() }
        demands += 1
        let wanted = BudgetDemand(endpoints, prices: prices)
        if !isStale && wanted == demand { return }
        let present = isStale ? nil : program
        isStale = true
        let former = book.counting.besides(departing)
        if present != nil { try read(at: time) } else { try readGone(besides: wanted, former, at: time) }
        departing = former
        book.keep(wanted.budgets, wanted.meters, at: time)
        demand = wanted
        try changeTable {
            if let present {
                try change(from: present, former, at: time)
            } else {
                try take(at: time)
            }
        }
        departing = nil
        isStale = false
        save()
    }

    /// Changes the table while no answer about names goes out: its sets know then what was resolved.
    private func changeTable(_ body: () throws -> Void) throws {
        guard let names else { return try body() }
        do {
            try names.changeBudgets(to: demand.plan) {
                try body()
                return areNamesLacking ? [BudgetPlan.hostTable] : []
            }
            areNamesLacking = false
        } catch {
            // Which sets were filled is not known.
            areNamesLacking = true
            throw error
        }
    }

    /// Has the sets of a table that was made anew know what endpoints have resolved.
    private func refillNames() throws {
        guard areNamesLacking, let names else { return }
        try names.refillBudgets()
        areNamesLacking = false
    }

    /// Begins with a kernel in whatever state: if it holds what it should, it is left, with all that its quotas know.
    private func take(at time: Int64) throws {
        let table = BudgetPlan.hostTable
        if demand.plan.members.isEmpty {
            if handle != nil { try dataplane.removeTables([table]) }
            return forgetTable()
        }
        try dataplane.claim([table])
        writing { try store.forget(butLatest: BudgetBook.days) }
        bounds = try boundsInKernel()
        let quotas = try read(at: time)
        for (name, account) in demand.accounts where quotas[BudgetPlan.quota(of: name)]?.left == 0 {
            leftovers[account] = 0
            if let left = book.left(of: account, at: time), let amount = book.budgets[account]?.amount {
                leftovers[account] = min(left, BudgetPlan.leftover(of: amount))
            }
        }
        horizon = ScheduleHorizon.seconds(at: time)
        if let (wanted, renewal) = try programInKernel(at: time) {
            try dataplane.sweep([table], keeping: [wanted])
            if !renewal.isEmpty { try dataplane.commit(Transaction(renewal)) }
            hold(wanted)
        } else {
            try replace(at: time)
        }
        book.forgetGone()
        isLost = false
        try adjust(at: time)
    }

    /// The program that the kernel holds, if it is one that it should, and what gives it the times of the next days.
    ///
    /// Accounts may have been used up since the former agent's last look: then they are asked with the others, and the table stays.
    /// So it does with other times, which come and go with the calendar.
    private func programInKernel(at time: Int64) throws -> (program: TableProgram, renewal: [Transaction.Step])? {
        if handle == nil { return nil }
        let picture = try dataplane.picture(of: [BudgetPlan.hostTable])
        let exhausted = leftovers
        for spent in exhausted.isEmpty ? [exhausted] : [exhausted, [:]] {
            leftovers = spent
            let wanted = plan(at: time).program
            if try picture.holds(picture.withPresentTimes(wanted)) {
                return (wanted, try picture.renewal(ofTimesOf: wanted))
            }
        }
        leftovers = exhausted
        return nil
    }

    /// The last numbers that pass, by what the kernel holds: whoever takes over goes on with them.
    ///
    /// A set with other numbers than there should be has none: it is changed, and the table is made anew.
    private func boundsInKernel() throws -> [String: UInt64] {
        let table = BudgetPlan.hostTable
        if handle == nil || demand.plan.accounts.allSatisfy({ $0.unit == .bytes }) { return [:] }
        let picture = try dataplane.picture(of: [table])
        var found: [String: UInt64] = [:]
        for name in picture.holdings[table]?.sets ?? [] where BudgetPlan.isOfNumbers(name) {
            found[name] = BudgetPlan.bound(in: try picture.elements(of: name, in: table))
        }
        return found
    }

    /// Knows what the kernel holds from now on.
    private func hold(_ wanted: TableProgram) {
        program = wanted
        bounds = BudgetPlan.bounds(in: wanted)
    }

    private func replace(at time: Int64) throws {
        // In a table that is made anew, everything is counted from nothing.
        let wanted = plan(at: time, counting: [:]).program
        var transaction = Transaction()
        if handle != nil { transaction.append(.deleteTable, in: wanted.table) }
        transaction.append(dataplane.addition(of: wanted.table), in: wanted.table)
        for operation in wanted.installation { transaction.append(operation, in: wanted.table) }
        try dataplane.commit(transaction)
        areNamesLacking = true
        hold(wanted)
        handle = nil
        isLost = false
    }

    /// Has other budgets count from now on. Until the rules are others, the former ones do: their counters go when no rule counts
    /// any more, and they have been read after that.
    private func change(from old: TableProgram, _ former: BudgetBook.Counting, at time: Int64) throws {
        if demand.plan.members.isEmpty {
            if handle != nil {
                try commit(old.chains.map { .flushChain($0.name) })
                try readGone(besides: demand, former, at: time)
            }
            try dataplane.removeTables([BudgetPlan.hostTable])
            return forgetTable()
        }
        if ScheduleHorizon.isDue(horizon, at: time) { horizon = ScheduleHorizon.seconds(at: time) }
        let wanted = plan(at: time).program
        try bring(from: old, to: wanted) { try readGone(besides: demand, former, at: time) }
        book.forgetGone()
        try adjust(at: time)
    }

    /// Brings the kernel from one program to another. Those counters that go are read when no rule counts for them any more.
    private func bring(
        from old: TableProgram, to wanted: TableProgram, readDeparting: () throws -> Void = {}
    ) throws {
        let difference = wanted.difference(from: old)
        try commit(difference.arrival)
        try commit(difference.switching)
        let kept = Swift.Set(wanted.counters.map(\.name))
        if old.counters.contains(where: { !kept.contains($0.name) }) {
            let remaining = Swift.Set(wanted.chains.map(\.name))
            try commit(old.chains.map(\.name).filter { !remaining.contains($0) }.map { .flushChain($0) })
            try readDeparting()
        }
        try commit(difference.departure)
        hold(wanted)
    }

    /// Has the kernel take operations on the table, all of them or none.
    private func commit(_ operations: [EgretNftables.Operation]) throws {
        if operations.isEmpty { return }
        try dataplane.commit(Transaction(operations.map { Transaction.Step($0, in: BudgetPlan.hostTable) }))
    }

    private func forgetTable() {
        program = nil
        bounds = [:]
        handle = nil
        isLost = false
        leftovers = [:]
        refused = [:]
        book.forgetReadings()
    }

    private func plan(at time: Int64) -> BudgetPlan { plan(at: time, counting: bounds) }

    private func plan(at time: Int64, counting bounds: [String: UInt64]) -> BudgetPlan {
        var plan = demand.plan { account in (book.left(of: account, at: time) ?? 0, isSpent(account)) }
        plan.setBounds(bounds)
        plan.horizon = horizon
        return plan
    }

    // MARK: - What is used

    /// Counts what has come, and gives the kernel what is left. To be called about once a second.
    ///
    /// - Returns: The parts of amounts that have been reached since.
    func tick(at time: Int64) throws -> [Event] {
        guard program != nil, !isStale else { return [] }
        do {
            try adjust(at: time)
            try renewTimes(at: time)
            try refillNames()
        } catch {
            // What has come is known, even if the kernel does not take what is left.
            save()
            throw error
        }
        let reached = book.reached(at: time, spent: spent)
        alerts += reached.count
        save()
        compact()
        return reached.map { Event(account: $0.account, percent: $0.percent, isSpent: isSpent($0.account)) }
    }

    /// What the kernel holds otherwise than it should is mended: what is left is known from the book.
    ///
    /// - Returns: What was otherwise.
    func mend(at time: Int64) throws -> [String] {
        guard let program, !isStale else { return [] }
        let now = try dataplane.rulesetGeneration()
        if now == ruleset { return [] }
        comparisons += 1
        let drift = try dataplane.drift(of: [program]).map(\.description)
        if !drift.isEmpty {
            try read(at: time)
            try replace(at: time)
            try refillNames()
            try adjust(at: time)
            save()
        }
        ruleset = try dataplane.rulesetGeneration()
        return drift
    }

    /// Reads what the kernel shows into the book. Returns its quotas, and what stands in their place for accounts of packets and
    /// of connections.
    @discardableResult
    private func read(at time: Int64) throws -> [String: QuotaValue] {
        guard let found = try dataplane.meters(in: BudgetPlan.hostTable) else {
            isLost = isLost || handle != nil
            handle = nil
            return [:]
        }
        if found.handle != handle {
            isLost = isLost || handle != nil
            // A table that was made since: its counters began at nothing.
            book.forgetReadings()
            handle = found.handle
        }
        book.note(
            found.counters.mapValues { TrafficAmount(packets: $0.packets, bytes: $0.bytes) }, at: time)
        refused = [:]
        for (name, account) in demand.accounts { refused[account] = found.counters[BudgetPlan.refusals(of: name)] }
        var quotas = found.quotas
        for account in demand.plan.accounts where account.unit != .bytes {
            guard let bound = bounds[BudgetPlan.numbers(of: account)],
                let asked = BudgetPlan.asked(of: account, bound: bound, { found.counters[$0]?.packets })
            else { continue }
            quotas[BudgetPlan.quota(of: account.name)] = QuotaValue(bytes: bound, used: asked)
        }
        return quotas
    }

    /// Counts what counters have counted since they were read last that count for nobody any more: of endpoints that went while
    /// no agent ran, or in a change that did not succeed, or that go now.
    private func readGone(besides wanted: BudgetDemand, _ former: BudgetBook.Counting, at time: Int64) throws {
        guard let handle, let found = try dataplane.meters(in: BudgetPlan.hostTable), found.handle == handle else {
            return
        }
        book.noteGone(
            found.counters.mapValues { TrafficAmount(packets: $0.packets, bytes: $0.bytes) },
            besides: wanted.meters, as: former, at: time)
    }

    /// Gives quotas what is left by the book: at the end of a period, after a grant, and where another budget has dropped
    /// what they had counted.
    private func adjust(at time: Int64) throws {
        var quotas = try read(at: time)
        if isLost, program != nil {
            try replace(at: time)
            quotas = try read(at: time)
        }
        var accounts = plan(at: time).accounts
        // What is left is read behind what has asked: no more may pass than are left, whatever has come in between.
        if accounts.contains(where: { tally($0, quotas)?.steps.isEmpty == false }) {
            try read(at: time)
            accounts = plan(at: time).accounts
        }
        var changes = Transaction()
        var remaining: [BudgetAccount: UInt64] = [:]
        var corrected: [String: UInt64] = [:]
        for planned in accounts {
            guard let account = demand.accounts[planned.name], let amount = book.budgets[account]?.amount,
                let quota = quotas[BudgetPlan.quota(of: planned.name)]
            else { continue }
            var correction: [EgretNftables.Operation]?
            if planned.unit == .bytes {
                correction = BudgetPlan.correction(
                    of: planned, amount: amount.count, bytes: quota.bytes, used: quota.used,
                    leftover: leftovers[account] ?? BudgetPlan.leftover(of: amount))
            } else if let tally = tally(planned, quotas) {
                correction = tally.steps
                if !tally.steps.isEmpty { corrected[BudgetPlan.numbers(of: planned)] = tally.bound }
            }
            if correction == nil { remaining[account] = planned.left }
            for step in correction ?? [] { changes.append(step, in: BudgetPlan.hostTable) }
        }
        if !changes.steps.isEmpty { try dataplane.commit(changes) }
        if !corrected.isEmpty {
            bounds.merge(corrected) { _, new in new }
            program?.setBounds(corrected)
        }
        let areOthers = Swift.Set(remaining.keys) != spent
        leftovers = remaining
        guard areOthers, let program else { return }
        do {
            try bring(from: program, to: plan(at: time).program)
        } catch {
            // Some of it may have come: what is there is looked at before anything else is brought.
            isStale = true
            throw error
        }
    }

    /// Gives the kernel the times of the next days in place of those that it has. Nothing else changes.
    private func renewTimes(at time: Int64) throws {
        guard ScheduleHorizon.isDue(horizon, at: time), let present = program, !isStale else { return }
        let further = ScheduleHorizon.seconds(at: time)
        var wanted = present
        wanted.setTimes(demand.plan.times(within: further))
        let steps = wanted.renewal(ofTimesOf: present)
        if !steps.isEmpty { try dataplane.commit(Transaction(steps)) }
        program = wanted
        horizon = further
    }

    /// What is to be done about an account of packets or connections; `nil` for one that is used up, and for one of bytes.
    private func tally(_ planned: BudgetPlan.Account, _ quotas: [String: QuotaValue]) -> BudgetPlan.TallyCorrection? {
        guard planned.unit != .bytes, let account = demand.accounts[planned.name],
            let amount = book.budgets[account]?.amount, let quota = quotas[BudgetPlan.quota(of: planned.name)]
        else { return nil }
        return BudgetPlan.correction(
            ofTally: planned, amount: amount.count, bound: quota.bytes, asked: quota.used)
    }

    /// Forgets accounts of endpoints that have been gone the longest, if there are too many.
    private func compact() {
        let limit = max(BudgetBook.accounts, book.budgets.count)
        if book.stretches.count <= limit + limit / 8 { return }
        writing { book.forget(try store.compact(to: limit, keeping: Swift.Set(book.budgets.keys))) }
    }

    /// Says which budgets the policies in force have, and what price lists count.
    func know(_ catalog: PolicyCatalog) {
        var budgets = catalog.egressPolicies.flatMap { policy in
            policy.budgets.map { (BudgetName(policy: policy.name, budget: $0.name), $0) }
        }
        budgets += catalog.priceLists.flatMap { list in
            list.entries.map { (BudgetName(policy: list.account, budget: $0.name), list.budget($0)) }
        }
        book.know(Dictionary(budgets, uniquingKeysWith: { first, _ in first }))
    }

    /// Writes what has changed to the disk; if that fails, it is written with what comes next.
    ///
    /// Nothing that the kernel is given waits for the disk: who can fill it would be free of budgets.
    private func save() { writing { try write() } }

    private func write() throws {
        guard !book.changes.isEmpty else { return }
        try store.save(book, kernel: "\(kernel) \(handle ?? 0)")
        book.markWritten()
        unwritten = nil
    }

    private func writing(_ body: () throws -> Void) {
        do { try body() } catch { unwritten = Agent.reason(of: error) }
    }

    // MARK: - What is changed by hand

    /// Adds to what accounts may use in the present period.
    func grant(_ more: UInt64, to accounts: [BudgetAccount], at time: Int64) throws {
        try read(at: time)
        try change { book in for account in accounts { book.grant(more, to: account, at: time) } }
        try adjust(at: time)
        try refillNames()
    }

    /// Gives accounts their whole amount again, for what is left of the period.
    func reset(_ accounts: [BudgetAccount], at time: Int64) throws {
        try read(at: time)
        try change { book in for account in accounts { book.reset(account, at: time) } }
        try adjust(at: time)
        try refillNames()
    }

    /// Changes the book, if that can be written: what is said to have failed is not to come about later.
    private func change(_ body: (inout BudgetBook) -> Void) throws {
        let former = book
        body(&book)
        do {
            try write()
        } catch {
            book = former
            throw Agent.failure(error)
        }
    }
}
