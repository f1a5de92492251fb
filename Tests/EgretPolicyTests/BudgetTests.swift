// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("Budgets")
struct BudgetTests {
    private func read(_ budgets: String) throws -> [TrafficBudget] {
        let result = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec:
              budgets:
            \(budgets.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        return try #require(result.policies.first).budgets
    }

    @Test("what is left out has its default")
    func defaults() throws {
        var budget = try #require(try read("- amount: 1GB").first)
        budget.location = nil
        #expect(budget == TrafficBudget(name: "budget 1", amount: BudgetAmount(bytes: 1_000_000_000)))
    }

    @Test("every value of every field is read, and printed as it can be read again")
    func roundTrip() throws {
        let texts = [
            "{ name: a, amount: 100GB, per: month, timezone: Europe/Zurich, onExhausted: { throttle: 256kbit } }",
            "{ name: b, to: [{ group: internet }], ports: [443/tcp], amount: 1GiB, per: day, onExhausted: cut }",
            "{ name: c, amount: 5MB, per: week, scope: policy, direction: ingress, alertAt: [80%, 50%] }",
            "{ name: d, amount: 5MB, per: hour, scope: \"label:team\", direction: both, onExhausted: alert }",
            "{ name: e, amount: 5MB, per: { rolling: 36h }, onExhausted: deny, price: 0.09 USD/GB }",
            "{ name: f, per: total, price: 12 EUR/TiB }",
            "{ name: g, amount: 1000000 packets, per: hour, onExhausted: cut, alertAt: [50%] }",
            "{ name: h, amount: 5000 connections, per: day, scope: policy, ports: [443/tcp] }",
            "{ name: i, amount: 5GB, per: month, when: { days: [mon-fri], hours: [\"09:00-17:00\"] } }",
            "{ name: j, when: { from: 2026-11-22, until: 2026-11-24T12:00, timezone: Asia/Kathmandu } }",
            "{ name: k, to: [{ domains: [example.org, \"*.example.org\"] }, { group: internet }], amount: 1GB }",
        ]
        let budgets = try read(texts.map { "- \($0)" }.joined(separator: "\n"))
        #expect(budgets.count == texts.count)
        #expect(budgets[2].alertAt == [50, 80])
        #expect(budgets[4].period.length == .rolling(129_600))
        let policy = EgressPolicy(name: "p", rules: [], budgets: budgets)
        let again = try #require(readPolicies(PolicyPrinter.yaml(policies: [policy])).policies.first)
        #expect(again.budgets.map(withoutPlace) == budgets.map(withoutPlace))
    }

    @Test("names matter to a policy whose budget is for some, or for a group that has some")
    func names() throws {
        let budget = try #require(
            try read("- { to: [{ domains: [example.org] }, { cidr: 203.0.113.0/24 }], amount: 1GB }").first)
        #expect(budget.domains.map(\.description) == ["example.org"] && budget.destinations.count == 1)
        func set(_ budget: TrafficBudget, _ groups: [DestinationGroup] = []) -> PolicySet {
            PolicySet(policies: [EgressPolicy(name: "p", rules: [], budgets: [budget])], groups: groups)
        }
        #expect(set(budget).dependsOnNames)
        #expect(set(budget).countedNames.map(\.description) == ["example.org"])
        let group = DestinationGroup(
            name: "video", blocks: [], domains: [try DomainPattern.parse("*.video.example")])
        let ofGroup = TrafficBudget(name: "b", destinations: [.group("video")], domains: budget.domains)
        #expect(
            set(ofGroup, [group]).countedNames.map(\.description) == ["example.org", "*.video.example"])
        #expect(!set(TrafficBudget(name: "b")).dependsOnNames)
    }

    @Test("a budget with when counts at its times, by the clocks of their own zone")
    func times() throws {
        let budget = try #require(
            try read("- { amount: 5GB, per: month, when: { hours: [\"09:00-17:00\"], timezone: Asia/Kathmandu } }")
                .first)
        #expect(budget.schedule?.description == "09:00-17:00 (Asia/Kathmandu)")
        #expect(budget.period.zone == .utc)
        // Five hours and three quarters ahead of UTC.
        let first: Int64 = 20_780 * 86_400 + 3 * 3_600 + 900
        let moments = [first - 1, first, first + 8 * 3_600 - 1, first + 8 * 3_600]
        #expect(moments.map { budget.isOpen(at: $0) } == [false, true, true, false])
        #expect(TrafficBudget(name: "always").isOpen(at: first - 1))
    }

    @Test("a forecast goes by the time since counting began, and by the times at which anything counts")
    func forecasts() throws {
        let day: Int64 = 20_780 * 86_400
        let period = BudgetPeriod(.day)
        #expect(period.forecast(of: 300, at: day + 21_600) == 1_200)
        #expect(period.forecast(of: 300, at: day + 21_600, since: day - 7) == 1_200)
        #expect(period.forecast(of: 300, at: day + 54_000, since: day + 43_200) == 1_200)
        #expect(period.forecast(of: 300, at: day + 21_600, since: day + 43_200) == 1_200)
        #expect(period.forecast(of: 300, at: day + 43_200, since: day + 43_200) == 300 * 720)
        #expect(period.forecast(of: 300, at: day + 86_399, since: day + 86_399) == 300)
        // Four hours a day, of which one is over.
        let hours = try #require(Schedule.Hours(start: 600, end: 840))
        let schedule = Schedule(hours: [hours])
        #expect(period.forecast(of: 300, at: day + 11 * 3_600, during: schedule) == 1_200)
        #expect(period.forecast(of: 300, at: day + 15 * 3_600, during: schedule) == 300)
        #expect(period.forecast(of: 0, at: day + 3_600, during: schedule) == 0)
        // Of which one was over when counting began.
        #expect(period.forecast(of: 300, at: day + 12 * 3_600, since: day + 11 * 3_600, during: schedule) == 900)
        #expect(period.forecast(of: 300, at: day + 14 * 3_600, since: day + 15 * 3_600, during: schedule) == 300)
    }

    @Test("a forecast is by the open seconds since counting began and of what is left, whenever it is asked for")
    func openTime() throws {
        let (noon, night) = (Schedule.Hours(start: 600, end: 840), Schedule.Hours(start: 1_320, end: 60))
        let schedule = Schedule(hours: [try #require(noon), try #require(night)])
        let day: Int64 = 20_780 * 86_400
        for length in [BudgetPeriod.Length.day, .week, .month] {
            let period = BudgetPeriod(length)
            for step in 0..<200 as Range<Int64> {
                let (time, begin) = (day + step * 1_801, day + step * 1_801 - step * 977)
                let stretch = period.stretch(at: time)
                let first = max(stretch.lowerBound, begin)
                func seconds(until end: Int64) -> UInt64 {
                    schedule.windows(from: first, through: end - 1).reduce(0) { $0 + UInt64($1.count) }
                }
                let gone = max(60, seconds(until: time))
                let expected = 1_000_000 * max(gone, seconds(until: stretch.upperBound)) / gone
                let found = period.forecast(of: 1_000_000, at: time, since: begin, during: schedule)
                #expect(found == expected, "\(length) \(time) \(begin)")
            }
        }
    }

    @Test(
        "an amount is read with its unit, and written as it can be read again",
        arguments: [
            ("100GB", 100_000_000_000, .bytes, "100GB"), ("1 packet", 1, .packets, "1 packet"),
            ("1000000 packets", 1_000_000, .packets, "1000000 packets"),
            ("5000connections", 5_000, .connections, "5000 connections"),
            ("1 connections", 1, .connections, "1 connection"),
        ] as [(String, UInt64, BudgetAmount.Unit, String)])
    func amounts(_ text: String, _ count: UInt64, _ unit: BudgetAmount.Unit, _ written: String) throws {
        let amount = try #require(BudgetAmount(text))
        #expect(amount == BudgetAmount(count, unit))
        #expect(amount.description == written && BudgetAmount(written) == amount)
    }

    @Test(
        "what is neither an amount nor a price is refused as both",
        arguments: [
            "", "packets", "5", "5 GB", "5k packets", "1.5 packets", "-1 packets", "5 packets/s", "5 Packets",
            "99999999999999999999 packets", "5 packets ", "9", "9 USD", "9 usd/GB", "9 USD/Gbit", "-1 USD/GB",
            "0.0000001 USD/GB", "9 USD/10GB", "9 USD/.5GB", "9 USD/", "9 USD/1GB",
        ])
    func neither(_ text: String) {
        #expect(BudgetAmount(text) == nil)
        #expect(TrafficPrice(text) == nil)
    }

    private func withoutPlace(_ budget: TrafficBudget) -> TrafficBudget {
        var budget = budget
        budget.location = nil
        return budget
    }

    /// 2026-03-29 in Zurich has 23 hours, and 2026-10-25 has 25.
    @Test("periods begin and end by the zone's clocks")
    func periods() throws {
        let zurich = try #require(try capturedZones()["Europe/Zurich"])
        let spring: Int64 = 1_774_738_800  // 2026-03-28T23:00Z, midnight in Zurich
        func stretch(_ length: BudgetPeriod.Length, _ time: Int64) -> Range<Int64> {
            BudgetPeriod(length, zone: zurich).stretch(at: time)
        }
        #expect(stretch(.day, spring) == spring..<spring + 23 * 3_600)
        #expect(stretch(.day, spring - 1) == spring - 86_400..<spring)
        #expect(stretch(.day, spring + 23 * 3_600 - 1) == spring..<spring + 23 * 3_600)
        let autumn: Int64 = 1_792_879_200  // 2026-10-24T22:00Z, midnight in Zurich
        #expect(stretch(.day, autumn + 24 * 3_600) == autumn..<autumn + 25 * 3_600)
        // The hour from two to three is there twice, and each is one.
        #expect(stretch(.hour, autumn + 2 * 3_600 + 60) == autumn + 2 * 3_600..<autumn + 3 * 3_600)
        #expect(stretch(.hour, autumn + 3 * 3_600 + 60) == autumn + 3 * 3_600..<autumn + 4 * 3_600)
        #expect(stretch(.month, spring).lowerBound == 1_772_319_600)  // 2026-02-28T23:00Z
        #expect(stretch(.month, spring).upperBound == 1_774_994_400)  // 2026-03-31T22:00Z
        #expect(stretch(.week, spring + 3_600) == spring - 6 * 86_400..<spring + 23 * 3_600)
        #expect(stretch(.total, spring).contains(spring))
    }

    @Test("every moment is in the period that is given for it, and neighbours touch")
    func partition() throws {
        var generator = SeededGenerator(seed: 9)
        for zone in try capturedZones().values {
            for length in [BudgetPeriod.Length.hour, .day, .week, .month, .rolling(86_400)] {
                let period = BudgetPeriod(length, zone: zone)
                for _ in 0..<20 {
                    let time = Int64.random(in: 1_000_000_000..<3_000_000_000, using: &generator)
                    let stretch = period.stretch(at: time)
                    #expect(stretch.contains(time))
                    #expect(period.stretch(at: stretch.lowerBound) == stretch, "\(zone) \(length) \(time)")
                    #expect(period.stretch(at: stretch.upperBound - 1) == stretch, "\(zone) \(length) \(time)")
                    #expect(period.stretch(at: stretch.upperBound).lowerBound == stretch.upperBound)
                }
            }
        }
    }

    @Test("a rolling window holds what came in its time, and at most a hundredth more")
    func window() {
        let period = BudgetPeriod(.rolling(86_400))
        for time in stride(from: Int64(1_000_000_000), to: 1_000_100_000, by: 997) {
            let horizon = period.horizon(at: time)
            #expect(horizon <= time - 86_400 && time - 86_400 - horizon < 864)
        }
    }

    @Test(
        "a price is read exactly",
        arguments: [
            ("0.09 USD/GB", 90_000, "USD", 1_000_000_000), ("12 EUR/TiB", 12_000_000, "EUR", 1 << 40),
            ("0.000001 XTS/kB", 1, "XTS", 1_000),
        ] as [(String, UInt64, String, UInt64)])
    func prices(_ text: String, _ micros: UInt64, _ currency: String, _ unit: UInt64) throws {
        let price = try #require(TrafficPrice(text))
        #expect(price == TrafficPrice(micros: micros, currency: currency, unit: ByteCount(bytes: unit)))
        #expect(TrafficPrice(price.description) == price)
    }

    @Test("costs are rounded down, and neither overflow nor trap")
    func costs() throws {
        let price = try #require(TrafficPrice("0.09 USD/GB"))
        #expect(price.micros(of: 1_000_000_000) == 90_000)
        #expect(price.micros(of: 11_111) == 0)
        #expect(price.micros(of: 11_112) == 1)
        #expect(price.micros(of: .max) == 1_660_206_966_633_859)
        #expect(try #require(TrafficPrice("1000000 USD/B")).micros(of: .max) == .max)
        #expect(TrafficPrice.text(ofMicros: 90_000) == "0.09")
        #expect(TrafficPrice.text(ofMicros: 12_000_000) == "12.00")
        #expect(TrafficPrice.text(ofMicros: 1) == "0.000001")
    }
}
