// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import GRDB

extension DatabaseQueue {
    /// Opens a database of the agent's, also on a disk that is full: what is in it can be read then.
    ///
    /// SQLite keeps the index of its write-ahead log in a file, which others who open the database would share, and which takes
    /// room. Where there is none the index is kept in memory: nobody else opens the database while an agent runs.
    ///
    /// - Parameters:
    ///   - path: The file, which is made if it is missing.
    ///   - settings: Statements for each connection, such as `PRAGMA synchronous = FULL`.
    /// - Returns: The database.
    /// - Throws: `DatabaseError` if it cannot be opened or is none.
    static func opened(_ path: String, _ settings: [String]) throws -> DatabaseQueue {
        func open(_ settings: [String]) throws -> DatabaseQueue {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.prepareDatabase { database in
                for setting in settings { try database.execute(sql: setting) }
            }
            let database = try DatabaseQueue(path: path, configuration: configuration)
            // Whether its log can be read shows with the first look at it.
            _ = try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") }
            return database
        }
        do {
            return try open(settings)
        } catch let error as DatabaseError {
            guard error.isWantOfRoom else { throw error }
            return try open(["PRAGMA locking_mode = EXCLUSIVE"] + settings)
        }
    }
}
