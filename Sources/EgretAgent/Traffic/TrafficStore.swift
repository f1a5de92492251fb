// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretPolicy
import GRDB
import Synchronization

/// Where counts and flows outlive the agent: a database beside the policies', which may be lost without harm to them.
final class TrafficStore: Sendable {
    private static let version = 2
    private static let tables = ["kernel", "total", "reading", "flow"]
    private let database: DatabaseQueue
    private let written = Mutex(Written())

    /// What the database holds.
    private struct Written {
        var readings: [String: TrafficBook.Reading] = [:]
        var totals: [TrafficClause: TrafficAmount] = [:]
    }

    /// Opens the store, and makes it if it is not there. One that is damaged, or of another version, is made anew.
    ///
    /// - Parameters:
    ///   - path: The database.
    ///   - log: Hears of a store that is made anew.
    /// - Throws: An error if there can be none.
    init(path: String, log: (String) -> Void) throws {
        do {
            database = try TrafficStore.open(path)
        } catch {
            // Another disk, or the same with room, has them still.
            if let error = error as? DatabaseError, error.isWantOfRoom { throw error }
            log("the counts so far cannot be read (\(error)), and counting begins anew")
            for end in ["", "-wal", "-shm"] { try? File.remove(path + end) }
            database = try TrafficStore.open(path)
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        PrivateFile.prepare(path)
        let database = try DatabaseQueue.opened(path, ["PRAGMA synchronous = NORMAL"])
        let found = try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
        if found == version {
            try database.read { try $0.require(tables: tables) }
            return database
        }
        if found == 1 {
            try database.write { database in
                try database.execute(sql: "DROP TABLE flow; \(flows); PRAGMA user_version = \(version)")
            }
            return database
        }
        guard found == 0 else { throw DatabaseError(message: "version \(found)") }
        try database.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(
                sql: """
                    CREATE TABLE kernel (start TEXT NOT NULL);
                    CREATE TABLE total (
                        direction TEXT, policy TEXT, rule TEXT, verdict TEXT, packets INTEGER, bytes INTEGER,
                        PRIMARY KEY (direction, policy, rule, verdict)
                    ) WITHOUT ROWID;
                    CREATE TABLE reading (
                        name TEXT PRIMARY KEY, direction TEXT, policy TEXT, rule TEXT, verdict TEXT, packets INTEGER,
                        bytes INTEGER
                    ) WITHOUT ROWID;
                    \(flows);
                    PRAGMA user_version = \(version);
                    """)
        }
        return database
    }

    private static let flows = """
        CREATE TABLE flow (
            endpoint TEXT, direction TEXT, policy TEXT, rule TEXT, verdict TEXT, peer TEXT, protocol INTEGER,
            port INTEGER, type INTEGER, name TEXT, packets INTEGER, bytes INTEGER, first INTEGER, last INTEGER,
            sequence INTEGER,
            PRIMARY KEY (endpoint, direction, policy, rule, verdict, peer, protocol, port, type, name)
        ) WITHOUT ROWID
        """

    // MARK: - Reading

    /// Puts what was kept into a book that has counted nothing yet.
    ///
    /// - Parameters:
    ///   - book: Where to.
    ///   - kernel: Which running kernel and network namespace this is: counters of another one are not this one's.
    /// - Throws: An error if the store cannot be read.
    func load(into book: TrafficBook, kernel: String) throws {
        var state = TrafficBook.State()
        try database.read { database in
            let isSame = try String.fetchOne(database, sql: "SELECT start FROM kernel") == kernel
            let totals = try Row.fetchCursor(database, sql: "SELECT * FROM total")
            while let row = try totals.next() {
                state.totals[TrafficClause(row)] = TrafficAmount(row)
            }
            if isSame {
                let readings = try Row.fetchCursor(database, sql: "SELECT * FROM reading")
                while let row = try readings.next() {
                    state.readings[row["name"]] = TrafficBook.Reading(
                        clause: TrafficClause(row), amount: TrafficAmount(row))
                }
            }
            let flows = try Row.fetchCursor(database, sql: "SELECT * FROM flow ORDER BY sequence DESC")
            while let row = try flows.next() {
                guard let place = FlowPlace(row) else { continue }
                let account = FlowAccount(
                    amount: TrafficAmount(row), first: row["first"], last: row["last"],
                    sequence: UInt64(clamping: row["sequence"] as Int64))
                state.sequence = max(state.sequence, account.sequence)
                if place.clause.isRefusal, state.refused.accounts.count < FlowTable.limit {
                    state.refused.restore(place, account)
                } else if state.allowed.accounts.count < FlowTable.limit {
                    state.allowed.restore(place, account)
                }
            }
        }
        let (readings, totals) = (state.readings, state.totals)
        written.withLock { $0 = Written(readings: readings, totals: totals) }
        try database.write { database in
            try database.execute(sql: "DELETE FROM kernel")
            try database.execute(sql: "INSERT INTO kernel VALUES (?)", arguments: [kernel])
            if readings.isEmpty { try database.execute(sql: "DELETE FROM reading") }
        }
        let loaded = state
        // Who is who, and what tells it, may be known already.
        book.with { book in
            (book.readings, book.totals) = (loaded.readings, loaded.totals)
            (book.refused, book.allowed, book.sequence) = (loaded.refused, loaded.allowed, loaded.sequence)
        }
    }

