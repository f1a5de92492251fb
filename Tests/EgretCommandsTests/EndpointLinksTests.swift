// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import Testing

@testable import EgretCommands

@Suite("The links that connections take")
struct EndpointLinksTests {
    private func link(
        _ network: String, _ addresses: [String], _ blocks: [String] = [], leads: Swift.Set<AddressFamily>? = nil
    ) throws -> EndpointLink {
        EndpointLink(
            network: network, addresses: try addresses.map { try #require(IPAddress($0)) },
            blocks: try blocks.map { try #require(IPPrefix($0)) }, leads: leads)
    }

    /// The links of one endpoint, in the order of the inventory's workloads.
    private func make(_ links: [EndpointLink]) -> EndpointLinks {
        let id = Workload.ID(namespace: "shop", name: "web", kind: "Endpoint")
        let inventory = Inventory(workloads: links.map { Workload(id, addresses: $0.addresses) })
        return EndpointLinks(inventory, [id: links])
    }

    private func ways(_ links: EndpointLinks, _ number: IPProtocol, to target: String) throws -> [String] {
        let target = ConnectionEnd.address(try #require(IPAddress(target)))
        return links.ways(from: [.workload(0), .workload(1)], to: [target], number).map { way in
            (links.name(of: way.source) ?? "-") + (way.family.map { " \($0)" } ?? "")
        }
    }

    @Test("of each family it may be another, and what is in a network is reached there")
    func families() throws {
        let links = make([
            try link("four", ["10.9.0.2", "fd00:9::2"], ["10.9.0.0/24", "fd00:9::/64"], leads: [.ipv4]),
            try link("six", ["10.8.0.2", "fd00:8::2"], ["10.8.0.0/24", "fd00:8::/64"], leads: [.ipv6]),
        ])
        #expect(try ways(links, .tcp, to: "203.0.113.1") == ["four"])
        #expect(try ways(links, .tcp, to: "2001:db8::1") == ["six"])
        #expect(try ways(links, .tcp, to: "10.8.0.9") == ["six"])
        #expect(try ways(links, .tcp, to: "fd00:9::9") == ["four"])
        // An address outside of which nobody decides, to an endpoint of two networks: it may come by either.
        let outside = ConnectionEnd.address(try #require(IPAddress("203.0.113.1")))
        #expect(links.ways(from: [outside], to: [.workload(0), .workload(1)], .tcp).count == 2)
        // What there is no way for at all is asked about once: the answer says why.
        #expect(try ways(links, .icmpv6, to: "203.0.113.1") == ["four"])
    }

    @Test("a way that only one family takes says so")
    func oneFamily() throws {
        let (web, db) = (
            Workload.ID(namespace: "shop", name: "web", kind: "Endpoint"),
            Workload.ID(namespace: "shop", name: "zebra", kind: "Endpoint")
        )
        let own = [
            try link("four", ["10.9.0.2", "fd00:9::2"], leads: [.ipv4]),
            try link("six", ["10.8.0.2", "fd00:8::2"], leads: [.ipv6]),
        ]
        let far = try link("far", ["10.7.0.2", "fd00:7::2"])
        let inventory = Inventory(
            workloads: own.map { Workload(web, addresses: $0.addresses) } + [Workload(db, addresses: far.addresses)])
        let links = EndpointLinks(inventory, [web: own, db: [far]])
        let found = links.ways(from: [.workload(0), .workload(1)], to: [.workload(2)], .tcp)
        #expect(found.count == 2)
        #expect(found.first { links.name(of: $0.source) == "four" }?.family == .ipv4)
        #expect(found.first { links.name(of: $0.source) == "six" }?.family == .ipv6)
        let echo = links.ways(from: [.workload(0), .workload(1)], to: [.workload(2)], .icmp)
        #expect(echo.map { links.name(of: $0.source) } == ["four"])
        #expect(echo.first?.family == nil)
    }

    @Test("two links to one network are told apart by their addresses")
    func names() throws {
        let links = make([try link("one", ["10.9.0.2"]), try link("one", ["10.9.0.3"])])
        #expect(try ways(links, .tcp, to: "203.0.113.1") == ["10.9.0.2", "10.9.0.3"])
    }
}
