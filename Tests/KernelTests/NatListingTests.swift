// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretTesting
import Testing

/// Rules of others as their own tools make them, read back.
@Suite(.serialized, .requiresRoot)
struct NatListingTests {
    private let namespace: Namespace
    private let dataplane: Dataplane

    init() throws {
        let namespace = try KernelBench.newNamespace()
        self.namespace = namespace
        dataplane = Dataplane(try namespace.onOwnThread { try NetlinkConnection.netfilter() })
    }

    private func run(_ lines: [String]) throws {
        for line in lines {
            let output = try namespace.onOwnThread { try runProgram(["/bin/sh", "-c", line]) }
            try #require(output.succeeded, "\(line): \(output.standardError)")
        }
    }

    private func texts(_ listing: NatListing) -> [String] {
        listing.rules.map { "\($0.owner) | \($0.table.family) \($0.chain) | \($0.text)" }
    }

    @Test("the rules that iptables keeps in its own form are read: Docker's and others'")
    func compatible() throws {
        try run(
            [
                "-N DOCKER", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
                "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
                "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
                "-A DOCKER -i docker0 -j RETURN",
                "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
                "-A PREROUTING -p udp --dport 53:54 -m comment --comment 'names here' -j REDIRECT --to-ports 5353",
                "-A POSTROUTING -s 10.0.0.0/8 -j SNAT --to-source 203.0.113.10-203.0.113.12 --persistent",
                "-A POSTROUTING -p tcp -m multiport --dports 80,443:445 -j ACCEPT",
                "-A POSTROUTING -p tcp -m statistic --mode random --probability 0.5 -j ACCEPT",
            ].map { "iptables-nft -t nat \($0)" }
                + [
                    "-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination [fd00::2]:80",
                    "-A POSTROUTING -s fd00::/64 -j MASQUERADE --random-fully",
                ].map { "ip6tables-nft -t nat \($0)" }
        )
        let listing = try dataplane.natListing(legacyTables: "filter\n")
        let expected = [
            "docker | ip PREROUTING | fib daddr type local jump DOCKER",
            "iptables | ip PREROUTING | udp dport 53-54 redirect to :5353",
            "docker | ip OUTPUT | ip daddr != 127.0.0.0/8 fib daddr type local jump DOCKER",
            "docker | ip POSTROUTING | oifname != docker0 ip saddr 172.17.0.0/16 masquerade",
            "iptables | ip POSTROUTING | ip saddr 172.17.0.2 ip daddr 172.17.0.2 tcp dport 80 masquerade",
            "iptables | ip POSTROUTING | ip saddr 10.0.0.0/8 snat to 203.0.113.10-203.0.113.12 persistent",
            "iptables | ip POSTROUTING | meta l4proto tcp th dport { 80, 443-445 } accept",
            "iptables | ip POSTROUTING | meta l4proto tcp [statistic] accept",
            "docker | ip DOCKER | iifname docker0 return",
            "docker | ip DOCKER | iifname != docker0 tcp dport 8080 dnat to 172.17.0.2:80",
            "iptables | ip6 PREROUTING | tcp dport 8080 dnat to [fd00::2]:80",
            "iptables | ip6 POSTROUTING | ip6 saddr fd00::/64 masquerade fully-random",
        ]
        #expect(texts(listing) == expected)
        #expect(listing.rules.allSatisfy { $0.handle > 0 && $0.counted?.packets == 0 && $0.counted?.bytes == 0 })
        #expect(listing.rules.map(\.comment).contains("names here"))
        #expect(
            listing.rules.first?.base?.hook == .prerouting && listing.rules.first { $0.chain == "DOCKER" }?.base == nil)
        #expect(!listing.hasLegacyTranslation)
        #expect(try dataplane.natListing(legacyTables: "filter\nnat\n").hasLegacyTranslation)
    }

    @Test("nft's rules are read, and what has no words stands in brackets")
    func native() throws {
        try run(
            [
                "add table ip NAME", "add counter ip NAME hits",
                "add chain ip NAME post { type nat hook postrouting priority 100; }",
                "add chain ip NAME pre { type nat hook prerouting priority -100; }",
                "add chain ip NAME filtering { type filter hook forward priority 0; }",
                "add rule ip NAME filtering ip saddr 10.0.0.1 drop", "add chain ip NAME unused",
                "add rule ip NAME unused accept", "add chain ip NAME called", "add chain ip NAME mapped",
                "add rule ip NAME called counter name hits masquerade random",
                "add rule ip NAME mapped tcp dport { 80, 443 } redirect to :8080-8090",
                "add rule ip NAME post ip saddr 192.168.0.0/20 oif lo counter jump called comment note",
                "add rule ip NAME pre ip daddr vmap { 10.0.0.1 : goto mapped, 10.0.0.2 : drop }",
                "add rule ip NAME post tcp dport 80 snat to 192.0.2.1:1024-2047",
                "add rule ip NAME post numgen inc mod 2 0 accept",
                "add rule ip NAME post numgen random mod 3 0 accept",
                "add rule ip NAME post snat to ip saddr map { 10.0.0.1 : 192.0.2.1 }",
            ].map { "nft '\($0.replacing("NAME", with: "mine"))'" }
                + ["nft add table inet netavark", "nft add table ip6 firewalld"]
                + [
                    "nft 'add chain inet netavark POST { type nat hook postrouting priority srcnat; }'",
                    "nft add rule inet netavark POST ip6 saddr fd00::/64 ip6 daddr != ff00::/8 masquerade",
                    "nft 'add chain ip6 firewalld pre { type nat hook prerouting priority dstnat; }'",
                    "nft add rule ip6 firewalld pre udp dport 53 dnat to [fd00::2]:54",
                ]
        )
        let listing = try dataplane.natListing(interfaceNames: [1: "lo"])
        let expected = [
            "podman (netavark) | inet POST | ip6 saddr fd00::/64 ip6 daddr != ff00::/8 masquerade",
            "nft table mine | ip pre | ip daddr vmap { 10.0.0.1 : goto mapped, 10.0.0.2 : drop }",
            "nft table mine | ip post | ip saddr 192.168.0.0/20 oif lo jump called",
            "nft table mine | ip post | tcp dport 80 snat to 192.0.2.1:1024-2047",
            "nft table mine | ip post | [numgen] [cmp] accept",
            "nft table mine | ip post | numgen random mod 3 0 accept",
            "nft table mine | ip post | ip saddr map @__map1 snat to [register]",
            "nft table mine | ip mapped | tcp dport { 80, 443 } redirect to :8080-8090",
            "nft table mine | ip called | masquerade random",
            "firewalld | ip6 pre | udp dport 53 dnat to [fd00::2]:54",
        ]
        #expect(texts(listing) == expected)
        #expect(listing.rules.first { $0.chain == "called" }?.counted?.packets == 0)
        #expect(listing.rules.first { $0.chain == "mapped" }?.counted == nil)
        #expect(listing.rules.first { $0.comment == "note" }?.text.contains("jump called") == true)
    }

    @Test("tools that share the tables of iptables are known by their chains, comments and bridges")
    func owners() throws {
        try run(
            [
                "-N CNI-0123",
                "-A POSTROUTING -s 10.88.0.2 -m comment --comment 'name: \"podman\" id: \"77\"' -j CNI-0123",
                "-A POSTROUTING -s 10.88.0.3 -m comment --comment 'name: \"podman\" id: \"78\"' -j ACCEPT",
                "-A CNI-0123 -d 10.88.0.0/16 -j ACCEPT", "-N LIBVIRT_PRT", "-A POSTROUTING -j LIBVIRT_PRT",
                "-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535",
                "-N NETAVARK-HOSTPORT-DNAT", "-A PREROUTING -j NETAVARK-HOSTPORT-DNAT",
                "-A POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE",
                "-A POSTROUTING -s 172.18.0.0/16 ! -o br-lan -j MASQUERADE", "-N ufw-user", "-A OUTPUT -j ufw-user",
            ].map { "iptables-nft -t nat \($0)" }
        )
        let expected = [
            "podman (netavark) | ip PREROUTING | jump NETAVARK-HOSTPORT-DNAT", "ufw | ip OUTPUT | jump ufw-user",
            "podman (cni) | ip POSTROUTING | ip saddr 10.88.0.2 jump CNI-0123",
            "podman (cni) | ip POSTROUTING | ip saddr 10.88.0.3 accept",
            "libvirt | ip POSTROUTING | jump LIBVIRT_PRT",
            "docker | ip POSTROUTING | oifname != br-0123456789ab ip saddr 172.18.0.0/16 masquerade",
            "iptables | ip POSTROUTING | oifname != br-lan ip saddr 172.18.0.0/16 masquerade",
            "podman (cni) | ip CNI-0123 | ip daddr 10.88.0.0/16 accept",
            "libvirt | ip LIBVIRT_PRT | meta l4proto tcp ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24"
                + " masquerade to :1024-65535",
        ]
        #expect(texts(try dataplane.natListing()) == expected)
    }

    @Test("Egret's own rules are listed with what they have translated, and one can be deleted by its handle")
    func own() throws {
        let bench = try NatBench()
        try bench.serve("tcp:80", in: .outside)
        try bench.serve("tcp:80", in: .a)
        let plan = try bench.plan()
        let port = try bench.port("web", .tcp, 8080...8080, to: "192.168.0.2", 80...80, sources: ["203.0.113.0/24"])
        try bench.install([plan], [port])
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 203.0.113.2")
        #expect(try bench.answer("tcp", "203.0.113.2", 8080, from: .outside) == "a 203.0.113.1")
        let listing = try bench.dataplane.natListing()
        #expect(listing.rules.allSatisfy { !$0.text.contains("[") && ["egret"].contains($0.owner) })
        let published = try #require(listing.rules.first { $0.chain == "publish-web" })
        #expect(
            published.text
                == "meta l4proto tcp ip saddr @publish-web-clients dnat ip to 192.168.0.2:80")
        #expect(published.counted?.packets == 1)
        let out = try #require(
            listing.rules.first { $0.chain == "br0-out" && $0.text == "meta nfproto ipv4 masquerade" })
        #expect(out.counted.map { $0.packets >= 1 && $0.bytes >= 40 } == true)
        let lookUp = "ip daddr . meta l4proto . th dport vmap @published-at4"
        #expect(listing.rules.contains { $0.text == lookUp })
        var transaction = Transaction()
        transaction.append(.deleteRule(chain: out.chain, handle: out.handle), in: out.table)
        try bench.dataplane.commit(transaction)
        #expect(try bench.dataplane.natListing().rules.count == listing.rules.count - 1)
        #expect(try bench.answer("tcp", "203.0.113.1", 80, from: .a) == "outside 192.168.0.2")
    }
}
