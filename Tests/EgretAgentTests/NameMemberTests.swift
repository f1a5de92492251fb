// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("endpoints with rules about names")
struct NameMemberTests {
    private func missed(_ limit: TrafficLimit) throws -> String? {
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policy = EgressPolicy(name: "p", defaultAction: .deny, rules: [rule], limits: [limit])
        return NameMember(
            slot: 1, link: "veth1#4", addresses: [], generation: try #require(Generation(rawValue: 7)),
            policies: PolicySet(policies: [policy])
        ).missed
    }

    @Test("a limit for each destination would take all connections by name for connections to one address")
    func destinations() throws {
        #expect(try missed(TrafficLimit(connections: 5)) == nil)
        #expect(try missed(TrafficLimit(scope: .destination, connections: 5)) == "limits for each destination")
        let packets = TrafficLimit(direction: .ingress, scope: .destination, packets: EventRate(count: 5))
        #expect(try missed(packets) == "limits for each destination")
        #expect(try missed(TrafficLimit(direction: .ingress, scope: .destination, connections: 5)) == nil)
    }
}
