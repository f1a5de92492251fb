// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNftables

/// What others have set up on the host that keeps forwarded packets from passing or undoes what Egret has set up, and
/// the switches.
enum HostConflicts {
    static func find(_ ruleset: any Ruleset) throws -> [HostCheck.Line] {
        try forwardChains(ruleset.forwardObstacles()) + legacyTables()
            + FlushingTools.find(read: { try? File.readText($0) }, exists: File.exists)
            + policyTables(ruleset.policyTables()) + helpers(ruleset.connectionHelpers(), ruleset.assignedHelpers())
            + switches()
    }

    /// Chains of others that end what a new network sends on. An accept of Egret's ends Egret's own chain only.
    static func forwardChains(_ ends: [ChainEnd]) -> [HostCheck.Line] {
        if ends.isEmpty {
            return [HostCheck.Line("forward chains", isGood: true, "no other table drops what a network sends on")]
        }
        return ends.map { end in
            let how = end.isByPolicy ? "drops by policy" : "drops by a rule"
            let isOffered = ["docker", "firewalld", "ufw", "iptables"].contains(end.owner)
            return HostCheck.Line(
                "forward chains", isGood: false,
                "\(end.table) \(end.chain), made by \(end.owner), \(how) what a network sends on: an accept of Egret's "
                    + "does not let a packet past it"
                    + (isOffered ? "; network create --allow-through \(end.owner) adds one to its rules" : ""))
        }
    }

    /// The older iptables, which is asked beside nftables.
    private static func legacyTables() -> [HostCheck.Line] {
        let names = ["ip", "ip6"].flatMap { family in
            let text = (try? File.readText("/proc/thread-self/net/\(family)_tables_names")) ?? ""
            return text.split { $0.isWhitespace }.map { "\(family) \($0)" }
        }
        if names.isEmpty { return [HostCheck.Line("iptables-legacy", isGood: true, "not in use")] }
        return [
            HostCheck.Line(
                "iptables-legacy", isGood: false,
                "in use (\(names.joined(separator: ", "))): its rules are asked as well, and nobody can trace them")
        ]
    }

    /// Whether anybody but the agent can change what holds endpoints to policies.
    static func policyTables(_ tables: [(table: Table, isOwned: Bool)]) -> [HostCheck.Line] {
        if tables.isEmpty { return [] }
        let open = tables.filter { !$0.isOwned }.map { "\($0.table)" }
        if open.isEmpty {
            return [HostCheck.Line("policies' tables", isGood: true, "owned by the agent: nobody else can change them")]
        }
        return [
            HostCheck.Line(
                "policies' tables", isGood: false,
                "\(open.joined(separator: ", ")) have no owner now: whoever may change rules can flush them. No agent runs, or "
                    + "they were made by an older kernel's or by somebody else")
        ]
    }

    /// Helpers open ports by what they read in connections: of FTP in active mode, SIP and the like.
    private static func helpers(
        _ objects: [(table: Table, name: String)], _ assigned: [(table: Table, chain: String, helper: String)]
    ) -> [HostCheck.Line] {
        let setting = "net/netfilter/nf_conntrack_helper"
        var lines = objects.map { object in
            HostCheck.Line(
                "conntrack helpers", isGood: false,
                "\(object.table) has a ct helper, \(object.name), in use: what it reads in a connection opens further "
                    + "ones towards whoever sent it, and Egret lets them pass as related")
        }
        lines += assigned.map { rule in
            HostCheck.Line(
                "conntrack helpers", isGood: false,
                "\(rule.table) \(rule.chain) assigns the helper \(rule.helper) (-j CT --helper): what it reads in a "
                    + "connection opens further ones towards whoever sent it, and Egret lets them pass as related")
        }
        if (try? Sysctl(setting).read()) == "1" {
            lines.append(
                HostCheck.Line(
                    "conntrack helpers", isGood: false,
                    "\(setting) is on: the kernel reads FTP, SIP and the like on their usual ports, and opens what they "
                        + "announce",
                    commands: [["sysctl", "-w", "\(setting)=0"]]))
        }
        return lines.isEmpty ? [HostCheck.Line("conntrack helpers", isGood: true, "none is assigned")] : lines
    }

    /// The switches that forwarding needs. Egret sets them for its own interfaces when it needs them.
    private static func switches() -> [HostCheck.Line] {
        func read(_ path: String) -> String? { try? Sysctl(path).read() }
        var lines: [HostCheck.Line] = []
        for (family, path) in [("IPv4", "net/ipv4/conf/all/forwarding"), ("IPv6", "net/ipv6/conf/all/forwarding")] {
            let isOn = read(path) == "1"
            lines.append(
                HostCheck.Line(
                    "\(family) forwarding", isGood: true,
                    isOn ? "on for all interfaces" : "off for all; Egret turns it on for its own interfaces"))
        }
        if read("net/ipv4/conf/all/rp_filter") == "1" {
            lines.append(
                HostCheck.Line(
                    "rp_filter", isGood: true, "strict: what comes in where answers would not go out is dropped"))
        }
        for name in ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"]
        where read(name) == "1" {
            lines.append(
                HostCheck.Line(
                    "br_netfilter", isGood: true, "\(name) is on: what bridges pass on meets the rules for IP as well"))
        }
        return lines
    }
}
