// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Whole link-layer frames on one interface, past every filter on the sending side's own network stack.
///
/// It stays on its interface when the thread goes to another network namespace. Needs `CAP_NET_RAW`.
public struct PacketSocket: Sendable {
    /// The open socket, for ``Poll``.
    public let descriptor: Descriptor
    /// The interface.
    public let interfaceIndex: Int32

    /// Opens a socket on an interface; promiscuous, it receives frames for other addresses too.
    ///
    /// - Parameters:
    ///   - interfaceIndex: The interface.
    ///   - etherType: The only kind of frames that it receives, and then only those that come in; `nil` for all frames
    ///     in both directions.
    ///   - promiscuous: Whether it receives frames for other addresses too.
    /// - Throws: ``LinuxError`` without `CAP_NET_RAW`, or if there is no such interface.
    public init(interfaceIndex: Int32, etherType: UInt16? = nil, promiscuous: Bool = false) throws(LinuxError) {
        // Protocol 0 receives nothing, so no frame of another interface slips in before the bind.
        let number = try check(egret_socket(egret_af_packet, egret_sock_raw, 0), "open a packet socket")
        descriptor = Descriptor(owning: number)
        self.interfaceIndex = interfaceIndex
        let result = egret_packet_bind(number, interfaceIndex, etherType ?? 0)
        try check(result, "bind a packet socket to interface", "\(interfaceIndex)")
        if promiscuous {
            try check(egret_packet_promiscuous(number, interfaceIndex), "listen to everything on", "\(interfaceIndex)")
        }
    }

    /// Sends a frame as it is, link-layer header included.
    public func send(_ frame: [UInt8]) throws(LinuxError) {
        let sent = unsafe frame.withUnsafeBytes { unsafe egret_send(descriptor.number, $0.baseAddress, $0.count, 0) }
        try check(sent, "send a frame on interface", "\(interfaceIndex)")
    }

    /// Receives a frame, also those this host sends; `nil` if none came in time.
    public func receive(timeout: Duration) throws(LinuxError) -> [UInt8]? {
        try descriptor.receiveDatagram(timeout: timeout)
    }
}

/// Sends whole link-layer frames through any interface of the network namespace in which it was opened, and receives nothing.
/// Needs `CAP_NET_RAW`.
public struct FrameSender: Sendable {
    private let descriptor: Descriptor

    /// Opens a socket.
    ///
    /// - Throws: ``LinuxError`` without `CAP_NET_RAW`.
    public init() throws(LinuxError) {
        descriptor = Descriptor(
            owning: try check(egret_socket(egret_af_packet, egret_sock_raw, 0), "open a packet socket"))
    }

    /// Sends a frame as it is, link-layer header included.
    ///
    /// - Parameters:
    ///   - frame: The frame.
    ///   - interfaceIndex: The interface.
    /// - Throws: ``LinuxError`` if there is no such interface, or it is down.
    public func send(_ frame: [UInt8], on interfaceIndex: UInt32) throws(LinuxError) {
        let sent = unsafe frame.withUnsafeBytes {
            unsafe egret_send_frame(
                descriptor.number, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: interfaceIndex))
        }
        try check(sent, "send a frame on interface", "\(interfaceIndex)")
    }
}

/// IP packets with a header of the sender's making. Needs `CAP_NET_RAW`.
public struct RawIPSocket: Sendable {
    /// The open socket, for ``Poll``.
    public let descriptor: Descriptor

    /// Opens a socket for IPv4 packets, header included (`IPPROTO_RAW`). It receives nothing.
    public static func ipv4() throws(LinuxError) -> RawIPSocket {
        RawIPSocket(
            descriptor: Descriptor(
                owning: try check(egret_socket(egret_af_inet, egret_sock_raw, 255), "open a raw IPv4 socket")))
    }

    /// Opens a socket for IPv6 payloads of a protocol; the kernel writes the header. With protocol 255 the header is
    /// the sender's too, and it receives nothing.
    public static func ipv6(protocolNumber: UInt8) throws(LinuxError) -> RawIPSocket {
        let number = try check(
            egret_socket(egret_af_inet6, egret_sock_raw, Int32(protocolNumber)), "open a raw IPv6 socket")
        return RawIPSocket(descriptor: Descriptor(owning: number))
    }

    /// Opens a socket for IPv4 payloads of a protocol; the kernel writes the header. It receives with header.
    public static func ipv4(protocolNumber: UInt8) throws(LinuxError) -> RawIPSocket {
        let number = try check(
            egret_socket(egret_af_inet, egret_sock_raw, Int32(protocolNumber)), "open a raw IPv4 socket")
        return RawIPSocket(descriptor: Descriptor(owning: number))
    }

    /// Sends to an address: 4 bytes for IPv4, 16 for IPv6, in network order. `scope` is the interface of an IPv6
    /// link-local address.
    public func send(_ bytes: [UInt8], to address: [UInt8], scope: UInt32 = 0) throws(LinuxError) {
        let sent = unsafe bytes.withUnsafeBytes { packet in
            unsafe address.withUnsafeBufferPointer { destination -> Int64 in
                guard let base = destination.baseAddress else { return Int64(-egret_einval) }
                return switch destination.count {
                case 4: unsafe egret_send_ipv4(descriptor.number, packet.baseAddress, packet.count, base)
                case 16: unsafe egret_send_ipv6(descriptor.number, packet.baseAddress, packet.count, base, scope)
                default: Int64(-egret_einval)
                }
            }
        }
        try check(sent, "send a raw packet")
    }

    /// Receives a packet; `nil` if none came in time.
    public func receive(timeout: Duration) throws(LinuxError) -> [UInt8]? {
        try descriptor.receiveDatagram(timeout: timeout)
    }
}

extension Descriptor {
    /// Receives one datagram of up to 64 KiB; `nil` if none came in time.
    func receiveDatagram(timeout: Duration) throws(LinuxError) -> [UInt8]? {
        var poll = Poll()
        poll.add(self)
        guard try poll.wait(timeout: timeout)[self].isEmpty == false else { return nil }
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, used in
            result = unsafe egret_receive(number, buffer.baseAddress, buffer.count, egret_msg_dontwait)
            used = max(0, Int(result))
        }
        if result == Int64(-egret_eagain) { return nil }
        try check(result, "receive a packet")
        return bytes
    }
}
