// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretResolution
import Foundation
import GRDB
import Synchronization

/// Where the agent keeps every state that its policies have had: an SQLite database.
///
/// A state is a revision. It is written as `pending` before the kernel changes, and made `current` after. A document is kept
/// once, with the first and the last revision that has it, so that a revision costs what it changes. The store is open in one
/// process at a time.
struct PolicyStore: Sendable {
    /// How far a revision has come.
    enum State: String, Sendable {
        /// Written, not in force.
        case pending
        /// In force.
        case current
        /// In force until another was.
        case superseded
        /// In force until it was not confirmed, or somebody went back.
        case rolledBack = "rolled-back"
        /// Never in force.
        case failed
    }

    /// Where going back from a revision leads.
    enum Before: Equatable, Sendable {
        /// To the revision in force when it was written.
        case current
        /// To where going back from the revision leads whose documents it has; `nil` for nothing.
        case revision(Int?)
    }

    /// The store cannot be used. The kernel stays as it is.
    struct Unusable: Error, CustomStringConvertible {
        var description: String
    }

    /// So many revisions are kept, and those that the one in force may go back by.
    static let kept = 200
    private static let version = 3
    private static let tables = ["text", "revision", "document"]

    private let database: DatabaseQueue
    private let latest = Latest()

    /// A document that the next revision has, unless that takes it away.
    private struct Kept {
        var id: Int64
        var place: Int64
        var document: StoredDocument
    }

    /// Those documents in their order, as long as they are known.
    private final class Latest: Sendable {
        let documents = Mutex<[Kept]?>(nil)
    }

    /// Opens the store, and makes it if it is not there.
    ///
    /// - Parameter path: The database.
    /// - Throws: ``Unusable`` if it is damaged or of a later version, with what to do; nothing is changed then.
    init(path: String) throws {
        let advice =
            "the kernel goes on with what it was last given; move \(path) away, and \(path)-wal and \(path)-shm if they are "
            + "there, start the agent, which leaves the kernel as it is until the first change, and apply the policies again"
        PrivateFile.prepare(path)
        do {
            database = try DatabaseQueue.opened(path, ["PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"])
            let found = try database.read { database in
                let check = try String.fetchAll(database, sql: "PRAGMA integrity_check(3)")
                if check != ["ok"] {
                    throw Unusable(description: "\(path) is damaged (\(check.joined(separator: "; "))): \(advice)")
                }
                return try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            }
            guard found <= PolicyStore.version else {
                throw Unusable(description: "\(path) is of a later version of Egret: \(advice)")
            }
            if found == 0 { try database.writeWithoutTransaction { try PolicyStore.create(in: $0) } }
            if found == 1 || found == 2 {
                try database.write { database in
                    if found == 1 { try PolicyStore.addDeadline(in: database) }
                    try PolicyStore.keepDocumentsOnce(in: database)
                }
            }
            try database.read { try $0.require(tables: PolicyStore.tables) }
        } catch let error as DatabaseError {
            let what = error.isDamage ? "is damaged" : "cannot be read"
            throw Unusable(description: "\(path) \(what) (\(error.message ?? "\(error)")): \(advice)")
        }
    }

    private static func create(in database: Database) throws {
        try database.execute(sql: "PRAGMA journal_mode = WAL")
        try database.inTransaction {
            try database.execute(
                sql: """
                    CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
                    CREATE TABLE revision (
                        number INTEGER PRIMARY KEY, time INTEGER NOT NULL, author TEXT NOT NULL, message TEXT,
                        state TEXT NOT NULL, reason TEXT, confirm_by INTEGER, previous INTEGER, confirm_boot TEXT,
                        confirm_uptime INTEGER, objects INTEGER NOT NULL DEFAULT 0
                    );
                    \(documentTable)
                    PRAGMA user_version = \(version);
                    """)
            return .commit
        }
    }

