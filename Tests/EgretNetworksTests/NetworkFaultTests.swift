// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNetworks
import Testing

@Suite("What is missing of a network's links")
struct NetworkFaultTests {
    private let outerHardware = "fe:ff:00:00:00:01"
    private let innerHardware = "02:00:00:00:00:01"

    /// A network with one endpoint, and both namespaces as they ought to be.
    private func healthy(
        _ mode: NetworkSpec.Mode, isIsolated: Bool = false
    ) throws -> (network: NetworkRecord, host: NamespaceState, inside: NamespaceState) {
        let block = try #require(IPPrefix("10.9.0.0/24"))
        var network = NetworkRecord(
            NetworkSpec(name: "br0", mode: mode, subnets: [Subnet(block)], isIsolated: isIsolated), bootID: "")
        let (own, gateway) = (try address("10.9.0.2"), try address("10.9.0.1"))
        let endpoint = NetworkRecord.Endpoint(
            namespace: "ns0", cookie: 1, isCreated: false, interface: "eth0", hostInterface: "egn0", hostIndex: 5,
            hardwareAddress: innerHardware, hostHardwareAddress: outerHardware, addresses: [own], sourceAddresses: [],
            stage: .ready)
        network.endpoints = [endpoint]
        var (host, inside) = (NamespaceState(), NamespaceState())
        let outer = LinkRecord(
            index: 5, name: "egn0", flags: 1, address: MACAddress(text: outerHardware), kind: "veth", peerIndex: 2,
            masterIndex: mode == .bridge ? 4 : nil)
        host.links = [outer]
        inside.links = [
            LinkRecord(
                index: 2, name: "eth0", flags: 1, address: MACAddress(text: innerHardware), kind: "veth", peerIndex: 5)
        ]
        let everywhere = try #require(IPPrefix("0.0.0.0/0"))
        inside.routes = isIsolated ? [] : [RouteRecord(to: everywhere, gateway: gateway, link: 2)]
        if mode == .bridge {
            network.bridgeIndex = 4
            host.links.append(LinkRecord(index: 4, name: "br0", flags: 1, kind: "bridge"))
            host.addresses = [AddressRecord(linkIndex: 4, address: gateway, prefixLength: 24)]
            inside.addresses = [AddressRecord(linkIndex: 2, address: own, prefixLength: 24)]
            inside.routes.append(RouteRecord(to: block, link: 2))
        } else {
            host.addresses = [AddressRecord(linkIndex: 5, address: gateway, prefixLength: 32)]
            host.routes = [RouteRecord(to: IPPrefix(own), link: 5)]
            inside.addresses = [AddressRecord(linkIndex: 2, address: own, prefixLength: 32)]
            inside.routes.append(RouteRecord(to: IPPrefix(gateway), link: 2))
            inside.routes.append(RouteRecord(to: block, gateway: gateway, link: 2))
        }
        return (network, host, inside)
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func faults(
        _ state: (network: NetworkRecord, host: NamespaceState, inside: NamespaceState)
    ) -> [NetworkFault] {
        state.network.bridgeFaults(state.host)
            + state.network.faults(of: state.network.endpoints[0], host: state.host, inside: state.inside)
    }

    @Test("nothing is missing where all is as it is kept, whatever else is there", arguments: NetworkSpec.Mode.allCases)
    func fine(_ mode: NetworkSpec.Mode) throws {
        for isIsolated in [false, true] {
            var state = try healthy(mode, isIsolated: isIsolated)
            #expect(faults(state) == [])
            state.inside.addresses.append(
                AddressRecord(linkIndex: 2, address: try address("10.9.0.77"), prefixLength: 24))
            state.inside.routes.append(
                RouteRecord(to: try #require(IPPrefix("10.0.0.0/8")), gateway: try address("10.9.0.3"), link: 2))
            #expect(faults(state) == [])
        }
    }

    @Test("another default route is nobody's fault, and none is one")
    func defaultRoute() throws {
        var state = try healthy(.bridge)
        let everywhere = try #require(IPPrefix("0.0.0.0/0"))
        state.inside.routes.removeAll(where: \.isDefault)
        #expect(faults(state).map(\.words) == ["ns0 has lost its IPv4 default route by eth0"])
        state.inside.routes.append(RouteRecord(to: everywhere, gateway: try address("10.9.0.7"), link: 2))
        #expect(faults(state) == [])
        state = try healthy(.bridge, isIsolated: true)
        #expect(faults(state) == [])
        state.inside.routes = []
        #expect(faults(state).map(\.words) == ["ns0 has lost its IPv4 route to 10.9.0.0/24 by eth0"])
    }

    @Test("names, hardware addresses, ports and positions are compared at both ends")
    func links() throws {
        var state = try healthy(.bridge)
        state.host.links[0].name = "foo0"
        state.host.links[0].flags = 0
        state.host.links[0].masterIndex = nil
        state.inside.links[0].name = "wan0"
        state.inside.links[0].address = MACAddress(text: "02:00:00:00:00:77")
        #expect(
            faults(state).map(\.words) == [
                "eth0 is called wan0 now",
                "eth0 has another hardware address: 02:00:00:00:00:77 instead of 02:00:00:00:00:01",
                "egn0, the host's end of eth0, is called foo0 now", "egn0, the host's end of eth0, is down",
                "foo0 is no port of br0",
            ])
        #expect(faults(state).allSatisfy { $0.part == .link && !$0.needsNewLink })
    }

    @Test("a link of which an end is not there has to be made anew")
    func ends() throws {
        var state = try healthy(.bridge)
        state.inside.links[0].peerIndex = 9
        #expect(faults(state).map(\.needsNewLink) == [true])
        state = try healthy(.routed)
        state.host.links = []
        #expect(faults(state).map(\.needsNewLink) == [true])
        state = try healthy(.bridge)
        state.host.links.removeLast()
        #expect(faults(state).map(\.words) == ["the bridge br0 is gone"] && faults(state).allSatisfy(\.needsBridge))
    }

    @Test("addresses count with their masks, and the gateway's too but on an adopted bridge")
    func addresses() throws {
        var state = try healthy(.bridge)
        state.inside.addresses[0].prefixLength = 8
        state.host.addresses = []
        #expect(
            faults(state).map(\.words) == [
                "br0 has lost 10.9.0.1/24", "eth0 has 10.9.0.2/8 instead of 10.9.0.2/24", "eth0 has lost 10.9.0.2/24",
            ])
        #expect(faults(state).map(\.part) == [.gateway, .address, .address])
        state.network.isAdopted = true
        #expect(faults(state).map(\.part) == [.address, .address])
    }

    @Test("in a routed network the host has a route to the endpoint, by its link")
    func routeBack() throws {
        var state = try healthy(.routed)
        state.host.addresses = []
        state.host.routes[0].outputIndices = [9]
        state.inside.routes = []
        #expect(
            faults(state).map(\.words) == [
                "ns0 has lost its IPv4 route to 10.9.0.1 by eth0", "ns0 has lost its IPv4 route to 10.9.0.0/24 by eth0",
                "ns0 has lost its IPv4 default route by eth0", "egn0 has lost 10.9.0.1/32",
                "the host's route to 10.9.0.2 does not lead by egn0",
            ])
    }
}
