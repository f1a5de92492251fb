// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretRun
import EgretShaping
import EgretTesting
import Testing

@Suite("links that are asked for one by one", .serialized, .requiresRoot)
struct LinkLookupTests {
    private func run(_ command: String) throws {
        let output = try runProgram(["sh", "-euc", command])
        #expect(output.succeeded, "\(command): \(output.standardError)")
    }

    private func expect(_ found: LinkRecord?, _ expected: LinkRecord?) {
        #expect(found == expected)
    }

    @Test("a link is found by its number and its own name, and what no link can have is nobody's")
    func lookup() throws {
        try OwnThread.run { try lookUp() }
    }

    private func lookUp() throws {
        try Namespace.unshare([.network])
        try run("ip link add br0 type bridge; ip link property add dev br0 altname other0")
        let links = NetworkLinks(try NetlinkConnection.route())
        let bridge = try #require(try links.all().first { $0.name == "br0" })
        try expect(links.link(named: "br0"), bridge)
        try expect(links.link(bridge.index), bridge)
        // Rules that name it so would be about nothing.
        try expect(links.link(named: "other0"), nil)
        for name in ["", "br1", "br", "of16characters00", "a/b", "a b"] {
            try expect(links.link(named: name), nil)
        }
        // An endpoint that waits has the number 0.
        for index: UInt32 in [0, bridge.index + 1_000, 0x7fff_ffff, 0x8000_0000, .max] {
            try expect(links.link(index), nil)
        }
        // Nor is a link removed by a name that is not its own.
        try links.remove("other0") { _ in true }
        try expect(links.link(named: "br0"), bridge)
    }

