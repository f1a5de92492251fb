// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables

/// Whose rules a table's are, guessed from the names that tools give.
struct NatOwner {
    let table: Table

    /// Tools that have tables of their own.
    private static let tables: [(prefix: String, owner: String)] = [
        ("egret", "egret"), ("docker", "docker"), ("netavark", "podman (netavark)"), ("cni", "podman (cni)"),
        ("libvirt", "libvirt"), ("firewalld", "firewalld"), ("kube-proxy", "kubernetes"),
    ]

    /// The tables of iptables.
    private static let sharedTables: Swift.Set<String> = ["nat", "filter", "mangle", "raw", "security"]

    /// Tools that share the tables of iptables, by the chains that they make or lead to.
    private static let chains: [(prefix: String, owner: String)] = [
        ("DOCKER", "docker"), ("NETAVARK", "podman (netavark)"), ("CNI-", "podman (cni)"), ("LIBVIRT", "libvirt"),
        ("ufw", "ufw"), ("KUBE-", "kubernetes"), ("POST_", "firewalld"), ("PRE_", "firewalld"),
        ("POSTROUTING_", "firewalld"), ("PREROUTING_", "firewalld"), ("OUTPUT_direct", "firewalld"),
    ]

    func owner(of rule: RuleRecord, _ words: NatRuleText) -> String {
        if let known = NatOwner.owner(of: table) { return known }
        if let known = NatOwner.owner(ofChain: rule.chain) { return known }
        for case .verdict(let verdict) in rule.expressions {
            switch verdict {
            case .jump(let chain), .goto(let chain):
                if let known = NatOwner.owner(ofChain: chain) { return known }
            case .accept, .drop, .return: continue
            }
        }
        // Docker masquerades what leaves its bridges in POSTROUTING itself; so did libvirt before it had chains.
        if words.interfaces.contains(where: { $0 == "docker0" || NatOwner.isDockerBridge($0) }) { return "docker" }
        if words.interfaces.contains(where: { $0.hasPrefix("virbr") }) { return "libvirt" }
        if let comment = words.comment, comment.contains("name: \""), comment.contains("id: \"") {
            return "podman (cni)"
        }
        return "iptables"
    }

    /// Whose a table is; `nil` if it is one of those of iptables, which tools share.
    static func owner(of table: Table) -> String? {
        if let known = tables.first(where: { table.name.hasPrefix($0.prefix) }) { return known.owner }
        return table.family != .inet && sharedTables.contains(table.name) ? nil : "nft table \(table.name)"
    }

    static func owner(ofChain name: String) -> String? {
        chains.first { name.hasPrefix($0.prefix) }?.owner
    }

    /// `br-` and the first twelve digits of the network's number.
    private static func isDockerBridge(_ name: String) -> Bool {
        name.hasPrefix("br-") && name.count == 15 && name.dropFirst(3).allSatisfy { $0.isHexDigit }
    }
}
