// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretPolicy
import EgretTesting
import GRDB
import Testing

@testable import EgretAgent

@Suite("What is used of budgets")
struct BudgetBookTests {
    private static let account = BudgetAccount(policy: "p", budget: "daily", account: "a/b")
    private static let meters = ["used-1": BudgetBook.Meter(endpoint: "a/b", account: account)]
    private static let day: Int64 = 1_782_000_000 / 86_400 * 86_400

    private func book(
        _ period: BudgetPeriod.Length = .day, amount: UInt64 = 1_000, alertAt: [Int] = []
    ) -> BudgetBook {
        var book = BudgetBook()
        let budget = TrafficBudget(
            name: "daily", amount: BudgetAmount(bytes: amount), period: BudgetPeriod(period), alertAt: alertAt)
        book.keep([Self.account: budget], Self.meters, at: Self.day)
        return book
    }

    private func amount(_ bytes: UInt64) -> [String: TrafficAmount] {
        ["used-1": TrafficAmount(packets: 1, bytes: bytes)]
    }

    @Test("what counters show counts once, and what they show anew counts from nothing")
    func readings() {
        var book = book()
        book.note(amount(300), at: Self.day + 1)
        book.note(amount(300), at: Self.day + 2)
        book.note(amount(400), at: Self.day + 3)
        #expect(book.left(of: Self.account, at: Self.day + 3) == 600)
        book.forgetReadings()
        book.note(amount(100), at: Self.day + 4)
        #expect(book.left(of: Self.account, at: Self.day + 4) == 500)
        #expect(book.changes.usage.values.map(\.bytes) == [500])
    }

    /// A book with a budget of something, counted by two counters.
    private func book(of amount: BudgetAmount) -> BudgetBook {
        var book = BudgetBook()
        keep(amount, in: &book, at: Self.day)
        return book
    }

    private func keep(_ amount: BudgetAmount, in book: inout BudgetBook, at time: Int64) {
        let budget = TrafficBudget(name: "daily", amount: amount, period: BudgetPeriod(.day), alertAt: [50])
        let meter = BudgetBook.Meter(endpoint: "a/b", account: Self.account)
        book.keep([Self.account: budget], ["used-1": meter, "opened-1": meter], at: time)
    }

    private static let shown = [
        "used-1": TrafficAmount(packets: 30, bytes: 9_000), "opened-1": TrafficAmount(packets: 2, bytes: 120),
    ]

    @Test(
        "a budget uses what it is of, and usage has the traffic",
        arguments: [
            (BudgetAmount(10_000, .bytes), 1_000), (BudgetAmount(40, .packets), 10), (BudgetAmount(3, .connections), 1),
        ] as [(BudgetAmount, UInt64)])
    func units(_ amount: BudgetAmount, _ left: UInt64) {
        var book = book(of: amount)
        for time in 1...2 as ClosedRange<Int64> { book.note(Self.shown, at: Self.day + time) }
        #expect(book.left(of: Self.account, at: Self.day + 2) == left)
        #expect(Array(book.changes.usage.values) == [TrafficAmount(packets: 30, bytes: 9_000)])
        #expect(book.reached(at: Self.day + 2, spent: []).map { $0.percent } == [50])
        book.grant(1, to: Self.account, at: Self.day + 2)
        #expect(book.left(of: Self.account, at: Self.day + 2) == left + 1)
        book.reset(Self.account, at: Self.day + 2)
        #expect(book.left(of: Self.account, at: Self.day + 2) == amount.count)
        #expect(book.left(of: Self.account, at: Self.day + 86_400) == amount.count)
    }

