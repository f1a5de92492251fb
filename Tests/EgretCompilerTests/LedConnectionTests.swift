// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

/// Connections that are led to a proxy of the host's bear its address where limits and budgets meet them.
@Suite("limits and budgets of connections by name")
struct LedConnectionTests {
    private static let isLed = "ct label & 31 == 31 goto "

    private func rules(_ program: TableProgram, in chain: String) -> [String] {
        program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    /// A rule's text with the far end before the translation.
    private func original(_ text: String) -> String {
        text.replacing("ip daddr", with: "ct original ip daddr").replacing("ip saddr", with: "ct original ip daddr")
            .replacing("ip6 daddr", with: "ct original ip6 daddr")
            .replacing("ip6 saddr", with: "ct original ip6 daddr")
            .replacing("th dport", with: "ct original proto-dst").replacing("th sport", with: "ct original proto-dst")
    }

    private func block(_ text: String) throws -> Destination {
        .block(AddressBlock(try #require(IPPrefix(text))))
    }

    // MARK: - Limits

    private func program(_ limits: [TrafficLimit], isLed: Bool = true) throws -> TableProgram {
        let member = LimitProgram.Member(
            number: 1, attachment: .link(try #require(InterfaceName("egn1")), index: 1), addresses: [], network: "n",
            limits: limits, groups: [:], isLed: isLed)
        return LimitProgram([member], logGroup: 7).program
    }

    private func part(_ scope: TrafficLimit.Scope = .endpoint) throws -> TrafficLimit {
        TrafficLimit(
            destinations: [try block("198.51.100.0/24"), try block("2001:db8:51::/48")],
            services: [.ports(.tcp, PortRange(443))], scope: scope, connections: 5, packets: EventRate(count: 50),
            policy: "p")
    }

    @Test("a limit for a part asks where the connection was going, and counts in the same chain as for all others")
    func limits() throws {
        let made = try program([part()])
        let sent = rules(made, in: "from-1")
        #expect(sent.first == LedConnectionTests.isLed + "from-1-led")
        #expect(rules(made, in: "from-1-led") == sent.dropFirst().map(original))
        #expect(rules(made, in: "from-1-led").filter { $0.contains("ct original ip") }.count == 4)
        // Of what comes back nothing begins a connection.
        let received = rules(made, in: "to-1")
        #expect(received.first == LedConnectionTests.isLed + "to-1-led")
        let packets = received.filter { $0.contains("jump packets-1-") }
        #expect(packets.count == 2 && rules(made, in: "to-1-led") == packets.map(original))
        let plain = try program([part()], isLed: false)
        let counting = { (program: TableProgram) in
            program.chains.map(\.name).filter { $0.hasPrefix("connections-") || $0.hasPrefix("packets-") }
        }
        #expect(counting(made) == counting(plain) && made.sets == plain.sets)
        #expect(!plain.rules.contains { NftText.render($0).contains("ct original") })
    }

    @Test("limits for everything beside it hold for what is led, too")
    func beside() throws {
        let whole = TrafficLimit(direction: .egress, connections: 9, policy: "p")
        let made = try program([part(), whole])
        for chain in ["from-1", "from-1-led"] {
            #expect(rules(made, in: chain).filter { $0.hasPrefix("ct direction == original jump conn") }.count == 1)
        }
        // Alone they need nothing.
        #expect(try program([whole]) == program([whole], isLed: false))
        let rate = TrafficLimit(destinations: [try block("198.51.100.0/24")], rate: BitRate("1Mbit"), policy: "p")
        #expect(try program([whole, rate]) == program([whole, rate], isLed: false))
    }

    @Test("for each destination, addresses by name and others are counted in one set")
    func destinations() throws {
        let limit = TrafficLimit(
            direction: .egress, scope: .destination, connections: 5, packets: EventRate(count: 50), policy: "p")
        let made = try program([limit])
        #expect(try made.sets == program([limit], isLed: false).sets)
        for kind in ["connections-1-", "packets-1-"] {
            let chains = made.chains.map(\.name).filter { $0.hasPrefix(kind) }.sorted()
            #expect(chains.count == 2 && chains[1] == chains[0] + "-led")
            #expect(rules(made, in: chains[1]) == rules(made, in: chains[0]).map(original))
            #expect(rules(made, in: "from-1").filter { $0.hasSuffix("jump \(chains[0])") }.count == 1)
            #expect(rules(made, in: "from-1-led").filter { $0.hasSuffix("jump \(chains[1])") }.count == 1)
        }
    }

    @Test("an endpoint that gets rules about names keeps what it has counted")
    func change() throws {
        let difference = try program([part()]).difference(from: program([part()], isLed: false))
        let steps = difference.arrival + difference.switching + difference.departure
        let touched = steps.compactMap { step -> String? in
            switch step {
            case .flushChain(let name), .deleteChain(let name): name
            case .deleteSet(let name): name
            default: nil
            }
        }
        #expect(touched.allSatisfy { $0 == "from-1" || $0 == "to-1" }, "\(touched)")
    }

    // MARK: - Budgets

    private func plan(_ clauses: [BudgetPlan.Clause], isLed: Bool = true) throws -> TableProgram {
        var plan = BudgetPlan()
        plan.accounts = [BudgetPlan.Account(name: "a", left: 5, unit: .connections, onExhausted: .cut)]
        let meters = clauses.enumerated().map { place, clause in
            BudgetPlan.Meter(name: "m\(place)", clause: clause, account: "a", countsConnections: true)
        }
        let link = BudgetPlan.Link(
            attachment: .link(try #require(InterfaceName("egn1")), index: 1), addresses: [])
        plan.members = [BudgetPlan.Member(name: "x", links: [link], meters: meters, isLed: isLed)]
        return plan.program
    }

    private func clause(_ destinations: [Destination], _ services: [Service]) -> BudgetPlan.Clause {
        BudgetPlan.Clause(
            TrafficBudget(name: "b", destinations: destinations, services: services, direction: .both), groups: [:])
    }

    @Test("a budget for a part counts what is led by where it was going, in both directions, and every packet once")
    func budgets() throws {
        let made = try plan([
            clause([block("198.51.100.0/24"), block("2001:db8:51::/48")], [.ports(.tcp, PortRange(443))])
        ])
        for chain in ["from-x", "to-x", "used-from-x", "used-to-x"] {
            let whole = rules(made, in: chain)
            #expect(whole.first == LedConnectionTests.isLed + "\(chain)-led")
            #expect(rules(made, in: "\(chain)-led") == whole.dropFirst().map(original))
            #expect(whole.contains { $0.contains("th dport") || $0.contains("th sport") })
        }
        let counters = made.counters.map(\.name)
        #expect(Swift.Set(counters).count == counters.count)
        #expect(
            try made.sets
                == plan(
                    [
                        clause(
                            [block("198.51.100.0/24"), block("2001:db8:51::/48")],
                            [.ports(.tcp, PortRange(443))])
                    ], isLed: false
                ).sets)
        #expect(try plan([clause([], [])]) == plan([clause([], [])], isLed: false))
    }

    @Test("what prices leave to the next one is asked of where a connection was going")
    func prices() throws {
        let first = PriceList.Entry(name: "near", destinations: [try block("198.51.100.0/24")], tiers: [])
        let rest = PriceList.Entry(name: "rest", tiers: [])
        let made = try plan([
            BudgetPlan.Clause(first, after: [], groups: [:]), BudgetPlan.Clause(rest, after: [first], groups: [:]),
        ])
        let counting = rules(made, in: "used-from-x")
        #expect(counting.first == LedConnectionTests.isLed + "used-from-x-led")
        #expect(rules(made, in: "used-from-x-led") == counting.dropFirst().map(original))
        #expect(counting.filter { $0.contains("ip daddr @far-") }.count == 4)
    }
}
