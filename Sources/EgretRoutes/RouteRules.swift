// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// What routes need of nf_tables.
public protocol RouteRules {
    /// Makes a table that is not there, with all that is in it, in one transaction.
    func install(_ program: TableProgram) throws
    /// Commits a transaction.
    func commit(_ transaction: Transaction) throws
    /// Deletes a table; one that is not there will do.
    func remove(_ table: Table) throws
}
