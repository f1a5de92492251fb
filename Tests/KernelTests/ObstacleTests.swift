// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretTesting
import Testing

/// Which chains of others end a packet that Egret lets pass.
@Suite(.serialized, .requiresRoot)
struct ObstacleTests {
    /// The rules of others, as `nft -f` reads them, and the chains that a packet from 10.9.0.2 at br0 ends in.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var rules: String
        var ends: [String] = []
    }

    static let cases: [Case] = [
        Case(testDescription: "nothing", rules: ""),
        Case(testDescription: "a chain that accepts", rules: chain("x", "accept", "")),
        Case(testDescription: "a policy", rules: chain("x", "drop", ""), ends: ["nft table x policy"]),
        Case(testDescription: "another hook", rules: chain("x", "drop", "", hook: "input")),
        Case(testDescription: "Egret's own", rules: chain("egret", "drop", "") + chain("egret-nat", "drop", "")),
        Case(testDescription: "an accept by interface", rules: chain("x", "drop", "iifname \"br0\" accept")),
        Case(
            testDescription: "an accept by another interface", rules: chain("x", "drop", "iifname \"br1\" accept"),
            ends: ["nft table x policy"]),
        Case(testDescription: "an accept by the way out", rules: chain("x", "drop", "oifname \"eth0\" accept")),
        Case(
            testDescription: "an accept by another way out", rules: chain("x", "drop", "oifname \"br0\" accept"),
            ends: ["nft table x policy"]),
        Case(testDescription: "the beginning of a name", rules: chain("x", "drop", "iifname \"br*\" accept")),
        Case(testDescription: "an accept by source", rules: chain("x", "drop", "ip saddr 10.9.0.0/16 accept")),
        Case(
            testDescription: "an accept by another source", rules: chain("x", "drop", "ip saddr 10.8.0.0/20 accept"),
            ends: ["nft table x policy"]),
        Case(
            testDescription: "an accept of answers", rules: chain("x", "drop", "ct state established,related accept"),
            ends: ["nft table x policy"]),
        Case(testDescription: "an accept of what is new", rules: chain("x", "drop", "ct state new accept")),
        Case(
            testDescription: "an accept of what was translated", rules: chain("x", "drop", "ct status dnat accept"),
            ends: ["nft table x policy"]),
        Case(
            testDescription: "an accept of some ports", rules: chain("x", "drop", "tcp dport 80 accept"),
            ends: ["nft table x policy"]),
        Case(
            testDescription: "a last word", rules: chain("firewalld", "accept", "iifname \"lo\" accept; reject"),
            ends: ["firewalld rule"]),
        Case(
            testDescription: "Docker's own tables of nftables",
            rules: chain("docker-bridges", "drop", "ct state established,related accept", family: "ip"),
            ends: ["docker (nftables) policy"]),
        Case(
            testDescription: "a chain that others lead to",
            rules: "add table ip filter; add chain ip filter DOCKER-USER; "
                + "add rule ip filter DOCKER-USER iifname \"br0\" counter drop\n"
                + chain("filter", "accept", "jump DOCKER-USER", family: "ip"),
            ends: ["docker rule"]),
        Case(
            testDescription: "a chain that comes back",
            rules: "add table ip filter; add chain ip filter ufw-user-forward; "
                + "add rule ip filter ufw-user-forward return; add rule ip filter ufw-user-forward accept\n"
                + chain("filter", "drop", "jump ufw-user-forward", family: "ip"),
            ends: ["ufw policy"]),
        Case(
            testDescription: "an accept of one of several interfaces",
            rules: chain("x", "drop", "iifname { \"br1\", \"br0\" } accept")),
        Case(
            testDescription: "a drop of one of several interfaces, which it is not",
            rules: chain("x", "accept", "oifname { \"br1\", \"br0\" } drop; iifname != { \"br1\", \"br0\" } drop")),
        Case(
            testDescription: "an accept of states, one of which is its own",
            rules: chain("x", "drop", "ct state vmap { established : accept, related : accept, invalid : drop }")
                + chain("y", "drop", "ct state vmap { established : accept, new : accept, invalid : drop }"),
            ends: ["nft table x policy"]),
        Case(
            testDescription: "an accept of blocks, one of which its own address is in",
            rules: chain("x", "drop", "ip saddr { 10.8.0.0/16, 10.9.0.0-10.9.0.9 } accept")
                + chain("y", "drop", "ip saddr { 10.8.0.0/16, 10.9.0.3-10.9.0.9 } accept"),
            ends: ["nft table y policy"]),
        Case(
            testDescription: "an accept of blocks of the other family",
            rules: chain("x", "drop", "ip6 saddr { a09:2::/32, fd00::/8 } accept"), ends: ["nft table x policy"]),
        Case(
            testDescription: "Docker's maps of its bridges, none of which it comes from",
            rules: docker("docker0", "docker0")),
        Case(
            testDescription: "Docker's maps of its bridges, to one of which it goes",
            rules: docker("eth0", "docker0"), ends: ["docker (nftables) rule"]),
        Case(
            testDescription: "a map that has a word for all others",
            rules: chain("x", "accept", "iifname vmap { \"br1\" : accept, * : drop }"), ends: ["nft table x rule"]),
        Case(
            testDescription: "a map of the way in and the way out",
            rules: chain("x", "drop", "iifname . oifname vmap { \"br0\" . \"eth0\" : accept }")
                + chain("y", "drop", "iifname . oifname vmap { \"br0\" . \"eth1\" : accept }"),
            ends: ["nft table y policy"]),
        Case(
            testDescription: "a set of addresses and ways out",
            rules: chain("x", "drop", "ip saddr . oifname { 10.9.0.1 . \"eth0\", 10.9.0.2 . \"eth0\" } accept")
                + chain("y", "accept", "meta nfproto . oifname { ipv4 . \"eth0\" } drop"), ends: ["nft table y rule"]),
        Case(
            testDescription: "a set of blocks and ways out",
            rules: chain("x", "drop", "ip saddr . oifname { 10.8.0.0/16 . \"eth0\", 10.9.0.0/24 . \"eth0\" } accept")
                + chain("y", "drop", "ip saddr . oifname { 10.8.0.0/16 . \"eth0\", 10.9.1.0/24 . \"eth0\" } accept"),
            ends: ["nft table y policy"]),
        Case(
            testDescription: "a set of ports and ways out, which is not known",
            rules: chain("x", "drop", "tcp dport . oifname { 80 . \"eth0\" } accept"), ends: ["nft table x policy"]),
        Case(testDescription: "the other family", rules: chain("filter", "drop", "", family: "ip6")),
        Case(
            testDescription: "the other family in a table of both",
            rules: chain("x", "drop", "meta nfproto ipv6 accept"), ends: ["nft table x policy"]),
    ]

    private static func chain(
        _ table: String,
        _ policy: String,
        _ rules: String,
        hook: String = "forward",
        family: String = "inet"
    ) -> String {
        "table \(family) \(table) {\nchain c {\ntype filter hook \(hook) priority 0; policy \(policy);\n\(rules)\n}\n}\n"
    }

    /// The form of what Docker 28 and later write with `--firewall-backend=nftables`: maps from bridges to chains.
    private static func docker(_ inward: String, _ outward: String) -> String {
        """
        table ip docker-bridges {
            map filter-forward-in-jumps { type ifname : verdict; elements = { "\(inward)" : jump in } }
            map filter-forward-out-jumps { type ifname : verdict; elements = { "\(outward)" : jump out } }
            chain in { ct state established,related counter accept; counter drop; }
            chain out { ct state established,related counter accept; counter accept; }
            chain c {
                type filter hook forward priority 0; policy accept;
                oifname vmap @filter-forward-in-jumps
                iifname vmap @filter-forward-out-jumps
            }
        }
        """
    }

    @Test("a packet is followed through the chains of others", arguments: cases)
    func obstacles(_ example: Case) throws {
        let namespace = try KernelBench.newNamespace()
        let dataplane = Dataplane(try namespace.onOwnThread { try NetlinkConnection.netfilter() })
        let loaded = try namespace.onOwnThread {
            try runProgram(["nft", "-f", "-"], standardInput: example.rules)
        }
        try #require(loaded.succeeded, "\(loaded.standardError)")
        let source = try #require(IPAddress("10.9.0.2"))
        let packet = PassingPacket(from: source, input: "br0", inputIndex: 7, outputs: ["eth0"])
        let found = try dataplane.obstacles(to: packet, at: .forward)
        #expect(found.map { "\($0.owner) \($0.end)" } == example.ends)
        if example.rules.contains("dnat") {
            var translated = packet
            translated.isTranslated = true
            #expect(try dataplane.obstacles(to: translated, at: .forward).isEmpty)
        }
        let isFiltered = example.rules.contains("hook forward") && !example.rules.contains("egret")
        #expect(try dataplane.hasForeignFilter(at: .forward) == isFiltered)
    }
}
