// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("Endpoints as values")
struct AgentEndpointTests {
    private func endpoint() throws -> AgentEndpoint {
        AgentEndpoint(
            workload: Workload(Workload.ID(name: "web"), labels: ["app": "web"]), network: "net0", namespace: "web",
            interface: try #require(InterfaceName("egn1")), interfaceIndex: 7,
            hardwareAddress: MACAddress(locallyAdministered: 1), addresses: [try #require(IPAddress("10.9.0.2"))])
    }

    @Test("what changes one copy leaves the others as they are")
    func copies() throws {
        let first = try endpoint()
        var second = first
        #expect(first == second)
        second.workload.labels["tier"] = "front"
        second.interfaceIndex = 8
        #expect(first.workload.labels == ["app": "web"])
        #expect(first.interfaceIndex == 7)
        #expect(second.workload.labels == ["app": "web", "tier": "front"])
        #expect(second.interfaceIndex == 8)
        #expect(first != second)
    }

    @Test("endpoints that were made each by itself are equal if all that is known of them is")
    func equality() throws {
        let (first, second) = (try endpoint(), try endpoint())
        #expect(first == second)
        #expect(first.hashValue == second.hashValue)
        var third = second
        third.mtu = 1_400
        #expect(first != third)
        third.mtu = 1_500
        #expect(first == third)
    }
}
