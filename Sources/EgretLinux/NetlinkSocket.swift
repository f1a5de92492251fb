// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A netlink socket: bytes to the kernel and bytes from it.
///
/// It belongs to the network namespace it was made in for as long as it lives, whichever namespace its user is in
/// later. What the bytes mean is the business of the wire codecs. One thread at a time may use it: the receive buffer
/// is reused.
public final class NetlinkSocket {
    /// Which part of the kernel it talks to.
    public enum NetlinkProtocol: Int32, Sendable {
        /// `NETLINK_ROUTE`: links, addresses, routes, neighbours.
        case route = 0
        /// `NETLINK_SOCK_DIAG`: sockets.
        case socketDiagnosis = 4
        /// `NETLINK_NETFILTER`: nf_tables, conntrack, logs.
        case netfilter = 12
        /// `NETLINK_GENERIC`
        case generic = 16
    }

    /// The open socket, for ``Poll``.
    public let descriptor: Descriptor
    /// The port the kernel gave it.
    public let port: UInt32
    private var buffer: [UInt8]
    private var largestMessage: Int

    /// Opens a socket on a port of the kernel's choice, with extended acknowledgements on.
    ///
    /// For ``NetlinkProtocol/route``, strict checking of dump requests is on as well where the kernel has it (4.20).
    /// The multicast groups are joined by number.
    public init(_ netlinkProtocol: NetlinkProtocol, groups: [UInt32] = []) throws(LinuxError) {
        let number = try check(
            egret_socket(egret_af_netlink, egret_sock_raw, netlinkProtocol.rawValue),
            "open a netlink socket for",
            "\(netlinkProtocol)"
        )
        descriptor = Descriptor(owning: number)
        var port: UInt32 = 0
        try check(unsafe egret_netlink_bind(number, &port), "bind a netlink socket")
        self.port = port
        buffer = [UInt8](repeating: 0, count: 32_768)
        largestMessage = 0
        try readSendBuffer()
        try check(egret_netlink_extended_acks(number, 1), "ask for extended acknowledgements")
        if netlinkProtocol == .route { _ = egret_netlink_strict_checks(number, 1) }
        for group in groups { try join(group) }
    }

    /// Joins a multicast group.
    public func join(_ group: UInt32) throws(LinuxError) {
        try check(egret_netlink_join(descriptor.number, group), "join netlink group", "\(group)")
    }

    /// Leaves a multicast group.
    public func leave(_ group: UInt32) throws(LinuxError) {
        try check(egret_netlink_leave(descriptor.number, group), "leave netlink group", "\(group)")
    }

    /// Leaves the refused request out of error messages: only its header comes back.
    ///
    /// Off at first. Worth it where requests are large.
    public func setCappedAcknowledgements(_ isOn: Bool) throws(LinuxError) {
        try check(egret_netlink_capped_acks(descriptor.number, isOn ? 1 : 0), "cap acknowledgements")
    }

    /// Sets how many bytes of messages may wait to be read, past `rmem_max` with `CAP_NET_ADMIN`.
    public func setReceiveBuffer(bytes: Int) throws(LinuxError) {
        try check(egret_set_buffer(descriptor.number, 0, Int32(clamping: bytes)), "set the receive buffer")
    }

    /// Sets how large one message sent may be, past `wmem_max` with `CAP_NET_ADMIN`.
    public func setSendBuffer(bytes: Int) throws(LinuxError) {
        try check(egret_set_buffer(descriptor.number, 1, Int32(clamping: bytes)), "set the send buffer")
        try readSendBuffer()
    }

    private func readSendBuffer() throws(LinuxError) {
        var size: Int32 = 0
        try check(
            unsafe egret_get_option(descriptor.number, egret_sol_socket, egret_so_sndbuf, &size),
            "read the send buffer size"
        )
        // `netlink_sendmsg` refuses what is longer than the buffer less 32 bytes.
        largestMessage = Int(size) - 32
    }

    /// Whether ``receive()`` throws ``Errno/again`` at once when there is nothing to read.
    public func setNonBlocking(_ isOn: Bool) throws(LinuxError) {
        try descriptor.setNonBlocking(isOn)
    }

    /// How long ``receive()`` waits before it throws ``Errno/again``; `nil` is for ever. Whole microseconds.
    public func setReceiveTimeout(_ timeout: Duration?) throws(LinuxError) {
        try check(
            egret_set_receive_timeout(descriptor.number, timeout?.wholeMicroseconds ?? 0),
            "set the receive timeout"
        )
    }
}

extension NetlinkSocket {
    /// Sends the bytes as one datagram, so that a batch is one transaction however large.
    ///
    /// The send buffer is grown to fit first.
    public func send(_ bytes: [UInt8]) throws(LinuxError) {
        try makeRoom(for: bytes.count)
        let sent = unsafe bytes.withUnsafeBytes { unsafe egret_send(descriptor.number, $0.baseAddress, $0.count, 0) }
        try check(sent, "send a netlink message", "of \(bytes.count) bytes")
    }

    /// Sends the bytes as one datagram; as ``send(_:)-([UInt8])``, without a copy.
    @unsafe
    public func send(_ bytes: UnsafeRawBufferPointer) throws(LinuxError) {
        try makeRoom(for: bytes.count)
        let sent = unsafe egret_send(descriptor.number, bytes.baseAddress, bytes.count, 0)
        try check(sent, "send a netlink message", "of \(bytes.count) bytes")
    }

    private func makeRoom(for count: Int) throws(LinuxError) {
        if count > largestMessage { try setSendBuffer(bytes: count + 4_096) }
    }

    /// Receives one datagram from the kernel: one or more netlink messages.
    ///
    /// Datagrams from other processes are dropped unread: only the kernel is believed.
    ///
    /// - Throws: ``LinuxError`` with ``Errno/overrun`` if messages were lost since the last call (the socket works
    ///   on), ``Errno/again`` if non-blocking and nothing is there, or if the receive timeout passed.
    public func receive() throws(LinuxError) -> [UInt8] {
        try unsafe receive { bytes in unsafe [UInt8](bytes) }
    }

    /// Receives one datagram into the socket's own buffer and lends it to the body; as ``receive()`` otherwise.
    @unsafe
    public func receive<Result>(_ body: (UnsafeRawBufferPointer) -> Result) throws(LinuxError) -> Result {
        while true {
            let waiting = try take(flags: egret_msg_peek | egret_msg_trunc).count
            if waiting > buffer.count {
                buffer = [UInt8](repeating: 0, count: max(waiting, buffer.count * 2))
            }
            let (count, sender) = try take(flags: 0)
            guard count > 0, sender == 0 else { continue }
            return unsafe buffer.withUnsafeBytes { bytes in
                unsafe body(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            }
        }
    }

    private func take(flags: Int32) throws(LinuxError) -> (count: Int, sender: UInt32) {
        var sender: UInt32 = 0
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe egret_netlink_receive(descriptor.number, bytes.baseAddress, bytes.count, flags, &sender)
        }
        return (Int(try check(count, "receive a netlink message")), sender)
    }
}
