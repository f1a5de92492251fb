// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretPolicy
import EgretTesting
import Testing

/// Known ways round egress control, as packets.
@Suite(.serialized, .requiresRoot)
struct BypassTests {
    private static let web = KernelBench.addresses("203.0.113.10", "2001:db8:113::10")
    private static let webOnly = PolicySet.rules(
        EgressRule(
            action: .allow,
            destinations: [.prefix("203.0.113.10/32"), .prefix("2001:db8:113::10/128")],
            services: [.ports(.tcp, PortRange(443)), .ports(.udp, PortRange(53))]
        ))

    @Test(
        "a policy that names TCP and UDP ports lets no other protocol out",
        arguments: [
            1, 2, 4, 41, 47, 50, 51, 58, 89, 94, 103, 112, 115, 132, 136, 253, 255,
        ] as [UInt8])
    func protocols(number: UInt8) throws {
        let bench = try KernelBench(BypassTests.webOnly)
        for destination in BypassTests.web + KernelBench.hostAddresses + bench.endpoint.gateways {
            #expect(try bench.passage(to: destination, IPProtocol(rawValue: number), port: 443) == .none)
        }
        #expect(try bench.passage(to: BypassTests.web[0], .tcp, port: 443) == .outside)
        #expect(try bench.passage(to: BypassTests.web[1], .udp, port: 53) == .outside)
    }

    @Test("a SYN with data to a denied port does not leave, and none to an allowed port is lost")
    func dataInSYN() throws {
        let bench = try KernelBench(BypassTests.webOnly)
        for destination in BypassTests.web {
            #expect(try bench.passage(to: destination, .tcp, port: 80) == .none)
            #expect(try bench.passage(to: destination, .tcp, port: 443) == .outside)
        }
    }

