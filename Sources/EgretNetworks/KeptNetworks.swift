// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// Reads the networks of a store again and again, and a file only if it may be another one.
public final class KeptNetworks {
    private let store: NetworkStore
    private var held: [String: Held] = [:]
    /// Rises with each change of what is read.
    public private(set) var version = 0

    /// A file as it was last read.
    private struct Held {
        var status: File.Status
        /// What it holds, for as long as it is so young that a later change might not show in its status.
        var bytes: [UInt8]?
        var record: NetworkRecord
    }

    /// Reads the networks of a store; nothing yet.
    ///
    /// - Parameter store: The store.
    public init(_ store: NetworkStore) {
        self.store = store
    }

    /// All networks, by name.
    ///
    /// - Returns: The networks as they are kept now. Without the store's lock each is whole, and several may be of different
    ///   moments.
    /// - Throws: ``NetworkProblem`` if a file is damaged or of a later version, `LinuxError` if it cannot be read; it is tried
    ///   again with the next call.
    public func networks() throws -> [NetworkRecord] {
        let names = try store.fileNames()
        let gone = held.keys.filter { !names.contains($0) }
        for name in gone { held[name] = nil }
        var hasChanged = !gone.isEmpty
        defer { if hasChanged { version += 1 } }
        for name in names {
            let file = "\(store.path)/\(name)"
            let status = try File.status(file)
            let isYoung = WallTime.now.seconds - status.modifiedSeconds <= 2
            if let known = held[name], known.status == status, known.bytes == nil, !isYoung { continue }
            let bytes = try File.read(file)
            if var known = held[name], known.bytes == bytes {
                (known.status, known.bytes) = (status, isYoung ? bytes : nil)
                held[name] = known
                continue
            }
            let record = try NetworkStore.record(bytes, of: file)
            held[name] = Held(status: status, bytes: isYoung ? bytes : nil, record: record)
            hasChanged = true
        }
        return names.compactMap { held[$0]?.record }
    }
}
