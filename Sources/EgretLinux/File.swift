// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Small files, whole.
public enum File {
    /// What kind of file a path names.
    public enum Kind: Sendable {
        /// Bytes.
        case regular
        /// Names of other files.
        case directory
        /// Another path.
        case symbolicLink
        /// A device, socket or pipe.
        case other
    }

    /// What is known about a file without opening it.
    public struct Status: Hashable, Sendable {
        /// The kind.
        public var kind: Kind
        /// Permission bits.
        public var mode: UInt32
        /// The owner's number.
        public var owner: UInt32
        /// The group's number.
        public var group: UInt32
        /// The size in bytes.
        public var size: Int64
        /// The device it is on.
        public var device: UInt64
        /// Its number there.
        public var inode: UInt64
        /// When its contents were last changed: the seconds since 1970.
        public var modifiedSeconds: Int64
        /// And the nanoseconds of that second.
        public var modifiedNanoseconds: Int64
    }

    /// What is known about the file; with `followingLinks` false, about a symbolic link itself.
    public static func status(_ path: String, followingLinks: Bool = true) throws(LinuxError) -> Status {
        var found = egret_file_status()
        try check(unsafe egret_status_of_path(path, followingLinks ? 1 : 0, &found), "look at", path)
        return Status(
            kind: kind(ofMode: found.mode),
            mode: found.mode & 0o7777,
            owner: found.owner,
            group: found.group,
            size: found.size,
            device: found.device,
            inode: found.inode,
            modifiedSeconds: found.modified_seconds,
            modifiedNanoseconds: found.modified_nanoseconds
        )
    }

    private static func kind(ofMode mode: UInt32) -> Kind {
        switch mode & 0o170000 {
        case 0o100000: .regular
        case 0o040000: .directory
        case 0o120000: .symbolicLink
        default: .other
        }
    }

    /// Whether the path names something, links followed.
    public static func exists(_ path: String) -> Bool {
        (try? status(path)) != nil
    }

    /// Reads a file, at most `limit` bytes.
    public static func read(_ path: String, limit: Int = 1 << 24) throws(LinuxError) -> [UInt8] {
        try naming(path) { () throws(LinuxError) in try Descriptor.open(path).readToEnd(limit: limit) }
    }

    /// Reads a file as UTF-8; bytes that are not become U+FFFD.
    public static func readText(_ path: String, limit: Int = 1 << 24) throws(LinuxError) -> String {
        String(decoding: try read(path, limit: limit), as: UTF8.self)
    }

    /// Writes a file in place, creating or truncating it.
    public static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws(LinuxError) {
        try naming(path) { () throws(LinuxError) in
            try Descriptor.open(path, [.writeOnly, .create, .truncate], mode: mode).write(bytes)
        }
    }

    /// Puts a file in place whole: readers see the old one or the new one, never a part.
    ///
    /// Synchronized, the bytes are on the disk before the name changes.
    public static func replace(
        _ path: String,
        with bytes: [UInt8],
        mode: UInt32 = 0o644,
        synchronized: Bool = false
    ) throws(LinuxError) {
        let temporary = "\(path).\(CurrentProcess.identifier).\(MonotonicInstant.now.nanoseconds).new"
        do throws(LinuxError) {
            let file = try Descriptor.open(temporary, [.writeOnly, .create, .exclusive], mode: mode)
            try check(egret_chmod_descriptor(file.number, mode), "set the mode of", temporary)
            try naming(path) { () throws(LinuxError) in try file.write(bytes) }
            if synchronized { try check(egret_fsync(file.number), "synchronise", temporary) }
            try check(unsafe egret_rename(temporary, path), "replace", path)
        } catch {
            _ = unsafe egret_unlink(temporary)
            throw error
        }
    }

    /// Writes a file anew in the room that it takes already, on the disk on return: for what ``replace(_:with:mode:synchronized:)``
    /// has no room for.
    ///
    /// Who reads meanwhile may see a part of both, and so may who comes after a power cut.
    ///
    /// - Parameters:
    ///   - path: The file, which is there.
    ///   - bytes: What it is to hold.
    ///   - padding: What stands behind the bytes until the file is shortened to them.
    /// - Throws: ``LinuxError``; where the file takes less room, `ENOSPC` and nothing is changed.
    public static func overwrite(_ path: String, with bytes: [UInt8], padding: UInt8) throws(LinuxError) {
        try naming(path) { () throws(LinuxError) in
            let file = try Descriptor.open(path, [.writeOnly, .noFollow])
            let former = Int(clamping: try status(path).size)
            if bytes.count > former {
                try check(egret_allocate(file.number, Int64(bytes.count)), "take room for", path)
            }
            try file.write(bytes + Array(repeating: padding, count: max(0, former - bytes.count)))
            try check(egret_truncate(file.number, Int64(bytes.count)), "shorten", path)
            try check(egret_fsync(file.number), "synchronise", path)
        }
    }

    /// Gives a file another name on the same filesystem; a file that has that name already is replaced.
    public static func rename(_ path: String, to other: String) throws(LinuxError) {
        try check(unsafe egret_rename(path, other), "rename", path)
    }

    /// Removes a file; one that is not there will do.
    public static func remove(_ path: String) throws(LinuxError) {
        let result = unsafe egret_unlink(path)
        if result != -egret_enoent { try check(result, "remove", path) }
    }

    /// Gives an open file to a user and group.
    public static func changeOwner(of file: Descriptor, user: UInt32, group: UInt32) throws(LinuxError) {
        try check(egret_chown_descriptor(file.number, user, group), "change the owner of descriptor", "\(file.number)")
    }

    /// Where a symbolic link points.
    public static func destination(ofLink path: String) throws(LinuxError) -> String {
        var bytes = [CChar](repeating: 0, count: 4_096)
        let count = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe egret_readlink(path, $0.baseAddress, $0.count)
        }
        try check(count, "read link", path)
        return String(decoding: bytes.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Errors on a descriptor say the path in place of its number.
    private static func naming<Result>(
        _ path: String,
        _ body: () throws(LinuxError) -> Result
    ) throws(LinuxError) -> Result {
        do throws(LinuxError) {
            return try body()
        } catch {
            var error = error
            if error.operation.hasSuffix(" descriptor") {
                error.operation = error.operation.hasPrefix("read") ? "read" : "write"
                error.object = path
            }
            throw error
        }
    }
}