    @Test("no fragment of a denied datagram leaves, and an allowed one arrives whole")
    func fragments() throws {
        let bench = try KernelBench(BypassTests.webOnly)
        for destination in BypassTests.web {
            for (port, expected) in [(UInt16(99), Passage.none), (53, .outside)] {
                let tag = bench.newTag()
                let filler = [UInt8](repeating: 0x61, count: 64)
                let whole = try #require(
                    PacketBuilder.packet(
                        from: bench.endpoint.address(destination.family), to: destination, protocol: .udp,
                        sourcePort: bench.newPort(), destinationPort: port, tag: filler + tag))
                for first in [8, 40] {
                    let pieces = Fragments.split(
                        whole, after: first, identification: UInt32(tag[7]) &+ UInt32(first) << 8)
                    for packet in pieces { try bench.endpoint.send(packet) }
                    #expect(try bench.passage(of: tag) == expected, "\(destination) port \(port)")
                    for packet in pieces.reversed() { try bench.endpoint.send(packet) }
                    #expect(try bench.passage(of: tag) == expected, "\(destination) port \(port), reversed")
                    // The second alone.
                    let lone = Fragments.split(whole, after: first, identification: 0x7777_0000 + UInt32(first))
                    try bench.endpoint.send(lone[1])
                    #expect(try bench.passage(of: tag) == .none)
                }
            }
        }
    }

    @Test(
        "extension headers hide no port",
        arguments: [[0], [60], [0, 60], [60, 60, 60], [43], [0, 43, 60]] as [[UInt8]])
    func extensionHeaders(chain: [UInt8]) throws {
        let bench = try KernelBench(BypassTests.webOnly)
        for (port, isAllowed) in [(UInt16(99), false), (53, true)] {
            let tag = bench.newTag()
            let plain = try #require(
                PacketBuilder.packet(
                    from: bench.endpoint.address(.ipv6), to: BypassTests.web[1], protocol: .udp,
                    sourcePort: bench.newPort(), destinationPort: port, tag: tag))
            try bench.endpoint.send(Fragments.insert(chain, into: plain))
            #expect(try bench.passage(of: tag) == (isAllowed ? .outside : .none))
        }
    }

    @Test("IPv4 options do not shift the ports out of sight, and source routing goes nowhere")
    func options() throws {
        let bench = try KernelBench(BypassTests.webOnly)
        let noOperation: [UInt8] = [1, 1, 1, 1, 1, 1, 1, 0]
        let looseRoute: [UInt8] = [131, 7, 4] + PacketBuilder.octets(address("198.51.100.66")) + [0]
        for (options, port, expected) in [
            (noOperation, UInt16(99), Passage.none), (noOperation, 53, .outside), (looseRoute, 53, .none),
        ] {
            let tag = bench.newTag()
            let plain = try #require(
                PacketBuilder.packet(
                    from: bench.endpoint.address(.ipv4), to: BypassTests.web[0], protocol: .udp,
                    sourcePort: bench.newPort(), destinationPort: port, tag: tag))
            try bench.endpoint.send(Fragments.addOptions(options, to: plain))
            #expect(try bench.passage(of: tag) == expected)
        }
    }

    @Test(
        "an IPv6 address that stands for a denied IPv4 address is denied",
        arguments: [
            "64:ff9b::cb00:7142", "2002:cb00:7142::1", "2002:cb00:7142:ffff:ffff:ffff:ffff:ffff", "::ffff:203.0.113.66",
        ])
    func embeddedAddresses(text: String) throws {
        let bench = try KernelBench(
            .rules(EgressRule(action: .deny, destinations: [.prefix("203.0.113.66/32")]), otherwise: .allow))
        #expect(try bench.passage(to: address(text)) == .none)
        #expect(try bench.passage(to: address("203.0.113.66")) == .none)
        #expect(try bench.passage(to: address("203.0.113.67")) == .outside)
        #expect(try bench.passage(to: address("64:ff9b::cb00:7143")) == .outside)
    }

    @Test("the host's own services are reached through the group host and through nothing wider")
    func hostServices() throws {
        let wide = EgressRule(
            action: .allow,
            destinations: [.internet, .private, .linkLocal, .multicast, .metadata].map { .builtIn($0) })
        let host = EgressRule(action: .allow, destinations: [.builtIn(.host)])
        let linkLocal = address("fe80::1")
        for (policies, expected) in [(PolicySet.rules(wide), Passage.none), (.rules(host), .host)] {
            let bench = try KernelBench(policies)
            try bench.addHostAddress(linkLocal)
            let doors = KernelBench.hostAddresses + KernelBench.uplinkAddresses + bench.endpoint.gateways + [linkLocal]
            for door in doors {
                for number in [IPProtocol.tcp, .udp, door.family == .ipv4 ? .icmp : .icmpv6] {
                    #expect(try bench.passage(to: door, number, port: 22) == expected, "\(door) \(number)")
                }
            }
        }
    }

    @Test(
        "metadata services are in no group but their own",
        arguments: [
            "169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        ])
    func metadata(text: String) throws {
        let wide = EgressRule(
            action: .allow, destinations: [.internet, .private, .linkLocal, .multicast, .host].map { .builtIn($0) })
        let named = EgressRule(action: .allow, destinations: [.builtIn(.metadata)])
        for (rule, expected) in [(wide, Passage.none), (named, .outside)] {
            let bench = try KernelBench(.rules(rule))
            #expect(try bench.passage(to: address(text), .tcp, port: 80) == expected)
        }
    }

    @Test(
        "multicast and broadcast reach neither the network nor the host",
        arguments: [
            "224.0.0.1", "224.0.0.251", "239.255.255.250", "255.255.255.255", "10.213.0.3", "ff02::1", "ff02::fb",
            "ff05::1:3", "ff0e::1",
        ])
    func multicast(text: String) throws {
        let bench = try KernelBench(
            .rules(EgressRule(action: .allow, destinations: [.internet, .private].map { .builtIn($0) })))
        let destination = address(text)
        let tag = bench.newTag()
        let packet = PacketBuilder.packet(
            from: bench.endpoint.address(destination.family), to: destination, protocol: .udp, destinationPort: 5353,
            tag: tag)
        for hardware in [MACAddress(rawValue: 0xffff_ffff_ffff), bench.endpoint.gatewayHardware] {
            let frame = PacketBuilder.frame(
                from: bench.endpoint.value.hardwareAddress, to: hardware, packet: try #require(packet))
            #expect(try bench.passage(of: [frame], tag: tag) == .none)
        }
    }

    @Test("the broadcast address of the link is refused by the policy, not by chance")
    func broadcast() throws {
        let allowing = try KernelBench(.rules(EgressRule(action: .allow, destinations: [.builtIn(.host)])))
        #expect(try allowing.passage(to: address("10.213.0.3"), port: 5353) == .host)
        let private4 = try KernelBench(.rules(EgressRule(action: .allow, destinations: [.builtIn(.private)])))
        #expect(try private4.passage(to: address("10.213.0.3"), port: 5353) == .none)
        #expect(try private4.passage(to: address("10.213.0.5"), port: 5353) == .outside)
    }

    @Test("TCP out of the blue is judged as a new connection, and nonsense does not leave")
    func strayTCP() throws {
        let bench = try KernelBench(BypassTests.webOnly)
        let flags: [(UInt8, isValid: Bool)] = [
            (Segment.acknowledgement, true), (Segment.acknowledgement | Segment.push, true), (0, false),
            (Segment.syn | Segment.fin, false), (Segment.syn | Segment.reset, false), (0x3f, false),
            (Segment.syn | Segment.acknowledgement, false),
        ]
        for destination in BypassTests.web {
            for (flags, isValid) in flags {
                for port in [UInt16(443), 80] {
                    let tag = bench.newTag()
                    let near = (address: bench.endpoint.address(destination.family), port: bench.newPort())
                    try bench.endpoint.send(
                        Segment.packet(from: near, to: (destination, port), flags: flags, sequence: 9, payload: tag))
                    let expected = port == 443 && isValid ? Passage.outside : .none
                    #expect(try bench.passage(of: tag) == expected, "flags \(flags) to \(destination) \(port)")
                }
            }
        }
    }

    @Test(
        "a connection by one port opens no other, also for protocols that tracking has no ports for",
        arguments: [
            IPProtocol.tcp, .udp, .udplite, .sctp, .dccp,
        ])
    func portsOfTrackedProtocols(number: IPProtocol) throws {
        let bench = try KernelBench(
            .rules(EgressRule(action: .allow, services: [.ports(number, PortRange(443))])))
        for destination in BypassTests.web {
            #expect(try bench.passage(to: destination, number, port: 443) == .outside)
            #expect(try bench.passage(to: destination, number, port: 444) == .none)
            #expect(try bench.passage(to: destination, number, port: 443) == .outside)
        }
    }
}
