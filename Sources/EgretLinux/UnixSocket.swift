// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Unix sockets by their paths (unix(7)).
public enum UnixSocket {
    /// The longest path, in bytes: 107.
    public static var pathLimit: Int { egret_unix_path_limit() }

    /// Makes a stream socket with a name in the file system. It does not listen yet, so that nobody connects before the
    /// file has its mode.
    ///
    /// - Parameter path: Where; nothing may be there.
    /// - Returns: The socket.
    /// - Throws: `LinuxError` with `EADDRINUSE` if something is there.
    public static func bind(_ path: String) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try check(unsafe egret_unix_bind(path, path.utf8.count), "make the socket", path))
    }

    /// Connects to whoever listens at a path.
    ///
    /// - Throws: `LinuxError` with `.connectionRefused` if the socket is one that nobody listens at any more.
    public static func connect(to path: String) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try check(unsafe egret_unix_connect(path, path.utf8.count), "connect to", path))
    }

    /// Sends one datagram.
    ///
    /// - Parameters:
    ///   - text: The datagram.
    ///   - path: The path of a datagram socket; a name of the abstract namespace begins with `@`.
    ///   - attached: What the receiver gets a copy of (`SCM_RIGHTS`).
    /// - Throws: `LinuxError` if nobody receives there.
    public static func send(_ text: String, to path: String, with attached: Descriptor? = nil) throws(LinuxError) {
        var name = Array(path.utf8)
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        let bytes = Array(text.utf8)
        let result = unsafe name.withUnsafeBytes { name in
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe egret_unix_send(
                    name.assumingMemoryBound(to: CChar.self).baseAddress, name.count, bytes.baseAddress, bytes.count,
                    attached?.number ?? -1)
            }
        }
        try check(result, "send to", path)
    }
}

extension File {
    /// Sets a file's mode. A symbolic link is followed.
    public static func changeMode(of path: String, to mode: UInt32) throws(LinuxError) {
        try check(unsafe egret_chmod(path, mode), "set the mode of", path)
    }

    /// Gives a file to another group. A symbolic link itself, not what it points to.
    public static func changeGroup(of path: String, to group: UInt32) throws(LinuxError) {
        try check(unsafe egret_chown(path, .max, group), "change the group of", path)
    }
}

extension Descriptor {
    /// Sends what there is room for, by a stream socket. That nobody reads any more is an error, and no signal.
    ///
    /// - Parameter bytes: What is to be sent.
    /// - Returns: How many bytes, 0 if there is no room.
    /// - Throws: `LinuxError` if they cannot be sent.
    public func send(_ bytes: ArraySlice<UInt8>) throws(LinuxError) -> Int {
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe egret_send(number, $0.baseAddress, $0.count, egret_msg_dontwait)
        }
        if sent == Int64(-egret_eagain) { return 0 }
        return Int(try check(sent, "send"))
    }

    /// A second number for the same open file, for a library that closes it itself. Nobody else does.
    public func numberToGiveAway() throws(LinuxError) -> Int32 {
        try check(egret_duplicate(number, 3), "duplicate descriptor", "\(number)")
    }
}
