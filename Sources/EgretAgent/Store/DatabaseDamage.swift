// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import GRDB

extension DatabaseError {
    /// Whether the file itself is at fault, and not the disk, its rights or another process.
    var isDamage: Bool { resultCode == .SQLITE_CORRUPT || resultCode == .SQLITE_NOTADB }

    /// Whether the disk has no room, or may have none: SQLite tells so of the index of its log by an input or output error.
    var isWantOfRoom: Bool { [.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN].contains(resultCode) }
}

extension Database {
    /// Refuses a database that lacks a table that its version has: for SQLite itself it is in order.
    ///
    /// - Parameter tables: The tables of the version.
    /// - Throws: A `DatabaseError` that is damage, and names the first that is not there.
    func require(tables: [String]) throws {
        for table in tables {
            guard try tableExists(table) else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "there is no table \(table)")
            }
        }
    }
}
