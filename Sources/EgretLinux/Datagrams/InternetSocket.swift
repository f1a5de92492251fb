// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A UDP or TCP socket that never waits.
///
/// It stays in the network namespace of the thread that opened it. One thread at a time may use it.
public final class InternetSocket {
    /// The open socket, for ``EventLoop``.
    public let descriptor: Descriptor
    private let isIPv6: Bool

    private init(_ descriptor: Descriptor, isIPv6: Bool) {
        self.descriptor = descriptor
        self.isIPv6 = isIPv6
    }

    private convenience init(type: Int32, isIPv6: Bool) throws(LinuxError) {
        let family = isIPv6 ? egret_af_inet6 : egret_af_inet
        self.init(Descriptor(owning: try check(egret_socket(family, type, 0), "open a socket")), isIPv6: isIPv6)
        if isIPv6 { try check(egret_ipv6_only(descriptor.number), "keep a socket to IPv6") }
        try descriptor.setNonBlocking(true)
    }

    /// A UDP socket at an address; port 0 is one of the kernel's choice. Its datagrams tell where they were sent to.
    ///
    /// - Parameters:
    ///   - own: The address.
    ///   - receiveBuffer: How many bytes may wait to be read.
    ///   - isTransparent: Whether it answers from addresses that are not this host's too: needs `CAP_NET_ADMIN`.
    /// - Returns: The socket.
    /// - Throws: ``LinuxError`` if it is not to be had.
    public static func datagrams(
        at own: SocketAddress, receiveBuffer: Int, isTransparent: Bool = false
    ) throws(LinuxError) -> InternetSocket {
        let socket = try InternetSocket(type: egret_sock_dgram, isIPv6: own.isIPv6)
        if isTransparent { try socket.setTransparent() }
        try socket.bind(own, reuse: false)
        try socket.tellDestinations(receiveBuffer)
        return socket
    }

    /// A UDP socket that another process has opened as ``datagrams(at:receiveBuffer:isTransparent:)`` does; ``SocketState``
    /// says whether it has. What has come to it is there.
    public static func datagrams(adopting descriptor: Descriptor, receiveBuffer: Int) throws(LinuxError)
        -> InternetSocket
    {
        let socket = try InternetSocket(adopting: descriptor)
        try socket.tellDestinations(receiveBuffer)
        return socket
    }

    /// A transparent UDP socket at an address, which `tproxy` leads datagrams to: they tell the address and port that they
    /// were sent to. Needs `CAP_NET_ADMIN`.
    ///
    /// - Parameters:
    ///   - own: The address; port 0 is one of the kernel's choice.
    ///   - receiveBuffer: How many bytes may wait to be read.
    /// - Returns: The socket.
    /// - Throws: ``LinuxError`` if it is not to be had.
    public static func divertedDatagrams(
        at own: SocketAddress, receiveBuffer: Int
    ) throws(LinuxError) -> InternetSocket {
        let socket = try InternetSocket(type: egret_sock_dgram, isIPv6: own.isIPv6)
        try socket.setTransparent()
        try socket.bind(own, reuse: false)
        let family = own.isIPv6 ? egret_af_inet6 : egret_af_inet
        try check(
            egret_tell_original_destinations(socket.descriptor.number, family), "ask where datagrams were sent to")
        try check(
            egret_set_buffer(socket.descriptor.number, 0, Int32(clamping: receiveBuffer)), "set a buffer")
        return socket
    }

    convenience init(adopting descriptor: Descriptor) throws(LinuxError) {
        self.init(descriptor, isIPv6: try SocketState(of: descriptor).own.isIPv6)
        try descriptor.setNonBlocking(true)
    }

    private func tellDestinations(_ receiveBuffer: Int) throws(LinuxError) {
        let family = isIPv6 ? egret_af_inet6 : egret_af_inet
        try check(egret_tell_destinations(descriptor.number, family), "ask for datagrams' destinations")
        try check(egret_set_buffer(descriptor.number, 0, Int32(clamping: receiveBuffer)), "set a buffer")
    }

    /// A UDP socket that talks to one peer, from a port of the kernel's choice, which is random.
    ///
    /// - Parameters:
    ///   - peer: The other end.
    ///   - mark: The mark of its packets (`SO_MARK`): needs `CAP_NET_ADMIN`.
    /// - Returns: The socket.
    /// - Throws: ``LinuxError`` if it is not to be had, or the kernel knows no way.
    public static func datagrams(to peer: SocketAddress, mark: UInt32? = nil) throws(LinuxError) -> InternetSocket {
        let socket = try InternetSocket(type: egret_sock_dgram, isIPv6: peer.isIPv6)
        try socket.setMark(mark)
        try socket.connect(peer)
        return socket
    }

