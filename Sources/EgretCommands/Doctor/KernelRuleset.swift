// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretDoctor
import EgretNetlink
import EgretNftables
import EgretRun

/// nf_tables as the doctor needs it, by way of the data plane.
struct KernelRuleset: Ruleset {
    private let dataplane: Dataplane

    init(_ connection: NetlinkConnection) {
        dataplane = Dataplane(connection)
    }

    func install(_ program: TableProgram) throws { try dataplane.install([], on: program) }

    func remove(_ tables: [Table]) throws { try dataplane.removeTables(tables) }

    func allTables() throws -> [Table] { try dataplane.allTables() }

    func words(
        of handle: UInt64?, in chain: String, of table: Table, interfaceNames: [UInt32: String]
    ) throws -> RuleWords {
        let found = try dataplane.describe(
            handle: handle, chain: chain, of: table, interfaceNames: interfaceNames)
        return RuleWords(
            text: found.text, comment: found.comment ?? wordsOfRun(of: chain, of: table), owner: found.owner)
    }

    /// What a run of this host calls the clause whose chain this is. Nobody else knows its policy.
    private func wordsOfRun(of chain: String, of table: Table) -> String? {
        guard table == BaseProgram.table, let state = try? StateDirectory(),
            let words = try? state.words(ofRule: chain)
        else { return nil }
        return "egret run, \(words)"
    }

    func forwardObstacles() throws -> [ChainEnd] {
        guard try dataplane.hasForeignFilter(at: .forward) else { return [] }
        let uplinks = try HostNetwork(NetlinkConnection.route()).uplinks
        var found: [ChainEnd] = []
        for source in KernelRuleset.sources {
            // An interface that nobody has heard of yet.
            let packet = PassingPacket(from: source, input: "egn0", inputIndex: 0, outputs: uplinks)
            for obstacle in try dataplane.obstacles(to: packet, at: .forward) {
                let end = ChainEnd(
                    table: obstacle.table, chain: obstacle.chain, owner: obstacle.owner,
                    isByPolicy: obstacle.end == .policy)
                if !found.contains(end) { found.append(end) }
            }
        }
        return found
    }

    /// An address of each family, of blocks for measurements (RFC 2544, RFC 5180) that no rule is about.
    private static let sources = ["198.18.0.1", "2001:2::1"].compactMap { IPAddress($0) }

    func connectionHelpers() throws -> [(table: Table, name: String)] {
        try dataplane.connectionHelpers()
    }

    func canOwnTables() throws -> Bool { try dataplane.canOwnTables() }

    func policyTables() throws -> [(table: Table, isOwned: Bool)] { try dataplane.ownership(of: HostPlan.tables) }

    func assignedHelpers() throws -> [(table: Table, chain: String, helper: String)] {
        try dataplane.assignedHelpers()
    }
}
