// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDataplane
import EgretDoctor
import EgretNetlink
import EgretNftables

/// nf_tables as the doctor needs it, by way of the data plane.
struct KernelRuleset: Ruleset {
    private let dataplane: Dataplane

    init(_ connection: NetlinkConnection) {
        dataplane = Dataplane(connection)
    }

    func install(_ program: TableProgram) throws { try dataplane.install([], on: program) }

    func remove(_ tables: [Table]) throws { try dataplane.removeTables(tables) }

    func allTables() throws -> [Table] { try dataplane.allTables() }

    func baseChains() throws -> [ChainPlace] {
        try dataplane.allBaseChains().map { ChainPlace(table: $0.table, name: $0.name, base: $0.base) }
    }

    func words(
        of handle: UInt64?, in chain: String, of table: Table, interfaceNames: [UInt32: String]
    ) throws -> RuleWords {
        let found = try dataplane.describe(
            handle: handle, chain: chain, of: table, interfaceNames: interfaceNames)
        return RuleWords(text: found.text, comment: found.comment, owner: found.owner)
    }
}
