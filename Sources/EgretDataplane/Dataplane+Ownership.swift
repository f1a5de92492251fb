// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

extension Dataplane {
    /// What makes a table if it is not there, and takes it over if it is to be this connection's own.
    public func addition(of table: Table) -> Operation { ownTables.contains(table) ? .addOwnedTable : .addTable }

    /// Sees to it that nobody else can change tables as long as the connection is open, where the kernel can do that.
    ///
    /// Tables that are not there yet are made so later. Those that a former owner has left are taken over now. Those that were
    /// made otherwise stay open to everybody until they are made anew.
    ///
    /// - Parameter tables: The tables.
    /// - Throws: `NetlinkError` if a table has another owner.
    public func claim(_ tables: [Table]) throws(NetlinkError) {
        guard try canOwnTables() else { return }
        let flags = Dictionary(
            try tableRecords().map { ($0.table, $0.flags) }, uniquingKeysWith: { first, _ in first })
        ownTables = Swift.Set(tables.filter { (flags[$0] ?? TableRecord.persists) & TableRecord.persists != 0 })
        let orphans = tables.filter { table in
            ownTables.contains(table) && (flags[table].map { $0 & TableRecord.isOwned == 0 } ?? false)
        }
        var transaction = Transaction()
        for table in orphans { transaction.append(.addOwnedTable, in: table) }
        try commit(transaction)
    }

    /// Whether tables have an owner now, of those that are there.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func ownership(of tables: [Table]) throws(NetlinkError) -> [(table: Table, isOwned: Bool)] {
        try tableRecords().filter { tables.contains($0.table) }.map { ($0.table, $0.flags & TableRecord.isOwned != 0) }
    }

    /// Whether the kernel knows tables that have an owner and outlive it: Linux 6.9 and later. Nothing is changed.
    public func canOwnTables() throws(NetlinkError) -> Bool {
        let trial = Table(family: .inet, name: "egret-trial")
        var transaction = Transaction()
        transaction.append(.addOwnedTable, in: trial)
        transaction.append(.deleteTable, in: trial)
        do throws(NetlinkError) {
            try commit(transaction)
            return true
        } catch {
            if error.code == .unsupported || error.errno == .invalid { return false }
            throw error
        }
    }
}
