// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("The endpoints of networks")
struct NetworkEndpointsTests {
    private func connection(
        _ bench: AgentBench, _ number: Int, of name: Int, order: Int?, _ families: Swift.Set<AddressFamily>,
        stage: NetworkRecord.Stage = .ready
    ) throws -> NetworkEndpoints.Connection {
        var endpoint = try bench.endpoint(number)
        endpoint.workload.id = try bench.endpoint(name).workload.id
        endpoint.workload.labels = ["network": "\(number)", "label\(number)": "yes"]
        let record = NetworkRecord.Endpoint(
            namespace: "ns\(name)", cookie: UInt64(name), isCreated: false, interface: "eth0",
            hostInterface: "egn\(number)", hostIndex: UInt32(number), hardwareAddress: "02:00:00:00:00:01",
            hostHardwareAddress: "fe:ff:00:00:00:01", addresses: endpoint.addresses, sourceAddresses: [],
            order: order, stage: stage)
        return NetworkEndpoints.Connection(endpoint: endpoint, record: record, families: families)
    }

    @Test("links of one endpoint have the addresses and labels of all; it leaves by the first that leads out")
    func several() throws {
        let bench = try AgentBench()
        let found = NetworkEndpoints.joined([
            try connection(bench, 1, of: 1, order: 4, [.ipv4, .ipv6]),
            try connection(bench, 2, of: 1, order: 2, [.ipv4]),
            // What is isolated leads nobody out, and what is being left no more.
            try connection(bench, 3, of: 1, order: 1, []),
            try connection(bench, 4, of: 1, order: nil, [.ipv6], stage: .removing),
            try connection(bench, 5, of: 5, order: 3, [.ipv4]),
        ])
        let expected: [Swift.Set<AddressFamily>?] = [[.ipv6], [.ipv4], [], [.ipv6], nil]
        #expect(found.map(\.leads) == expected)
        #expect(found[0].workload.addresses.map(\.description) == ["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"])
        #expect(found[0].addresses.map(\.description) == ["10.9.0.1"])
        #expect(found[1].workload.labels["network"] == "2")
        #expect(found[1].workload.labels["label1"] == "yes")
        #expect(found[4].workload.addresses.count == 1)
    }
}
