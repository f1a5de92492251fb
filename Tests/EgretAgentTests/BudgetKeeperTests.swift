// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretPolicy
import EgretSources
import EgretTesting
import GRDB
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
            _ = try keeper.tick(at: time)
            return keeper.book.state(
                of: BudgetAccount(policy: "p", budget: budget, account: "shop/a"), at: time
            ).used / BudgetKeeperTests.datagram
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
