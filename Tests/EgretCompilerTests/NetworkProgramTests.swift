// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import Testing

@Suite("network programs, as nft text")
struct NetworkProgramTests {
    private func rules(_ program: TableProgram) -> [String] {
        program.rules.map { "\($0.chain): \(NftText.render($0))" }
    }

    private func elements(_ program: TableProgram) -> [String] {
        let steps = program.memberships.map { Transaction.Step(.addElements($0), in: program.table) }
        return NftText.script(Transaction(steps)).split(separator: "\n").map(String.init)
    }

    private func plan(_ translation: NetworkPlan.Translation, isIsolated: Bool = false) throws -> NetworkPlan {
        NetworkPlan(
            name: "br0",
            interfaces: [9, 7],
            subnets: try ["fd00::/64", "192.168.0.0/16"].map { try #require(IPPrefix($0)) },
            isIsolated: isIsolated,
            translation: translation
        )
    }

    private func port(_ host: ClosedRange<UInt16>, _ target: ClosedRange<UInt16>, at address: String? = nil) throws
        -> PublishedPort
    {
        let own = try #require(IPAddress("fd00::2"))
        let ports = try [host, target].map { try #require(PortRange($0.lowerBound, $0.upperBound)) }
        let sources = try ["2001:db8::/33", "2001:db8:8000::/33", "2001:db8::7/128"].map { try #require(IPPrefix($0)) }
        let port = PublishedPort(
            name: "web", transport: .tcp, hostAddress: address.flatMap { IPAddress($0) }, hostPorts: ports[0],
            target: own, targetPorts: ports[1], sources: address == nil ? [] : sources
        )
        return try #require(port)
    }

    @Test("a masqueraded network: what it may send, what reaches it, and what translates it")
    func masqueraded() throws {
        let program = NetworkProgram(try plan(.masquerade))
        #expect(
            rules(program.filter) == [
                "from-br0: meta oif @br0-links accept",
                "from-br0: meta oif != 0 meta nfproto == ipv4 ip saddr != 192.168.0.0/16 counter name \"br0-foreign-source\" drop",
                "from-br0: meta oif != 0 meta nfproto == ipv6 ip6 saddr != fd00::/64 counter name \"br0-foreign-source\" drop",
                "from-br0: meta oif vmap @to",
                "from-br0: accept",
                "to-br0: meta iif @br0-links accept",
                "to-br0: ct state established,related accept",
                "to-br0: ct status dnat accept",
                "to-br0: counter name \"br0-unreachable\" drop",
            ])
        #expect(
            elements(program.filter) == [
                "add element inet egret from { 7 : goto from-br0, 9 : goto from-br0 }",
                "add element inet egret to { 7 : goto to-br0, 9 : goto to-br0 }",
            ])
        #expect(
            rules(program.translation) == [
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 return",
                "br0-out: meta nfproto == ipv4 ip saddr vmap @endpoint4",
                "br0-out: meta nfproto == ipv4 counter masquerade",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 return",
                "br0-out: meta nfproto == ipv6 ip6 saddr vmap @endpoint6",
                "br0-out: meta nfproto == ipv6 counter masquerade",
            ])
        #expect(
            elements(program.translation) == [
                "add element inet egret-nat source4 { 192.168.0.0-192.168.255.255 : goto br0-out }",
                "add element inet egret-nat source6 { fd00::-fd00::ffff:ffff:ffff:ffff : goto br0-out }",
                "add element inet egret-nat links { 7, 9 }",
            ])
    }

    @Test("an isolated network sends nothing out, and nothing comes in")
    func isolated() throws {
        let program = NetworkProgram(try plan(.none, isIsolated: true))
        #expect(
            rules(program.filter) == [
                "from-br0: meta oif @br0-links accept",
                "from-br0: meta oif != 0 counter name \"br0-isolated\" drop",
                "from-br0: accept",
                "to-br0: meta iif @br0-links accept",
                "to-br0: counter name \"br0-isolated\" drop",
            ])
        #expect(program.filter.counters.map(\.name) == ["br0-isolated"])
    }

    @Test("a network without translation has no guard, and its chain keeps all addresses but those of published ports")
    func untranslated() throws {
        let program = NetworkProgram(try plan(.none))
        #expect(program.filter.counters == [])
        #expect(
            rules(program.filter) == [
                "from-br0: meta oif @br0-links accept",
                "from-br0: meta oif vmap @to",
                "from-br0: accept",
                "to-br0: meta iif @br0-links accept",
                "to-br0: accept",
            ])
        #expect(
            rules(program.translation) == [
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 return",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 return",
            ])
    }

    @Test("who speaks by an endpoint's own link must be one that is answered there; bridges see others' frames as well")
    func speakers() throws {
        #expect(
            NetworkProgram.base.rules.filter { ["guard", "sources"].contains($0.chain) }.map { NftText.render($0) }
                .suffix(6) == [
                    "meta iif @endpoint-links meta nfproto == ipv6 jump sources",
                    "ip6 saddr fe80::/10 return", "ip6 saddr == :: return",
                    "meta l4proto == 58 icmpv6 type == 135 return",
                    "meta l4proto == 58 icmpv6 type == 136 return",
                    "fib saddr . iif oif == 0 counter drop",
                ])
        var routed = try plan(.none)
        #expect(!elements(NetworkProgram(routed).translation).contains { $0.contains("endpoint-links") })
        routed.isRouted = true
        let found = elements(NetworkProgram(routed).translation)
        #expect(found.contains("add element inet egret-nat endpoint-links { 7, 9 }"))
        #expect(found.contains("add element inet egret-nat links { 7, 9 }"))
    }

    @Test("a pool for one family leaves the other masqueraded; endpoints' own addresses come before")
    func pools() throws {
        let ends = try ["192.0.2.1", "192.0.2.4", "fd00::2", "2001:db8::1"].map { try #require(IPAddress($0)) }
        var wanted = try plan(.sourceAddresses([try #require(SourcePool(ends[0], ends[1]))]))
        wanted.endpointSources = [try #require(EndpointSource(ends[2], SourcePool(ends[3])))]
        let program = NetworkProgram(wanted)
        #expect(
            rules(program.translation) == [
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv4 ip daddr 192.168.0.0/16 return",
                "br0-out: meta nfproto == ipv4 ip saddr vmap @endpoint4",
                "br0-out: meta nfproto == ipv4 counter snat ip to 192.0.2.1-192.0.2.4 persistent",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 ct status dnat counter masquerade",
                "br0-out: meta nfproto == ipv6 ip6 daddr fd00::/64 return",
                "br0-out: meta nfproto == ipv6 ip6 saddr vmap @endpoint6",
                "br0-out: meta nfproto == ipv6 counter masquerade",
                "br0-out-fd00__2: meta nfproto == ipv6 counter snat ip6 to 2001:db8::1",
            ])
        #expect(
            elements(program.translation) == [
                "add element inet egret-nat source4 { 192.168.0.0-192.168.255.255 : goto br0-out }",
                "add element inet egret-nat source6 { fd00::-fd00::ffff:ffff:ffff:ffff : goto br0-out }",
                "add element inet egret-nat links { 7, 9 }",
                "add element inet egret-nat endpoint6 { fd00::2 : goto br0-out-fd00__2 }",
            ])
        #expect(EndpointSource(ends[0], SourcePool(ends[3])) == nil && SourcePool(ends[1], ends[0]) == nil)
    }

    @Test("of a pool for connections each address has the same chance, for networks and for endpoints of their own")
    func connectionPools() throws {
        let ends = try ["192.0.2.1", "192.0.2.3", "fd00::2", "2001:db8::1", "2001:db8::2"]
            .map { try #require(IPAddress($0)) }
        let pool = try #require(SourcePool(ends[0], ends[1], isPerConnection: true))
        let own = try #require(SourcePool(ends[3], ends[4], isPerConnection: true))
        var wanted = try plan(.sourceAddresses([pool]))
        wanted.endpointSources = [try #require(EndpointSource(ends[2], own))]
        let found = rules(NetworkProgram(wanted).translation)
        #expect(
            found.filter { $0.contains("snat") } == [
                "br0-out: meta nfproto == ipv4 numgen random mod 3 == 0 counter snat ip to 192.0.2.1",
                "br0-out: meta nfproto == ipv4 numgen random mod 2 == 0 counter snat ip to 192.0.2.2",
                "br0-out: meta nfproto == ipv4 counter snat ip to 192.0.2.3",
                "br0-out-fd00__2: meta nfproto == ipv6 numgen random mod 2 == 0 counter snat ip6 to 2001:db8::1",
                "br0-out-fd00__2: meta nfproto == ipv6 counter snat ip6 to 2001:db8::2",
            ])
    }

    @Test(
        "a large pool for connections is runs of about the same size, without a gap",
        arguments: [
            ("10.0.0.0", "10.0.0.63", 64), ("10.0.0.0", "10.0.0.64", 64), ("10.0.0.1", "10.0.0.200", 64),
            ("10.0.0.0", "10.0.255.255", 64), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 64),
            ("10.0.0.0", "10.0.0.1", 2),
        ])
    func largePools(first: String, last: String, count: Int) throws {
        let ends = try [first, last].map { try #require(IPAddress($0)) }
        let pool = try #require(SourcePool(ends[0], ends[1], isPerConnection: true))
        let client = try #require(IPAddress(ends[0].family == .ipv4 ? "192.168.0.2" : "fd00::2"))
        let source = try #require(EndpointSource(client, pool))
        let statements = NetworkProgram.endpointSource(source, of: "br0").rules.flatMap(\.statements)
        let targets = statements.compactMap { statement -> TranslationTarget? in
            if case .sourceTranslation(let target) = statement { return target }
            return nil
        }
        #expect(targets.count == count && targets.first?.first == ends[0] && targets.last?.last == ends[1])
        for (left, right) in zip(targets, targets.dropFirst()) {
            #expect(right.first.rawValue == left.last.rawValue + 1)
        }
        let sizes = targets.map { $0.last.rawValue - $0.first.rawValue }
        let largest = try #require(sizes.max())
        let smallest = try #require(sizes.min())
        #expect(largest - smallest <= 1)
        #expect(targets.allSatisfy { !$0.isPersistent })
    }

    @Test("one interface is one element of each map and set")
    func link() {
        #expect(
            NetworkProgram.link(12, of: "br0").flatMap(elements) == [
                "add element inet egret br0-links { 12 }",
                "add element inet egret from { 12 : goto from-br0 }",
                "add element inet egret to { 12 : goto to-br0 }",
                "add element inet egret-nat links { 12 }", "add element inet egret-nat endpoint-links { 12 }",
            ])
    }

    @Test("a published port is a chain, and an element for each port")
    func published() throws {
        let one = PublishedPortProgram(try port(8080...8080, 80...80)).program
        #expect(
            rules(one) + elements(one) == [
                "publish-web: meta nfproto == ipv6 meta l4proto == tcp counter dnat ip6 to [fd00::2]:80",
                "add element inet egret-nat published6 { 6 . 8080 : goto publish-web }",
            ])
        let same = PublishedPortProgram(try port(80...82, 80...82)).program
        #expect(
            rules(same) + elements(same) == [
                "publish-web: meta nfproto == ipv6 meta l4proto == tcp counter dnat ip6 to fd00::2",
                "add element inet egret-nat published6 { 6 . 80 : goto publish-web, 6 . 81 : goto publish-web, 6 . 82 : goto publish-web }",
            ])
        let moved = PublishedPortProgram(try port(8080...8081, 80...81, at: "2001:db8:1::1")).program
        #expect(
            rules(moved) + elements(moved) == [
                "publish-web-8080: meta nfproto == ipv6 meta l4proto == tcp ip6 saddr @publish-web-clients counter dnat ip6 to [fd00::2]:80",
                "publish-web-8081: meta nfproto == ipv6 meta l4proto == tcp ip6 saddr @publish-web-clients counter dnat ip6 to [fd00::2]:81",
                "add element inet egret-nat published-at6 { 2001:db8:1::1 . 6 . 8080 : goto publish-web-8080, 2001:db8:1::1 . 6 . 8081 : goto publish-web-8081 }",
            ])
        let clients = moved.sets.map { Transaction.Step(.addSet($0), in: moved.table) }
        #expect(
            NftText.script(Transaction(clients)) == """
                add set inet egret-nat publish-web-clients { type ipv6_addr; flags interval; }
                add element inet egret-nat publish-web-clients { 2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff, 2001:db8:8000::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff }

                """)
    }

    @Test("ranges of different sizes, port 0 and mixed families are not published")
    func refused() throws {
        let addresses = try ["192.168.0.2", "fd00::2"].map { try #require(IPAddress($0)) }
        let two = try #require(PortRange(80, 81))
        func publish(_ host: PortRange, _ target: PortRange, at address: IPAddress?, sources: [IPPrefix] = []) -> Bool {
            PublishedPort(
                name: "x", transport: .udp, hostAddress: address, hostPorts: host, target: addresses[0],
                targetPorts: target, sources: sources
            ) != nil
        }
        #expect(publish(two, two, at: addresses[0]))
        #expect(!publish(two, PortRange(80), at: nil))
        #expect(!publish(PortRange(0), PortRange(80), at: nil))
        #expect(!publish(two, two, at: addresses[1]))
        let home = PublishedPort(
            name: "x", transport: .tcp, hostAddress: IPAddress("::1"), hostPorts: two, target: addresses[1],
            targetPorts: two)
        #expect(home == nil)
        #expect(!publish(two, two, at: nil, sources: [IPPrefix(addresses[1])]))
    }

    @Test("a port that is not to be at 127.0.0.1 leaves that to the host's programs")
    func loopback() throws {
        let (own, ports) = (try #require(IPAddress("10.9.0.2")), try #require(PortRange(80, 80)))
        func rules(at address: String?, isAtLoopback: Bool) throws -> [String] {
            let port = try #require(
                PublishedPort(
                    name: "web", transport: .tcp, hostAddress: address.flatMap { IPAddress($0) }, hostPorts: ports,
                    target: own, targetPorts: ports, isAtLoopback: isAtLoopback))
            return self.rules(PublishedPortProgram(port).program)
        }
        let plain = "publish-web: meta nfproto == ipv4 meta l4proto == tcp counter dnat ip to 10.9.0.2"
        let (always, elsewhere) = (
            try rules(at: nil, isAtLoopback: true), try rules(at: nil, isAtLoopback: false)
        )
        #expect(always == [plain])
        #expect(elsewhere == [plain.replacingCounter(by: "ip daddr != 127.0.0.0/8 counter")])
        let named = try rules(at: "192.0.2.2", isAtLoopback: false)
        #expect(named == [plain])
    }

    @Test("what is installed is all taken out again, chains last and in reverse")
    func removal() throws {
        let program = NetworkProgram(try plan(.masquerade)).filter
        #expect(
            program.installation.count == program.chains.count + program.rules.count + program.counters.count + 4 - 1)
        #expect(program.removal.first.map { if case .deleteElements = $0 { true } else { false } } == true)
    }
}

extension String {
    /// The words of a rule with others in the place of its counter.
    fileprivate func replacingCounter(by words: String) -> String {
        split(separator: " ").map { $0 == "counter" ? words : String($0) }.joined(separator: " ")
    }
}
