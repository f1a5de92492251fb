// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

extension InternetSocket {
    /// A TCP connection that another process has made or accepted.
    ///
    /// - Parameter descriptor: The connection.
    /// - Returns: The connection.
    /// - Throws: ``LinuxError`` if it is something else.
    public static func connection(adopting descriptor: Descriptor) throws(LinuxError) -> InternetSocket {
        let state = try SocketState(of: descriptor)
        guard state.transport == .stream, !state.isListening else {
            throw LinuxError(.invalid, operation: "take over a connection")
        }
        return try InternetSocket(adopting: descriptor)
    }

    /// A TCP socket to which the kernel may lead connections for any address (`tproxy`): needs `CAP_NET_ADMIN`.
    public static func transparentListener(at own: SocketAddress, backlog: Int32 = 1_024) throws(LinuxError)
        -> InternetSocket
    {
        try listener(at: own, backlog: backlog, isTransparent: true)
    }

    /// Sends small pieces at once, and finds out after a while that the other end is gone.
    public func setRelayOptions() throws(LinuxError) {
        try check(egret_relay_options(descriptor.number), "set a connection's options")
    }

    /// Tells the other end that nothing more will be sent.
    public func endWriting() {
        _ = egret_shutdown_write(descriptor.number)
    }

    /// What a TCP connection has moved so far.
    public struct Volume: Hashable, Sendable {
        /// Bytes that have come.
        public var bytesReceived: UInt64
        /// Segments that have come, those without bytes included.
        public var segmentsReceived: UInt64
        /// Bytes that were sent and acknowledged.
        public var bytesSent: UInt64
        /// Segments that were sent.
        public var segmentsSent: UInt64

        /// Puts the numbers together.
        public init(bytesReceived: UInt64, segmentsReceived: UInt64, bytesSent: UInt64, segmentsSent: UInt64) {
            self.bytesReceived = bytesReceived
            self.segmentsReceived = segmentsReceived
            self.bytesSent = bytesSent
            self.segmentsSent = segmentsSent
        }
    }

    /// What a TCP connection has moved so far; `nil` if the kernel does not tell.
    public func volume() -> Volume? {
        var volume = egret_tcp_volume()
        guard unsafe egret_connection_volume(descriptor.number, &volume) == 0 else { return nil }
        return Volume(
            bytesReceived: volume.bytes_received, segmentsReceived: UInt64(volume.segments_in),
            bytesSent: volume.bytes_acknowledged, segmentsSent: UInt64(volume.segments_out))
    }

    /// Has the close of the socket, once it goes, reset the connection.
    public func resetOnClose() {
        _ = egret_reset_on_close(descriptor.number)
    }
}

/// Moves bytes from one connection to another inside the kernel (splice(2)).
public final class SplicePipe {
    /// What became of bytes that were to be moved into the pipe.
    public enum Filling: Hashable, Sendable {
        /// So many are in it now.
        case moved(Int)
        /// There were none, or there was no room.
        case nothing
        /// There will be no more.
        case ended
    }

    private let readEnd: Descriptor
    private let writeEnd: Descriptor
    /// How many bytes it can hold at most.
    public private(set) var capacity: Int
    /// How many bytes are in it.
    public private(set) var count = 0

    /// Makes an empty pipe.
    ///
    /// - Parameter wanted: How many bytes it should hold.
    /// - Throws: ``LinuxError`` if there is none to be had.
    public init(capacity wanted: Int) throws(LinuxError) {
        var ends: (Int32, Int32) = (-1, -1)
        let size = unsafe egret_relay_pipe(Int32(clamping: wanted), &ends.0, &ends.1)
        capacity = Int(try check(size, "make a pipe"))
        (readEnd, writeEnd) = (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
    }

    /// Makes room for more, if the system allows it.
    public func grow(to wanted: Int) {
        capacity = Int(egret_resize_pipe(writeEnd.number, Int32(clamping: wanted)))
    }

    /// Takes what a connection has, as far as there is room.
    ///
    /// - Throws: ``LinuxError`` if the connection is broken.
    public func fill(from socket: InternetSocket) throws(LinuxError) -> Filling {
        let moved = egret_splice(socket.descriptor.number, writeEnd.number, capacity)
        if moved == Int64(-egret_eagain) { return .nothing }
        let bytes = Int(try check(moved, "move bytes from a connection"))
        count += bytes
        return bytes == 0 ? .ended : .moved(bytes)
    }

    /// Sends what a connection has room for.
    ///
    /// - Throws: ``LinuxError`` if the connection is broken.
    public func drain(to socket: InternetSocket) throws(LinuxError) {
        while count > 0 {
            let moved = egret_splice(readEnd.number, socket.descriptor.number, count)
            if moved == Int64(-egret_eagain) { return }
            count -= Int(try check(moved, "move bytes to a connection"))
        }
    }
}
