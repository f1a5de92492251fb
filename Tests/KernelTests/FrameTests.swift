// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNetlinkWire
import EgretPolicy
import EgretTesting
import Testing

/// What leaves an endpoint's wire under a policy that allows everything: only what the endpoint is.
@Suite(.serialized, .requiresRoot)
struct FrameTests {
    private static let destinations = KernelBench.addresses("203.0.113.10", "2001:db8:113::10")

    @Test("an endpoint's own packets leave, and carry the host's address outside")
    func own() throws {
        let bench = try KernelBench(.allowAll)
        for destination in FrameTests.destinations {
            let tag = bench.newTag()
            let packet = PacketBuilder.packet(
                from: bench.endpoint.address(destination.family), to: destination, protocol: .udp, tag: tag)
            try bench.endpoint.send(try #require(packet))
            try bench.settle()
            let frame = try #require(try bench.departures().first { $0.holds(tag) })
            #expect(frame.summary.map { KernelBench.uplinkAddresses.contains($0.source) } == true)
        }
    }

    @Test("a source address or hardware address of another's goes nowhere, and is counted")
    func spoofedSources() throws {
        let bench = try KernelBench(.allowAll, endpoints: 2)
        let neighbour = bench.endpoints[1]
        for destination in FrameTests.destinations + bench.endpoint.gateways {
            let family = destination.family
            let strangers = KernelBench.addresses(
                "192.0.2.2", "10.213.0.1", "198.51.100.1", "127.0.0.1", "0.0.0.0", "fe80::1", "::1", "::",
                "2001:db8:ffff::2", "fd65:6772::1")
            for source in strangers + [neighbour.address(family)] where source.family == family {
                let count = try bench.count("egret0-spoofed", in: BaseProgram.frameTable) {
                    let passage = try bench.passage(to: destination, source: source)
                    #expect(passage == .none, "\(source)")
                }
                #expect(count == 1, "\(source)")
            }
            let count = try bench.count("egret0-spoofed", in: BaseProgram.frameTable) {
                let hardware = neighbour.value.hardwareAddress
                let other = try bench.passage(to: destination, hardware: hardware)
                #expect(other == .none)
                let both = try bench.passage(to: destination, source: neighbour.address(family), hardware: hardware)
                #expect(both == .none)
            }
            #expect(count == 2)
        }
    }

    @Test(
        "frames that are neither IP nor the endpoint's ARP stop at the wire",
        arguments: [
            0x88b5, 0x8847, 0x88cc, 0x8864, 0x88e5, 0x0600, 0x86dd, 0x0800, 0x0806,
        ] as [UInt16])
    func unknownEtherTypes(etherType: UInt16) throws {
        let bench = try KernelBench(.allowAll)
        let tag = bench.newTag()
        let inner = try #require(
            PacketBuilder.packet(
                from: bench.endpoint.address(.ipv4), to: address("203.0.113.10"), protocol: .udp, tag: tag))
        // As IP, IPv6 and ARP, these bytes are nobody's.
        let payload = PacketBuilder.bigEndian(1) + PacketBuilder.bigEndian(0x0800) + inner
        let frame = PacketBuilder.frame(
            from: bench.endpoint.value.hardwareAddress, to: bench.endpoint.gatewayHardware, etherType: etherType,
            payload)
        let count = try bench.count("egret0-spoofed", in: BaseProgram.frameTable) {
            let passage = try bench.passage(of: [frame], tag: tag)
            #expect(passage == .none)
        }
        #expect(count == 1)
    }

    @Test("ARP may name the endpoint as its sender and nobody else")
    func addressResolution() throws {
        let bench = try KernelBench(.allowAll, endpoints: 2)
        let (own, other) = (bench.endpoint, bench.endpoints[1])
        let cases: [(MACAddress, MACAddress, IPAddress, spoofed: UInt64)] = [
            (own.value.hardwareAddress, own.value.hardwareAddress, own.address(.ipv4), 0),
            (own.value.hardwareAddress, own.value.hardwareAddress, own.gateways[0], 1),
            (own.value.hardwareAddress, own.value.hardwareAddress, other.address(.ipv4), 1),
            (own.value.hardwareAddress, other.value.hardwareAddress, own.address(.ipv4), 1),
            (other.value.hardwareAddress, own.value.hardwareAddress, own.address(.ipv4), 1),
        ]
        for operation in [UInt16(1), 2, 3, 8] {
            for (source, sender, claimed, spoofed) in cases {
                let head: [UInt8] = [0, 1, 8, 0, 6, 4] + PacketBuilder.bigEndian(operation) + sender.octets
                let payload =
                    head + PacketBuilder.octets(claimed) + own.gatewayHardware.octets
                    + PacketBuilder.octets(own.gateways[0])
                let frame = PacketBuilder.frame(from: source, to: own.gatewayHardware, etherType: 0x0806, payload)
                let count = try bench.count("egret0-spoofed", in: BaseProgram.frameTable) { try own.socket.send(frame) }
                #expect(count == (operation > 2 ? 1 : spoofed), "operation \(operation) for \(claimed) by \(sender)")
            }
        }
    }