    // MARK: - Writing

    /// Writes what has changed since it was last written.
    func save(_ book: TrafficBook) throws {
        try saveFlows(book)
        let state = book.with { $0 }
        let (readings, totals) = written.withLock { ($0.readings, $0.totals) }
        try database.write { database in
            for (clause, amount) in state.totals where totals[clause] != amount {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO total VALUES (?, ?, ?, ?, ?, ?)",
                    arguments: StatementArguments(clause.values + amount.values))
            }
            for clause in totals.keys where state.totals[clause] == nil {
                try database.execute(
                    sql: "DELETE FROM total WHERE direction = ? AND policy = ? AND rule = ? AND verdict = ?",
                    arguments: StatementArguments(clause.values))
            }
            for (name, reading) in state.readings where readings[name] != reading {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)",
                    arguments: StatementArguments([name] + reading.clause.values + reading.amount.values))
            }
            for name in readings.keys where state.readings[name] == nil {
                try database.execute(sql: "DELETE FROM reading WHERE name = ?", arguments: [name])
            }
        }
        written.withLock { $0 = Written(readings: state.readings, totals: state.totals) }
    }

    /// Writes the flows that have changed since they were last written: what they cost is in proportion.
    func saveFlows(_ book: TrafficBook) throws {
        let changed = book.with { state in
            let changed = [state.refused, state.allowed].flatMap { table in
                table.unwritten.compactMap { place in table.accounts[place].map { (place, $0) } }
            }
            state.refused.markWritten()
            state.allowed.markWritten()
            return changed
        }
        if changed.isEmpty { return }
        try database.write { database in
            for (place, account) in changed {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO flow VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    arguments: StatementArguments(place.values + account.values))
            }
            try TrafficStore.forgetOld(in: database)
        }
    }

    /// Flows that had to make room in memory do so here as well.
    private static func forgetOld(in database: Database) throws {
        let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM flow") ?? 0
        guard count > 3 * FlowTable.limit else { return }
        try database.execute(
            sql:
                "DELETE FROM flow WHERE sequence < (SELECT sequence FROM flow ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
            arguments: [2 * FlowTable.limit])
    }
}

extension TrafficClause {
    fileprivate init(_ row: Row) {
        self.init(direction: row["direction"], policy: row["policy"], rule: row["rule"], verdict: row["verdict"])
    }

    fileprivate var values: [any DatabaseValueConvertible] { [direction, policy, rule, verdict] }
}

extension TrafficAmount {
    fileprivate init(_ row: Row) {
        self.init(
            packets: UInt64(clamping: row["packets"] as Int64), bytes: UInt64(clamping: row["bytes"] as Int64))
    }

    fileprivate var values: [any DatabaseValueConvertible] { [Int64(clamping: packets), Int64(clamping: bytes)] }
}

extension FlowPlace {
    fileprivate init?(_ row: Row) {
        guard let peer = IPAddress(row["peer"] as String), let number = UInt8(exactly: row["protocol"] as Int64) else {
            return nil
        }
        self.init(
            endpoint: row["endpoint"], clause: TrafficClause(row), peer: peer, protocol: IPProtocol(rawValue: number),
            port: UInt16(exactly: row["port"] as Int64), icmpType: UInt8(exactly: row["type"] as Int64),
            name: (row["name"] as String).isEmpty ? nil : row["name"])
    }

    fileprivate var values: [any DatabaseValueConvertible] {
        [
            endpoint, clause.direction, clause.policy, clause.rule, clause.verdict, peer.description,
            Int64(`protocol`.rawValue), port.map(Int64.init) ?? -1, icmpType.map(Int64.init) ?? -1, name ?? "",
        ]
    }
}

extension FlowAccount {
    fileprivate var values: [any DatabaseValueConvertible] {
        amount.values + [first, last, Int64(clamping: sequence)]
    }
}
