// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// The environment of a process: `NAME=value` entries in order.
public struct Environment: Hashable, Sendable {
    /// The entries, byte for byte.
    public var entries: [NativeString]

    /// Wraps entries of the form `NAME=value`.
    public init(entries: [NativeString] = []) {
        self.entries = entries
    }

    /// A copy of the environment of this process.
    ///
    /// Call it where no other thread changes the environment.
    public static var current: Environment {
        var entries: [NativeString] = []
        guard var next = unsafe egret_environment() else { return Environment() }
        while let entry = unsafe next.pointee {
            unsafe entries.append(NativeString(copying: entry))
            unsafe next += 1
        }
        return Environment(entries: entries)
    }

    /// Takes variables out of the environment of this process.
    ///
    /// Call it where no other thread uses the environment.
    public static func unset(_ names: [String]) {
        for name in names { _ = unsafe egret_unset_environment(name) }
    }

    /// The value of a variable; setting it replaces the first entry and removes the others, `nil` removes all.
    public subscript(name: String) -> String? {
        get {
            let prefix = Array(name.utf8) + [UInt8(ascii: "=")]
            guard let entry = entries.first(where: { $0.bytes.starts(with: prefix) }) else { return nil }
            return String(decoding: entry.bytes.dropFirst(prefix.count), as: UTF8.self)
        }
        set {
            let prefix = Array(name.utf8) + [UInt8(ascii: "=")]
            let position = entries.firstIndex { $0.bytes.starts(with: prefix) }
            entries.removeAll { $0.bytes.starts(with: prefix) }
            guard let newValue else { return }
            let entry = NativeString(bytes: prefix + Array(newValue.utf8))
            entries.insert(entry, at: min(position ?? entries.count, entries.count))
        }
    }
}
