// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Where networks are kept: a file for each, which survives the machine's restart.
///
/// Each network namespace is a host of its own. The first one, which is there after every restart, has the directory
/// `/var/lib/egret/networks`; every other has one by its cookie, and what an earlier start of the machine left there was
/// another namespace's.
public struct NetworkStore: Sendable {
    /// Where the files lie.
    public let path: String
    /// Whether what is kept is this host's after the machine was restarted.
    public let outlivesRestart: Bool

    /// The environment variable that names another directory than `/var/lib/egret`.
    public static let variable = "EGRET_STATE_DIRECTORY"

    /// Names the directory of the network namespace that the calling thread is in. Nothing is made yet.
    ///
    /// - Parameter chosen: The directory that ``variable`` names, if it does.
    /// - Throws: `LinuxError` if the namespace cannot be told.
    public init(chosen: String? = nil) throws(LinuxError) {
        let chosen = chosen.flatMap { $0.isEmpty ? nil : $0 }
        let root = chosen ?? "/var/lib/egret"
        let first = try? Namespace.open(.network, process: 1).identity
        let isFirst = try first == Namespace.current(.network).identity && chosen == nil
        outlivesRestart = isFirst || chosen != nil
        path = isFirst ? root + "/networks" : "\(root)/networks-\(try NetworkNamespace.currentCookie())"
    }

    /// Waits for the lock on the networks. The directory exists from then on.
    public func lock() throws(LinuxError) -> FileLock {
        try Directory.make(path, mode: 0o700)
        let lock = try FileLock.acquire(path + "/lock")
        // Files that somebody who was killed had not put in place yet. Whoever holds the lock writes alone.
        for name in try Directory.names(in: path) where name.hasSuffix(".new") { try File.remove("\(path)/\(name)") }
        return lock
    }

    /// All networks, by name. The caller holds the lock.
    ///
    /// - Throws: ``NetworkProblem`` if a file is damaged or of a later version; nothing is changed then.
    public func networks() throws -> [NetworkRecord] {
        guard File.exists(path) else { return [] }
        return try Directory.names(in: path).filter { $0.hasSuffix(".json") }.map { try read("\(path)/\($0)") }
    }

    private func read(_ file: String) throws -> NetworkRecord {
        let record: NetworkRecord
        do {
            let data = Data(try File.read(file))
            let version = try JSONDecoder().decode(Version.self, from: data).version
            guard version <= NetworkRecord.currentVersion else {
                throw NetworkProblem(
                    "\(file) was written by a later egret", advice: "use that one, or one that is newer still")
            }
            record = try JSONDecoder().decode(NetworkRecord.self, from: data)
        } catch let error as DecodingError {
            throw NetworkProblem(
                "\(file) is damaged: \(NetworkStore.text(error))",
                advice: "the kernel keeps what it has; mend the file, or move it away and make the network anew")
        }
        return record
    }

    private struct Version: Decodable {
        var version: Int
    }

    /// Keeps a network: the file is replaced whole, and on the disk when this returns.
    public func write(_ record: NetworkRecord) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(record)) + [UInt8(ascii: "\n")]
        try File.replace(file(record.name), with: bytes, mode: 0o600, synchronized: true)
    }

    /// Forgets a network.
    public func remove(_ name: String) throws(LinuxError) {
        try File.remove(file(name))
    }

    /// Removes the directory if no network is in it. The caller holds the lock.
    public func removeIfEmpty() throws(LinuxError) {
        guard try Directory.names(in: path).allSatisfy({ $0 == "lock" }) else { return }
        try File.remove(path + "/lock")
        try? Directory.remove(path)
    }

    private func file(_ name: String) -> String { "\(path)/\(name).json" }

    private static func text(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.debugDescription
        case .keyNotFound(let key, _): "it has no \(key.stringValue)"
        @unknown default: "it cannot be read"
        }
    }
}