    /// Version 2: the deadline by a clock that nobody sets.
    private static func addDeadline(in database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE revision ADD COLUMN confirm_boot TEXT;
                ALTER TABLE revision ADD COLUMN confirm_uptime INTEGER;
                PRAGMA user_version = 2;
                """)
    }

    /// `last` is empty while the next revision has the document too; `removed` is the revision that took it away.
    private static let documentTable = """
        CREATE TABLE document (
            id INTEGER PRIMARY KEY, place INTEGER NOT NULL, objects TEXT NOT NULL, file TEXT NOT NULL,
            line INTEGER NOT NULL, text INTEGER NOT NULL REFERENCES text (id), first INTEGER NOT NULL, last INTEGER,
            removed INTEGER
        );
        CREATE INDEX document_text ON document (text);
        CREATE INDEX document_last ON document (last);
        CREATE INDEX document_removed ON document (removed);
        """

    /// Version 3. Before, every revision had documents of its own.
    private static func keepDocumentsOnce(in database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE revision ADD COLUMN objects INTEGER NOT NULL DEFAULT 0;
                UPDATE revision SET objects = (
                    SELECT coalesce(sum(length(objects) - length(replace(objects, char(10), '')) + 1), 0) FROM document
                    WHERE document.revision = revision.number
                );
                DROP INDEX document_text;
                ALTER TABLE document RENAME TO former;
                \(documentTable)
                INSERT INTO document (place, objects, file, line, text, first, last)
                SELECT place, objects, file, line, text, revision, revision FROM former ORDER BY revision, place;
                INSERT INTO document (place, objects, file, line, text, first)
                SELECT place, objects, file, line, text, (SELECT max(number) + 1 FROM revision) FROM former
                WHERE revision = (SELECT number FROM revision WHERE state = 'current') ORDER BY place;
                DROP TABLE former;
                PRAGMA user_version = \(version);
                """)
    }

    /// Reads. Why that fails is said without the SQL that was tried.
    private func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try database.read(body)
        } catch let error as DatabaseError {
            throw APIError(
                "failed", "the agent's store cannot be read: \(error.message ?? "\(error)")",
                advice: "the kernel goes on with what it was last given; the agent's next start says what to do")
        }
    }

    // MARK: - Revisions

    /// Until when a revision must be confirmed; `nil` if it need not be, or a former version has noted it.
    func deadline(of number: Int) throws -> ConfirmationDeadline? {
        try read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT confirm_boot, confirm_uptime FROM revision
                    WHERE number = ? AND confirm_by IS NOT NULL AND confirm_boot IS NOT NULL
                    """, arguments: [number]
            ).map { ConfirmationDeadline(bootID: $0["confirm_boot"], uptime: $0["confirm_uptime"]) }
        }
    }

    /// The revision in force; `nil` before the first.
    func current() throws -> RevisionInfo? {
        try read { database in
            try Row.fetchOne(database, sql: PolicyStore.selection + " WHERE state = 'current'").map(PolicyStore.info)
        }
    }

    /// All revisions, the latest first.
    func history() throws -> [RevisionInfo] {
        try read { database in
            try Row.fetchAll(database, sql: PolicyStore.selection + " ORDER BY number DESC").map(PolicyStore.info)
        }
    }

    /// One revision; `nil` if it is not kept.
    func revision(_ number: Int) throws -> RevisionInfo? {
        try read { database in
            try Row.fetchOne(database, sql: PolicyStore.selection + " WHERE number = ?", arguments: [number])
                .map(PolicyStore.info)
        }
    }

    /// The number of the oldest revision that is kept; `nil` before the first.
    func oldest() throws -> Int? {
        try read { try Int.fetchOne($0, sql: "SELECT min(number) FROM revision") }
    }

    /// The documents of a revision, in their order.
    func documents(of number: Int) throws -> [StoredDocument] {
        try read { database in
            // Row by row: all of them at once would be as large again as the documents.
            try Array(
                Row.fetchCursor(
                    database,
                    sql: """
                        SELECT objects, file, line, text.text FROM document JOIN text ON text.id = document.text
                        WHERE first <= ?1 AND (last IS NULL OR last >= ?1) ORDER BY place, document.id
                        """, arguments: [number]
                ).map(PolicyStore.document))
        }
    }

    private static func document(_ row: Row) -> StoredDocument {
        StoredDocument(
            objects: (row["objects"] as String).split(separator: "\n").map(String.init), file: row["file"],
            line: row["line"], text: row["text"])
    }

    /// The revision that going back from one leads to; `nil` if there was none before.
    ///
    /// That is the one that was in force before, but for those that were not confirmed. One that an earlier revision's documents
    /// were put in force again by stands in that one's place: who goes back once more goes further back, never forward again.
    func predecessor(of number: Int) throws -> Int? {
        try read { database in
            var number: Int? = number
            repeat {
                number = try Int.fetchOne(
                    database, sql: "SELECT previous FROM revision WHERE number = ?", arguments: [number])
            } while try number.map {
                try String.fetchOne(database, sql: "SELECT state FROM revision WHERE number = ?", arguments: [$0])
            } == State.rolledBack.rawValue
            return number
        }
    }

    /// Writes a revision that is not in force yet. Returns its number.
    ///
    /// - Complexity: O(*n*) comparisons in the documents; what is written goes with what has changed.
    func begin(
        _ documents: [StoredDocument], time: Int, author: String, message: String?, confirmBy: Int?,
        deadline: ConfirmationDeadline? = nil, before: Before = .current
    ) throws -> Int {
        let known = latest.documents.withLock { documents in
            defer { documents = nil }
            return documents
        }
        let (number, kept) = try database.write { database in
            let previous =
                switch before {
                case .current: try Int.fetchOne(database, sql: "SELECT number FROM revision WHERE state = 'current'")
                case .revision(let number): number
                }
            let last = try Int.fetchOne(database, sql: "SELECT max(number) FROM revision") ?? 0
            let number = last + 1
            try database.execute(
                sql: """
                    INSERT INTO revision
                    (number, time, author, message, state, confirm_by, previous, confirm_boot, confirm_uptime, objects)
                    VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    number, time, author, message, confirmBy, previous, deadline?.bootID, deadline?.uptime,
                    documents.reduce(0) { $0 + $1.objects.count },
                ])
            let old = try known ?? PolicyStore.open(in: database)
            return (number, try PolicyStore.write(documents, over: old, revision: number, in: database))
        }
        latest.documents.withLock { $0 = kept }
        return number
    }

    /// The documents that the next revision has, unless that takes them away.
    private static func open(in database: Database) throws -> [Kept] {
        try Array(
            Row.fetchCursor(
                database,
                sql: """
                    SELECT document.id, place, objects, file, line, text.text FROM document
                    JOIN text ON text.id = document.text WHERE last IS NULL ORDER BY place, document.id
                    """
            ).map { Kept(id: $0["id"], place: $0["place"], document: document($0)) })
    }

    /// Writes what a revision has otherwise than the one before. Returns its documents.
    private static func write(
        _ new: [StoredDocument], over old: [Kept], revision number: Int, in database: Database
    ) throws -> [Kept] {
        let (front, back) = old.map(\.document).commonEnds(with: new)
        var former: [StoredDocument: [Kept]] = [:]
        for kept in old[front..<(old.count - back)].reversed() { former[kept.document, default: []].append(kept) }
        var place = front > 0 ? old[front - 1].place : (old.first?.place ?? 0) - 1
        var written: [Kept] = []
        let isAtEnd = back == 0
        for document in new[front..<(new.count - back)] {
            if let kept = former[document]?.popLast() {
                place = max(place, kept.place)
                written.append(Kept(id: kept.id, place: kept.place, document: document))
                continue
            }
            if isAtEnd { place += 1 }
            let text = try textNumber(document.text, in: database)
            try database.cachedStatement(
                sql: "INSERT INTO document (place, objects, file, line, text, first) VALUES (?, ?, ?, ?, ?, ?)"
            ).execute(arguments: [
                place, document.objects.joined(separator: "\n"), document.file, document.line, text, number,
            ])
            written.append(Kept(id: database.lastInsertedRowID, place: place, document: document))
        }
        for kept in former.values.joined() {
            try database.cachedStatement(sql: "UPDATE document SET last = ?, removed = ? WHERE id = ?")
                .execute(arguments: [number - 1, number, kept.id])
        }
        // Those that stay are kept as they were given: what was read from the database takes no room beside them.
        let before = zip(old.prefix(front), new).map { Kept(id: $0.id, place: $0.place, document: $1) }
        let behind = zip(old.suffix(back), new.suffix(back)).map { Kept(id: $0.id, place: $0.place, document: $1) }
        return before + written + behind
    }

    private static func textNumber(_ text: String, in database: Database) throws -> Int64? {
        try database.cachedStatement(sql: "INSERT INTO text (text) VALUES (?) ON CONFLICT DO NOTHING")
            .execute(arguments: [text])
        return try Int64.fetchOne(
            try database.cachedStatement(sql: "SELECT id FROM text WHERE text = ?"), arguments: [text])
    }

    /// Notes that a pending revision is in force now, and what became of the one before.
    func commit(_ number: Int, former: State = .superseded, reason: String? = nil) throws {
        try database.write { database in
            try database.execute(
                sql:
                    "UPDATE revision SET state = ?, reason = coalesce(?, reason), confirm_by = NULL WHERE state = 'current'",
                arguments: [former.rawValue, reason])
            try database.execute(sql: "UPDATE revision SET state = 'current' WHERE number = ?", arguments: [number])
            try PolicyStore.forgetOld(in: database)
        }
    }

    /// Notes that a pending revision never came into force. The next one begins where it began.
    func fail(_ number: Int, reason: String) throws {
        latest.documents.withLock { $0 = nil }
        try database.write { database in
            try database.execute(
                sql:
                    "UPDATE revision SET state = 'failed', reason = ?, confirm_by = NULL WHERE number = ? AND state = 'pending'",
                arguments: [reason, number])
            if database.changesCount == 0 { return }
            try database.execute(
                sql: """
                    UPDATE document SET last = ?1 WHERE first = ?1 AND last IS NULL;
                    INSERT INTO document (place, objects, file, line, text, first)
                    SELECT place, objects, file, line, text, ?1 + 1 FROM document WHERE removed = ?1 ORDER BY id;
                    UPDATE document SET removed = NULL WHERE removed = ?1;
                    """, arguments: [number, number, number])
        }
    }

    /// The revisions that were written and neither came into force nor failed: whoever wrote them was killed.
    func pending() throws -> [Int] {
        try read { try Int.fetchAll($0, sql: "SELECT number FROM revision WHERE state = 'pending'") }
    }

    /// Notes that the revision in force is confirmed.
    func confirm() throws {
        try database.write { database in
            try database.execute(sql: "UPDATE revision SET confirm_by = NULL WHERE state = 'current'")
        }
    }

    /// Runs SQL as it is written. For tests.
    func execute(_ sql: String) throws {
        try database.write { try $0.execute(sql: sql) }
    }

    /// Forgets what is too old, but for the revisions that the one in force may go back by.
    private static func forgetOld(in database: Database) throws {
        try database.execute(
            sql: """
                WITH RECURSIVE way (number, state) AS (
                    SELECT former.number, former.state FROM revision
                    JOIN revision AS former ON former.number = revision.previous WHERE revision.state = 'current'
                    UNION
                    SELECT former.number, former.state FROM way
                    JOIN revision ON revision.number = way.number
                    JOIN revision AS former ON former.number = revision.previous WHERE way.state = 'rolled-back'
                )
                DELETE FROM revision WHERE state NOT IN ('current', 'pending')
                AND number <= (SELECT max(number) FROM revision) - ? AND number NOT IN (SELECT number FROM way)
                """, arguments: [kept])
        if database.changesCount == 0 { return }
        let oldest = try Int.fetchOne(database, sql: "SELECT min(number) FROM revision")
        let texts = try Int64.fetchSet(
            database, sql: "SELECT DISTINCT text FROM document WHERE last < ?", arguments: [oldest])
        try database.execute(sql: "DELETE FROM document WHERE last < ?", arguments: [oldest])
        for text in texts {
            try database.execute(
                sql: "DELETE FROM text WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM document WHERE document.text = ?1)",
                arguments: [text])
        }
    }

    private static let selection = """
        SELECT number, time, author, message, state, reason, confirm_by, objects FROM revision
        """

    private static func info(_ row: Row) -> RevisionInfo {
        let confirmBy: Int? = row["confirm_by"]
        let state: String = row["state"]
        return RevisionInfo(
            number: row["number"], time: row["time"], author: row["author"], message: row["message"],
            state: state == "current" && confirmBy != nil ? "unconfirmed" : state, reason: row["reason"],
            objects: row["objects"], confirmBy: confirmBy)
    }
}
