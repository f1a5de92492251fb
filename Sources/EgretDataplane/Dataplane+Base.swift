// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
public import EgretNftables

extension Dataplane {
    /// Puts back the rules of a base program's chains that somebody has changed or removed, in one transaction.
    ///
    /// What others have installed on the base stays: its chains, and the elements of the base's maps. A table that is not
    /// there is left to ``install(_:on:)``.
    ///
    /// - Parameter base: The base program.
    /// - Throws: `NetlinkError`. On an error nothing has changed.
    public func mend(base: TableProgram) throws(NetlinkError) {
        guard try allTables().contains(base.table) else { return }
        var transaction = Transaction()
        for chain in base.chains {
            let rules = base.rules.filter { $0.chain == chain.name }
            var alone = TableProgram(table: base.table)
            alone.rules = rules
            if try holds([alone]) { continue }
            transaction.append(.addChain(chain), in: base.table)
            transaction.append(.flushChain(chain.name), in: base.table)
            for rule in rules { transaction.append(.addRule(rule), in: base.table) }
        }
        if transaction.steps.isEmpty { return }
        try connection.commit(transaction, "put the base rules back")
    }
}
