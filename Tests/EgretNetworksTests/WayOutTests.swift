// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretNetworks
import EgretTesting
import Testing

@Suite("The network that a namespace of several leaves by")
struct WayOutTests {
    private func endpoint(
        _ namespace: String, cookie: UInt64 = 7, order: Int?, stage: NetworkRecord.Stage = .ready
    ) -> NetworkRecord.Endpoint {
        NetworkRecord.Endpoint(
            namespace: namespace, cookie: cookie, isCreated: false, interface: "eth0", hostInterface: "egn0",
            hostIndex: 5, hardwareAddress: "02:00:00:00:00:01", hostHardwareAddress: "fe:ff:00:00:00:01",
            addresses: [], sourceAddresses: [], order: order, stage: stage)
    }

    private func network(
        _ name: String, _ block: String, isIsolated: Bool = false, _ endpoints: NetworkRecord.Endpoint...
    ) throws -> NetworkRecord {
        let subnet = Subnet(try #require(IPPrefix(block)))
        var network = NetworkRecord(
            NetworkSpec(name: name, mode: .bridge, subnets: [subnet], isIsolated: isIsolated), bootID: "")
        network.endpoints = endpoints
        return network
    }

    @Test("it is the one that was connected first, for each family, whatever it is called")
    func first() throws {
        let (one, two, three) = (endpoint("a", order: 1), endpoint("a", order: 2), endpoint("a", order: 3))
        let networks = [
            try network("aa", "10.9.0.0/24", three), try network("bb", "fd00:9::/64", two),
            try network("zz", "10.8.0.0/24", one),
        ]
        #expect(networks.families(leadingBefore: one) == [])
        #expect(networks.families(leadingBefore: two) == [.ipv4])
        #expect(networks.families(leadingBefore: three) == [.ipv4, .ipv6])
        #expect(networks.nextOrder == 4)
    }

    @Test("a namespace is known by its cookie as well as by what it is called")
    func names() throws {
        let last = endpoint("a", order: 9)
        let others = [
            endpoint("/run/netns/a", order: 1), endpoint("a", cookie: 0, order: 1), endpoint("b", cookie: 8, order: 1),
        ]
        let leading = try others.map { other in
            [try network("zz", "10.8.0.0/24", other)].families(leadingBefore: last)
        }
        #expect(leading == [[.ipv4], [.ipv4], []])
        #expect(!endpoint("b", cookie: 0, order: 1).sharesNamespace(with: endpoint("a", cookie: 0, order: 2)))
    }

    @Test("an endpoint is found by what its namespace is, and by its name where nothing else has that")
    func called() throws {
        let network = try network(
            "br0", "10.9.0.0/24", endpoint("a", cookie: 7, order: 1), endpoint("pid:4711", cookie: 8, order: 2),
            endpoint("/run/netns/c", cookie: 0, order: 3, stage: .waiting))
        func found(_ text: String, _ cookie: UInt64?) throws -> String? {
            network.endpoint(in: try #require(NamespaceReference(text)), cookie)?.namespace
        }
        #expect(try found("/proc/4711/ns/net", 7) == "a")
        #expect(try found("b", 8) == "pid:4711")
        #expect(try found("a", 8) == "pid:4711", "the name is another's by now")
        #expect(try found("a", 9) == nil, "the name is a stranger's by now")
        #expect(try found("/run/netns/a", nil) == "a")
        #expect(try found("c", 9) == "/run/netns/c", "nobody knows yet which namespace that was")
        #expect(try found("d", 0) == nil)
    }

    @Test("an isolated network leads nobody out, nor one that is being left; old ones come before")
    func exceptions() throws {
        let last = endpoint("a", order: 1)
        let isolated = try network("zz", "10.8.0.0/24", isIsolated: true, endpoint("a", order: nil))
        #expect([isolated].families(leadingBefore: last) == [])
        let left = try network("zz", "10.8.0.0/24", endpoint("a", order: nil, stage: .removing))
        #expect([left].families(leadingBefore: last) == [])
        let waiting = try network("zz", "10.8.0.0/24", endpoint("a", order: nil, stage: .waiting))
        #expect([waiting].families(leadingBefore: last) == [.ipv4])
        let old = try network("zz", "10.8.0.0/24", endpoint("a", order: nil))
        #expect([old].families(leadingBefore: last) == [.ipv4])
        #expect([old].families(leadingBefore: endpoint("a", order: nil)) == [])
    }

    @Test("the number of a connection is kept")
    func kept() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        try store.write(try network("br0", "10.8.0.0/24", endpoint("a", order: 3), endpoint("b", order: nil)))
        #expect(try store.networks().flatMap(\.endpoints).map(\.order) == [3, nil])
        withExtendedLifetime(lock) {}
    }

    @Test("no default route is missing where an earlier connection leads out")
    func faults() throws {
        var state = (host: NamespaceState(), inside: NamespaceState())
        var own = endpoint("a", order: 2)
        own.addresses = [try #require(IPAddress("10.8.0.2"))]
        var network = try network("br0", "10.8.0.0/24", own)
        network.bridgeIndex = 4
        state.host.links = [
            LinkRecord(
                index: 5, name: "egn0", flags: 1, address: MACAddress(text: "fe:ff:00:00:00:01"), kind: "veth",
                peerIndex: 2, masterIndex: 4),
            LinkRecord(index: 4, name: "br0", flags: 1, kind: "bridge"),
        ]
        state.inside.links = [
            LinkRecord(
                index: 2, name: "eth0", flags: 1, address: MACAddress(text: "02:00:00:00:00:01"), kind: "veth",
                peerIndex: 5)
        ]
        state.inside.addresses = [AddressRecord(linkIndex: 2, address: own.addresses[0], prefixLength: 24)]
        state.inside.routes = [RouteRecord(to: try #require(IPPrefix("10.8.0.0/24")), link: 2)]
        let lost = network.faults(of: own, host: state.host, inside: state.inside)
        #expect(lost.map(\.isWayOut) == [true])
        #expect(network.faults(of: own, host: state.host, inside: state.inside, led: [.ipv4]) == [])
        #expect(network.faults(of: own, host: state.host, inside: state.inside, led: [.ipv6]) == lost)
    }
}