    @Test("where frames wait there is no address, and so no route by which it would look like a way out")
    func queues() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run("ip link add end0 type ifb")
            let route = try NetlinkConnection.route()
            let link = try #require(try NetworkLinks(route).link(named: "end0"))
            let shaper = EndpointShaper(route)
            try shaper.prepare([
                link.index: EndpointRates(
                    egress: .bucket(RateShape(bitsPerSecond: 8_000_000, mtu: 1_500)), isGathered: false)
            ])
            let queue = try #require(shaper.queue(of: link.index))
            let addresses = try route.addresses().map(\.linkIndex)
            #expect(!addresses.contains(queue))
            let routes = try HostNetwork(route).routedInterfaces
            #expect(routes[queue] == nil)
        }
    }

    @Test("what the host's routes lead to is not a bridge's port, nor an endpoint's link")
    func routedInterfaces() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run(
                """
                ip link add br0 type bridge; ip addr add 10.1.0.1/24 dev br0; ip link set br0 up
                for n in a b c; do ip link add v$n type veth peer name p$n; ip link set p$n up; done
                ip link set va master br0 up; ip link set vb up; ip link set vc up
                ip route add 10.2.0.0/24 dev va; ip route add 10.3.0.0/24 dev vb; ip route add 10.4.0.0/24 dev vc
                """)
            let route = try NetlinkConnection.route()
            let names = try HostNetwork(route, besides: ["vb"]).routedInterfaces.values.map(\.rawValue)
            #expect(names.contains("br0") && names.contains("vc"))
            #expect(!names.contains("va") && !names.contains("vb"))
        }
    }

    @Test("bridges' ports, and they alone, are told as they are, also those whose other ends are elsewhere")
    func bridgePorts() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let elsewhere = try Namespace.current(.network)
            try Namespace.unshare([.network])
            try run(
                """
                ip link add br0 type bridge; ip link add br1 type bridge
                for n in a b c; do ip link add v$n type veth peer name p$n; done
                ip link set va master br0 up; ip link set vb master br1 mtu 1400
                """)
            let route = try NetlinkConnection.route()
            let outer = try #require(InterfaceName("vd"))
            let inner = try #require(InterfaceName("pd"))
            try route.request("create link vd") { sequence throws(WireError) in
                try RouteWire.createVeth(
                    VethEnd(name: outer, address: .random()), peer: VethEnd(name: inner, address: .random()),
                    peerNamespace: elsewhere.descriptor.number, mtu: nil, sequence: sequence)
            }
            try run("ip link set vd master br1")
            let links = NetworkLinks(route)
            let all = try links.all().filter { $0.masterIndex != nil }
            #expect(all.map(\.name).sorted() == ["va", "vb", "vd"])
            let ports = try links.bridgePorts()
            #expect(known(ports) == known(all))
            // What the kernel need not look for.
            #expect(ports.allSatisfy { $0.kind == nil && $0.peerNamespaceID == nil })
        }
    }

    /// What a list of ports tells of links. Whether they have a carrier may change between two lists.
    private func known(_ links: [LinkRecord]) -> [LinkRecord] {
        links.sorted { $0.index < $1.index }.map { link in
            LinkRecord(
                index: link.index, name: link.name, address: link.address, peerIndex: link.peerIndex,
                masterIndex: link.masterIndex, mtu: link.mtu)
        }
    }

    @Test("what the host's routes lead to is the same, whoever asks for all links or for those alone")
    func askedFor() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run(
                """
                # Addresses of the links' own would come later, some before and some after they are asked for.
                echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
                ip link set lo up; ip link add br0 type bridge; ip addr add 10.1.0.1/24 dev br0; ip link set br0 up
                for n in a b c d; do ip link add v$n type veth peer name p$n; ip link set p$n up; done
                ip link set va master br0 up; ip link set vb up; ip link set vc mtu 1300 up; ip link set vd up
                ip addr add fd00:7::1/64 dev vd
                ip route add 10.2.0.0/24 dev va; ip route add 10.3.0.0/24 dev vb; ip route add default dev vc
                """)
            let route = try NetlinkConnection.route()
            let endpoint = try #require(try NetworkLinks(route).link(named: "vb")).index
            let all = try HostNetwork(route, besides: ["vb"])
            let asked = try HostNetwork.asking(route, besides: [endpoint], named: ["vb"])
            #expect(asked.routedInterfaces == all.routedInterfaces && asked.uplinks == all.uplinks)
            #expect(asked.routedInterfaces.values.contains { $0.rawValue == "vc" } && asked.uplinks == ["vc"])
            #expect(asked.addresses == all.addresses)
            #expect(asked.mtu == 1300 && all.mtu == 1300 && asked.hasIPv6 == all.hasIPv6)
            #expect(asked.links[endpoint] == nil && all.links[endpoint] == "vb")
        }
    }

    @Test("what waits of an endpoint's other links passes before the queue goes that it was known by")
    func release() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run("for n in 0 1 2 3; do ip link add end$n type ifb; done")
            let route = try NetlinkConnection.route()
            let links = NetworkLinks(route)
            let indices = try (0..<4).map { try #require(try links.link(named: "end\($0)")).index }
            func rates(isGathered: Bool) -> EndpointRates {
                let shape = TrafficShape.bucket(RateShape(bitsPerSecond: 8_000_000, mtu: 1_500))
                return EndpointRates(egress: shape, isGathered: isGathered)
            }
            let shaper = EndpointShaper(route)
            var wanted = [indices[0]: rates(isGathered: true), indices[2]: rates(isGathered: false)]
            try shaper.prepare(wanted)
            var pauses = 0
            // The one that it was known by goes, and it has two others still.
            try run("ip link del end0")
            wanted[indices[0]] = nil
            wanted[indices[1]] = rates(isGathered: true)
            try shaper.prepare(wanted)
            try shaper.release(except: wanted) { _ in pauses += 1 }
            #expect(pauses == 1 && shaper.queue(of: indices[0]) == nil && shaper.queue(of: indices[1]) != nil)
            // Whoever comes next does not know whether others wait there, but of those that have one link.
            let next = EndpointShaper(route)
            try run("ip link del end1")
            wanted[indices[1]] = nil
            wanted[indices[3]] = rates(isGathered: false)
            try next.prepare(wanted)
            try next.release(except: wanted) { _ in pauses += 1 }
            #expect(pauses == 2 && next.queue(of: indices[1]) == nil)
            try run("ip link del end2")
            wanted[indices[2]] = nil
            try next.release(except: wanted) { _ in pauses += 1 }
            #expect(pauses == 2 && next.queue(of: indices[2]) == nil && next.queue(of: indices[3]) != nil)
        }
    }
}
