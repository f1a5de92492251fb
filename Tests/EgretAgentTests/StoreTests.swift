// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretTesting
import GRDB
import Testing

@testable import EgretAgent

@Suite("the store of revisions")
struct StoreTests {
    private func document(_ number: Int, _ text: String) -> StoredDocument {
        StoredDocument(
            objects: ["EgressPolicy/p\(number)"], file: "p\(number % 3).yaml", line: number, text: "---\n\(text)\n")
    }

    @Test(
        "whatever comes, goes, fails and is killed, each revision has the documents that it was given",
        arguments: 0..<20)
    func random(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        var random = SeededGenerator(seed: seed)
        var store = try PolicyStore(path: directory.path + "/agent.sqlite")
        var current: [StoredDocument] = []
        var meant: [Int: [StoredDocument]] = [:]
        for step in 0..<60 {
            var next = current
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let number = Int.random(in: 0..<12, using: &random)
                let fresh = document(number, "text \(Int.random(in: 0..<4, using: &random))")
                switch (next.firstIndex { $0.objects == fresh.objects }, Int.random(in: 0..<3, using: &random)) {
                case (let place?, 0): next.remove(at: place)
                case (let place?, _): next[place] = fresh
                case (nil, _): next.append(fresh)
                }
            }
            // Somebody goes back.
            if step % 13 == 12, let old = meant.randomElement(using: &random) { next = old.value }
            let number = try store.begin(next, time: step, author: "test", message: nil, confirmBy: nil)
            meant[number] = next
            switch Int.random(in: 0..<5, using: &random) {
            case 0: try store.fail(number, reason: "test")
            case 1:
                store = try PolicyStore(path: directory.path + "/agent.sqlite")
                for number in try store.pending() { try store.fail(number, reason: "killed") }
            default:
                try store.commit(number)
                current = next
            }
            for (number, documents) in meant {
                #expect(
                    Swift.Set(try store.documents(of: number)) == Swift.Set(documents),
                    "seed \(seed), step \(step), revision \(number)")
                #expect(try store.revision(number)?.objects == documents.count)
            }
        }
    }

    @Test("old revisions and their texts go, and those that are kept are whole")
    func forgetting() throws {
        let directory = try TemporaryDirectory()
        let store = try PolicyStore(path: directory.path + "/agent.sqlite")
        for step in 0..<(PolicyStore.kept + 30) {
            let documents = [document(1, "always"), document(2, "step \(step)"), document(3, "half \(step / 100)")]
            try store.commit(
                store.begin(documents, time: step, author: "test", message: nil, confirmBy: nil))
        }
        let history = try store.history()
        #expect(history.count == PolicyStore.kept)
        #expect(try store.oldest() == history.last?.number)
        for revision in history {
            let texts = try store.documents(of: revision.number).map(\.text)
            let step = revision.number - 1
            #expect(texts == ["---\nalways\n", "---\nstep \(step)\n", "---\nhalf \(step / 100)\n"])
        }
        let database = try DatabaseQueue(path: directory.path + "/agent.sqlite")
        let texts = try database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM text") ?? 0 }
        #expect(texts <= PolicyStore.kept + 5)
    }

    @Test("however many changes fail, what the revision in force may go back to is kept")
    func failures() throws {
        let directory = try TemporaryDirectory()
        let store = try PolicyStore(path: directory.path + "/agent.sqlite")
        func begin(_ text: String, confirmBy: Int? = nil) throws -> Int {
            try store.begin([document(1, text)], time: 1, author: "test", message: nil, confirmBy: confirmBy)
        }
        func fail() throws {
            for step in 0..<PolicyStore.kept { try store.fail(begin("attempt \(step)"), reason: "test") }
        }
        let first = try begin("first")
        try store.commit(first)
        try fail()
        let second = try begin("second", confirmBy: 9)
        try store.commit(second)
        #expect(try store.predecessor(of: second) == first)
        #expect(try store.revision(first) != nil)
        #expect(try store.documents(of: first) == [document(1, "first")])
        #expect(try store.documents(of: second) == [document(1, "second")])
        // Over one that was not confirmed, further back.
        try fail()
        let third = try begin("first")
        try store.commit(third, former: .rolledBack, reason: "test")
        #expect(try store.predecessor(of: third) == first)
        #expect(try store.documents(of: first) == [document(1, "first")])
        // What nothing goes back to any more goes.
        try store.commit(begin("fourth"))
        try store.commit(begin("fifth"))
        #expect(try store.revision(first) == nil)
        #expect(try store.documents(of: first).isEmpty)
    }

    @Test("nobody else reads what the stores keep, nor what stands beside them while they are open")
    func modes() throws {
        let directory = try TemporaryDirectory()
        let paths = ["agent", "traffic", "usage"].map { "\(directory.path)/\($0).sqlite" }
        let policies = try PolicyStore(path: paths[0])
        let former = try TrafficStore(path: paths[1], log: { _ in })
        // As a former version left it.
        try File.changeMode(of: paths[1] + "-wal", to: 0o644)
        let traffic = try TrafficStore(path: paths[1], log: { _ in })
        let usage = try UsageStore(path: paths[2], log: { _ in })
        try policies.commit(
            policies.begin([document(1, "text")], time: 1, author: "test", message: nil, confirmBy: nil))
        let names = try Directory.names(in: directory.path).sorted()
        #expect(names.contains("agent.sqlite-wal") && names.contains("traffic.sqlite-wal"), "\(names)")
        #expect(names.contains("usage.sqlite-wal"), "\(names)")
        for name in names {
            let mode = try File.status("\(directory.path)/\(name)").mode
            #expect(mode == 0o600, "\(name)")
        }
        withExtendedLifetime((policies, former, traffic, usage)) {}
    }

    @Test("a store that lacks a table is damaged, and says what to do", arguments: ["text", "revision", "document"])
    func missingTable(_ table: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/agent.sqlite"
        let open = try PolicyStore(path: path)
        try drop(table, of: path)
        if table == "revision" {
            let unread = #expect(throws: APIError.self) { _ = try open.history() }
            #expect(unread?.message == "the agent's store cannot be read: no such table: revision")
            #expect(unread?.advice?.contains("next start says what to do") == true)
        }
        let error = #expect(throws: PolicyStore.Unusable.self) { _ = try PolicyStore(path: path) }
        let reason = "\(path) is damaged (there is no table \(table)): the kernel goes on"
        #expect(error?.description.hasPrefix(reason) == true)
        #expect(error?.description.contains("move \(path) away") == true)
        #expect(error?.description.contains("SELECT") == false)
    }

    @Test("counts and usage that lack a table are put aside, and counting begins anew")
    func missingTableOfCounts() throws {
        let directory = try TemporaryDirectory()
        let (traffic, usage) = (directory.path + "/traffic.sqlite", directory.path + "/usage.sqlite")
        var lines: [String] = []
        _ = try TrafficStore(path: traffic) { lines.append($0) }
        _ = try UsageStore(path: usage) { lines.append($0) }
        #expect(lines == [])
        try drop("total", of: traffic)
        try drop("usage", of: usage)
        try TrafficStore(path: traffic) { lines.append($0) }.load(into: TrafficBook(), kernel: "a")
        _ = try UsageStore(path: usage) { lines.append($0) }.load(kernel: nil)
        #expect(lines.count == 2 && lines[0].contains("there is no table total"), "\(lines)")
        #expect(lines.last?.contains("there is no table usage): it is kept at \(usage).damaged") == true, "\(lines)")
    }

    private func drop(_ table: String, of path: String) throws {
        try DatabaseQueue(path: path).writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA foreign_keys = OFF; DROP TABLE \(table)")
        }
    }

    @Test("a store of a former version keeps its history", arguments: [1, 2])
    func migration(version: Int) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/agent.sqlite"
        try DatabaseQueue(path: path).write { database in
            try database.execute(
                sql: """
                    CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
                    CREATE TABLE revision (
                        number INTEGER PRIMARY KEY, time INTEGER NOT NULL, author TEXT NOT NULL, message TEXT,
                        state TEXT NOT NULL, reason TEXT, confirm_by INTEGER, previous INTEGER
                    );
                    CREATE TABLE document (
                        revision INTEGER NOT NULL REFERENCES revision (number) ON DELETE CASCADE,
                        place INTEGER NOT NULL, objects TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,
                        text INTEGER NOT NULL REFERENCES text (id), PRIMARY KEY (revision, place)
                    ) WITHOUT ROWID;
                    CREATE INDEX document_text ON document (text);
                    PRAGMA user_version = 1;
                    INSERT INTO text VALUES (1, 'one'), (2, 'two'), (3, 'three');
                    INSERT INTO revision (number, time, author, state) VALUES
                    (1, 0, 'a', 'superseded'), (2, 0, 'a', 'current'), (3, 0, 'a', 'failed');
                    INSERT INTO document VALUES (1, 0, 'A', 'f', 1, 1), (2, 0, 'A', 'f', 1, 1), (2, 1, 'B', 'f', 2, 2),
                    (3, 0, 'A', 'f', 1, 3);
                    """)
            if version == 1 { return }
            try database.execute(
                sql: """
                    ALTER TABLE revision ADD COLUMN confirm_boot TEXT;
                    ALTER TABLE revision ADD COLUMN confirm_uptime INTEGER;
                    UPDATE revision SET confirm_by = 9, confirm_boot = 'start', confirm_uptime = 7 WHERE number = 2;
                    PRAGMA user_version = 2;
                    """)
        }
        let store = try PolicyStore(path: path)
        #expect(try store.documents(of: 1).map(\.text) == ["one"])
        #expect(try store.documents(of: 2).map(\.text) == ["one", "two"])
        #expect(try store.documents(of: 3).map(\.text) == ["three"])
        #expect(try store.current()?.objects == 2)
        #expect(try store.deadline(of: 2)?.uptime == (version == 1 ? nil : 7))
        let number = try store.begin(
            [StoredDocument(objects: ["B"], file: "f", line: 2, text: "two")], time: 1, author: "a", message: nil,
            confirmBy: nil)
        try store.commit(number)
        #expect(try store.documents(of: number).map(\.text) == ["two"])
        #expect(try store.documents(of: 2).map(\.text) == ["one", "two"])
    }
}
