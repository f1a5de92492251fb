// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretSources
import EgretTesting
import GRDB
import Synchronization
import Testing

@testable import EgretAgent

/// The real kernel, on a clock that the test moves: what a namespace sends to itself stands for an endpoint's traffic.
@Suite("budgets over time", .serialized, .requiresRoot)
struct BudgetKeeperTests {
    /// Midnight in Zurich on 2026-03-29, a day of 23 hours.
    private static let midnight: Int64 = 1_774_738_800
    /// A datagram of 1000 bytes with its headers.
    private static let datagram: UInt64 = 1_028

    private final class Bench {
        let directory: TemporaryDirectory
        let endpoint: EnforcedEndpoint
        var keeper: BudgetKeeper

        init(_ budgets: [TrafficBudget]) throws {
            directory = try TemporaryDirectory()
            let address = try #require(IPAddress("127.0.0.1"))
            let lo = AgentEndpoint(
                workload: Workload(Workload.ID(namespace: "shop", name: "a", kind: "Endpoint"), addresses: [address]),
                network: "n", namespace: "ns", interface: try #require(InterfaceName("lo")), interfaceIndex: 1,
                bridge: nil, hardwareAddress: MACAddress(locallyAdministered: 1), addresses: [address])
            endpoint = EnforcedEndpoint(
                endpoint: lo, egress: ["p"], ingress: [],
                budgets: budgets.map {
                    EndpointBudget(
                        policy: "p", budget: $0, isEnforced: true, clause: BudgetPlan.Clause($0, groups: [:]))
                })
            keeper = try Bench.keeper(directory)
        }

        private static func keeper(_ directory: TemporaryDirectory) throws -> BudgetKeeper {
            try BudgetKeeper(
                Dataplane(try NetlinkConnection.netfilter()),
                UsageStore(path: directory.path + "/usage.sqlite") { _ in }, kernel: "k")
        }

        /// Another keeper in the place of this one, as after a kill.
        func restart() throws { keeper = try Bench.keeper(directory) }

        /// Another keeper that finds another store.
        func replaceStore(by copy: String) throws {
            keeper = try BudgetKeeper(
                Dataplane(try NetlinkConnection.netfilter()), UsageStore(path: copy) { _ in }, kernel: "k")
        }

        func keep(at time: Int64) throws { try keeper.keep([endpoint], at: time) }

        /// Sends so many datagrams of 1000 bytes.
        func send(_ count: Int) throws {
            // What is dropped on its way to the namespace itself is an error there.
            let text = """
                import contextlib, socket
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for i in range(\(count)):
                    with contextlib.suppress(OSError): s.sendto(b"x" * 1000, ("127.0.0.1", 39999))
                """
            let output = try runProgram(["python3", "-c", text])
            #expect(output.succeeded, "\(output.standardError)")
        }

        func used(_ budget: String, at time: Int64) throws -> UInt64 {
            try counted(budget, at: time) / BudgetKeeperTests.datagram
        }

        /// What is used of a budget, in its unit.
        func counted(_ budget: String, at time: Int64) throws -> UInt64 {
            _ = try keeper.tick(at: time)
            return keeper.book.state(of: account(budget), at: time).used
        }

        func account(_ budget: String) -> BudgetAccount {
            BudgetAccount(policy: "p", budget: budget, account: "shop/a")
        }

        /// Begins so many flows of datagrams to somebody who takes them, each with as many datagrams.
        func begin(_ flows: Int, datagrams: Int = 1) throws {
            let text = """
                import contextlib, socket
                r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(("127.0.0.1", 39999))
                flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(\(flows))]
                for s in flows * \(datagrams):
                    with contextlib.suppress(OSError): s.sendto(b"x" * 1000, ("127.0.0.1", 39999))
                """
            let output = try runProgram(["python3", "-c", text])
            #expect(output.succeeded, "\(output.standardError)")
        }
    }

