// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Directories.
public enum Directory {
    /// Makes a directory and those above it that are missing, all with the mode given (less the creation mask).
    public static func make(_ path: String, mode: UInt32 = 0o755) throws(LinuxError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            let result = unsafe egret_mkdir(made, mode)
            if result == -egret_eexist { continue }
            try check(result, "make directory", made)
        }
        guard try File.status(path).kind == .directory else {
            throw LinuxError(.notDirectory, operation: "make directory", object: path)
        }
    }

    /// Removes an empty directory; one that is not there will do.
    public static func remove(_ path: String) throws(LinuxError) {
        let result = unsafe egret_rmdir(path)
        if result != -egret_enoent { try check(result, "remove directory", path) }
    }

    /// Waits until the names in a directory are on the disk: those that were given, and those that were taken away (fsync(2)).
    public static func synchronize(_ path: String) throws(LinuxError) {
        let directory = try Descriptor.open(path, .directory)
        try check(egret_fsync(directory.number), "synchronise directory", path)
    }

    /// The names in a directory, sorted, without `.` and `..`.
    public static func names(in path: String) throws(LinuxError) -> [String] {
        let directory = try Descriptor.open(path, .directory)
        var names: [String] = []
        var buffer = [UInt8](repeating: 0, count: 32_768)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe egret_read_directory(directory.number, bytes.baseAddress, bytes.count)
            }
            try check(count, "list", path)
            if count == 0 { return names.sorted() }
            names += entries(buffer.prefix(Int(count)))
        }
    }

    /// Removes what ``File/replace(_:with:mode:synchronized:)`` left in a directory of processes that are gone: they were
    /// killed before the file had its name. A directory that is not there has nothing.
    public static func removeHalves(in path: String) throws(LinuxError) {
        guard File.exists(path) else { return }
        for name in try names(in: path) {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count > 3, parts.last == "new", parts[parts.count - 2].allSatisfy(\.isNumber),
                let process = UInt32(parts[parts.count - 3]), !File.exists("/proc/\(process)")
            else { continue }
            try File.remove("\(path)/\(name)")
        }
    }

    /// Reads `struct linux_dirent64` records: inode (8), offset (8), record length (2), type (1), name.
    private static func entries(_ records: ArraySlice<UInt8>) -> [String] {
        var names: [String] = []
        var rest = records
        while rest.count > 19 {
            let start = rest.startIndex
            let length = Int(rest[start + 16]) | Int(rest[start + 17]) << 8
            guard length > 19, length <= rest.count else { break }
            let name = rest[(start + 19)..<(start + length)].prefix { $0 != 0 }
            let text = String(decoding: name, as: UTF8.self)
            if text != ".", text != ".." { names.append(text) }
            rest = rest.dropFirst(length)
        }
        return names
    }
}
