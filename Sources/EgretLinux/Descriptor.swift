// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// An open file descriptor, closed when the last reference to it goes.
///
/// Every descriptor made here is close-on-exec: a child gets only what ``ChildOperation/duplicate(_:onto:)`` gives it.
public final class Descriptor: Sendable {
    /// The number, valid while this object lives.
    public let number: Int32
    private let isOwned: Bool

    /// Takes ownership of a descriptor.
    public init(owning number: Int32) {
        self.number = number
        isOwned = true
    }

    private init(borrowing number: Int32) {
        self.number = number
        isOwned = false
    }

    deinit {
        if isOwned { egret_close(number) }
    }

    /// Takes a descriptor that whoever started this process has left open for it, and has it close on exec.
    ///
    /// - Parameter number: Its number; nobody else may know it, as it is closed when the last reference goes.
    /// - Throws: ``LinuxError`` if nothing is open there; with ``Errno/exists`` if it closes on exec already, as everything does
    ///   that this process has opened itself: then it is left alone.
    public init(inherited number: Int32) throws(LinuxError) {
        try check(egret_take_inherited(number), "take descriptor", "\(number)")
        self.number = number
        isOwned = true
    }

    /// Descriptor 0, never closed.
    public static let standardInput = Descriptor(borrowing: 0)
    /// Descriptor 1, never closed.
    public static let standardOutput = Descriptor(borrowing: 1)
    /// Descriptor 2, never closed.
    public static let standardError = Descriptor(borrowing: 2)

    /// Takes those of the numbers 0 to 2 that are closed, so that no file opened later is mistaken for a standard one.
    ///
    /// - Returns: What takes them: they are free again when it goes. Children find them closed, as before.
    public static func takingStandardNumbers() throws(LinuxError) -> [Descriptor] {
        var taken: [Descriptor] = []
        while true {
            let next = try open("/dev/null", .readWrite)
            if next.number > 2 { return taken }
            taken.append(next)
        }
    }
}

extension Descriptor {
    /// How to open a file.
    public struct OpenFlags: OptionSet, Hashable, Sendable {
        /// The bits of open(2).
        public let rawValue: Int32
        /// Wraps bits of open(2).
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// `O_RDONLY`, which is zero.
        public static let readOnly: OpenFlags = []
        /// `O_WRONLY`
        public static let writeOnly = OpenFlags(rawValue: egret_o_wronly)
        /// `O_RDWR`
        public static let readWrite = OpenFlags(rawValue: egret_o_rdwr)
        /// `O_CREAT`
        public static let create = OpenFlags(rawValue: egret_o_creat)
        /// `O_EXCL`
        public static let exclusive = OpenFlags(rawValue: egret_o_excl)
        /// `O_TRUNC`
        public static let truncate = OpenFlags(rawValue: egret_o_trunc)
        /// `O_APPEND`
        public static let append = OpenFlags(rawValue: egret_o_append)
        /// `O_NOCTTY`
        public static let noControllingTerminal = OpenFlags(rawValue: egret_o_noctty)
        /// `O_NONBLOCK`
        public static let nonBlocking = OpenFlags(rawValue: egret_o_nonblock)
        /// `O_DIRECTORY`
        public static let directory = OpenFlags(rawValue: egret_o_directory)
        /// `O_NOFOLLOW`
        public static let noFollow = OpenFlags(rawValue: egret_o_nofollow)
    }

    /// Opens a file, close-on-exec.
    public static func open(_ path: String, _ flags: OpenFlags = .readOnly, mode: UInt32 = 0o600)
        throws(LinuxError) -> Descriptor
    {
        Descriptor(owning: try check(unsafe egret_open(path, flags.rawValue, mode), "open", path))
    }

    /// Makes a pipe: what is written to the second can be read from the first.
    public static func pipe() throws(LinuxError) -> (read: Descriptor, write: Descriptor) {
        var read: Int32 = -1
        var write: Int32 = -1
        try check(unsafe egret_pipe(&read, &write), "make a pipe")
        return (Descriptor(owning: read), Descriptor(owning: write))
    }

    /// A second descriptor of the same open file, numbered 3 or more.
    public func duplicated() throws(LinuxError) -> Descriptor {
        Descriptor(owning: try check(egret_duplicate(number, 3), "duplicate descriptor", "\(number)"))
    }

    /// Whether reads and writes return at once with ``Errno/again`` rather than wait.
    public func setNonBlocking(_ isOn: Bool) throws(LinuxError) {
        try check(egret_set_nonblocking(number, isOn ? 1 : 0), "change descriptor", "\(number)")
    }

    /// Reads up to `count` bytes; empty means end of file.
    public func read(upTo count: Int) throws(LinuxError) -> [UInt8] {
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: max(count, 0)) { buffer, used in
            result = unsafe egret_read(number, buffer.baseAddress, buffer.count)
            used = max(0, Int(result))
        }
        try check(result, "read descriptor", "\(number)")
        return bytes
    }

    /// Reads until the end of the file, at most `limit` bytes.
    ///
    /// Little at first: for a file of `/proc/sys` the kernel makes, and clears, as much memory as it is asked for
    /// (`proc_sys_call_handler`).
    ///
    /// - Throws: ``LinuxError`` with ``Errno/range`` if there is more.
    public func readToEnd(limit: Int = 1 << 24) throws(LinuxError) -> [UInt8] {
        var bytes: [UInt8] = []
        var portion = 4_096
        while true {
            let more = try read(upTo: portion)
            portion = min(2 * portion, 65_536)
            if more.isEmpty { return bytes }
            bytes += more
            guard bytes.count <= limit else {
                throw LinuxError(.range, operation: "read descriptor", object: "\(number), over \(limit) bytes")
            }
        }
    }

    /// Writes all the bytes.
    public func write(_ bytes: [UInt8]) throws(LinuxError) {
        var offset = 0
        while offset < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset...])
                return unsafe egret_write(number, rest.baseAddress, rest.count)
            }
            offset += Int(try check(written, "write to descriptor", "\(number)"))
        }
    }

    /// Writes all the bytes at a place of a file; wherever else is written or read stays where it was.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - place: Where they begin. Behind the file's end it grows.
    /// - Throws: ``LinuxError`` if they cannot be written; a part of them may have been.
    public func write(_ bytes: [UInt8], at place: Int64) throws(LinuxError) {
        var offset = 0
        while offset < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset...])
                return unsafe egret_write_at(number, rest.baseAddress, rest.count, place + Int64(offset))
            }
            offset += Int(try check(written, "write to descriptor", "\(number)"))
        }
    }

    /// Writes the text as UTF-8.
    public func write(_ text: String) throws(LinuxError) {
        try write(Array(text.utf8))
    }
}
