// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretPolicy
import GRDB

/// Where usage outlives the agent and the machine: a database beside the policies'.
///
/// What a reading of the counters has brought is written with the reading, in one transaction on the disk: an agent that
/// is killed at any moment neither loses what the kernel still shows nor counts it twice.
final class UsageStore {
    private let database: DatabaseQueue
    /// The number of the latest change of what is used of accounts: it says which were used last, whatever clocks say.
    private var serial: Int64
    /// The hour that was written last; `nil` before anything was.
    private var lastHour: Int64?
    /// The first days that were asked for: to find one, all days before it are read.
    private var firstDays: [String: Int64] = [:]

    /// Opens the store, and makes it if it is not there. One that is damaged is put aside.
    ///
    /// - Parameters:
    ///   - path: The database.
    ///   - log: Hears of a store that is made anew.
    /// - Throws: An error if there can be none, or if one that is there cannot be opened for another reason than
    ///   damage: a full disk, or a later version. It stays as it is.
    init(path: String, log: (String) -> Void) throws {
        do {
            database = try UsageStore.open(path)
        } catch let error as DatabaseError {
            guard error.isDamage else {
                let reason = error.message ?? "\(error)"
                throw APIError("failed", "what was used so far cannot be read from \(path): \(reason)")
            }
            let aside = UsageStore.freePath(path + ".damaged")
            log("what was used so far cannot be read (\(error)): it is kept at \(aside), and counting begins anew")
            for end in ["", "-wal", "-shm"] where File.exists(path + end) {
                try File.rename(path + end, to: aside + end)
            }
            database = try UsageStore.open(path)
        }
        serial = try database.read { try Int64.fetchOne($0, sql: "SELECT MAX(serial) FROM stretch") ?? 0 }
    }

    /// The path, or the first of `path-2`, `path-3` and so on at which nothing is.
    private static func freePath(_ path: String) -> String {
        var free = path
        var number = 2
        while ["", "-wal", "-shm"].contains(where: { File.exists(free + $0) }) {
            free = "\(path)-\(number)"
            number += 1
        }
        return free
    }

    /// What makes a file of each version from one of the version before; the first, from an empty one.
    private static let steps = [
        """
        CREATE TABLE kernel (start TEXT NOT NULL);
        CREATE TABLE reading (name TEXT PRIMARY KEY, packets INTEGER, bytes INTEGER) WITHOUT ROWID;
        CREATE TABLE usage (
            day INTEGER, endpoint TEXT, policy TEXT, budget TEXT, packets INTEGER, bytes INTEGER,
            PRIMARY KEY (day, endpoint, policy, budget)
        ) WITHOUT ROWID;
        CREATE TABLE stretch (
            policy TEXT, budget TEXT, account TEXT, start INTEGER, used INTEGER, granted INTEGER,
            PRIMARY KEY (policy, budget, account, start)
        ) WITHOUT ROWID;
        """,
        "ALTER TABLE stretch ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;",
        // Files of version 2 may have the tables, and may be without them. What is used of accounts without a unit is bytes: whoever
        // knows of no units must not read what is kept with them.
        """
        CREATE TABLE IF NOT EXISTS meter (
            name TEXT PRIMARY KEY, endpoint TEXT, policy TEXT, budget TEXT, account TEXT
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS unit (
            policy TEXT, budget TEXT, account TEXT, unit TEXT NOT NULL, PRIMARY KEY (policy, budget, account)
        ) WITHOUT ROWID;
        ALTER TABLE stretch ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
        """,
        """
        CREATE TABLE hourly (
            hour INTEGER, day INTEGER, endpoint TEXT, policy TEXT, budget TEXT, packets INTEGER, bytes INTEGER,
            PRIMARY KEY (hour, day, endpoint, policy, budget)
        ) WITHOUT ROWID;
        """,
    ]

    private static let tables = ["kernel", "reading", "usage", "stretch", "meter", "unit", "hourly"]

