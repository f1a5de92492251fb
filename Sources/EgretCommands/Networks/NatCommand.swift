// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetworks
import EgretNftables
import EgretRun

/// `egret nat`.
struct NatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nat",
        abstract: "Show how addresses and ports are translated.",
        subcommands: [NatListCommand.self],
        defaultSubcommand: NatListCommand.self
    )
}

struct NatListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List every rule that translates addresses, whoever made it, with what it has counted.",
        discussion: """
            A rule counts connections, by their first packets: the rest of a connection is translated alike. Rules of
            Docker, Podman, libvirt, firewalld and others are shown as they are and never changed.
            """
    )

    @Option(help: ArgumentHelp("Only rules of this owner, such as egret or docker.", valueName: "name"))
    var owner: String?

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asRoot(for: "reading the rules") {
            let route = try NetlinkConnection.route()
            let legacy = ["ip_tables_names", "ip6_tables_names"].compactMap { try? File.readText("/proc/net/\($0)") }
            let listing = try Dataplane(NetlinkConnection.netfilter()).natListing(
                interfaceNames: HostNetwork.links(route), legacyTables: legacy.joined(separator: "\n"))
            let rules = listing.rules.filter { owner == nil || "\($0.owner)" == owner }
            if listing.hasLegacyTranslation {
                Console.error([
                    "egret: the legacy iptables has a nat table, which nf_tables does not see: "
                        + "iptables-legacy -t nat -L -n -v lists it"
                ])
            }
            let refused = try NetworkConnections(NetlinkConnection.netfilter()).refusedInsertions()
            if refused > 0 {
                Console.error([
                    "egret: connection tracking has refused \(refused) connections since this network namespace is there "
                        + "(insert_failed): where a source address has no port left for a destination, a pool "
                        + "(--source-address FIRST-LAST) spreads endpoints over its addresses; each keeps to one"
                ])
            }
            if let text = try output.text(of: rules.map(NatDocument.init)) { return Console.output(text) }
            Console.output(table(of: rules).lines.map { $0 + "\n" }.joined())
        }
    }

    private func table(of rules: [NatRule]) -> TextTable {
        let isWide = output == .wide
        var table = TextTable(
            indent: "",
            header: ["OWNER", "TABLE", "CHAIN"] + (isWide ? ["HANDLE"] : []) + ["PACKETS", "BYTES", "RULE"],
            alignments: [.left, .left, .left] + (isWide ? [.right] : []) + [.right, .right, .left])
        for rule in rules {
            table.append(
                ["\(rule.owner)", "\(rule.table)", rule.chain] + (isWide ? ["\(rule.handle)"] : []) + [
                    rule.counted.map { "\($0.packets)" } ?? "-", rule.counted.map { "\($0.bytes)" } ?? "-", rule.text,
                ])
        }
        return table
    }
}

/// A rule as JSON and YAML.
private struct NatDocument: Encodable {
    var owner: String
    var family: String
    var table: String
    var chain: String
    var handle: UInt64
    var packets: UInt64?
    var bytes: UInt64?
    var rule: String
    var comment: String?

    init(_ rule: NatRule) {
        owner = "\(rule.owner)"
        family = rule.table.family.rawValue
        table = rule.table.name
        chain = rule.chain
        handle = rule.handle
        packets = rule.counted?.packets
        bytes = rule.counted?.bytes
        self.rule = rule.text
        comment = rule.comment
    }
}
