// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNftables
import Testing

/// Ports of the host that lead into networks, with real connections.
@Suite(.serialized, .requiresRoot)
struct PublishedPortTests {
    @Test(
        "a published port leads to its endpoint from everywhere: outside, other networks, its own, the host",
        arguments: [true, false])
    func everywhere(callsFromBridges: Bool) throws {
        let bench = try NatBench(callsFromBridges: callsFromBridges)
        try bench.serve("tcp:80", "udp:53", in: .a)
        let plans = [try bench.plan(), try bench.secondPlan()]
        let ports = [
            try bench.port("web", .tcp, 8080...8080, to: "192.168.0.2", 80...80),
            try bench.port("web6", .tcp, 8080...8080, to: "fd00::2", 80...80),
            try bench.port("names", .udp, 53...53, to: "192.168.0.2", 53...53),
            try bench.port("names6", .udp, 53...53, to: "fd00::2", 53...53),
        ]
        try bench.install(plans, ports)
        for (transport, port) in [("tcp", 8080), ("udp", 53)] {
            // From outside the client's address is seen.
            #expect(try bench.answer(transport, "203.0.113.2", port, from: .outside) == "a 203.0.113.1")
            #expect(try bench.answer(transport, "2001:db8:113::2", port, from: .outside) == "a 2001:db8:113::1")
            // From another network, by any address of the host.
            #expect(try bench.answer(transport, "10.9.0.1", port, from: .c) == "a 192.168.0.1")
            #expect(try bench.answer(transport, "203.0.113.2", port, from: .c) == "a 192.168.0.1")
            // From the same network, from the endpoint itself too, the answer comes back through the host.
            for place in [NatBench.Place.a, .b] {
                #expect(try bench.answer(transport, "203.0.113.2", port, from: place) == "a 192.168.0.1")
                #expect(try bench.answer(transport, "192.168.0.1", port, from: place) == "a 192.168.0.1")
                #expect(try bench.answer(transport, "fd00::1", port, from: place) == "a fd00::1")
            }
            // From the host, by its addresses and by those of itself.
            #expect(try bench.answer(transport, "203.0.113.2", port, from: .host).hasPrefix("a "))
            #expect(try bench.answer(transport, "2001:db8:113::2", port, from: .host).hasPrefix("a "))
            #expect(try bench.answer(transport, "127.0.0.1", port, from: .host) == "a 192.168.0.1")
        }
        // ::1 stays the host's own.
        #expect(try bench.answer("tcp", "::1", 8080, from: .host) == "none")
        try bench.serve("tcp:8080", in: .host)
        #expect(try bench.answer("tcp", "::1", 8080, from: .host) == "host ::1")
        // The endpoint's own port is still nobody's to reach.
        #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .outside) == "none")
        try bench.remove(plans, ports)
        #expect(try bench.answer("tcp", "203.0.113.2", 8080, from: .outside) == "host 203.0.113.1")
    }

