// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNetworks
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("connections that a change would cut")
struct CutConnectionsTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func policies(_ rules: [EgressRule]) -> PolicySet {
        PolicySet(policies: [EgressPolicy(name: "one", defaultAction: .deny, rules: rules)], networkDefault: .allow)
    }

    private func obeyed(
        _ rules: [EgressRule], _ direction: TrafficDirection = .egress
    ) -> CutConnections.Obeyed {
        CutConnections.Obeyed(key: ProgramKey(direction, policies: ["one"]), policies: policies(rules))
    }

    private func allowing(_ text: String) throws -> EgressRule {
        EgressRule(action: .allow, destinations: [.block(AddressBlock(IPPrefix(try address(text))))])
    }

    private func connection(_ source: String, _ destination: String) throws -> NetworkConnections.Tracked {
        NetworkConnections.Tracked(
            source: try address(source), destination: try address(destination), transport: .tcp, port: 443)
    }

    /// Links of one workload, each with its address.
    private func endpoints(_ addresses: [String]) throws -> [AgentEndpoint] {
        let all = try addresses.map { try address($0) }
        return try all.enumerated().map { number, address in
            AgentEndpoint(
                workload: Workload(Workload.ID(name: "web", kind: "Endpoint"), addresses: all),
                network: "net\(number)", namespace: "web", interface: try #require(InterfaceName("egn\(number)")),
                interfaceIndex: UInt32(number + 1), bridge: nil,
                hardwareAddress: MACAddress(locallyAdministered: UInt64(number)), addresses: [address])
        }
    }

    @Test("each link has those of its own addresses, and none has those within the workload")
    func links() throws {
        let links = try endpoints(["10.8.0.2", "10.9.0.2"])
        let all = try [
            connection("10.8.0.2", "203.0.113.10"), connection("10.9.0.2", "203.0.113.10"),
            connection("10.8.0.2", "10.9.0.2"),
        ]
        var connections = CutConnections(all, names: nil, at: 0)
        for (number, link) in links.enumerated() {
            let refused = connections.refused(number, link, .egress, under: obeyed([]), insteadOf: nil)
            #expect(refused == [all[number]])
        }
        let inbound = try connection("192.0.2.7", "10.9.0.2")
        connections = CutConnections(all + [inbound], names: nil, at: 0)
        let refused = connections.refused(1, links[1], .ingress, under: obeyed([], .ingress), insteadOf: nil)
        #expect(refused == [inbound])
    }

    @Test("what the policies in force refuse already is not cut by others")
    func refusedBefore() throws {
        let link = try endpoints(["10.9.0.2"])[0]
        let all = try [connection("10.9.0.2", "203.0.113.10"), connection("10.9.0.2", "203.0.113.11")]
        let old = try obeyed([allowing("203.0.113.11")])
        var connections = CutConnections(all, names: nil, at: 0)
        for _ in 0..<2 {
            let refused = connections.refused(0, link, .egress, under: obeyed([]), insteadOf: old)
            #expect(refused == [all[1]])
        }
        var refused = connections.refused(0, link, .egress, under: obeyed([]), insteadOf: nil)
        #expect(refused == all)
        // At another time it may have been allowed.
        var timed = try allowing("203.0.113.11")
        timed.schedule = Schedule()
        connections = CutConnections(all, names: nil, at: 0)
        for _ in 0..<2 {
            refused = connections.refused(0, link, .egress, under: obeyed([]), insteadOf: obeyed([timed]))
            #expect(refused == all)
        }
        // By its name it may have been allowed.
        let named = EgressRule(action: .allow, domains: [try DomainPattern.parse("www.example.test")])
        connections = CutConnections(all, names: nil, at: 0)
        refused = connections.refused(0, link, .egress, under: obeyed([]), insteadOf: obeyed([named]))
        #expect(refused == all)
    }
}