    private func with(_ budgets: [TrafficBudget], _ body: (Bench) throws -> Void) throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            #expect(try runProgram(["ip", "link", "set", "lo", "up"]).succeeded)
            try body(Bench(budgets))
        }
    }

    private func budget(
        _ name: String, _ datagrams: UInt64, _ length: BudgetPeriod.Length, zone: TimeZoneRules = .utc
    ) throws -> TrafficBudget {
        TrafficBudget(
            name: name, services: [.ports(.udp, PortRange(39_999))],
            amount: BudgetAmount(bytes: datagrams * Self.datagram), period: BudgetPeriod(length, zone: zone),
            onExhausted: .cut)
    }

    @Test("a day with a change of clocks ends when its clocks say so, and a clock that goes back opens nothing")
    func days() throws {
        guard case .rules(let zurich) = SystemTimeZones.database().lookUp("Europe/Zurich") else {
            Issue.record("there is no zone Europe/Zurich")
            return
        }
        try with([budget("daily", 10, .day, zone: zurich)]) { bench in
            let end = Self.midnight + 23 * 3_600
            try bench.keep(at: Self.midnight)
            try bench.send(20)
            #expect(try bench.used("daily", at: Self.midnight + 60) == 10)
            try bench.send(5)
            #expect(try bench.used("daily", at: end - 1) == 10)
            #expect(try bench.used("daily", at: end) == 0)
            try bench.send(5)
            #expect(try bench.used("daily", at: end + 1) == 5)
            #expect(try bench.used("daily", at: end - 1) == 15)
            try bench.send(5)
            #expect(try bench.used("daily", at: end - 1) == 15)
            #expect(try bench.used("daily", at: end) == 0)
            try bench.send(20)
            #expect(try bench.used("daily", at: end) == 10)
        }
    }

    @Test("what endpoints' budgets come to is worked out once for a change, and once for going back")
    func once() async throws {
        let bench = try AgentBench()
        let keeper = try BudgetKeeper(
            Dataplane(try NetlinkConnection.netfilter()),
            UsageStore(path: bench.directory + "/usage.sqlite") { _ in }, kernel: "k")
        let agent = try await bench.agent(budgets: keeper)
        let start = await agent.budgetDemands
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        #expect(await agent.budgetDemands == start + 1)
        _ = try await agent.rollback(to: nil, author: "me")
        #expect(await agent.budgetDemands == start + 2)
        bench.kernel.state.withLock { $0.failures = [NotedKernel.Failure(description: "no memory")] }
        await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(AgentBench.policy("two")), author: "me")
        }
        // What was in force before is brought back.
        #expect(await agent.budgetDemands == start + 3)
    }

    @Test("usage is asked for since a day or an hour; of hours that are too long ago it is said that days are kept")
    func since() async throws {
        let bench = try AgentBench()
        let keeper = try BudgetKeeper(
            Dataplane(try NetlinkConnection.netfilter()),
            UsageStore(path: bench.directory + "/usage.sqlite") { _ in }, kernel: "k")
        let agent = try await bench.agent(budgets: keeper)
        #expect(try await agent.usage(UsageQuery(since: "2026-11-01")).isEmpty)
        let now = bench.clock.withLock { $0 }
        #expect(try await agent.usage(UsageQuery(since: "\(now - 47 * 3_600)")).isEmpty)
        for text in ["2h", "-1", "", "2026-11-31", "99999999999999999999"] {
            let error = await #expect(throws: APIError.self) { _ = try await agent.usage(UsageQuery(since: text)) }
            #expect(error?.code == "invalid" && error?.message == "“\(text)” is neither a day nor a moment")
        }
        let error = await #expect(throws: APIError.self) { _ = try await agent.usage(UsageQuery(since: "1793923200")) }
        #expect(error?.message == "usage is kept by the hour for 48 hours, and by whole days for longer")
        #expect(error?.advice == "write the first day: 2026-11-06")
    }

    @Test("the first price that matches counts, and what is counted is kept under the list's name")
    func prices() throws {
        func list(_ name: String, near: String) throws -> [EndpointBudget] {
            let tiers = [PriceList.Tier(price: try #require(TrafficPrice("1 USD/GB")))]
            let block = AddressBlock(try #require(IPPrefix(near)))
            let list = PriceList(
                name: name,
                entries: [
                    .init(name: "near", destinations: [.block(block)], tiers: tiers),
                    .init(name: "far", tiers: tiers), .init(name: "never", tiers: tiers),
                ])
            return EndpointBudget.all(of: [list], groups: [])
        }
        // To somebody who takes them: a refusal would be sent by the endpoint, too.
        func send(_ count: Int) throws {
            let text = """
                import socket
                r, s = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2))
                r.bind(("127.0.0.1", 39999))
                for i in range(\(count)): s.sendto(b"x" * 1000, ("127.0.0.1", 39999))
                """
            #expect(try runProgram(["python3", "-c", text]).succeeded)
        }
        try with([]) { bench in
            try bench.keeper.keep([bench.endpoint], prices: list("one", near: "127.0.0.0/8"), at: Self.midnight)
            try send(4)
            #expect(try bench.keeper.tick(at: Self.midnight + 1).isEmpty)
            try bench.keeper.keep([bench.endpoint], prices: list("two", near: "10.0.0.0/8"), at: Self.midnight + 2)
            try send(3)
            _ = try bench.keeper.tick(at: Self.midnight + 3)
            let usage = try bench.keeper.store.usage(since: nil)
            let found = usage.map { "\($0.key.policy) \($0.key.budget) \($0.value.bytes / Self.datagram)" }
            #expect(found.sorted() == ["PriceList/one near 4", "PriceList/two far 3"])
            try bench.keeper.keep([bench.endpoint], at: Self.midnight + 4)
            #expect(try bench.keeper.store.usage(since: nil) == usage)
        }
    }

    @Test("a price for a port counts that port alone, and the next entry the rest")
    func pricedPorts() throws {
        let tiers = [PriceList.Tier(price: try #require(TrafficPrice("1 USD/GB")))]
        let udp = [Service.ports(.udp, PortRange(39_999))]
        let list = PriceList(
            name: "one",
            entries: [
                .init(name: "port", services: udp, tiers: tiers), .init(name: "rest", tiers: tiers),
                .init(name: "never", tiers: tiers),
            ])
        try with([budget("daily", 10, .day)]) { bench in
            let prices = EndpointBudget.all(of: [list], groups: [])
            try bench.keeper.keep([bench.endpoint], prices: prices, at: Self.midnight)
            // To somebody who takes them, and as many to another port.
            try bench.begin(4)
            let text = """
                import socket
                r, s = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2))
                r.bind(("127.0.0.1", 39998))
                for i in range(3): s.sendto(b"x" * 1000, ("127.0.0.1", 39998))
                """
            #expect(try runProgram(["python3", "-c", text]).succeeded)
            _ = try bench.keeper.tick(at: Self.midnight + 1)
            let usage = try bench.keeper.store.usage(since: nil)
            let found = usage.map { "\($0.key.policy) \($0.key.budget) \($0.value.bytes / Self.datagram)" }
            #expect(found.sorted() == ["PriceList/one port 4", "PriceList/one rest 3", "p daily 4"])
            #expect(try bench.keeper.mend(at: Self.midnight + 1) == [])
        }
    }

    /// What is used after twenty datagrams, and after five more, of a budget of ten. A flow without answers stays new.
    private static let actions: [(TrafficBudget.Exhaustion, first: UInt64, second: UInt64)] = [
        (.cut, 10, 10), (.deny, 10, 10), (.throttle(BitRate(bitsPerSecond: 8_000)), 20, 25), (.alert, 20, 25),
    ]

    @Test(
        "each action ends with its period, also on a day with a change of clocks",
        arguments: BudgetKeeperTests.actions.indices)
    func actionsOverDays(_ index: Int) throws {
        let (action, first, second) = Self.actions[index]
        guard case .rules(let zurich) = SystemTimeZones.database().lookUp("Europe/Zurich") else {
            Issue.record("there is no zone Europe/Zurich")
            return
        }
        var daily = try budget("daily", 10, .day, zone: zurich)
        daily.onExhausted = action
        // A day of 23 hours, and one of 25 half a year later.
        for (midnight, hours) in [(Self.midnight, 23), (Self.midnight + 210 * 86_400 - 3_600, 25)] as [(Int64, Int64)] {
            try with([daily]) { bench in
                let end = midnight + hours * 3_600
                try bench.keep(at: midnight)
                try bench.send(20)
                #expect(try bench.used("daily", at: midnight + 60) == first)
                try bench.send(5)
                #expect(try bench.used("daily", at: end - 1) == second)
                #expect(try bench.used("daily", at: end) == 0)
                try bench.send(5)
                #expect(try bench.used("daily", at: end + 1) == 5)
                #expect(try bench.used("daily", at: end + 86_400) == 0)
            }
        }
    }

    @Test("a store that is restored from a backup has what came since from the kernel, and invents nothing")
    func backup() throws {
        try with([budget("daily", 10, .day)]) { bench in
            let (path, copy) = (bench.directory.path + "/usage.sqlite", bench.directory.path + "/backup")
            try bench.keep(at: Self.midnight)
            try bench.send(4)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 4)
            try DatabaseQueue(path: path).backup(to: DatabaseQueue(path: copy))
            try bench.send(3)
            #expect(try bench.used("daily", at: Self.midnight + 2) == 7)
            try bench.replaceStore(by: copy)
            try bench.keep(at: Self.midnight + 3)
            #expect(try bench.used("daily", at: Self.midnight + 3) == 7)
            #expect(try bench.keeper.store.usage(since: nil).values.map(\.bytes).reduce(0, +) == 7 * Self.datagram)
            try bench.send(20)
            #expect(try bench.used("daily", at: Self.midnight + 4) == 10)
        }
    }

    @Test("nothing opens while no agent runs, not even at a period's end, and nothing is lost or counted twice")
    func restarts() throws {
        try with([budget("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(4)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 4)
            try bench.send(3)
            try bench.restart()
            try bench.send(20)
            try bench.keep(at: Self.midnight + 2)
            #expect(try bench.used("daily", at: Self.midnight + 2) == 10)
            try bench.restart()
            try bench.send(5)
            try bench.keep(at: Self.midnight + 86_400)
            #expect(try bench.used("daily", at: Self.midnight + 86_400) == 0)
            try bench.send(20)
            #expect(try bench.used("daily", at: Self.midnight + 86_401) == 10)
            #expect(try bench.keeper.store.usage(since: nil).values.map(\.bytes).reduce(0, +) == 20 * Self.datagram)
        }
    }

    @Test("who sleeps over the ends of periods wakes with what was left, and has one amount after the next look")
    func sleep() throws {
        // What is left on waking is more than the largest packet: less than that stays held back.
        try with([budget("daily", 200, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(80)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 80)
            // Three days later, before anybody has looked.
            try bench.send(400)
            let awake = Self.midnight + 3 * 86_400
            #expect(try bench.used("daily", at: awake) == 120)
            try bench.send(400)
            #expect(try bench.used("daily", at: awake + 1) == 200)
            #expect(try bench.keeper.store.usage(since: nil).values.map(\.bytes).reduce(0, +) == 280 * Self.datagram)
        }
    }

    @Test("what an endpoint uses while no agent runs counts, although it is gone when the next one starts")
    func goneMeanwhile() throws {
        let daily = try budget("daily", 10, .day)
        try with([daily]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(4)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 4)
            try bench.send(3)
            for time in [Self.midnight + 2, Self.midnight + 3] {
                try bench.restart()
                bench.keeper.know(PolicyCatalog(egressPolicies: [EgressPolicy(name: "p", rules: [], budgets: [daily])]))
                try bench.keeper.keep([], at: time)
                #expect(try bench.keeper.store.usage(since: nil).values.map(\.bytes) == [7 * Self.datagram])
            }
            try bench.keep(at: Self.midnight + 4)
            #expect(try bench.used("daily", at: Self.midnight + 4) == 7)
            try bench.send(20)
            #expect(try bench.used("daily", at: Self.midnight + 5) == 10)
        }
    }

    @Test("what is used survives the table, and with it the machine")
    func reboots() throws {
        try with([budget("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(4)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 4)
            // With the connection the table's owner goes.
            try bench.restart()
            #expect(try runProgram(["nft", "delete", "table", "inet", "egret-budgets"]).succeeded)
            try bench.restart()
            try bench.keep(at: Self.midnight + 2)
            try bench.send(20)
            #expect(try bench.used("daily", at: Self.midnight + 3) == 10)
        }
    }

    @Test("a rolling window opens as what was used leaves it, and no further")
    func rolling() throws {
        try with([budget("window", 10, .rolling(86_400))]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(6)
            #expect(try bench.used("window", at: Self.midnight) == 6)
            try bench.send(6)
            #expect(try bench.used("window", at: Self.midnight + 43_200) == 10)
            #expect(try bench.used("window", at: Self.midnight + 86_400 + 864) == 4)
            try bench.send(20)
            #expect(try bench.used("window", at: Self.midnight + 86_400 + 864) == 10)
        }
    }

    @Test("what one budget drops, another has whole when it is looked at next")
    func drops() throws {
        try with([budget("large", 1_000, .total), budget("small", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(3_000)
            #expect(try bench.used("large", at: Self.midnight + 1) == 10)
            try bench.send(3_000)
            #expect(try bench.used("large", at: Self.midnight + 86_400) == 10)
            try bench.send(10)
            #expect(try bench.used("large", at: Self.midnight + 86_400) == 20)
            #expect(try bench.used("small", at: Self.midnight + 86_400) == 10)
        }
    }

    @Test("what the kernel refuses when an account is used up is brought to it again")
    func refusedSwitch() throws {
        try with([budget("daily", 10, .day)]) { bench in
            let dataplane = Dataplane(try NetlinkConnection.netfilter())
            let store = try UsageStore(path: bench.directory.path + "/usage.sqlite") { _ in }
            bench.keeper = try BudgetKeeper(dataplane, store, kernel: "k")
            try bench.keep(at: Self.midnight)
            // What jumps to the chain in which the account is asked keeps it from being removed.
            let asking = "from-" + BudgetPlan.name(of: ["endpoint", "shop/a"])
            var obstacle = Transaction()
            obstacle.append(.createChain(Chain("obstacle")), in: BudgetPlan.hostTable)
            obstacle.append(.addRule(Rule(in: "obstacle", [.verdict(.jump(asking))])), in: BudgetPlan.hostTable)
            try dataplane.commit(obstacle)
            try bench.send(20)
            #expect(throws: NetlinkError.self) { _ = try bench.keeper.tick(at: Self.midnight + 1) }
            #expect(bench.keeper.isStale)
            try bench.keep(at: Self.midnight + 2)
            #expect(!bench.keeper.isStale)
            let listing = try runProgram(["nft", "list", "table", "inet", "egret-budgets"])
            #expect(!listing.standardOutput.contains("chain \(asking)"))
            #expect(listing.standardOutput.contains("chain spent-\(asking)"))
            #expect(try bench.keeper.mend(at: Self.midnight + 3) == [])
            try bench.send(5)
            #expect(try bench.used("daily", at: Self.midnight + 3) == 10)
            #expect(bench.keeper.spent == [bench.account("daily")])
        }
    }

    // MARK: - Times

    /// Days are those of the kernel's clock, which nobody moves.
    private func schedule(fromDay first: Int64? = nil, untilDay last: Int64? = nil, _ now: Int64) -> Schedule {
        func day(_ distance: Int64) -> Schedule.LocalTime {
            Schedule.LocalTime(CivilDate(dayNumber: now / 86_400 + distance))
        }
        return Schedule(from: first.map(day), until: last.map(day))
    }

    @Test("a budget with times counts and holds back at these alone, and whoever takes over leaves what has counted")
    func times() throws {
        let now = WallTime.now.seconds
        var (open, closed) = (try budget("open", 10, .total), try budget("closed", 3, .total))
        open.schedule = schedule(fromDay: -2, now)
        closed.schedule = schedule(untilDay: -2, now)
        try with([open, closed]) { bench in
            try bench.keep(at: now)
            try bench.send(20)
            #expect(try bench.used("open", at: now + 1) == 10)
            #expect(try bench.used("closed", at: now + 1) == 0)
            #expect(bench.keeper.spent == [bench.account("open")])
            #expect(try bench.keeper.mend(at: now + 1) == [])
            let refused = try #require(bench.keeper.refused[bench.account("open")]?.packets)
            #expect(refused == 10)
            // Half of the days are over: others come in their place, and nothing else changes.
            let later = now + 8 * 86_400
            #expect(try bench.used("open", at: later) == 10)
            #expect(try bench.keeper.mend(at: later) == [])
            try bench.restart()
            try bench.keep(at: later + 8 * 86_400)
            #expect(try bench.keeper.mend(at: later + 8 * 86_400) == [])
            #expect(bench.keeper.refused[bench.account("open")]?.packets == refused)
            // Somebody has set the clock: the times are those of now again.
            #expect(try bench.used("open", at: now + 2) == 10)
            try bench.keeper.grant(2 * Self.datagram, to: [bench.account("open")], at: now + 2)
            try bench.send(5)
            #expect(try bench.used("open", at: now + 3) == 12)
            #expect(try bench.used("closed", at: now + 3) == 0)
        }
    }

    @Test("beyond the times that are in the kernel a budget counts, until somebody has worked them out")
    func unknownTimes() throws {
        let now = WallTime.now.seconds
        var closed = try budget("closed", 3, .total)
        closed.schedule = schedule(untilDay: -2, now)
        let before = now - 60 * 86_400
        try with([closed]) { bench in
            try bench.keep(at: before)
            try bench.send(2)
            #expect(try bench.used("closed", at: before + 1) == 2)
            #expect(try bench.used("closed", at: now) == 2)
            #expect(try bench.keeper.mend(at: now) == [])
            try bench.send(5)
            #expect(try bench.used("closed", at: now + 1) == 2)
            #expect(bench.keeper.spent == [])
        }
    }

    // MARK: - Packets and connections

    private func packets(_ name: String, _ count: UInt64, _ length: BudgetPeriod.Length) -> TrafficBudget {
        TrafficBudget(
            name: name, services: [.ports(.udp, PortRange(39_999))], amount: BudgetAmount(count, .packets),
            period: BudgetPeriod(length), onExhausted: .cut)
    }

    @Test("of packets exactly as many pass as there may, without an agent, and a period's end and a grant give more")
    func countsPackets() throws {
        try with([packets("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.restart()
            try bench.send(10)
            try bench.send(25)
            try bench.keep(at: Self.midnight + 1)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 10)
            #expect(bench.keeper.spent == [bench.account("daily")])
            // The table that the former keeper has left stays, although nothing is left.
            #expect(bench.keeper.refused[bench.account("daily")]?.packets == 25)
            try bench.keeper.grant(5, to: [bench.account("daily")], at: Self.midnight + 2)
            #expect(bench.keeper.spent == [])
            #expect(try bench.keeper.mend(at: Self.midnight + 2) == [])
            try bench.send(20)
            #expect(try bench.counted("daily", at: Self.midnight + 3) == 15)
            // Over a period's end, nothing opens without an agent.
            try bench.restart()
            try bench.send(5)
            try bench.keep(at: Self.midnight + 86_400)
            #expect(try bench.counted("daily", at: Self.midnight + 86_400) == 0)
            try bench.send(4)
            #expect(try bench.counted("daily", at: Self.midnight + 86_401) == 4)
            try bench.keeper.grant(3, to: [bench.account("daily")], at: Self.midnight + 86_402)
            #expect(try bench.keeper.mend(at: Self.midnight + 86_402) == [])
            try bench.send(2)
            try bench.restart()
            try bench.send(2)
            try bench.keep(at: Self.midnight + 86_403)
            #expect(try bench.counted("daily", at: Self.midnight + 86_403) == 8)
            try bench.send(20)
            #expect(try bench.counted("daily", at: Self.midnight + 86_404) == 13)
            try bench.keeper.reset([bench.account("daily")], at: Self.midnight + 86_405)
            try bench.send(30)
            #expect(try bench.counted("daily", at: Self.midnight + 86_406) == 23)
        }
    }

    @Test("many processors together send no packet too many")
    func sharedNumbers() throws {
        try with([packets("all", 5_000, .total)]) { bench in
            try bench.keep(at: Self.midnight)
            let text = """
                import multiprocessing, socket
                def send():
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    for i in range(4000): s.sendto(b"x", ("127.0.0.1", 39999))
                senders = [multiprocessing.get_context("fork").Process(target=send) for i in range(4)]
                for s in senders: s.start()
                for s in senders: s.join()
                """
            #expect(try runProgram(["python3", "-c", text]).succeeded)
            #expect(try bench.counted("all", at: Self.midnight + 1) == 5_000)
        }
    }

    @Test("what one budget drops, another of packets has whole when it is looked at next")
    func droppedPackets() throws {
        try with([packets("large", 1_000, .total), packets("small", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(300)
            #expect(try bench.counted("large", at: Self.midnight + 1) == 10)
            #expect(try bench.keeper.mend(at: Self.midnight + 1) == [])
            try bench.send(3_000)
            #expect(try bench.counted("large", at: Self.midnight + 86_400) == 10)
            try bench.send(10)
            #expect(try bench.counted("large", at: Self.midnight + 86_400) == 20)
            #expect(try bench.counted("small", at: Self.midnight + 86_400) == 10)
        }
    }

    @Test("a table that somebody has changed is made anew, with what is left of packets")
    func changedNumbers() throws {
        try with([packets("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(4)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 4)
            // With the connection the table's owner goes.
            try bench.restart()
            let set = BudgetPlan.numbers(
                of: BudgetPlan.Account(
                    name: BudgetPlan.name(of: ["account", "p", "daily", "shop/a"]), left: 0, unit: .packets,
                    onExhausted: .cut))
            #expect(try runProgram(["nft", "flush", "set", "inet", "egret-budgets", set]).succeeded)
            try bench.restart()
            try bench.keep(at: Self.midnight + 2)
            try bench.send(20)
            #expect(try bench.counted("daily", at: Self.midnight + 3) == 10)
        }
    }

    @Test("a packet that closes an account while it is given more does not keep it closed")
    func closedMeanwhile() throws {
        try with([packets("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(9)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 9)
            try bench.send(2)
            // What the former keeper worked out before the last two packets came, and committed after them.
            try bench.restart()
            let account = BudgetPlan.Account(
                name: BudgetPlan.name(of: ["account", "p", "daily", "shop/a"]), left: 20, unit: .packets,
                onExhausted: .cut)
            let late = try #require(BudgetPlan.correction(ofTally: account, amount: 10, bound: 10, asked: 9))
            #expect(late.bound == 29)
            try Dataplane(NetlinkConnection.netfilter()).commit(
                Transaction(late.steps.map { Transaction.Step($0, in: BudgetPlan.hostTable) }))
            try bench.keep(at: Self.midnight + 86_400)
            // The tenth, of which nobody knew yet.
            #expect(try bench.counted("daily", at: Self.midnight + 86_400) == 1)
            #expect(bench.keeper.spent == [])
            try bench.send(20)
            #expect(try bench.counted("daily", at: Self.midnight + 86_401) == 10)
        }
    }

    @Test("a budget that is of something else from now on begins anew")
    func otherUnit() throws {
        try with([packets("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(20)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 10)
            let entries: [(TrafficBudget, UInt64)] = [
                (try budget("daily", 7, .day), 7 * Self.datagram), (packets("daily", 6, .day), 6),
            ]
            for (entry, most) in entries {
                var other = bench.endpoint
                other.budgets = [
                    EndpointBudget(
                        policy: "p", budget: entry, isEnforced: true, clause: BudgetPlan.Clause(entry, groups: [:]))
                ]
                try bench.keeper.keep([other], at: Self.midnight + 2)
                #expect(try bench.counted("daily", at: Self.midnight + 2) == 0)
                #expect(try bench.keeper.mend(at: Self.midnight + 2) == [])
                try bench.send(20)
                #expect(try bench.counted("daily", at: Self.midnight + 3) == most)
            }
            #expect(try bench.keeper.store.usage(since: nil).values.map(\.packets).reduce(0, +) == 23)
        }
    }

    /// What the namespace sends to itself: there, a connection begins where it leaves.
    private func connections(_ count: UInt64, _ action: TrafficBudget.Exhaustion) -> TrafficBudget {
        TrafficBudget(
            name: "daily", direction: .ingress, amount: BudgetAmount(count, .connections), period: BudgetPeriod(.day),
            onExhausted: action)
    }

    @Test("of connections exactly as many begin as there may, without an agent, and they go on")
    func countsConnections() throws {
        try with([connections(3, .deny)]) { bench in
            func packets() throws -> UInt64 {
                try bench.keeper.store.usage(since: nil).values.map(\.packets).reduce(0, +)
            }
            try bench.keep(at: Self.midnight)
            try bench.restart()
            try bench.begin(5, datagrams: 4)
            try bench.keep(at: Self.midnight + 1)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 3)
            #expect(try packets() == 12)
            try bench.keeper.grant(2, to: [bench.account("daily")], at: Self.midnight + 2)
            try bench.begin(1, datagrams: 2)
            #expect(try bench.counted("daily", at: Self.midnight + 3) == 4)
            try bench.begin(4)
            #expect(try bench.counted("daily", at: Self.midnight + 4) == 5)
            #expect(try packets() == 15)
            #expect(try bench.counted("daily", at: Self.midnight + 86_400) == 0)
            try bench.begin(4)
            #expect(try bench.counted("daily", at: Self.midnight + 86_401) == 3)
        }
    }

    @Test("with cut, nothing passes any more when one more would begin")
    func cutsConnections() throws {
        try with([connections(3, .cut)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.begin(3, datagrams: 4)
            #expect(try bench.counted("daily", at: Self.midnight + 1) == 3)
            #expect(bench.keeper.refused[bench.account("daily")]?.packets == 0)
            // The first datagram of the first is the one too many.
            try bench.begin(2, datagrams: 3)
            #expect(try bench.counted("daily", at: Self.midnight + 2) == 3)
            #expect(bench.keeper.refused[bench.account("daily")]?.packets == 6)
            #expect(try bench.keeper.store.usage(since: nil).values.map(\.packets).reduce(0, +) == 12)
        }
    }

    @Test("what passes while budgets change is counted by the former ones or the next")
    func changesUnderTraffic() throws {
        func counting(_ name: String) -> TrafficBudget {
            TrafficBudget(name: name, services: [.ports(.udp, PortRange(39_999))], period: BudgetPeriod(.total))
        }
        try with([counting("even")]) { bench in
            try bench.keep(at: Self.midnight)
            let text = """
                import socket, time
                r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(("127.0.0.1", 39999))
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                end, sent = time.monotonic() + 3, 0
                while time.monotonic() < end:
                    s.sendto(b"x", ("127.0.0.1", 39999)); sent += 1
                print(sent)
                """
            let sender = try RunningProgram(["python3", "-c", text])
            let beginning = ContinuousClock.now
            var changes = 0
            while beginning.duration(to: .now) < .seconds(2) {
                changes += 1
                var other = bench.endpoint
                let next = counting(changes.isMultiple(of: 2) ? "even" : "odd")
                other.budgets = [
                    EndpointBudget(
                        policy: "p", budget: next, isEnforced: true, clause: BudgetPlan.Clause(next, groups: [:]))
                ]
                try bench.keeper.keep([other], at: Self.midnight + 1)
            }
            let output = sender.wait()
            let sent = try #require(UInt64(output.standardOutput.dropLast()), "\(output.standardError)")
            _ = try bench.keeper.tick(at: Self.midnight + 2)
            let counted = try bench.keeper.store.usage(since: nil).values.map(\.packets).reduce(0, +)
            #expect(changes > 3)
            #expect(counted <= sent)
            // A packet that a processor is just at when the rules change may be counted when its counter has been read.
            #expect(sent - min(sent, counted) <= UInt64(changes / 4), "\(sent) were sent, and \(counted) counted")
        }
    }

    @Test(
        "whichever call fails while budgets change, the next attempt counts what the former ones have counted until then",
        arguments: [FailingSocket.Failure.sendNoMemory, .receiveNoBuffers])
    func changesThatFail(failure: FailingSocket.Failure) throws {
        func counting(_ name: String) -> TrafficBudget {
            TrafficBudget(name: name, services: [.ports(.udp, PortRange(39_999))], period: BudgetPeriod(.total))
        }
        try with([]) { bench in
            let socket = try FailingSocket()
            bench.keeper = try BudgetKeeper(
                Dataplane(NetlinkConnection(socket)),
                UsageStore(path: bench.directory.path + "/usage.sqlite") { _ in }, kernel: "k")
            func keep(_ name: String) throws {
                let budget = counting(name)
                var endpoint = bench.endpoint
                endpoint.budgets = [
                    EndpointBudget(
                        policy: "p", budget: budget, isEnforced: true, clause: BudgetPlan.Clause(budget, groups: [:]))
                ]
                try bench.keeper.keep([endpoint], at: Self.midnight)
            }
            var (sent, failed) = (0, 0)
            func send(_ count: Int) throws {
                try bench.send(count)
                sent += count
            }
            for calls in 0..<60 {
                try keep("even")
                try send(2)
                socket.fail(failure, after: calls)
                do {
                    try keep("odd")
                    socket.behave()
                } catch {
                    failed += 1
                    socket.behave()
                    try send(3)
                    try keep("odd")
                }
                try send(1)
                if !socket.hasFailed { break }
            }
            _ = try bench.keeper.tick(at: Self.midnight + 1)
            let counted = try bench.keeper.store.usage(since: nil).values.map(\.packets).reduce(0, +)
            #expect(failed > 3)
            #expect(counted == UInt64(sent), "\(failure), after \(failed) that failed")
        }
    }

    @Test("a change of the amount, the match or the action keeps what is used")
    func changes() throws {
        var changed = try budget("daily", 20, .day)
        changed.onExhausted = .throttle(BitRate(bitsPerSecond: 8_000))
        changed.services = [.any(.udp)]
        try with([budget("daily", 10, .day)]) { bench in
            try bench.keep(at: Self.midnight)
            try bench.send(8)
            var other = bench.endpoint
            other.budgets = [
                EndpointBudget(
                    policy: "p", budget: changed, isEnforced: true, clause: BudgetPlan.Clause(changed, groups: [:]))
            ]
            try bench.keeper.keep([other], at: Self.midnight + 1)
            #expect(try bench.used("daily", at: Self.midnight + 1) == 8)
            try bench.send(12)
            #expect(try bench.used("daily", at: Self.midnight + 2) == 20)
            try bench.keeper.keep([], at: Self.midnight + 3)
            #expect(try runProgram(["nft", "list", "table", "inet", "egret-budgets"]).status != 0)
            try bench.keep(at: Self.midnight + 4)
            try bench.send(1)
            #expect(try bench.used("daily", at: Self.midnight + 4) == 20)
        }
    }
}

extension Agent {
    /// How often it was worked out what endpoints' budgets come to.
    fileprivate var budgetDemands: Int { budgets?.demands ?? 0 }
}
