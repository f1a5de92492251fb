// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretNftables
import EgretPolicy
import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

@Suite("What usage costs by price lists")
struct PricedUsageTests {
    private static let gigabyte: UInt64 = 1_000_000_000
    /// 2026-11-01T00:00Z
    private static let november: Int64 = 1_793_491_200

    private func price(_ text: String) throws -> TrafficPrice { try #require(TrafficPrice(text)) }

    private func block(_ text: String) throws -> Destination {
        .block(AddressBlock(try #require(IPPrefix(text))))
    }

    /// What is near costs nothing, and of the rest ten gigabytes a month do.
    private func list() throws -> PriceList {
        PriceList(
            name: "cloud",
            entries: [
                .init(
                    name: "zone", destinations: [try block("10.1.0.0/16")], direction: .both,
                    tiers: [.init(price: try price("0 USD/GB"))]),
                .init(
                    name: "region", destinations: [try block("10.0.0.0/8")],
                    tiers: [.init(price: try price("0.01 USD/GB"))]),
                .init(
                    name: "internet", free: ByteCount(bytes: 10 * Self.gigabyte),
                    tiers: [
                        .init(upTo: ByteCount(bytes: 20 * Self.gigabyte), price: try price("0.09 USD/GB")),
                        .init(price: try price("0.05 USD/GB")),
                    ]),
            ])
    }

    private func key(_ date: String, _ endpoint: String, _ budget: String = "internet") throws -> UsageKey {
        UsageKey(
            day: try #require(CivilDate(date)).dayNumber, endpoint: endpoint, policy: "PriceList/cloud",
            budget: budget)
    }

    private func amount(_ gigabytes: UInt64) -> TrafficAmount {
        TrafficAmount(packets: 1, bytes: gigabytes * Self.gigabyte)
    }

    @Test("free amounts and tiers are those of a month, for all endpoints together")
    func months() throws {
        let usage = [
            try key("2026-10-31", "shop/a"): amount(12),
            try key("2026-11-01", "shop/a"): amount(8), try key("2026-11-02", "shop/a"): amount(4),
            try key("2026-11-02", "shop/b"): amount(4), try key("2026-11-03", "shop/b"): amount(6),
            try key("2026-11-03", "shop/a", "region"): amount(5),
            try key("2026-11-03", "shop/a", "gone"): amount(5),
        ]
        let costs = PricedUsage(usage, [try list()]).costs()
        let found = try ["2026-10-31", "2026-11-01", "2026-11-02"].map { costs[try key($0, "shop/a")]?.micros }
        #expect(found == [180_000, 0, 270_000])
        #expect(try costs[key("2026-11-02", "shop/b")]?.micros == 270_000)
        // Four gigabytes up to twenty, and two beyond.
        #expect(try costs[key("2026-11-03", "shop/b")]?.micros == 460_000)
        #expect(try costs[key("2026-11-03", "shop/a", "region")]?.micros == 50_000)
        #expect(try costs[key("2026-11-03", "shop/a", "gone")]?.micros == nil)
        #expect(costs.values.allSatisfy { $0.currency == "USD" })
    }

    @Test("the present month is told with what it will have come to")
    func present() throws {
        let usage = [
            try key("2026-10-31", "shop/a"): amount(12), try key("2026-11-02", "shop/a"): amount(8),
            try key("2026-11-02", "shop/b"): amount(7),
        ]
        let infos = PricedUsage(usage, [try list()]).present(at: Self.november + 15 * 86_400)
        #expect(infos.map(\.destination) == ["zone", "region", "internet"])
        #expect(
            infos.last
                == CostInfo(
                    priceList: "cloud", destination: "internet", used: 15 * Self.gigabyte, free: 10 * Self.gigabyte,
                    cost: 450_000, currency: "USD", ends: Int(Self.november) + 30 * 86_400,
                    forecast: 30 * Self.gigabyte, costForecast: 1_400_000))
        #expect(infos[0].cost == 0 && infos[0].free == nil)
    }

    @Test("of a list that has counted since the middle of the month, the forecast is by the days since")
    func firstDay() throws {
        let usage = [try key("2026-11-11", "shop/a"): amount(5), try key("2026-11-12", "shop/b"): amount(10)]
        let first = try #require(CivilDate("2026-11-11")).dayNumber
        let infos = PricedUsage(usage, [try list()]).present(
            at: Self.november + 15 * 86_400, firstDays: ["cloud": first])
        // Three gigabytes a day, for twenty days.
        #expect(infos.last?.forecast == 60 * Self.gigabyte)
        let former = PricedUsage(usage, [try list()]).present(
            at: Self.november + 15 * 86_400, firstDays: ["cloud": first - 30])
        #expect(former.last?.forecast == 30 * Self.gigabyte)
    }

    @Test("the first day of a list is that on which the first of its prices counted anything")
    func storedFirstDay() throws {
        let directory = try TemporaryDirectory()
        let store = try UsageStore(path: directory.path + "/usage.sqlite") { _ in }
        #expect(try store.firstDay(of: "PriceList/cloud") == nil)
        let list = try list()
        func save(_ name: String, _ day: Int64) throws {
            let account = BudgetAccount(policy: "PriceList/cloud", budget: name, account: "shop/a")
            let entry = try #require(list.entries.first { $0.name == name })
            var book = BudgetBook()
            book.keep(
                [account: list.budget(entry)], ["used-1": BudgetBook.Meter(endpoint: "shop/a", account: account)],
                at: Self.november)
            book.note(["used-1": TrafficAmount(packets: 1, bytes: 7)], at: Self.november + day * 86_400)
            try store.save(book, kernel: "k 7")
        }
        for (name, day) in [("internet", 3), ("zone", 1), ("internet", 9)] as [(String, Int64)] { try save(name, day) }
        #expect(try store.firstDay(of: "PriceList/cloud") == Self.november / 86_400 + 1)
        // A clock that was set back.
        try save("internet", -2)
        #expect(try store.firstDay(of: "PriceList/cloud") == Self.november / 86_400 - 2)
        try store.forget(butLatest: 2)
        #expect(try store.firstDay(of: "PriceList/cloud") == Self.november / 86_400 + 3)
        #expect(try store.firstDay(of: "PriceList/other") == nil)
    }

    // MARK: - What is counted

    private func endpoint(_ budgets: [EndpointBudget] = []) throws -> EnforcedEndpoint {
        let address = try #require(IPAddress("10.9.0.1"))
        return EnforcedEndpoint(
            endpoint: AgentEndpoint(
                workload: Workload(Workload.ID(namespace: "shop", name: "a", kind: "Endpoint"), addresses: [address]),
                network: "n", namespace: "ns", interface: try #require(InterfaceName("egn1")), interfaceIndex: 1,
                bridge: nil, hardwareAddress: MACAddress(locallyAdministered: 1), addresses: [address]),
            egress: [], ingress: [], budgets: budgets)
    }

    @Test("every endpoint has a counter for each price, and no price holds anything back")
    func counters() throws {
        let prices = EndpointBudget.all(of: [try list()], groups: [])
        let demand = BudgetDemand([try endpoint()], prices: prices)
        #expect(demand.accounts.isEmpty && demand.plan.accounts.isEmpty)
        #expect(
            Swift.Set(demand.meters.values.map(\.account))
                == Swift.Set(
                    ["zone", "region", "internet"].map {
                        BudgetAccount(policy: "PriceList/cloud", budget: $0, account: "shop/a")
                    }))
        #expect(demand.plan.program.counters.count == 3)
        #expect(demand.budgets.values.allSatisfy { $0.amount == nil && $0.period.length == .month })
        #expect(try BudgetDemand([endpoint()]) == BudgetDemand())
    }

    @Test("a control group, which has no link, is not counted")
    func controlGroups() throws {
        var group = try endpoint()
        group.endpoint.control = try JSONDecoder().decode(
            ControlGroup.self, from: Data(#"{ "path": "/a", "id": 7 }"#.utf8))
        let demand = BudgetDemand([group], prices: EndpointBudget.all(of: [try list()], groups: []))
        #expect(demand == BudgetDemand())
    }

    @Test("of several prices that match, the first counts, in each direction by itself")
    func first() throws {
        let prices = EndpointBudget.all(of: [try list()], groups: [])
        let program = BudgetDemand([try endpoint()], prices: prices).plan.program
        func ranges(_ wanted: [ClosedRange<UInt32>]) -> Bool {
            let intervals = wanted.map { AddressInterval($0.lowerBound, $0.upperBound) }
            return program.sets.contains { $0.contents == .ipv4Intervals(intervals, verdicts: []) }
        }
        let (zone, region) = (UInt32(0x0a01_0000)...0x0a01_ffff, UInt32(0x0a00_0000)...0x0aff_ffff)
        #expect(ranges([zone]))
        #expect(ranges([region.lowerBound...zone.lowerBound - 1, zone.upperBound + 1...region.upperBound]))
        #expect(ranges([0...region.lowerBound - 1, region.upperBound + 1...UInt32.max]))
        // What is received counts for the zone alone: the others are about what is sent.
        let received = program.rules.filter { $0.chain.hasPrefix("used-to-") }
        #expect(received.count == 1)
    }

    @Test("prices for ports are asked in order, in a chain that the first match leaves")
    func ports() throws {
        var list = try list()
        list.entries.insert(
            .init(
                name: "web", services: [.ports(.tcp, PortRange(443))], direction: .both,
                tiers: [.init(price: try price("1 USD/GB"))]), at: 1)
        let budget = TrafficBudget(name: "b")
        let own = EndpointBudget(
            policy: "p", budget: budget, isEnforced: true, clause: BudgetPlan.Clause(budget, groups: [:]))
        let prices = EndpointBudget.all(of: [list], groups: [])
        let demand = BudgetDemand([try endpoint([own])], prices: prices)
        #expect(demand.meters.count == 5)
        let program = demand.plan.program
        func rules(_ direction: String) throws -> (outer: [String], inner: [String]) {
            let name = "used-\(direction)-" + BudgetPlan.name(of: ["endpoint", "shop/a"])
            let inner = name + "-" + BudgetPlan.name(of: ["list", "PriceList/cloud"])
            #expect(program.chains.contains { $0.name == inner })
            func text(_ chain: String) -> [String] {
                program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
            }
            #expect(text(name).first == "jump \(inner)")
            return (text(name), text(inner))
        }
        func counter(_ name: String) -> String {
            let parts = name == "b" ? ["shop/a", "p", "b"] : ["shop/a", "PriceList/cloud", name]
            return "counter name \"used-\(BudgetPlan.name(of: ["meter"] + parts))\""
        }
        let sent = try rules("from")
        // The budget counts everything, whatever the list makes of it.
        #expect(sent.outer.count == 2 && sent.outer[1] == counter("b"))
        #expect(sent.inner.allSatisfy { $0.hasSuffix(" return") })
        let order = sent.inner.map { rule in
            ["zone", "web", "region", "internet"].first { rule.contains(counter($0)) } ?? rule
        }
        #expect(order == ["zone", "web", "web", "region", "internet"])
        #expect(sent.inner.filter { $0.contains(counter("web")) }.allSatisfy { $0.contains("th dport == 443") })
        #expect(sent.inner.last == "\(counter("internet")) return")
        // What is received counts for the zone, and by its source's port.
        let received = try rules("to")
        #expect(received.outer.count == 1 && received.inner.count == 3)
        #expect(received.inner.dropFirst().allSatisfy { $0.contains("th sport == 443") })
    }

    @Test("prices for names are asked in order, by what the endpoint has resolved")
    func names() throws {
        var list = try list()
        list.entries.insert(
            .init(
                name: "video", domains: [try DomainPattern.parse("*.video.example")],
                tiers: [.init(price: try price("1 USD/GB"))]), at: 1)
        let prices = EndpointBudget.all(of: [list], groups: [])
        let plan = BudgetDemand([try endpoint()], prices: prices).plan
        #expect(plan.namedSets.count == 2 && plan.namedSets.allSatisfy { $0.links.count == 1 })
        let set = try #require(plan.namedSets.first { $0.set.family == .ipv4 }?.set.name)
        let inner =
            "used-from-" + BudgetPlan.name(of: ["endpoint", "shop/a"]) + "-"
            + BudgetPlan.name(of: ["list", "PriceList/cloud"])
        let asking = plan.program.rules.filter { $0.chain == inner }.map { NftText.render($0) }
        let counter = "used-" + BudgetPlan.name(of: ["meter", "shop/a", "PriceList/cloud", "video"])
        let named = "ip daddr @\(set) update @\(set) { ip daddr timeout 10800s } counter name \"\(counter)\" return"
        #expect(asking.filter { $0.hasSuffix(named) }.count == 1)
        let last = BudgetPlan.name(of: ["meter", "shop/a", "PriceList/cloud", "internet"])
        #expect(asking.last?.contains(last) ?? false)
        let catalog = PolicyCatalog(egressPolicies: [], priceLists: [list])
        #expect(catalog.pricedNames.map(\.description) == ["*.video.example"] && !catalog.hasNames)
        #expect(try CountedNameSets.places(of: plan).keys.sorted() == [endpoint().endpoint.linkKey])
    }

    @Test("a group whose list has not come matches nothing, and what goes there counts for the next price")
    func missingList() throws {
        let block = AddressBlock(try #require(IPPrefix("192.0.2.0/24")))
        var group = DestinationGroup(
            name: "partner", blocks: [block], feed: Feed(.url("https://example.org/list")))
        var list = try list()
        list.entries = [
            .init(name: "near", destinations: [.group("partner")], tiers: [.init(price: try price("0 USD/GB"))]),
            .init(name: "far", tiers: [.init(price: try price("1 USD/GB"))]),
        ]
        func sets() throws -> Int {
            let prices = EndpointBudget.all(of: [list], groups: [group])
            return BudgetDemand([try endpoint()], prices: prices).plan.program.sets.count {
                $0.name.hasPrefix("far-")
            }
        }
        #expect(try sets() == 0)
        group.fetched = []
        // What is named, and what it leaves: all of IPv6 needs no set.
        #expect(try sets() == 2)
    }

    @Test("prices in the same places of two lists, and for as many blocks, are told apart")
    func similar() throws {
        func list(_ name: String, _ last: String) throws -> PriceList {
            PriceList(
                name: name,
                entries: [
                    .init(
                        name: "near", destinations: [try block("10.0.0.0/8"), try block(last)],
                        tiers: [.init(price: try price("1 USD/GB"))])
                ])
        }
        let lists = [try list("one", "192.0.2.0/24"), try list("two", "198.51.100.0/24")]
        let clauses = EndpointBudget.all(of: lists, groups: []).map(\.clause)
        #expect(clauses[0] != clauses[1])
        let program = BudgetDemand([try endpoint()], prices: EndpointBudget.all(of: lists, groups: [])).plan.program
        #expect(program.sets.count { $0.name.hasPrefix("far-") } == 2)
    }

    @Test("a price behind one for everything counts nothing, and one behind another direction's counts all")
    func everything() throws {
        var list = try list()
        list.entries = [
            .init(name: "all", tiers: [.init(price: try price("1 USD/GB"))]),
            .init(name: "never", tiers: [.init(price: try price("1 USD/GB"))]),
            .init(name: "in", direction: .ingress, tiers: [.init(price: try price("1 USD/GB"))]),
        ]
        let program = BudgetDemand([try endpoint()], prices: EndpointBudget.all(of: [list], groups: [])).plan.program
        #expect(program.sets.filter { $0.name.hasPrefix("far-") }.isEmpty)
        #expect(program.rules.count { $0.chain.hasPrefix("used-from-") } == 1)
        #expect(program.rules.count { $0.chain.hasPrefix("used-to-") } == 2)
    }
}
