// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNftables

/// Tries what the kernel can do, in a network namespace that is thrown away.
enum FeatureTrial {
    static func run(_ makeRuleset: RulesetMaker) throws -> [HostCheck.Line] {
        try OwnThread.run {
            try Namespace.unshare(.network)
            return try trials((try? NetlinkConnection.netfilter()).map(makeRuleset))
        }
    }

    private static func trials(_ ruleset: (any Ruleset)?) throws -> [HostCheck.Line] {
        [
            line("nf_tables", isNeeded: true, "nothing can be policed or translated") {
                try install(ruleset, .inet, .filter, .forward)
            },
            line("masquerade", isNeeded: true, "private addresses cannot be translated") {
                try install(ruleset, .inet, .nat, .postrouting, [.masquerade])
            },
            line("conntrack", isNeeded: true, "answers cannot be told from new connections") {
                try install(ruleset, .inet, .filter, .forward, [.connectionState(in: .established)])
            },
            line("NFLOG", "refused packets are counted, but not listed") {
                try install(
                    ruleset, .inet, .filter, .forward, [.log(group: 1, prefix: "", snapLength: 0, queueThreshold: 0)])
            },
            line("nftables trace", "the doctor cannot see which rule drops a packet") {
                try install(ruleset, .inet, .filter, .prerouting, [.trace])
            },
            line("bridge tables", "the doctor cannot see what a bridge drops") {
                try install(ruleset, .bridge, .filter, .forward)
            },
            line("ARP tables", "the doctor cannot see which rule drops ARP") {
                try install(ruleset, .arp, .filter, .input)
            },
            line("netdev ingress", isNeeded: true, "senders with false addresses cannot be kept out") {
                try install(ruleset, .netdev, .filter, .ingress, device: "lo")
            },
            line("conntrack accounting", "reports have no bytes") {
                guard try Sysctl("net/netfilter/nf_conntrack_acct").read() != nil else { throw missing("accounting") }
            },
            line("IPv6", "endpoints have IPv4 only") {
                guard try Sysctl("net/ipv6/conf/all/disable_ipv6").read() != nil else { throw missing("IPv6") }
            },
            line("IPv6 forwarding by interface", "forwarding IPv6 must be turned on for the whole host") {
                guard try Sysctl("net/ipv6/conf/all/force_forwarding").read() != nil else { throw missing("switch") }
            },
        ]
    }

    private static func missing(_ what: String) -> LinuxError {
        LinuxError(.notSupported, operation: "find", object: what)
    }

    /// A line of what a trial says.
    private static func line(_ name: String, isNeeded: Bool = false, _ cost: String, _ trial: () throws -> Void)
        -> HostCheck.Line
    {
        do {
            try trial()
            return HostCheck.Line(name, isGood: true, "there", isNeeded: isNeeded)
        } catch {
            return HostCheck.Line(name, isGood: false, "missing: \(cost)", isNeeded: isNeeded)
        }
    }

    /// Installs one chain with one rule, and takes it away.
    private static func install(
        _ ruleset: (any Ruleset)?,
        _ family: TableFamily,
        _ kind: BaseChain.Kind,
        _ hook: Hook,
        _ statements: [Statement] = [],
        device: String? = nil
    ) throws {
        guard let ruleset else { throw missing("nfnetlink") }
        let table = Table(family: family, name: "egret-trial")
        var program = TableProgram(table: table)
        let priority: Int32 = kind == .nat ? 100 : 0
        program.chains = [Chain("trial", base: BaseChain(kind: kind, hook: hook, priority: priority, device: device))]
        program.rules = [Rule(in: "trial", statements + [.anonymousCounter])]
        if kind == .nat { program.rules = [Rule(in: "trial", statements)] }
        try ruleset.install(program)
        try ruleset.remove([table])
    }
}
