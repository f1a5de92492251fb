// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("What endpoints' budgets come to")
struct BudgetDemandTests {
    private func endpoint(
        _ index: UInt32, _ budgets: [TrafficBudget], labels: [String: String] = [:]
    ) throws -> EnforcedEndpoint {
        let address = try #require(IPAddress("10.9.\(index).1"))
        let link = AgentEndpoint(
            workload: Workload(
                Workload.ID(namespace: "shop", name: "a", kind: "Endpoint"), labels: labels, addresses: [address]),
            network: "n\(index)", namespace: "ns", interface: try #require(InterfaceName("egn\(index)")),
            interfaceIndex: index, bridge: nil, hardwareAddress: MACAddress(locallyAdministered: UInt64(index)),
            addresses: [address])
        return EnforcedEndpoint(
            endpoint: link, egress: ["p"], ingress: [],
            budgets: budgets.map {
                EndpointBudget(policy: "p", budget: $0, isEnforced: true, clause: BudgetPlan.Clause($0, groups: [:]))
            })
    }

    private func budget(_ name: String, _ scope: TrafficBudget.Scope = .endpoint) -> TrafficBudget {
        TrafficBudget(name: name, amount: BudgetAmount(bytes: 1_000), scope: scope)
    }

    private func account(_ budget: String, _ account: String = "shop/a") -> BudgetAccount {
        BudgetAccount(policy: "p", budget: budget, account: account)
    }

    @Test("links that come under the same budgets count together")
    func together() throws {
        let demand = try BudgetDemand([endpoint(1, [budget("x")]), endpoint(2, [budget("x")]), endpoint(3, [])])
        #expect(demand.plan.members.map(\.links.count) == [2])
        #expect(demand.meters.count == 1)
        #expect(demand.users == [account("x"): 1])
    }

    @Test("links of an endpoint count connections by name by where they went if one of them has rules about names")
    func names() throws {
        var second = try endpoint(2, [budget("x")])
        #expect(try !BudgetDemand([endpoint(1, [budget("x")]), second]).plan.members.contains(where: \.isLed))
        second.hasNames = true
        let demand = try BudgetDemand([endpoint(1, [budget("x")]), second])
        #expect(demand.plan.members.map(\.isLed) == [true] && demand.plan.members.map(\.links.count) == [2])
        #expect(try BudgetDemand([second]) != BudgetDemand([endpoint(2, [budget("x")])]))
    }

    @Test("a link that other policies select has their budgets, and one counter for those that both have")
    func apart() throws {
        let demand = try BudgetDemand([endpoint(1, [budget("x")]), endpoint(2, [budget("x"), budget("y")])])
        #expect(demand.plan.members.map(\.meters.count) == [1, 2])
        #expect(Swift.Set(demand.plan.members.map(\.name)).count == 2)
        #expect(Swift.Set(demand.meters.values.map(\.account)) == [account("x"), account("y")])
        #expect(demand.users == [account("x"): 1, account("y"): 1])
        let program = demand.plan.program
        let names = program.counters.map(\.name)
        #expect(Swift.Set(names).count == names.count)
        #expect(demand.meters.keys.allSatisfy { names.contains($0) })
        let chains = program.chains.map(\.name)
        #expect(Swift.Set(chains).count == chains.count)
    }

    @Test("a budget of connections has a counter of those that begin beside the traffic's")
    func connections() throws {
        let entry = TrafficBudget(name: "x", amount: BudgetAmount(5, .connections))
        let demand = try BudgetDemand([endpoint(1, [entry])])
        #expect(demand.meters.count == 2)
        #expect(Swift.Set(demand.meters.values.map(\.account)) == [account("x")])
        let program = demand.plan.program
        let names = program.counters.map(\.name)
        #expect(demand.meters.keys.allSatisfy { names.contains($0) })
        #expect(program.quotas == [])
        #expect(BudgetPlan.bounds(in: program).values.map { $0 } == [5])
        let counting = program.rules.filter { $0.chain.hasPrefix("used-from-") }.map { NftText.render($0) }
        #expect(counting.count == 3 && counting[0].hasPrefix("counter name \"used-"))
        #expect(counting[1] == "ct status confirmed return")
        #expect(counting[2].hasPrefix("ct direction == original counter name \"opened-"))
    }

    @Test("budgets that differ in the last of their destinations ask for different addresses")
    func destinations() throws {
        let budgets = try ["192.0.2.0/24", "198.51.100.0/24"].map { last in
            TrafficBudget(
                name: "to \(last)",
                destinations: try ["203.0.113.0/24", last].map { .block(AddressBlock(try #require(IPPrefix($0)))) },
                amount: BudgetAmount(bytes: 1_000))
        }
        let clauses = budgets.map { BudgetPlan.Clause($0, groups: [:]) }
        #expect(clauses[0] != clauses[1] && clauses[0] == BudgetPlan.Clause(budgets[0], groups: [:]))
        let program = try BudgetDemand([endpoint(1, budgets)]).plan.program
        #expect(program.sets.count { $0.name.hasPrefix("far-") } == 2)
    }

    @Test("links whose labels differ count for the accounts of their labels")
    func labels() throws {
        let shared = budget("x", .label("team"))
        let demand = try BudgetDemand([
            endpoint(1, [shared], labels: ["team": "red"]), endpoint(2, [shared], labels: ["team": "blue"]),
        ])
        #expect(demand.meters.count == 2)
        #expect(Swift.Set(demand.meters.values.map(\.account)) == [account("x", "red"), account("x", "blue")])
        #expect(demand.accounts.count == 2)
    }
}