    /// A TCP socket that others connect to.
    public static func listener(at own: SocketAddress, backlog: Int32 = 128) throws(LinuxError) -> InternetSocket {
        try listener(at: own, backlog: backlog, isTransparent: false)
    }

    /// A TCP socket at which another process has listened; ``SocketState`` says whether it has. Whoever waits to be accepted
    /// still does.
    public static func listener(adopting descriptor: Descriptor, backlog: Int32 = 128) throws(LinuxError)
        -> InternetSocket
    {
        let socket = try InternetSocket(adopting: descriptor)
        try check(egret_listen(descriptor.number, backlog), "listen")
        return socket
    }

    static func listener(at own: SocketAddress, backlog: Int32, isTransparent: Bool) throws(LinuxError)
        -> InternetSocket
    {
        let socket = try InternetSocket(type: egret_sock_stream, isIPv6: own.isIPv6)
        if isTransparent { try socket.setTransparent() }
        try socket.bind(own, reuse: true)
        try check(egret_listen(socket.descriptor.number, backlog), "listen")
        return socket
    }

    /// Has the kernel keep no more than so many bytes in each direction, whatever it would otherwise grow to; it doubles
    /// them for its own needs. Connections that a listener accepts have the same.
    public func setBuffers(bytes: Int) throws(LinuxError) {
        for sending: Int32 in [0, 1] {
            try check(egret_set_buffer(descriptor.number, sending, Int32(clamping: bytes)), "set a buffer")
        }
    }

    /// A TCP connection that is being made.
    public static func connecting(to peer: SocketAddress) throws(LinuxError) -> InternetSocket {
        let socket = try InternetSocket(type: egret_sock_stream, isIPv6: peer.isIPv6)
        try socket.connect(peer)
        return socket
    }

    /// A TCP connection that is being made, from an address that need not be this host's.
    ///
    /// - Parameters:
    ///   - peer: The other end.
    ///   - own: The address that the other end sees, if not one of this host's; its port is not used.
    ///   - mark: The mark of its packets (`SO_MARK`).
    ///   - codePoint: The differentiated-services code point of its packets, 0 to 63, from the first one on.
    /// - Returns: The socket; it is writable once the connection is made, or has failed.
    /// - Throws: ``LinuxError`` if the kernel does not let it, or knows no way.
    public static func connecting(
        to peer: SocketAddress, from own: SocketAddress?, mark: UInt32?, codePoint: UInt8? = nil
    ) throws(LinuxError) -> InternetSocket {
        let socket = try InternetSocket(type: egret_sock_stream, isIPv6: peer.isIPv6)
        let number = socket.descriptor.number
        try socket.setMark(mark)
        if let codePoint {
            let family = peer.isIPv6 ? egret_af_inet6 : egret_af_inet
            try check(
                egret_set_traffic_class(number, family, Int32(codePoint) << 2), "set a connection's traffic class")
        }
        if var own {
            own.port = 0
            try socket.setTransparent()
            try check(egret_bind_without_port(number), "leave the port open")
            try socket.bind(own, reuse: true)
        }
        try socket.connect(peer)
        return socket
    }

    private func setMark(_ mark: UInt32?) throws(LinuxError) {
        guard let mark else { return }
        let value = Int32(bitPattern: mark)
        try check(egret_set_option(descriptor.number, egret_sol_socket, egret_so_mark, value), "mark a socket")
    }

    private func setTransparent() throws(LinuxError) {
        let family = isIPv6 ? egret_af_inet6 : egret_af_inet
        try check(egret_transparent(descriptor.number, family), "make a socket transparent")
    }

    private func bind(_ own: SocketAddress, reuse: Bool) throws(LinuxError) {
        var endpoint = own.endpoint
        try check(unsafe egret_bind(descriptor.number, &endpoint, reuse ? 1 : 0), "bind to port", "\(own.port)")
    }

    private func connect(_ peer: SocketAddress) throws(LinuxError) {
        var endpoint = peer.endpoint
        let result = unsafe egret_connect(descriptor.number, &endpoint)
        if result != -egret_errno_in_progress { try check(result, "connect") }
    }

    /// The socket's own port.
    public func ownAddress() throws(LinuxError) -> SocketAddress {
        var own = egret_endpoint()
        try check(unsafe egret_own_endpoint(descriptor.number, &own), "read a socket's address")
        return SocketAddress(own)
    }

