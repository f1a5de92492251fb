// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One mount, as `/proc/<pid>/mountinfo` shows it.
public struct MountEntry: Hashable, Sendable {
    /// The number of the mount.
    public var identifier: Int
    /// The number of the mount it is on.
    public var parent: Int
    /// The directory of the filesystem that is mounted.
    public var root: String
    /// Where it is mounted.
    public var target: String
    /// Options of this mount, such as `ro`, `nosuid`.
    public var options: [String]
    /// The propagation fields, such as `shared:2`; empty if private.
    public var propagation: [String]
    /// The kind of filesystem.
    public var type: String
    /// What is mounted.
    public var source: String
    /// Options of the filesystem.
    public var filesystemOptions: [String]

    /// Whether mounts made on it appear elsewhere too.
    public var isShared: Bool { propagation.contains { $0.hasPrefix("shared:") } }
}

/// The mounts of a mount namespace.
public enum MountTable {
    /// The mounts of the calling thread's namespace, in the order they were mounted.
    public static func current() throws(LinuxError) -> [MountEntry] {
        parse(try File.readText("/proc/thread-self/mountinfo"))
    }

    /// Reads the text of a mountinfo file; lines that are not of its form are left out.
    ///
    /// A line holds: number, parent, major:minor, root, target, options, any optional fields, `-`, type, source,
    /// filesystem options. See proc_pid_mountinfo(5).
    public static func parse(_ text: String) -> [MountEntry] {
        text.split(separator: "\n").compactMap(parseLine)
    }

    private static func parseLine(_ line: Substring) -> MountEntry? {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count >= 10, let separator = fields.dropFirst(6).firstIndex(of: "-"),
            separator + 3 < fields.count, let identifier = Int(fields[0]), let parent = Int(fields[1])
        else { return nil }
        return MountEntry(
            identifier: identifier,
            parent: parent,
            root: unescape(fields[3]),
            target: unescape(fields[4]),
            options: fields[5].split(separator: ",").map(String.init),
            propagation: fields[6..<separator].map(String.init),
            type: unescape(fields[separator + 1]),
            source: unescape(fields[separator + 2]),
            filesystemOptions: fields[separator + 3].split(separator: ",").map(String.init)
        )
    }

    /// Space, tab, newline and backslash stand as three octal digits after a backslash.
    private static func unescape(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            guard byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(value)
            rest = rest.dropFirst(3)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