    @Test("nothing gets in at 127.0.0.0/8 from a network, though packets to it are routed there")
    func loopback() throws {
        let bench = try NatBench()
        try bench.serve("udp:9999", "tcp:9999", in: .host)
        let plan = try bench.plan()
        // The way is open without the guard: that is what it is for.
        try bench.shell(
            """
            ip route add 127.0.0.9 via 192.168.0.1 dev eth0 table 5; ip rule add pref 0 to 127.0.0.9 lookup 5
            ip rule add pref 1 lookup local; ip rule del pref 0 lookup local
            echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
            """, in: .a)
        #expect(try bench.answer("tcp", "127.0.0.9", 9999, from: .a).hasPrefix("host "))
        try bench.install([plan])
        #expect(try bench.answer("tcp", "127.0.0.9", 9999, from: .a) == "none")
        #expect(try bench.answer("udp", "127.0.0.9", 9999, from: .a) == "none")
        #expect(try bench.answer("tcp", "127.0.0.1", 9999, from: .host) == "host 127.0.0.1")
        let counted = try bench.shell("nft list chain inet egret-nat guard")
        #expect(
            counted.contains("ip daddr 127.0.0.0/8 counter packets")
                && !counted.contains("daddr 127.0.0.0/8 counter packets 0"))
        try bench.remove([plan])
    }

    @Test("a port published at one address leads elsewhere than the same one published at all")
    func hostAddress() throws {
        let bench = try NatBench()
        try bench.shell("ip address add 203.0.113.10/32 dev up0; ip address add 2001:db8:113::a/128 dev up0 nodad")
        try bench.serve("tcp:80", in: .a)
        try bench.serve("tcp:80", in: .b)
        let plan = try bench.plan()
        let ports = [
            try bench.port("all", .tcp, 8080...8080, to: "192.168.0.2", 80...80),
            try bench.port("all6", .tcp, 8080...8080, to: "fd00::2", 80...80),
            try bench.port("one", .tcp, at: "203.0.113.10", 8080...8080, to: "192.168.0.3", 80...80),
            try bench.port("one6", .tcp, at: "2001:db8:113::a", 8080...8080, to: "fd00::3", 80...80),
            try bench.port("home", .tcp, at: "127.0.0.1", 9090...9090, to: "192.168.0.3", 80...80),
        ]
        try bench.install([plan], ports)
        for place in [NatBench.Place.outside, .a, .host] {
            #expect(try bench.answer("tcp", "203.0.113.2", 8080, from: place).hasPrefix("a "))
            #expect(try bench.answer("tcp", "203.0.113.10", 8080, from: place).hasPrefix("b "))
            #expect(try bench.answer("tcp", "2001:db8:113::2", 8080, from: place).hasPrefix("a "))
            #expect(try bench.answer("tcp", "2001:db8:113::a", 8080, from: place).hasPrefix("b "))
            #expect(try bench.answer("tcp", "203.0.113.2", 9090, from: place) == "none")
        }
        #expect(try bench.answer("tcp", "127.0.0.1", 9090, from: .host).hasPrefix("b "))
        try bench.remove([plan], ports)
    }

    @Test("only the clients that are named get through")
    func clients() throws {
        let bench = try NatBench()
        try bench.shell("ip address add 203.0.113.130/24 dev eth0", in: .outside)
        try bench.serve("tcp:80", in: .a)
        let plan = try bench.plan()
        let sources = ["203.0.113.128/25", "203.0.113.130/32", "198.51.100.0/24"]
        let ports = [
            try bench.port("web", .tcp, 8080...8080, to: "192.168.0.2", 80...80, sources: sources),
            try bench.port("web6", .tcp, 8080...8080, to: "fd00::2", 80...80, sources: ["2001:db8:113::/64"]),
        ]
        try bench.install([plan], ports)
        #expect(try bench.dataplane.drift(of: ports.map { PublishedPortProgram($0).program }).isEmpty)
        #expect(try bench.answer("tcp", "203.0.113.2", 8080, from: .outside) == "none")
        try bench.shell("ip route replace 203.0.113.2 dev eth0 src 203.0.113.130", in: .outside)
        #expect(try bench.answer("tcp", "203.0.113.2", 8080, from: .outside) == "a 203.0.113.130")
        #expect(try bench.answer("tcp", "2001:db8:113::2", 8080, from: .outside) == "a 2001:db8:113::1")
        #expect(try bench.answer("tcp", "fd00::1", 8080, from: .b) == "none")
        try bench.remove([plan], ports)
    }

    @Test("ranges lead to the ports in the same place of the endpoint's range")
    func ranges() throws {
        let bench = try NatBench()
        try bench.serve("tcp:7000", "tcp:7001", "tcp:7002", "udp:6000", "udp:6001", "udp:6002", in: .a)
        let plan = try bench.plan()
        let ports = [
            try bench.port("same", .tcp, 7000...7002, to: "192.168.0.2", 7000...7002),
            try bench.port("moved", .udp, 5000...5002, to: "fd00::2", 6000...6002),
        ]
        try bench.install([plan], ports)
        for offset in 0...2 {
            #expect(try bench.answer("tcp", "203.0.113.2", 7000 + offset, from: .outside) == "a 203.0.113.1")
            #expect(try bench.answer("udp", "2001:db8:113::2", 5000 + offset, from: .outside) == "a 2001:db8:113::1")
        }
        #expect(try bench.answer("tcp", "203.0.113.2", 7003, from: .outside) == "none")
        #expect(try bench.answer("udp", "2001:db8:113::2", 4999, from: .outside) == "none")
        let counters = try bench.shell("nft list chain inet egret-nat publish-moved-5001")
        #expect(counters.contains("counter packets 1 "))
        try bench.remove([plan], ports)
    }
}