    @Test("a budget that is of something else begins anew, and its unit is kept with what is used")
    func otherUnit() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        let store = try UsageStore(path: path) { _ in }
        var book = book(of: BudgetAmount(10_000, .bytes))
        book.note(Self.shown, at: Self.day + 1)
        try store.save(book, kernel: "k 7")
        book.markWritten()
        #expect(try store.load(kernel: "k 7").units == [:])
        keep(BudgetAmount(40, .packets), in: &book, at: Self.day + 2)
        #expect(book.left(of: Self.account, at: Self.day + 2) == 40)
        #expect(book.accounts(at: Self.day + 2) == [Self.account])
        book.note(["used-1": TrafficAmount(packets: 35, bytes: 9_500)], at: Self.day + 3)
        #expect(book.left(of: Self.account, at: Self.day + 3) == 35)
        try store.save(book, kernel: "k 7")
        var next = try UsageStore(path: path) { _ in }.load(kernel: "k 7")
        #expect(next.units == [Self.account: .packets])
        #expect(next.stretches == book.stretches)
        keep(BudgetAmount(40, .packets), in: &next, at: Self.day + 4)
        #expect(next.left(of: Self.account, at: Self.day + 4) == 35)
        keep(BudgetAmount(10_000, .bytes), in: &next, at: Self.day + 5)
        #expect(next.left(of: Self.account, at: Self.day + 5) == 10_000)
        next.note(["used-1": TrafficAmount(packets: 36, bytes: 9_600)], at: Self.day + 6)
        #expect(next.left(of: Self.account, at: Self.day + 6) == 9_900)
        try store.save(next, kernel: "k 7")
        #expect(try store.load(kernel: "k 7").units == [:])
        #expect(try store.usage(since: nil).values.map(\.bytes) == [9_600])
    }

    @Test("connections that an endpoint began while no agent ran count once, although it is gone when one starts")
    func goneConnections() {
        let budget = TrafficBudget(name: "daily", amount: BudgetAmount(3, .connections), period: BudgetPeriod(.day))
        let meter = BudgetBook.Meter(endpoint: "a/b", account: Self.account)
        var book = BudgetBook(stretches: [:], readings: [:], meters: ["used-1": meter, "opened-1": meter])
        book.know([BudgetName(policy: "p", budget: "daily"): budget])
        for _ in 0..<2 { book.noteGone(Self.shown, besides: [:], at: Self.day + 1) }
        #expect(book.left(of: Self.account, at: Self.day + 1) == 1)
        #expect(Array(book.changes.usage.values) == [TrafficAmount(packets: 30, bytes: 9_000)])
    }

    @Test("a new period has the whole amount, and what is granted ends with its period")
    func periods() {
        var book = book()
        book.note(amount(900), at: Self.day + 1)
        book.grant(5_000, to: Self.account, at: Self.day + 1)
        #expect(book.left(of: Self.account, at: Self.day + 1) == 5_100)
        #expect(book.left(of: Self.account, at: Self.day + 86_400) == 1_000)
        book.note(amount(1_950), at: Self.day + 86_400)
        #expect(book.left(of: Self.account, at: Self.day + 86_400) == 0)
    }

    @Test("a reset gives the whole amount again, once")
    func reset() {
        var book = book()
        book.note(amount(900), at: Self.day + 1)
        for _ in 0..<2 { book.reset(Self.account, at: Self.day + 2) }
        #expect(book.left(of: Self.account, at: Self.day + 2) == 1_000)
        #expect(book.state(of: Self.account, at: Self.day + 2).used == 900)
    }

    @Test("a reset of a rolling window leaves it with what was granted for it")
    func rollingReset() {
        var book = book(.rolling(86_400))
        book.note(amount(600), at: Self.day)
        book.note(amount(900), at: Self.day + 43_200)
        for _ in 0..<2 { book.reset(Self.account, at: Self.day + 43_200) }
        #expect(book.left(of: Self.account, at: Self.day + 43_200) == 1_000)
        #expect(book.left(of: Self.account, at: Self.day + 86_400 + 864) == 1_000)
        #expect(book.left(of: Self.account, at: Self.day + 2 * 86_400) == 1_000)
    }

    @Test("no more is granted than the kernel takes for a quota")
    func largeGrants() {
        var book = book()
        let most = UInt64(Int64.max) - 1_000
        #expect(book.canGrant(most, to: Self.account, at: Self.day))
        #expect(!book.canGrant(most + 1, to: Self.account, at: Self.day))
        #expect(!book.canGrant(.max, to: Self.account, at: Self.day))
        book.grant(most, to: Self.account, at: Self.day)
        #expect(!book.canGrant(1, to: Self.account, at: Self.day))
        #expect(book.canGrant(most, to: Self.account, at: Self.day + 86_400))
    }

    @Test("a clock that goes forward and back again makes nothing unused")
    func clock() {
        var book = book()
        book.note(amount(700), at: Self.day + 1)
        book.note(amount(900), at: Self.day + 40 * 86_400)
        #expect(book.left(of: Self.account, at: Self.day + 40 * 86_400) == 800)
        book.note(amount(950), at: Self.day + 5)
        #expect(book.left(of: Self.account, at: Self.day + 5) == 50)
        // Nor does it stay behind for ever.
        #expect(book.left(of: Self.account, at: Self.day + 40 * 86_400) == 1_000)
    }

    @Test("only so many periods are remembered, the latest")
    func bounds() {
        var book = book(.hour)
        for hour in 0..<300 { book.note(amount(UInt64(hour + 1) * 10), at: Self.day + Int64(hour) * 3_600) }
        #expect(book.stretches[Self.account]?.count == 256)
        #expect(book.left(of: Self.account, at: Self.day + 299 * 3_600) == 990)
        #expect(book.changes.stretches.count == 300)
    }

    @Test("a rolling window gives back what has left it")
    func rolling() {
        var book = book(.rolling(86_400))
        book.note(amount(600), at: Self.day)
        book.note(amount(900), at: Self.day + 43_200)
        #expect(book.left(of: Self.account, at: Self.day + 86_399) == 100)
        #expect(book.left(of: Self.account, at: Self.day + 86_400 + 864) == 700)
        #expect(book.left(of: Self.account, at: Self.day + 2 * 86_400) == 1_000)
    }

    @Test("parts that are reached are told once, the highest of several, and again in the next period")
    func alerts() {
        var book = book(alertAt: [50, 80])
        func told(_ bytes: UInt64, at time: Int64) -> [Int] {
            book.note(amount(bytes), at: time)
            return book.reached(at: time, spent: []).map(\.percent)
        }
        #expect(told(499, at: Self.day + 1) == [])
        #expect(told(500, at: Self.day + 2) == [50])
        #expect(told(501, at: Self.day + 3) == [])
        #expect(told(1_000, at: Self.day + 4) == [100])
        #expect(told(1_000, at: Self.day + 86_400) == [])
        #expect(told(1_900, at: Self.day + 86_401) == [80])
    }

    @Test("the log says of how much a part was reached, and what was granted belongs to it")
    func words() {
        let event = BudgetKeeper.Event(account: Self.account, percent: 80, isSpent: false)
        let budget = TrafficBudget(name: "daily", amount: BudgetAmount("100GB"), alertAt: [80])
        #expect(
            Agent.words(event, budget, granted: 0) == "the budget daily of a/b (p): 80% of 100GB are used")
        #expect(
            Agent.words(event, budget, granted: 5_000_000_000)
                == "the budget daily of a/b (p): 80% of 100GB and 5GB more are used")
    }

    @Test("what is written comes back, and nothing of another kernel's counters")
    func store() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        var book = book()
        let store = try UsageStore(path: path) { _ in }
        for (bytes, time) in [(300, 1), (450, 2)] as [(UInt64, Int64)] {
            book.note(amount(bytes), at: Self.day + time)
            try store.save(book, kernel: "k 7")
            book.markWritten()
        }
        let again = try UsageStore(path: path) { _ in }
        var same = try again.load(kernel: "k 7")
        #expect(same.stretches == book.stretches)
        #expect(same.readings == book.readings)
        #expect(try again.load(kernel: "k 8").readings == [:])
        #expect(try again.load(kernel: nil).readings == [:])
        #expect(try again.usage(since: nil).values.map(\.bytes) == [450])
        #expect(try again.usage(since: Self.day / 86_400 + 1).isEmpty)
        // A table that is made anew while the agent is away counts in full.
        same = try again.load(kernel: "k 8")
        same.keep(book.budgets, Self.meters, at: Self.day)
        same.note(amount(460), at: Self.day + 3)
        #expect(same.left(of: Self.account, at: Self.day + 3) == 90)
    }

    @Test("a damaged store is put aside, and counting begins anew")
    func damage() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        try File.write(path, Array("this is no database, and long enough not to be taken for an empty one".utf8))
        var lines: [String] = []
        let store = try UsageStore(path: path) { lines.append($0) }
        #expect(try store.usage(since: nil).isEmpty)
        #expect(lines.count == 1)
        #expect(File.exists(path + ".damaged"))
    }

    @Test("a damaged store takes no other's place")
    func damageAgain() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        let former = Array("what was put aside before".utf8)
        try File.write(path + ".damaged", former)
        try File.write(path, Array("this is no database, and long enough not to be taken for an empty one".utf8))
        _ = try UsageStore(path: path) { _ in }
        #expect(try File.read(path + ".damaged") == former)
        #expect(File.exists(path + ".damaged-2"))
    }

    @Test("a store of a later version is refused, and stays")
    func laterVersion() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        try DatabaseQueue(path: path).writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 7") }
        let content = try File.read(path)
        let error = #expect(throws: APIError.self) { _ = try UsageStore(path: path) { _ in } }
        #expect(error?.advice?.contains("\(path)-wal and \(path)-shm") == true)
        #expect(try File.read(path) == content)
        #expect(!File.exists(path + ".damaged"))
    }

    @Test("so many days of usage are kept, and a clock that is years ahead, and back, takes none of them")
    func forgetting() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        var book = book()
        func use(_ bytes: UInt64, on day: Int64) throws {
            book.note(amount(bytes), at: Self.day + day * 86_400)
            try store.save(book, kernel: "k 7")
            book.markWritten()
        }
        func days() throws -> [Int64] { try store.usage(since: nil).keys.map { $0.day - Self.day / 86_400 }.sorted() }
        try use(300, on: 0)
        try use(400, on: 4_000)
        try store.forget(butLatest: 3)
        #expect(try days() == [0, 4_000])
        try use(500, on: 1)
        try use(600, on: 2)
        try store.forget(butLatest: 3)
        #expect(try days() == [1, 2, 4_000])
        #expect(try store.usage(since: nil).values.map(\.bytes).reduce(0, +) == 300)
    }

    @Test("the latest hours are known by themselves, and what a clock that was ahead has left is none of them")
    func hours() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        var store = try UsageStore(path: path) { _ in }
        var book = book()
        var shown: UInt64 = 0
        func use(_ bytes: UInt64, at hour: Int64, _ minute: Int64 = 0) throws {
            shown += bytes
            book.note(amount(shown), at: Self.day + hour * 3_600 + minute * 60)
            try store.save(book, kernel: "k 7")
            book.markWritten()
        }
        func used(since hour: Int64) throws -> UInt64 {
            try store.usage(sinceHour: Self.day / 3_600 + hour).values.map(\.bytes).reduce(0, +)
        }
        try use(1, at: 0)
        try use(20, at: 23, 59)
        try use(300, at: 24)
        try use(4_000, at: 24, 30)
        #expect(try [0, 1, 23, 24, 25].map { try used(since: $0) } == [4_321, 4_320, 4_320, 4_300, 0])
        // Of the day that each hour is in.
        let days = try store.usage(sinceHour: Self.day / 3_600 + 1).keys.map { $0.day - Self.day / 86_400 }
        #expect(days.sorted() == [0, 1])
        try use(50_000, at: 48)
        #expect(try used(since: 0) == 54_321)
        try use(600_000, at: 49)
        #expect(try used(since: 0) == 654_320)
        store = try UsageStore(path: path) { _ in }
        #expect(try used(since: 49) == 600_000)
        // A clock goes 100 hours ahead, and back again.
        try use(7_000_000, at: 149)
        #expect(try used(since: 0) == 7_000_000)
        try use(80_000_000, at: 50)
        #expect(try used(since: 0) == 80_000_000)
        #expect(try store.usage(since: nil).values.map(\.bytes).reduce(0, +) == shown)
    }

    @Test("a counter that has wrapped counts from nothing: no byte is invented")
    func wrap() {
        var book = book()
        book.note(["used-1": TrafficAmount(packets: 9, bytes: .max - 400)], at: Self.day + 1)
        let before = book.state(of: Self.account, at: Self.day + 1).used
        book.note(["used-1": TrafficAmount(packets: 10, bytes: .max - 100)], at: Self.day + 2)
        #expect(book.state(of: Self.account, at: Self.day + 2).used == before + 300)
        book.forgetReadings()
        book = self.book()
        book.note(["used-1": TrafficAmount(packets: 9, bytes: 700)], at: Self.day + 1)
        book.note(["used-1": TrafficAmount(packets: 1, bytes: 50)], at: Self.day + 2)
        #expect(book.state(of: Self.account, at: Self.day + 2).used == 750)
    }

    @Test("what an endpoint has used that is gone is known by the budget as it is written, in the period alone")
    func gone() throws {
        var book = book()
        book.note(amount(900), at: Self.day + 1)
        let budget = try #require(book.budgets[Self.account])
        book.keep([:], [:], at: Self.day + 2)
        #expect(book.accounts(at: Self.day + 2) == [])
        book.know([BudgetName(policy: "p", budget: "daily"): budget])
        #expect(book.accounts(at: Self.day + 2) == [Self.account])
        #expect(book.left(of: Self.account, at: Self.day + 2) == 100)
        book.grant(400, to: Self.account, at: Self.day + 2)
        #expect(book.left(of: Self.account, at: Self.day + 2) == 500)
        book.reset(Self.account, at: Self.day + 2)
        #expect(book.left(of: Self.account, at: Self.day + 2) == 1_000)
        #expect(book.accounts(at: Self.day + 86_400) == [])
        var shared = budget
        shared.scope = .policy
        book.know([BudgetName(policy: "p", budget: "daily"): shared])
        #expect(book.accounts(at: Self.day + 2) == [])
    }

    @Test("what an endpoint used while no agent ran counts once, although it is gone when one starts")
    func goneMeanwhile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        var book = book()
        let budget = try #require(book.budgets[Self.account])
        book.note(amount(300), at: Self.day + 1)
        try UsageStore(path: path) { _ in }.save(book, kernel: "k 7")
        for _ in 0..<2 {
            let store = try UsageStore(path: path) { _ in }
            var next = try store.load(kernel: "k 7")
            next.know([BudgetName(policy: "p", budget: "daily"): budget])
            next.noteGone(amount(700), besides: [:], at: Self.day + 60)
            next.keep([:], [:], at: Self.day + 60)
            next.forgetGone()
            try store.save(next, kernel: "k 7")
            #expect(next.left(of: Self.account, at: Self.day + 60) == 300)
            #expect(try store.usage(since: nil).values.map(\.bytes) == [700])
        }
        let last = try UsageStore(path: path) { _ in }.load(kernel: "k 7")
        #expect(last.meters == [:] && last.readings == [:])
    }

    @Test("a counter that was to go, and that the kernel has kept, goes on from what it showed: no byte is invented")
    func keptCounter() {
        var book = book()
        let budgets = book.budgets
        book.note(amount(400), at: Self.day + 1)
        // The kernel refuses to let it go, and then it is asked for again.
        book.keep([:], [:], at: Self.day + 2)
        book.keep(budgets, Self.meters, at: Self.day + 3)
        book.note(amount(450), at: Self.day + 4)
        #expect(book.left(of: Self.account, at: Self.day + 4) == 550)
        // It goes, and another one comes.
        book.keep([:], [:], at: Self.day + 5)
        book.forgetGone()
        #expect(book.readings == [:] && book.changes.gone == ["used-1"])
        book.keep(budgets, Self.meters, at: Self.day + 6)
        book.note(amount(50), at: Self.day + 7)
        #expect(book.left(of: Self.account, at: Self.day + 7) == 500)
    }

    @Test("what an endpoint that is gone has used is written with its reading: it does not count again later")
    func goneReading() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        var book = book()
        book.note(amount(300), at: Self.day + 1)
        try store.save(book, kernel: "k 7")
        var next = try store.load(kernel: "k 7")
        next.noteGone(amount(700), besides: [:], at: Self.day + 60)
        try store.save(next, kernel: "k 7")
        #expect(try store.load(kernel: "k 7").readings == amount(700))
    }

    @Test("the sums of days are asked for without a row for every endpoint that ever was")
    func sums() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        var book = BudgetBook()
        let accounts = ["a/b", "a/c"].map { BudgetAccount(policy: "p", budget: "daily", account: $0) }
        let entry = TrafficBudget(name: "daily", period: BudgetPeriod(.day))
        book.keep(
            Dictionary(uniqueKeysWithValues: accounts.map { ($0, entry) }),
            [
                "used-1": BudgetBook.Meter(endpoint: "a/b", account: accounts[0]),
                "used-2": BudgetBook.Meter(endpoint: "a/c", account: accounts[1]),
            ], at: Self.day)
        book.note(
            ["used-1": TrafficAmount(packets: 1, bytes: 300), "used-2": TrafficAmount(packets: 2, bytes: 500)],
            at: Self.day + 1)
        try store.save(book, kernel: "k 7")
        #expect(try store.usage(since: nil).count == 2)
        let key = UsageKey(day: Self.day / 86_400, endpoint: "", policy: "p", budget: "daily")
        #expect(
            try store.usage(since: nil, byEndpoint: false) == [key: TrafficAmount(packets: 3, bytes: 800)])
        #expect(try store.usage(since: key.day + 1, byEndpoint: false) == [:])
    }

    @Test("what price lists count is kept as usage, and takes no place among what is left of budgets")
    func prices() {
        var book = BudgetBook()
        let account = BudgetAccount(policy: "PriceList/cloud", budget: "internet", account: "shop/a")
        let entry = TrafficBudget(name: "internet", period: BudgetPeriod(.month))
        book.keep(
            [account: entry], ["used-1": BudgetBook.Meter(endpoint: "shop/a", account: account)], at: Self.day)
        book.note(amount(300), at: Self.day + 1)
        book.note(amount(500), at: Self.day + 2)
        #expect(book.changes.usage.values.map(\.bytes) == [500])
        #expect(book.stretches == [:] && book.changes.stretches == [])
    }

    @Test("what counts from now on is not taken for gone, and what nobody has written of counts as usage alone")
    func goneBesides() {
        var book = BudgetBook(stretches: [:], readings: amount(100), meters: Self.meters)
        book.noteGone(amount(400), besides: Self.meters, at: Self.day)
        #expect(book.changes.usage.isEmpty && book.readings == amount(100))
        book.noteGone(amount(400), besides: [:], at: Self.day)
        #expect(book.changes.usage.values.map(\.bytes) == [300])
        #expect(book.stretches == [:])
    }

    @Test("what a counter still counts while others take its place is of what it counted")
    func departing() {
        var book = book()
        book.note(amount(300), at: Self.day + 1)
        let former = book.counting
        book.keep([:], [:], at: Self.day + 2)
        book.noteGone(amount(400), besides: [:], at: Self.day + 2)
        #expect(book.changes.usage.values.map(\.bytes) == [300], "nobody knows any more whose that was")
        for _ in 0..<2 { book.noteGone(amount(400), besides: [:], as: former, at: Self.day + 2) }
        #expect(book.changes.usage.values.map(\.bytes) == [400])
        #expect(book.stretches[Self.account]?[Self.day]?.used == 400)
        book.forgetGone()
        #expect(book.readings.isEmpty && book.changes.gone == ["used-1"])
    }

    @Test("of accounts that nobody uses, the latest are kept, whatever clocks say")
    func compaction() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        let names = (0..<9).map { BudgetAccount(policy: "p", budget: "daily", account: "a/\($0)") }
        for (number, account) in names.enumerated() {
            var book = BudgetBook()
            let budget = TrafficBudget(name: "daily", amount: BudgetAmount(bytes: 1_000), period: BudgetPeriod(.day))
            book.keep(
                [account: budget], ["used-1": BudgetBook.Meter(endpoint: account.account, account: account)], at: 0)
            // The clock goes back all the time.
            book.note(amount(10), at: Self.day - Int64(number) * 86_400)
            try store.save(book, kernel: "k 7")
        }
        #expect(try store.compact(to: 20, keeping: []) == [])
        #expect(try store.compact(to: 4, keeping: [names[1]]) == [names[0]] + names[2...5])
        let left = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }.load(kernel: nil)
        #expect(Swift.Set(left.stretches.keys) == Swift.Set([names[1]] + names[6...8]))
    }

    /// A store as a former version left it.
    ///
    /// - Parameters:
    ///   - directory: Where.
    ///   - columns: The columns of the accounts' table that the first version did not have.
    ///   - rest: What else is in it.
    /// - Returns: Its path.
    /// - Throws: What SQLite says.
    private static func formerStore(in directory: TemporaryDirectory, columns: String = "", _ rest: String) throws
        -> String
    {
        let path = directory.path + "/usage.sqlite"
        try DatabaseQueue(path: path).write { database in
            try database.execute(
                sql: """
                    CREATE TABLE kernel (start TEXT NOT NULL);
                    CREATE TABLE reading (name TEXT PRIMARY KEY, packets INTEGER, bytes INTEGER) WITHOUT ROWID;
                    CREATE TABLE usage (
                        day INTEGER, endpoint TEXT, policy TEXT, budget TEXT, packets INTEGER, bytes INTEGER,
                        PRIMARY KEY (day, endpoint, policy, budget)
                    ) WITHOUT ROWID;
                    CREATE TABLE stretch (
                        policy TEXT, budget TEXT, account TEXT, start INTEGER, used INTEGER, granted INTEGER,
                        \(columns)PRIMARY KEY (policy, budget, account, start)
                    ) WITHOUT ROWID;
                    \(rest)
                    """)
        }
        return path
    }

    @Test("a store of the former version is read, and goes on")
    func formerVersion() throws {
        let directory = try TemporaryDirectory()
        let path = try Self.formerStore(
            in: directory,
            "INSERT INTO stretch VALUES ('p', 'daily', 'a/b', \(Self.day), 300, 0); PRAGMA user_version = 1;")
        let store = try UsageStore(path: path) { _ in }
        var book = try store.load(kernel: nil)
        book.keep(self.book().budgets, Self.meters, at: Self.day)
        #expect(book.left(of: Self.account, at: Self.day) == 700)
        book.note(amount(100), at: Self.day)
        try store.save(book, kernel: "k 7")
        #expect(try UsageStore(path: path) { _ in }.load(kernel: "k 7").stretches == book.stretches)
    }

    @Test("a store of the second version is read, with and without what was added to it later")
    func secondVersion() throws {
        let additions = """
            CREATE TABLE meter (
                name TEXT PRIMARY KEY, endpoint TEXT, policy TEXT, budget TEXT, account TEXT
            ) WITHOUT ROWID;
            CREATE TABLE unit (
                policy TEXT, budget TEXT, account TEXT, unit TEXT NOT NULL, PRIMARY KEY (policy, budget, account)
            ) WITHOUT ROWID;
            INSERT INTO unit VALUES ('p', 'daily', 'a/b', 'packets');
            """
        for more in ["", additions] {
            let directory = try TemporaryDirectory()
            let path = try Self.formerStore(
                in: directory, columns: "serial INTEGER NOT NULL DEFAULT 0, ",
                """
                INSERT INTO stretch VALUES ('p', 'daily', 'a/b', \(Self.day), 300, 0, 5);
                \(more)
                PRAGMA user_version = 2;
                """)
            let book = try UsageStore(path: path) { _ in }.load(kernel: nil)
            #expect(book.stretches == [Self.account: [Self.day: BudgetBook.Stretch(used: 300)]])
            #expect(book.units == (more.isEmpty ? [:] : [Self.account: .packets]))
            #expect(book.beginnings == [Self.account: 0])
        }
    }

    @Test("a store has one version for all that is in it: who knows of no units does not read them as bytes")
    func oneVersion() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/usage.sqlite"
        let store = try UsageStore(path: path) { _ in }
        var book = book(of: BudgetAmount(40, .packets))
        book.note(Self.shown, at: Self.day + 1)
        try store.save(book, kernel: "k 7")
        let version = try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "PRAGMA user_version") }
        #expect(version == 4)
    }

    @Test("of a budget that began within its period, the forecast is by the time since")
    func forecast() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        let noon = Self.day + 43_200
        let budget = TrafficBudget(name: "daily", amount: BudgetAmount(bytes: 1_000), period: BudgetPeriod(.day))
        var book = BudgetBook()
        book.keep([Self.account: budget], Self.meters, at: noon)
        book.note(amount(300), at: noon + 10_800)
        #expect(book.forecast(of: Self.account, at: noon + 10_800) == 1_200)
        try store.save(book, kernel: "k 7")
        // Whoever takes over knows when it began, and what is asked for once more has begun before.
        var next = try store.load(kernel: "k 7")
        next.keep([Self.account: budget], Self.meters, at: noon + 21_600)
        #expect(next.forecast(of: Self.account, at: noon + 21_600) == 600)
        next.note(amount(300 + 200), at: Self.day + 86_400 + 21_600)
        #expect(next.forecast(of: Self.account, at: Self.day + 86_400 + 21_600) == 800)
        // A clock that goes back behind the beginning: it has begun at the present moment.
        next.note(amount(300 + 200 + 100), at: noon - 10_800)
        #expect(next.forecast(of: Self.account, at: noon) == 600 * 5)
    }

    @Test("forecasts of many accounts look at the times of each budget once")
    func manyForecasts() throws {
        let schedule = Schedule(hours: [try #require(Schedule.Hours(start: 600, end: 840))])
        let month = TrafficBudget(
            name: "month", amount: BudgetAmount(bytes: 1_000), period: BudgetPeriod(.month), schedule: schedule)
        let total = TrafficBudget(name: "total", amount: BudgetAmount(bytes: 1_000), schedule: schedule)
        var budgets: [BudgetAccount: TrafficBudget] = [:]
        var meters: [String: BudgetBook.Meter] = [:]
        for number in 0..<100 {
            for budget in [month, total] {
                let account = BudgetAccount(policy: "p", budget: budget.name, account: "a/\(number)")
                budgets[account] = budget
                meters["used-\(budget.name)-\(number)"] = BudgetBook.Meter(endpoint: "a/\(number)", account: account)
            }
        }
        var book = BudgetBook()
        book.keep(budgets, meters, at: Self.day)
        let time = Self.day + 86_400 / 2
        book.note(
            Dictionary(
                uniqueKeysWithValues: meters.keys.enumerated().map { number, name in
                    (name, TrafficAmount(packets: 1, bytes: UInt64(number)))
                }), at: time)
        var forecasts = BudgetBook.Forecasts(at: time)
        for account in budgets.keys {
            let used = book.state(of: account, at: time).used
            let expected = month.period.forecast(of: used, at: time, since: Self.day, during: schedule)
            #expect(book.forecast(of: account, by: &forecasts) == (account.budget == "month" ? expected : nil))
        }
        #expect(forecasts.looks == 2)
    }

    @Test("a budget that is of something else from now on begins now")
    func otherBeginning() {
        var book = book(of: BudgetAmount(10_000, .bytes))
        book.note(Self.shown, at: Self.day + 1)
        #expect(book.beginnings == [Self.account: Self.day])
        keep(BudgetAmount(100, .packets), in: &book, at: Self.day + 43_200)
        keep(BudgetAmount(100, .packets), in: &book, at: Self.day + 50_000)
        #expect(book.beginnings == [Self.account: Self.day + 43_200])
        book.keep([:], [:], at: Self.day + 50_001)
        #expect(book.beginnings == [Self.account: Self.day + 43_200])
        book.forget([Self.account])
        #expect(book.beginnings == [:])
    }
}
