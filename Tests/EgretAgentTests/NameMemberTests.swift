// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("endpoints with rules about names")
struct NameMemberTests {
    private func missed(_ change: (inout EgressPolicy) -> Void) throws -> String? {
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        var policy = EgressPolicy(name: "p", defaultAction: .deny, rules: [rule])
        change(&policy)
        return NameMember(
            slot: 1, link: "veth1#4", addresses: [], generation: try #require(Generation(rawValue: 7)),
            policies: PolicySet(policies: [policy])
        ).missed
    }

    @Test("limits and budgets hold for connections by name whatever they are about, and routes would be missed")
    func missing() throws {
        let block = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        for limit in [
            TrafficLimit(connections: 5), TrafficLimit(destinations: [block], rate: BitRate("1Mbit")),
            TrafficLimit(destinations: [block], packets: EventRate(count: 5)),
            TrafficLimit(scope: .destination, connections: 5),
        ] {
            let words = try missed { $0.limits = [limit] }
            #expect(words == nil, "\(limit.summary)")
        }
        let budget = TrafficBudget(name: "b", destinations: [block], amount: BudgetAmount(bytes: 1_000))
        let ofBudgets = try missed { $0.budgets = [budget] }
        #expect(ofBudgets == nil)
        let way = RouteWay(sourceAddress: try #require(IPAddress("192.0.2.9")))
        let ofRoutes = try missed { $0.routes = [EgressRoute(ways: [way])] }
        #expect(ofRoutes == "routes")
    }
}
