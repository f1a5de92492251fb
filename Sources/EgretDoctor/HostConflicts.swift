// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNftables

/// What others have set up on the host that keeps forwarded packets from passing, and the switches.
enum HostConflicts {
    static func find(_ ruleset: any Ruleset) throws -> [HostCheck.Line] {
        try forwardPolicies(ruleset) + legacyTables() + switches()
    }

    /// Chains of others that drop at the hook `forward` what nothing in them accepts.
    private static func forwardPolicies(_ ruleset: any Ruleset) throws -> [HostCheck.Line] {
        let dropping = try ruleset.baseChains().filter { chain in
            chain.base.hook == .forward && chain.base.policy == .drop && !chain.table.name.hasPrefix("egret")
        }
        if dropping.isEmpty {
            return [HostCheck.Line("forward chains", isGood: true, "no other table drops by policy")]
        }
        return try dropping.map { chain in
            let owner = try ruleset.words(of: nil, in: chain.name, of: chain.table, interfaceNames: [:]).owner
            return HostCheck.Line(
                "forward chains", isGood: false,
                "\(chain.table) \(chain.name), made by \(owner), drops by policy: an accept of Egret's does not let a "
                    + "packet past it")
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
