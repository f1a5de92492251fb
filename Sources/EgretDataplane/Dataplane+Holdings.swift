// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// The names of what a table holds.
public struct TableHoldings: Hashable, Sendable {
    /// The chains.
    public var chains: [String] = []
    /// The sets and maps.
    public var sets: [String] = []
    /// The named counters.
    public var counters: [String] = []
    /// The named limits.
    public var limits: [String] = []
    /// The named quotas.
    public var quotas: [String] = []
}

extension Dataplane {
    /// What tables hold, by name. A table that is not there is not among the keys.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func holdings(of tables: [Table]) throws(NetlinkError) -> [Table: TableHoldings] {
        let present = Swift.Set(try self.tables())
        let chains = try self.chains()
        var found: [Table: TableHoldings] = [:]
        for table in tables where present.contains(table) {
            var holdings = TableHoldings()
            holdings.chains = chains.filter { $0.table == table }.map(\.chain.name)
            holdings.sets = try sets(in: table).map(\.name)
            for object in try objects(in: table) {
                switch object.kind {
                case .counter: holdings.counters.append(object.name)
                case .limit: holdings.limits.append(object.name)
                case .quota: holdings.quotas.append(object.name)
                case .other: continue
                }
            }
            found[table] = holdings
        }
        return found
    }

    /// What empties sets and maps of whatever is in them now.
    ///
    /// - Parameters:
    ///   - names: The sets. One that is not there is passed over.
    ///   - table: Their table. It is not there: nothing has to be done.
    /// - Returns: Steps for the beginning of a transaction that may fill them anew.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func clearance(of names: [String], in table: Table) throws(NetlinkError) -> [Transaction.Step] {
        guard try tables().contains(table) else { return [] }
        var steps: [Transaction.Step] = []
        for record in try sets(in: table) where names.contains(record.name) {
            let present = try elements(of: record)
            if !present.isEmpty { steps.append(Transaction.Step(.deleteElements(record.value(present)), in: table)) }
        }
        return steps
    }

    /// Deletes what tables hold and no program names, in one transaction.
    ///
    /// Nothing that a program names may lead to what goes.
    ///
    /// - Parameters:
    ///   - tables: The tables. What is in others stays.
    ///   - programs: What stays.
    /// - Throws: `NetlinkError` if the kernel refuses; nothing is deleted then.
    public func sweep(_ tables: [Table], keeping programs: [TableProgram]) throws(NetlinkError) {
        var transaction = Transaction()
        for (table, holdings) in try holdings(of: tables).sorted(by: { $0.key < $1.key }) {
            let kept = programs.filter { $0.table == table }
            let chains = Swift.Set(kept.flatMap(\.chains).map(\.name))
            let sets = Swift.Set(kept.flatMap(\.sets).map(\.name))
            let counters = Swift.Set(kept.flatMap(\.counters).map(\.name))
            let limits = Swift.Set(kept.flatMap(\.limits).map(\.name))
            let quotas = Swift.Set(kept.flatMap(\.quotas).map(\.name))
            let gone = holdings.chains.filter { !chains.contains($0) }
            for name in gone { transaction.append(.flushChain(name), in: table) }
            for name in holdings.sets where !sets.contains(name) { transaction.append(.deleteSet(name), in: table) }
            for name in gone { transaction.append(.deleteChain(name), in: table) }
            for name in holdings.counters where !counters.contains(name) {
                transaction.append(.deleteCounter(name), in: table)
            }
            for name in holdings.limits where !limits.contains(name) {
                transaction.append(.deleteLimit(name), in: table)
            }
            for name in holdings.quotas where !quotas.contains(name) {
                transaction.append(.deleteQuota(name), in: table)
            }
        }
        try commit(transaction)
    }
}