    @Test("no router advertisement, redirect, or neighbour advertisement about another leaves the wire")
    func neighbourDiscovery() throws {
        let bench = try KernelBench(.allowAll)
        let own = bench.endpoint
        let cases: [(type: UInt8, target: IPAddress, counter: String?)] = [
            (134, address("fe80::1"), "egret0-spoofed"), (137, address("2001:db8::1"), "egret0-spoofed"),
            (136, own.gateways[1], "egret0-spoofed"), (136, address("2001:db8::1"), "egret0-spoofed"),
            (136, own.address(.ipv6), nil), (133, address("::"), "egret0-housekeeping"),
            (143, address("::"), "egret0-housekeeping"),
        ]
        for (type, target, counter) in cases {
            for hops in [UInt8(255), 64] {
                let body = PacketBuilder.octets(target) + [2, 1] + own.value.hardwareAddress.octets + bench.newTag()
                var packet = try #require(
                    PacketBuilder.packet(
                        from: own.address(.ipv6), to: own.gateways[1], protocol: .icmpv6, icmpType: type, tag: body))
                packet[7] = hops
                for name in ["egret0-spoofed", "egret0-housekeeping"] {
                    let count = try bench.count(name, in: BaseProgram.frameTable) { try own.send(packet) }
                    #expect(count == (name == counter ? 1 : 0), "type \(type), target \(target), \(name)")
                }
            }
        }
    }

    @Test("nothing comes in that was not asked for")
    func inbound() throws {
        let bench = try KernelBench(.allowAll, endpoints: 2)
        for family in AddressFamily.allCases {
            for number in [IPProtocol.tcp, .udp, family == .ipv4 ? .icmp : .icmpv6, .init(rawValue: 47)] {
                let tag = bench.newTag()
                let packet = PacketBuilder.packet(
                    from: family == .ipv4 ? address("203.0.113.10") : address("2001:db8:113::10"),
                    to: bench.endpoint.address(family), protocol: number, destinationPort: 22,
                    icmpType: family == .ipv4 ? 8 : 128, tag: tag)
                _ = try bench.endpoint.socket.drain()
                let count = try bench.count("egret0-inbound") { try bench.sendFromOutside(try #require(packet)) }
                #expect(count == 1)
                #expect(try !bench.endpoint.socket.drain().contains { $0.holds(tag) })
            }
        }
    }

    @Test(
        "a VLAN tag takes a packet nowhere; the tag of no VLAN takes it to the policy",
        arguments: [
            0x8100, 0x88a8,
        ] as [UInt16])
    func virtualNetworks(etherType: UInt16) throws {
        for (policies, identifier, expected) in [
            (PolicySet.allowAll, UInt16(7), Passage.none), (.allowAll, 0x6001, .none), (.denyAll, 0, .none),
        ] {
            let bench = try KernelBench(policies)
            let tag = bench.newTag()
            let inner = try #require(
                PacketBuilder.packet(
                    from: bench.endpoint.address(.ipv4), to: address("203.0.113.10"), protocol: .udp, tag: tag))
            let payload = PacketBuilder.bigEndian(identifier) + PacketBuilder.bigEndian(0x0800) + inner
            let frame = PacketBuilder.frame(
                from: bench.endpoint.value.hardwareAddress, to: bench.endpoint.gatewayHardware, etherType: etherType,
                payload)
            #expect(try bench.passage(of: [frame], tag: tag) == expected)
        }
    }

    @Test("no endpoint reaches another, whatever its own policy says; the other counts the attempt")
    func betweenEndpoints() throws {
        let bench = try KernelBench(endpoints: 2)
        let (first, second) = (bench.endpoints[0], bench.endpoints[1])
        let rule = EgressRule(
            action: .allow, destinations: [.prefix("10.213.1.2/32"), .prefix("fd65:6772:1::2/128")],
            services: [.ports(.udp, PortRange(9999))])
        let refusing = try BenchPrograms(.denyAll, second, generation: 2)
        try bench.install(BenchPrograms(.rules(rule), first, generation: 1))
        try bench.install(refusing)
        for family in AddressFamily.allCases {
            _ = try (first.socket.drain(), second.socket.drain())
            _ = try bench.passage(to: first.address(family), from: second)
            #expect(try !first.socket.drain().contains { $0.tag != nil }, "denied by its own policy")
            let refused = try bench.count(refusing.endpoint.counters.inbound) {
                _ = try bench.passage(to: second.address(family), port: 9999)
            }
            #expect(refused == 1)
            #expect(try !second.socket.drain().contains { $0.tag != nil }, "allowed by its own policy alone")
        }
    }
}
