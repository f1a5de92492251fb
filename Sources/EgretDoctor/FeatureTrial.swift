// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
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
            line("NFLOG", "refused packets are counted, but not listed; the agent cannot read names in QUIC") {
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
            line("table owners", "whoever may change rules can flush the policies', until the agent has mended them") {
                guard try ruleset?.canOwnTables() ?? false else { throw missing("NFT_TABLE_F_PERSIST") }
            },
        ] + (try expressions()) + (try links()) + [
            line("conntrack accounting", "reports have no bytes") {
                guard try Sysctl("net/netfilter/nf_conntrack_acct").read() != nil else { throw missing("accounting") }
            },
            line("SCTP", "ports of SCTP cannot be published") {
                let path = "net/netfilter/nf_conntrack_sctp_timeout_established"
                guard try Sysctl(path).read() != nil else { throw missing("tracking") }
            },
            line("IPv6", "endpoints have IPv4 only") {
                guard try Sysctl("net/ipv6/conf/all/disable_ipv6").read() != nil else { throw missing("IPv6") }
            },
            line("IPv6 forwarding by interface", "forwarding IPv6 must be turned on for the whole host") {
                guard try Sysctl("net/ipv6/conf/all/force_forwarding").read() != nil else { throw missing("switch") }
            },
        ]
    }

    /// Expressions of nf_tables that some of Egret's, or of others', rules need.
    private static func expressions() throws -> [HostCheck.Line] {
        let connection = try NetlinkConnection.netfilter()
        let wanted: [(feature: String, expression: String, cost: String)] = [
            ("flowtable", "flow_offload", "long transfers are not taken past the rules, and cost more"),
            ("nft queue", "queue", "no program can be asked about a packet"),
            ("socket cgroupv2", "socket", "packets of the host's own cannot be told apart by control group"),
            ("TPROXY", "tproxy", "connections cannot be led to a proxy without changing their addresses"),
            ("nft ct count", "connlimit", "connections cannot be limited"),
            ("nft limit", "limit", "new connections and packets cannot be limited"),
            ("nft quota", "quota", "policies with budgets of bytes are refused"),
            (
                "nft numgen", "numgen",
                "budgets of packets and of connections cannot be held, nor connections have source addresses by chance"
            ),
            ("nft reject", "reject", "refused packets are dropped without an answer"),
        ]
        return wanted.map { wanted in
            line(wanted.feature, wanted.cost) {
                guard try connection.knowsExpression(wanted.expression) else { throw missing(wanted.expression) }
            }
        }
    }

    /// What shaping needs of the kernel.
    private static func links() throws -> [HostCheck.Line] {
        let connection = try NetlinkConnection.route()
        func knows(_ kind: String, _ cost: String) -> HostCheck.Line {
            line("tc \(kind)", cost) {
                do throws(NetlinkError) {
                    try connection.request("try \(kind)") { sequence throws(WireError) in
                        try RouteWire.addQueueingDiscipline(kind, link: 1, sequence: sequence)
                    }
                } catch {
                    // One that has no place at the root is known all the same.
                    if ![.invalid, .exists, .notSupported].contains(error.errno) { throw error }
                }
            }
        }
        return [
            knows("htb", "no part of an endpoint's traffic can be given a rate, and no rate be shared"),
            knows("clsact", "no rate of what endpoints are sent can be shared"),
            knows("tbf", "an endpoint's rate cannot be bounded"),
            // The last of them: it is made without options, and takes the place.
            knows("fq_codel", "what waits for a rate does so in one queue, a ping behind transfers"),
            line("ifb", "what comes in cannot be shaped") {
                try connection.request("make an ifb") { sequence throws(WireError) in
                    try RouteWire.createLink("egret-trial", kind: "ifb", sequence: sequence)
                }
            },
            line("macvlan", "no rate of what endpoints send can be shared beside their own") {
                do throws(NetlinkError) {
                    try connection.request("make a macvlan") { sequence throws(WireError) in
                        try RouteWire.createLinkAbove(
                            1, name: "egret-above", address: MACAddress(locallyAdministered: 1), sequence: sequence)
                    }
                } catch {
                    // Above the loopback there can be none.
                    if error.errno != .invalid { throw error }
                }
            },
            line("veth", isNeeded: true, "nothing can be connected") {
                try connection.request("make a veth") { sequence throws(WireError) in
                    try RouteWire.createLink("egret-veth", kind: "veth", sequence: sequence)
                }
            },
            line("bridge", "networks must be routed") {
                try connection.request("make a bridge") { sequence throws(WireError) in
                    try RouteWire.createLink("egret-bridge", kind: "bridge", sequence: sequence)
                }
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