    private static func open(_ path: String) throws -> DatabaseQueue {
        PrivateFile.prepare(path)
        // What was committed is there after a loss of power.
        let database = try DatabaseQueue.opened(path, ["PRAGMA synchronous = FULL"])
        let version = steps.count
        let found = try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
        if found == version {
            try database.read { try $0.require(tables: tables) }
            return database
        }
        guard (0..<version).contains(found) else {
            throw APIError(
                "failed", "\(path) is of a later version of Egret (\(found); this one knows \(version))",
                advice: "use that version, or move the file away, and \(path)-wal and \(path)-shm if they are there: "
                    + "counting then begins anew")
        }
        if found == 0 { try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = WAL") } }
        // All of it or nothing: a disk that is full in between leaves a file that can be opened again.
        try database.write { database in
            for step in steps[found...] { try database.execute(sql: step) }
            try database.execute(sql: "PRAGMA user_version = \(version)")
        }
        return database
    }

    /// What was kept.
    ///
    /// - Parameter kernel: Which running kernel, network namespace and table the counters are of: readings of others are
    ///   not theirs.
    /// - Returns: A book in which nothing counts yet.
    /// - Throws: An error if the store cannot be read.
    func load(kernel: String?) throws -> BudgetBook {
        try database.read { database in
            var stretches: [BudgetAccount: [Int64: BudgetBook.Stretch]] = [:]
            var beginnings: [BudgetAccount: Int64] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM stretch") {
                let account = BudgetAccount(usage: row)
                stretches[account, default: [:]][row["start"]] = BudgetBook.Stretch(
                    used: UInt64(clamping: row["used"] as Int64), granted: UInt64(clamping: row["granted"] as Int64))
                beginnings[account] = min(row["since"] as Int64, beginnings[account] ?? .max)
            }
            var readings: [String: TrafficAmount] = [:]
            if let kernel, try String.fetchOne(database, sql: "SELECT start FROM kernel") == kernel {
                for row in try Row.fetchAll(database, sql: "SELECT * FROM reading") {
                    readings[row["name"]] = TrafficAmount(usage: row)
                }
            }
            var meters: [String: BudgetBook.Meter] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM meter") {
                meters[row["name"]] = BudgetBook.Meter(endpoint: row["endpoint"], account: BudgetAccount(usage: row))
            }
            var units: [BudgetAccount: BudgetAmount.Unit] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM unit") {
                units[BudgetAccount(usage: row)] = BudgetAmount.Unit(rawValue: row["unit"])
            }
            return BudgetBook(
                stretches: stretches, readings: readings, meters: meters, units: units, beginnings: beginnings)
        }
    }

    /// Writes what has changed: all of it or nothing.
    ///
    /// - Parameters:
    ///   - book: Where from.
    ///   - kernel: Which running kernel, network namespace and table its readings are of.
    /// - Throws: An error if nothing was written.
    func save(_ book: BudgetBook, kernel: String) throws {
        let changes = book.changes
        let serial = serial + 1
        let hour = changes.usage.keys.map(\.hour).max()
        try database.write { database in
            if try String.fetchOne(database, sql: "SELECT start FROM kernel") != kernel {
                try database.execute(sql: "DELETE FROM kernel")
                try database.execute(sql: "DELETE FROM reading")
                try database.execute(sql: "INSERT INTO kernel VALUES (?)", arguments: [kernel])
            }
            for name in changes.gone {
                try database.execute(sql: "DELETE FROM reading WHERE name = ?", arguments: [name])
            }
            for (name, amount) in changes.readings {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)",
                    arguments: [name, Int64(clamping: amount.packets), Int64(clamping: amount.bytes)])
            }
            for (key, amount) in changes.usage { try UsageStore.add(amount, to: key, database) }
            if let hour, hour != lastHour { try UsageStore.forgetHours(at: hour, database) }
            for name in changes.meters { try UsageStore.write(book.meters[name], name, database) }
            for account in changes.units { try UsageStore.write(book.units[account], of: account, database) }
            for place in changes.stretches {
                let (account, stretch) = (place.account, book.stretches[place.account]?[place.start])
                if let stretch {
                    try database.execute(
                        sql: "INSERT OR REPLACE INTO stretch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        arguments: [
                            account.policy, account.budget, account.account, place.start,
                            Int64(clamping: stretch.used), Int64(clamping: stretch.granted), serial,
                            book.beginnings[account] ?? 0,
                        ])
                } else {
                    try database.execute(
                        sql: "DELETE FROM stretch WHERE policy = ? AND budget = ? AND account = ? AND start = ?",
                        arguments: [account.policy, account.budget, account.account, place.start])
                }
            }
        }
        self.serial = serial
        lastHour = hour ?? lastHour
        // A clock may have gone back.
        for key in changes.usage.keys.map(\.ofDay) {
            if let known = firstDays[key.policy], key.day < known { firstDays[key.policy] = key.day }
        }
    }

    /// Adds what was used to the day's and to the hour's.
    private static func add(_ amount: TrafficAmount, to key: HourlyUsageKey, _ database: Database) throws {
        let (names, day) = ([key.ofDay.endpoint, key.ofDay.policy, key.ofDay.budget], key.ofDay.day)
        let amounts = [Int64(clamping: amount.packets), Int64(clamping: amount.bytes)]
        let adding = """
            ON CONFLICT DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes
            """
        let arguments = StatementArguments([day]) + StatementArguments(names) + StatementArguments(amounts)
        try database.execute(sql: "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) \(adding)", arguments: arguments)
        try database.execute(
            sql: "INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?) \(adding)",
            arguments: StatementArguments([key.hour]) + arguments)
    }

    /// Forgets the hours that are too long ago, and those that a clock which was ahead has left.
    private static func forgetHours(at hour: Int64, _ database: Database) throws {
        try database.execute(
            sql: "DELETE FROM hourly WHERE hour < ? OR hour > ?", arguments: [hour - BudgetBook.hours, hour])
    }

    /// Writes what a counter counts; `nil` for nothing any more.
    private static func write(_ meter: BudgetBook.Meter?, _ name: String, _ database: Database) throws {
        guard let meter else {
            return try database.execute(sql: "DELETE FROM meter WHERE name = ?", arguments: [name])
        }
        try database.execute(
            sql: "INSERT OR REPLACE INTO meter VALUES (?, ?, ?, ?, ?)",
            arguments: [
                name, meter.endpoint, meter.account.policy, meter.account.budget, meter.account.account,
            ])
    }

    /// Writes of what an account's use is; `nil` for bytes.
    private static func write(_ unit: BudgetAmount.Unit?, of account: BudgetAccount, _ database: Database) throws {
        let names = [account.policy, account.budget, account.account]
        guard let unit else {
            return try database.execute(
                sql: "DELETE FROM unit WHERE policy = ? AND budget = ? AND account = ?",
                arguments: StatementArguments(names))
        }
        try database.execute(
            sql: "INSERT OR REPLACE INTO unit VALUES (?, ?, ?, ?)",
            arguments: StatementArguments(names + [unit.rawValue]))
    }

    /// Forgets what was used on all but the latest days.
    ///
    /// Days are counted, not reckoned: a clock that is years ahead, and back again, has added a few, and takes no others.
    func forget(butLatest days: Int) throws {
        firstDays = [:]
        try database.write { database in
            try database.execute(
                sql: """
                    DELETE FROM usage WHERE day <
                        (SELECT MIN(day) FROM (SELECT DISTINCT day FROM usage ORDER BY day DESC LIMIT ?))
                    """, arguments: [days])
        }
    }

    /// Forgets what is used of accounts that nobody uses, those first whose latest use is the longest ago.
    ///
    /// - Parameters:
    ///   - limit: How many accounts are left.
    ///   - kept: Those that are not forgotten, however many they are.
    /// - Returns: The accounts that are forgotten.
    /// - Throws: An error if nothing was forgotten.
    func compact(to limit: Int, keeping kept: Swift.Set<BudgetAccount>) throws -> [BudgetAccount] {
        try database.write { database in
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT policy, budget, account FROM stretch GROUP BY 1, 2, 3 ORDER BY MAX(serial), 1, 2, 3")
            let accounts = rows.map { BudgetAccount(usage: $0) }
            let gone = accounts.filter { !kept.contains($0) }.prefix(max(0, accounts.count - limit))
            for account in gone {
                try database.execute(
                    sql: "DELETE FROM stretch WHERE policy = ? AND budget = ? AND account = ?",
                    arguments: [account.policy, account.budget, account.account])
                try UsageStore.write(nil, of: account, database)
            }
            return Array(gone)
        }
    }

    /// The first day on which anything was used of what a policy, or a price list, counts; `nil` if nothing was.
    func firstDay(of policy: String) throws -> Int64? {
        if let known = firstDays[policy] { return known }
        let found: Int64? = try database.read { database in
            try Int64.fetchOne(
                database, sql: "SELECT day FROM usage WHERE policy = ? ORDER BY day LIMIT 1", arguments: [policy])
        }
        firstDays[policy] = found
        return found
    }

    /// What was used since a day.
    ///
    /// - Parameters:
    ///   - day: Days since 1970-01-01; `nil` for all that is known.
    ///   - byEndpoint: Whether it is asked whose it was. Otherwise all is nobody's: endpoints that came and went may be many.
    /// - Returns: What was used, by day, endpoint and budget.
    /// - Throws: An error if the store cannot be read.
    func usage(since day: Int64?, byEndpoint: Bool = true) throws -> [UsageKey: TrafficAmount] {
        let sql =
            byEndpoint
            ? "SELECT * FROM usage WHERE day >= ?"
            : """
            SELECT day, '' AS endpoint, policy, budget, SUM(packets) AS packets, SUM(bytes) AS bytes
            FROM usage WHERE day >= ? GROUP BY day, policy, budget
            """
        return try database.read { database in
            UsageStore.usage(in: try Row.fetchAll(database, sql: sql, arguments: [day ?? Int64.min]))
        }
    }

    /// What was used since an hour that is not too long ago.
    ///
    /// - Parameter hour: Hours since 1970-01-01T00:00Z.
    /// - Returns: What was used, by day, endpoint and budget.
    /// - Throws: An error if the store cannot be read.
    func usage(sinceHour hour: Int64) throws -> [UsageKey: TrafficAmount] {
        try database.read { database in
            UsageStore.usage(
                in: try Row.fetchAll(
                    database,
                    sql: """
                        SELECT day, endpoint, policy, budget, SUM(packets) AS packets, SUM(bytes) AS bytes
                        FROM hourly WHERE hour >= ? GROUP BY day, endpoint, policy, budget
                        """, arguments: [hour]))
        }
    }

    private static func usage(in rows: [Row]) -> [UsageKey: TrafficAmount] {
        var found: [UsageKey: TrafficAmount] = [:]
        for row in rows {
            let key = UsageKey(
                day: row["day"], endpoint: row["endpoint"], policy: row["policy"], budget: row["budget"])
            found[key] = TrafficAmount(usage: row)
        }
        return found
    }
}

extension BudgetAccount {
    fileprivate init(usage row: Row) {
        self.init(policy: row["policy"], budget: row["budget"], account: row["account"])
    }
}

extension TrafficAmount {
    fileprivate init(usage row: Row) {
        self.init(packets: UInt64(clamping: row["packets"] as Int64), bytes: UInt64(clamping: row["bytes"] as Int64))
    }
}
