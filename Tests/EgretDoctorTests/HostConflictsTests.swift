// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables
import Testing

@testable import EgretDoctor

@Suite("what stands in the way on a host")
struct HostConflictsTests {
    private let wants = "/etc/systemd/system/sysinit.target.wants/nftables.service"
    private let wants2 = "/etc/systemd/system/multi-user.target.wants/"

    private func words(_ files: [String: String]) -> [String] {
        FlushingTools.find(read: { files[$0] }, exists: { files[$0] != nil })
            .map { ($0.isGood ? "good: " : "bad: ") + $0.words }
    }

    @Test("a service that flushes everybody's rules is named; one that is not started with the machine is not")
    func ruleset() {
        let script = "#!/usr/sbin/nft -f\n\nflush ruleset\ntable inet filter { }\n"
        #expect(words(["/etc/nftables.conf": script]) == ["good: no service flushes others' rules"])
        let found = words(["/etc/nftables.conf": script, wants: ""])
        #expect(found.count == 1 && found[0].hasPrefix("bad: nftables.service flushes everybody's rules"))
    }

    @Test(
        "flush ruleset is found wherever nft reads it, and nowhere else",
        arguments: [
            ("flush ruleset", true), ("  flush\truleset # all", true), ("delete table ip x; flush ruleset", true),
            ("flush ruleset inet", true), ("flush ruleset ip6", false), ("# flush ruleset", false),
            ("flush table inet filter", false), ("", false),
        ])
    func scripts(_ script: String, _ isFlush: Bool) {
        let found = words(["/etc/sysconfig/nftables.conf": script, wants: ""])
        #expect(found[0].hasPrefix("bad") == isFlush)
    }

    @Test("what flushes iptables costs the rules that --allow-through has added")
    func iptables() {
        let ufw = ["/etc/ufw/ufw.conf": "ENABLED=yes\n"]
        #expect(words(ufw.merging(["/etc/default/ufw": "MANAGE_BUILTINS=no\n"]) { $1 })[0].hasPrefix("good"))
        #expect(words(ufw.merging(["/etc/default/ufw": "MANAGE_BUILTINS=\"yes\"\n"]) { $1 })[0].hasPrefix("bad: ufw"))
        let firewalld = [wants2 + "firewalld.service": ""]
        let conf = "/etc/firewalld/firewalld.conf"
        #expect(words(firewalld.merging([conf: "FirewallBackend=nftables\n"]) { $1 })[0].hasPrefix("good"))
        #expect(words(firewalld.merging([conf: "# x\nFirewallBackend = iptables\n"]) { $1 })[0].hasPrefix("bad: fire"))
        let persistent = [wants2 + "netfilter-persistent.service": "", "/etc/iptables/rules.v6": ""]
        #expect(words(persistent)[0].hasPrefix("bad: netfilter-persistent.service replaces"))
    }

    @Test("a chain of others that ends packets is named with its owner and how it ends them")
    func chains() {
        #expect(HostConflicts.forwardChains([]).map(\.isGood) == [true])
        let end = ChainEnd(
            table: Table(family: .inet, name: "firewalld"), chain: "filter_FORWARD", owner: "firewalld",
            isByPolicy: false)
        let line = HostConflicts.forwardChains([end])[0]
        #expect(
            !line.isGood && line.words.hasPrefix("inet firewalld filter_FORWARD, made by firewalld, drops by a rule"))
        #expect(line.words.hasSuffix("network create --allow-through firewalld adds one to its rules"))
    }
}
