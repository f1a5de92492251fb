// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNftables
import Testing

/// Networks' translation with real connections.
@Suite(.serialized, .requiresRoot)
struct NatTests {
    @Test("what leaves a network has the host's address, in both families and all transports")
    func masquerade() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", "udp:53", in: .outside)
        // Without the network's rules the world sees the private address.
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 192.168.0.2")
        let plan = try bench.plan()
        try bench.install([plan])
        for transport in ["tcp:80", "udp:53"].map({ $0.split(separator: ":").map(String.init) }) {
            let port = try #require(Int(transport[1]))
            #expect(try bench.answer(transport[0], "203.0.113.1", port, from: .a) == "outside 203.0.113.2")
            #expect(try bench.answer(transport[0], "2001:db8:113::1", port, from: .a) == "outside 2001:db8:113::2")
        }
        try bench.shell("ping -c 1 -W 1 203.0.113.1 && ping -c 1 -W 1 2001:db8:113::1", in: .b)
        try bench.remove([plan])
    }

    @Test("the kernel gives back what was installed, and nft prints it as text that it reads")
    func faithful() throws {
        let bench = try NatBench()
        let pool = try #require(SourcePool(address("203.0.113.10"), address("203.0.113.12")))
        let source = try #require(EndpointSource(address("fd00::2"), SourcePool(address("2001:db8:113::9"))))
        let spread = try #require(
            SourcePool(address("203.0.113.20"), address("203.0.113.22"), isPerConnection: true))
        let second = try #require(EndpointSource(address("192.168.0.3"), spread))
        let plans = [
            try bench.plan(translation: .sourceAddresses([pool]), endpointSources: [source, second]),
            try bench.secondPlan(translation: .none),
        ]
        let ports = [
            try bench.port("one", .tcp, 8080...8080, to: "192.168.0.2", 80...80),
            try bench.port("two", .udp, at: "203.0.113.2", 5000...5002, to: "192.168.0.2", 6000...6002),
            try bench.port(
                "three", .sctp, at: "2001:db8:113::2", 7...7, to: "fd00::2", 7...7, sources: ["2001:db8::/32"]),
        ]
        try bench.install(plans, ports)
        let programs = plans.flatMap { [NetworkProgram($0).filter, NetworkProgram($0).translation] }
        let all =
            programs + ports.map { PublishedPortProgram($0).program } + [BaseProgram.program, NetworkProgram.base]
        #expect(try bench.dataplane.drift(of: all) == [])
        #expect(try bench.dataplane.holds(all))
        let text = try bench.shell("nft list ruleset")
        for expected in [
            "snat ip to 203.0.113.10-203.0.113.12 persistent", "snat ip6 to 2001:db8:113::9",
            "numgen random mod 3", "snat ip to 203.0.113.22",
            "dnat ip to 192.168.0.2:80", "ip saddr 127.0.0.0/8", "203.0.113.2 . udp . 5001 : goto publish-two-5001",
            "tcp . 8080 : goto publish-one", "192.168.0.0/16 : goto br0-out", "ct status dnat",
        ] { #expect(text.contains(expected), "\(expected) in\n\(text)") }
        try bench.shell(
            "nft list ruleset > /tmp/egret-nat-text.$$; nft -c -f /tmp/egret-nat-text.$$; rm /tmp/egret-nat-text.$$")
        try bench.remove(plans, ports)
    }

    @Test("a pool's addresses are used, one for each client, and an endpoint's own address goes before")
    func sourceAddresses() throws {
        let bench = try NatBench()
        try bench.shell("for i in 10 11 12; do ip address add 203.0.113.$i/32 dev up0; done")
        try bench.shell("ip address add 2001:db8:113::9/128 dev up0 nodad preferred_lft 0")
        try bench.serve("tcp:80", "udp:53", in: .outside)
        let pool = try #require(SourcePool(address("203.0.113.10"), address("203.0.113.11")))
        let plan = try bench.plan(translation: .sourceAddresses([pool]))
        try bench.install([plan])
        let first = try bench.answer("tcp", "203.0.113.1", 80, from: .a)
        #expect(["outside 203.0.113.10", "outside 203.0.113.11"].contains(first))
        for _ in 0..<5 { #expect(try bench.answer("udp", "203.0.113.1", 53, from: .a) == first) }
        // The family without a pool is masqueraded.
        #expect(try bench.answer("tcp", "2001:db8:113::1", 80, from: .a) == "outside 2001:db8:113::2")
        let own = [
            try #require(EndpointSource(address("192.168.0.2"), SourcePool(address("203.0.113.12")))),
            try #require(EndpointSource(address("fd00::2"), SourcePool(address("2001:db8:113::9")))),
        ].map { NetworkProgram.endpointSource($0, of: "br0") }
        try bench.dataplane.install(own, on: NetworkProgram.base)
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 203.0.113.12")
        #expect(try bench.answer("tcp", "2001:db8:113::1", 80, from: .a) == "outside 2001:db8:113::9")
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .b) != "outside 203.0.113.12")
        try bench.dataplane.remove(own)
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == first)
        try bench.remove([plan])
    }

    // That all twenty-four get the same one happens once in eight million times.
    @Test("of a pool for connections one client uses every address, and each connection keeps its own")
    func connectionPool() throws {
        let bench = try NatBench()
        try bench.shell("for i in 10 11; do ip address add 203.0.113.$i/32 dev up0; done")
        try bench.serve("tcp:80", "udp:53", in: .outside)
        let pool = try #require(SourcePool(address("203.0.113.10"), address("203.0.113.11"), isPerConnection: true))
        let plan = try bench.plan(translation: .sourceAddresses([pool]))
        try bench.install([plan])
        for (transport, port) in [("tcp", 80), ("udp", 53)] {
            var seen: Swift.Set<String> = []
            for _ in 0..<24 { seen.insert(try bench.answer(transport, "203.0.113.1", port, from: .a)) }
            #expect(seen == ["outside 203.0.113.10", "outside 203.0.113.11"])
        }
        try bench.remove([plan])
    }

    @Test("nobody reaches a translated network's addresses from outside; without translation everybody does")
    func guardOfTranslatedNetworks() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", "udp:53", in: .a)
        let asks = [("tcp", "192.168.0.2", 80), ("udp", "192.168.0.2", 53), ("tcp", "fd00::2", 80)]
        let plan = try bench.plan()
        let second = try bench.secondPlan()
        try bench.install([plan, second])
        for (transport, address, port) in asks {
            #expect(try bench.answer(transport, address, port, from: .outside) == "none")
            #expect(try bench.answer(transport, address, port, from: .c) == "none")
            #expect(try bench.answer(transport, address, port, from: .b).hasPrefix("a "))
            #expect(try bench.answer(transport, address, port, from: .host).hasPrefix("a "))
        }
        let counter = NetworkProgram.Counters(of: "br0").unreachable
        #expect(try bench.dataplane.counters(in: BaseProgram.table)[counter]?.packets ?? 0 >= 6)
        try bench.remove([plan, second])
        let open = try bench.plan(translation: .none)
        try bench.install([open, second])
        for (transport, address, port) in asks {
            #expect(try bench.answer(transport, address, port, from: .outside).hasPrefix("a "))
            #expect(try bench.answer(transport, address, port, from: .c).hasPrefix("a "))
        }
        try bench.serve("tcp:80", in: .outside)
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 192.168.0.2")
        try bench.remove([open, second])
    }

    @Test("an isolated network talks with itself and the host, with nobody else")
    func isolation() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", in: .a)
        try bench.serve("tcp:80", in: .outside)
        try bench.serve("tcp:80", in: .c)
        try bench.serve("tcp:80", in: .host)
        for translation in [NetworkPlan.Translation.masquerade, .none] {
            let plans = [
                try bench.plan(translation: translation, isIsolated: true), try bench.secondPlan(translation: .none),
            ]
            try bench.install(plans)
            for target in ["203.0.113.1", "2001:db8:113::1", "10.9.0.2", "fd09::2"] {
                #expect(try bench.answer("tcp", target, 80, from: .a) == "none")
            }
            #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .outside) == "none")
            #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .c) == "none")
            #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .b) == "a 192.168.0.3")
            #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .host) == "a 192.168.0.1")
            #expect(try bench.answer("tcp", "192.168.0.1", 80, from: .a) == "host 192.168.0.2")
            try bench.remove(plans)
        }
    }

    @Test("what carries a source address that is not the network's does not leave a translated network")
    func foreignSources() throws {
        let bench = try NatBench()
        try bench.shell("ip address add 172.16.0.9/32 dev lo; ip address add fd77::9/128 dev lo", in: .a)
        try bench.shell("ip route add 172.16.0.9 via 192.168.0.2; ip route add fd77::9 via fd00::2")
        let plan = try bench.plan()
        try bench.install([plan])
        try bench.shell(
            "! ping -c 1 -W 1 -I 172.16.0.9 203.0.113.1; ! ping -c 1 -W 1 -I fd77::9 2001:db8:113::1", in: .a)
        let counter = NetworkProgram.Counters(of: "br0").foreignSource
        #expect(try bench.dataplane.counters(in: BaseProgram.table)[counter]?.packets == 2)
        try bench.remove([plan])
    }

    @Test("two clients with the same address port both reach the same server")
    func overlappingPorts() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", "udp:53", in: .outside)
        let plans = [try bench.plan(), try bench.secondPlan()]
        try bench.install(plans)
        for (transport, port) in [("tcp", 80), ("udp", 53)] {
            for target in ["203.0.113.1", "2001:db8:113::1"] {
                let answers = try [NatBench.Place.a, .b, .c].map {
                    try bench.ask(transport, target, port, from: $0, source: 40000)
                }
                #expect(answers.allSatisfy { $0.hasPrefix("outside 20") }, "\(answers)")
                // One of them has kept its port, and each has another one.
                #expect(Swift.Set(answers).count == 3 && answers[0].hasSuffix(" 40000"), "\(answers)")
            }
        }
        try bench.remove(plans)
    }

    @Test("interfaces come and go")
    func links() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", in: .outside)
        var plan = try bench.plan()
        let link = try #require(plan.interfaces.first)
        plan.interfaces = []
        try bench.install([plan])
        let program = NetworkProgram.link(link, of: "br0")
        for _ in 0..<2 {
            try bench.dataplane.install(program, on: NetworkProgram.base)
            #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 203.0.113.2")
            #expect(try bench.answer("tcp", "192.168.0.2", 80, from: .outside) == "none")
            try bench.dataplane.remove(program)
        }
        try bench.remove([plan])
    }
}
