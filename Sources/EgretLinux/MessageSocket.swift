// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A unix socket for messages that keep their order and their ends, with descriptors attached (`SOCK_SEQPACKET`,
/// `SCM_RIGHTS`). It never waits.
public final class MessageSocket: Sendable {
    /// What has come.
    public enum Received: Sendable {
        /// Nothing yet.
        case nothing
        /// The other end is gone.
        case ended
        /// A message: so many bytes, and copies of descriptors, which close on exec.
        case message(count: Int, attached: [Descriptor])
    }

    /// The most descriptors that go with a message.
    public static var mostAttached: Int { Int(egret_most_attached) }

    /// The open socket.
    public let descriptor: Descriptor

    /// Takes an open socket.
    ///
    /// - Parameter descriptor: The socket.
    /// - Throws: ``LinuxError`` if it cannot be had not to wait.
    public init(_ descriptor: Descriptor) throws(LinuxError) {
        try descriptor.setNonBlocking(true)
        self.descriptor = descriptor
    }

    /// Makes a socket with a name in the file system. It does not listen yet, so that nobody connects before the file has its
    /// mode.
    ///
    /// - Parameter path: Where; nothing may be there.
    /// - Returns: The socket.
    /// - Throws: ``LinuxError`` with `EADDRINUSE` if something is there.
    public static func bind(_ path: String) throws(LinuxError) -> MessageSocket {
        let number = try check(unsafe egret_unix_bind_messages(path, path.utf8.count), "make the socket", path)
        return try MessageSocket(Descriptor(owning: number))
    }

    /// Connects to whoever listens at a path.
    ///
    /// - Parameter path: The path.
    /// - Returns: The socket.
    /// - Throws: ``LinuxError`` with ``Errno/connectionRefused`` if nobody listens there any more, ``Errno/noEntry`` if there is
    ///   no such path.
    public static func connect(to path: String) throws(LinuxError) -> MessageSocket {
        let number = try check(unsafe egret_unix_connect_messages(path, path.utf8.count), "connect to", path)
        return try MessageSocket(Descriptor(owning: number))
    }

    /// Two sockets that are connected to each other.
    ///
    /// - Returns: The two.
    /// - Throws: ``LinuxError`` if they cannot be had.
    public static func pair() throws(LinuxError) -> (MessageSocket, MessageSocket) {
        var ends: (Int32, Int32) = (-1, -1)
        try check(unsafe egret_unix_pair(&ends.0, &ends.1), "make two sockets")
        let (first, second) = (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
        return (try MessageSocket(first), try MessageSocket(second))
    }

    /// Has others connect.
    ///
    /// - Throws: ``LinuxError`` if the socket is no such one.
    public func listen() throws(LinuxError) {
        try check(egret_listen(descriptor.number, 8), "listen")
    }

    /// The next connection.
    ///
    /// - Returns: `nil` if there is none.
    /// - Throws: ``LinuxError`` if none can be had.
    public func accept() throws(LinuxError) -> MessageSocket? {
        let number = egret_unix_accept(descriptor.number)
        if number == -egret_eagain || number == -egret_econnaborted { return nil }
        return try MessageSocket(Descriptor(owning: try check(number, "accept a connection")))
    }

    /// Sends a message.
    ///
    /// - Parameters:
    ///   - bytes: The message, not empty.
    ///   - attached: What the other end gets copies of; see ``mostAttached``.
    /// - Returns: `false` if there is no room now.
    /// - Throws: ``LinuxError`` if the other end is gone, or with ``Errno/messageTooLong`` if there never is.
    public func send(_ bytes: [UInt8], with attached: [Descriptor] = []) throws(LinuxError) -> Bool {
        let numbers = attached.map(\.number)
        let sent = unsafe bytes.withUnsafeBytes { bytes in
            unsafe numbers.withUnsafeBufferPointer { numbers in
                unsafe egret_unix_send_message(
                    descriptor.number, bytes.baseAddress, bytes.count, numbers.baseAddress, UInt32(numbers.count))
            }
        }
        withExtendedLifetime(attached) {}
        if sent == Int64(-egret_eagain) { return false }
        try check(sent, "send a message")
        return true
    }

    /// Takes the next message.
    ///
    /// - Parameter buffer: Where its bytes go.
    /// - Returns: What has come.
    /// - Throws: ``LinuxError``; with ``Errno/messageTooLong`` for a message that does not fit: it is gone then, with what was
    ///   attached.
    public func receive(into buffer: inout [UInt8]) throws(LinuxError) -> Received {
        var numbers = [Int32](repeating: -1, count: MessageSocket.mostAttached)
        var count: UInt32 = 0
        let received = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe numbers.withUnsafeMutableBufferPointer { numbers in
                unsafe egret_unix_receive_message(
                    descriptor.number, bytes.baseAddress, bytes.count, numbers.baseAddress, &count)
            }
        }
        if received == Int64(-egret_eagain) { return .nothing }
        let length = Int(try check(received, "receive a message"))
        let attached = numbers.prefix(Int(count)).map { Descriptor(owning: $0) }
        return length == 0 ? .ended : .message(count: length, attached: attached)
    }
}