    /// The next connection, or `nil` if there is none, or it was gone before it was taken.
    public func accept() throws(LinuxError) -> (socket: InternetSocket, peer: SocketAddress)? {
        var peer = egret_endpoint()
        let number = unsafe egret_accept(descriptor.number, &peer)
        if number == -egret_eagain || number == -egret_econnaborted { return nil }
        let accepted = Descriptor(owning: try check(number, "accept a connection"))
        return (InternetSocket(accepted, isIPv6: isIPv6), SocketAddress(peer))
    }

    /// Where a redirected connection was going, or `nil` if it was not redirected.
    public func originalDestination() -> SocketAddress? {
        var destination = egret_endpoint()
        let family = isIPv6 ? egret_af_inet6 : egret_af_inet
        guard unsafe egret_original_destination(descriptor.number, family, &destination) == 0 else { return nil }
        return SocketAddress(destination)
    }

    /// The error that is pending, which is none any more then.
    public func takeError() -> Errno? {
        var number: Int32 = 0
        // SO_ERROR.
        _ = unsafe egret_get_option(descriptor.number, egret_sol_socket, 4, &number)
        return number == 0 ? nil : Errno(rawValue: number)
    }

    /// Sends what there is room for.
    ///
    /// - Returns: How many bytes, 0 if there is no room.
    public func send(_ bytes: ArraySlice<UInt8>) throws(LinuxError) -> Int { try descriptor.send(bytes) }

    /// Receives what is there, up to a limit.
    ///
    /// - Returns: `nil` if there is nothing yet; empty at the end of a stream.
    public func receive(upTo limit: Int) throws(LinuxError) -> [UInt8]? {
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, used in
            result = unsafe egret_receive(descriptor.number, buffer.baseAddress, buffer.count, egret_msg_dontwait)
            used = max(0, Int(result))
        }
        if result == Int64(-egret_eagain) { return nil }
        try check(result, "receive")
        return bytes
    }

    /// Sends a datagram from one of the socket's own addresses.
    ///
    /// - Returns: `false` if it could not be sent, for whatever reason: as if it were lost on its way.
    @discardableResult
    public func send(_ bytes: [UInt8], to peer: SocketAddress, from own: SocketAddress) -> Bool {
        var peer = peer.endpoint
        var own = own.endpoint
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe egret_send_datagram(descriptor.number, $0.baseAddress, $0.count, &peer, &own)
        }
        return sent >= 0
    }
}

/// Receives datagrams several at a time, into one buffer.
public final class DatagramReceiver {
    /// A datagram that came.
    public struct Datagram: Sendable {
        /// Who sent it.
        public var peer: SocketAddress
        /// The own address that it was sent to, with the interface as its scope. Of a socket that others' datagrams are
        /// led to, the address and port that it was sent to.
        public var own: SocketAddress
        /// The bytes.
        public var bytes: [UInt8]
    }

    private let slot: Int
    private var buffer: [UInt8]
    private var found: [egret_datagram]

    /// Makes room for `limit` datagrams, at most 64, of `slot` bytes each. Longer ones are dropped.
    public init(limit: Int, slot: Int) {
        self.slot = slot
        buffer = [UInt8](repeating: 0, count: limit * slot)
        found = [egret_datagram](repeating: egret_datagram(), count: limit)
    }

    /// What is there, without waiting.
    ///
    /// - Returns: The datagrams, and whether there may be more.
    public func receive(from socket: InternetSocket) throws(LinuxError) -> (datagrams: [Datagram], mayBeMore: Bool) {
        let limit = found.count
        let count = unsafe buffer.withUnsafeMutableBufferPointer { bytes in
            unsafe found.withUnsafeMutableBufferPointer { found in
                unsafe egret_receive_datagrams(
                    socket.descriptor.number, bytes.baseAddress, slot, found.baseAddress, Int32(limit))
            }
        }
        if count == -egret_eagain { return ([], false) }
        try check(count, "receive datagrams")
        var datagrams: [Datagram] = []
        datagrams.reserveCapacity(Int(count))
        for index in 0..<Int(count) where found[index].is_truncated == 0 {
            let start = index * slot
            let bytes = Array(buffer[start..<(start + min(slot, Int(found[index].count)))])
            var own = SocketAddress(found[index].own)
            own.scope = found[index].own.scope
            datagrams.append(Datagram(peer: SocketAddress(found[index].peer), own: own, bytes: bytes))
        }
        return (datagrams, Int(count) == limit)
    }
}
