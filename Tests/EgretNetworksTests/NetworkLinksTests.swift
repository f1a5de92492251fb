// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlink
import EgretNetlinkWire
import Testing

@testable import EgretNetworks

struct NetworkLinksTests {
    @Test("where a driver keeps the kernel from listing bridges' ports, all links are listed")
    func refusedPorts() throws {
        let port = LinkRecord(index: 3, name: "egn0", masterIndex: 2, mtu: 1500)
        let other = LinkRecord(index: 1, name: "lo")
        let refusal = NetlinkError(malformed: "the driver says so", operation: "list ports of bridges")
        let refused: () throws -> [LinkRecord] = { throw refusal }
        let instead = try NetworkLinks.ports(refused, orAll: { [other, port] })
        #expect(instead == [other, port])
        // Nobody lists all of them for nothing.
        let listed = try NetworkLinks.ports({ [port] }, orAll: refused)
        #expect(listed == [port])
        #expect(throws: refusal) { try NetworkLinks.ports(refused, orAll: refused) }
    }

    @Test("a link that was begun and is nobody's is known by its looks; none that is up, a port or an endpoint's")
    func strays() throws {
        let own = try #require(MACAddress(text: "fe:ff:00:00:00:01"))
        let other = try #require(MACAddress(text: "02:00:00:00:00:01"))
        let begun = LinkRecord(index: 3, name: "egn0", address: own, kind: "veth")
        let others = [
            LinkRecord(index: 3, name: "egn0", address: own, kind: "dummy"),
            LinkRecord(index: 3, name: "egn0", flags: 1, address: own, kind: "veth"),
            LinkRecord(index: 3, name: "egn0", address: own, kind: "veth", masterIndex: 2),
            LinkRecord(index: 3, name: "eth0", address: own, kind: "veth"),
            LinkRecord(index: 3, name: "egnome", address: own, kind: "veth"),
            LinkRecord(index: 3, name: "egn0", address: other, kind: "veth"),
            LinkRecord(index: 3, name: "egn0", kind: "veth"),
        ]
        #expect(NetworkLinks.strays(among: others + [begun], besides: []) == [begun])
        var endpoint = NetworkRecord.Endpoint(
            namespace: "a", cookie: 1, isCreated: false, interface: "eth0", hostInterface: "egn0", hostIndex: 0,
            hardwareAddress: other.description, hostHardwareAddress: own.description, addresses: [],
            sourceAddresses: [], stage: .making)
        #expect(NetworkLinks.strays(among: [begun], besides: [endpoint]).isEmpty)
        endpoint.hostInterface = "egn9"
        #expect(NetworkLinks.strays(among: [begun], besides: [endpoint]) == [begun])
        endpoint.hostIndex = 3
        #expect(NetworkLinks.strays(among: [begun], besides: [endpoint]).isEmpty)
    }
}
