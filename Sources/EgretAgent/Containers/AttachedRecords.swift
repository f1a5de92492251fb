// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The records of what is attached, each in a file of its own, in a directory that is there for as long as there are any.
///
/// What cannot be written holds all the same, until the agent ends, and is written later.
struct AttachedRecords {
    private let directory: String
    private var records: [String: AttachedRecord] = [:]
    /// Why records are not written as they are, in words, by name.
    private(set) var problems: [String: String] = [:]

    /// Reads what was attached before.
    ///
    /// - Parameter directory: Where the files are.
    /// - Throws: An error if the directory cannot be used, or a record not be read: to go on without one would be to take an
    ///   endpoint's policies away.
    init(directory: String) throws {
        self.directory = directory
        guard File.exists(directory) else { return }
        for name in try Directory.names(in: directory) where name.hasSuffix(".json") {
            let data = Data(try File.read("\(directory)/\(name)"))
            do {
                let record = try JSONDecoder().decode(AttachedRecord.self, from: data)
                records[record.target.id] = record
            } catch {
                throw APIError(
                    "failed", "\(directory)/\(name) cannot be read as the record of an endpoint: \(error)",
                    advice:
                        "the kernel goes on with what it was last given; remove the file to let go of that endpoint, "
                        + "and attach it again")
            }
        }
    }

    /// All of them, by name.
    var all: [AttachedRecord] { records.keys.sorted().compactMap { records[$0] } }

    /// All of them, in no order.
    var unsorted: Dictionary<String, AttachedRecord>.Values { records.values }

    /// What is attached under a name.
    subscript(_ id: String) -> AttachedRecord? { records[id] }

    /// Notes a record, and writes it.
    ///
    /// - Throws: An error if it cannot be written. It is noted all the same.
    mutating func keep(_ record: AttachedRecord) throws {
        let id = record.target.id
        records[id] = record
        do {
            try Directory.make(directory, mode: 0o700)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            try File.replace(file(id), with: Array(try encoder.encode(record)), mode: 0o600, synchronized: false)
            problems[id] = nil
        } catch {
            problems[id] = "\(error)"
            throw error
        }
    }

    /// Writes the records that could not be written. Of those that still cannot be ``problems`` tells.
    mutating func keepRest() {
        for id in problems.keys.sorted() { if let record = records[id] { try? keep(record) } }
    }

    /// Has a record be again what it was before it was noted and could not be written.
    mutating func restore(_ former: AttachedRecord?, as id: String) {
        records[id] = former
        problems[id] = nil
    }

    /// Forgets a record.
    ///
    /// - Throws: An error if its file cannot be removed. It is forgotten all the same.
    mutating func remove(_ id: String) throws {
        records[id] = nil
        problems[id] = nil
        try File.remove(file(id))
        // Somebody may look there just now; nothing depends on it.
        if records.isEmpty { try? Directory.remove(directory) }
    }

    /// The file of a record. The name is for people; engines' names may be longer than a file's.
    private func file(_ id: String) -> String {
        let name = id.replacing("%", with: "%25").replacing("/", with: "%2F")
        let isLong = name.utf8.count > 200
        return "\(directory)/\(isLong ? SHA256.digest(of: Array(id.utf8)) : name).json"
    }
}
