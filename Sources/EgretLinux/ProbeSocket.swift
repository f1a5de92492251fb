// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A socket that asks one far end for a sign of life, and hears who answers in its place.
///
/// It stays in the network namespace of the thread that opened it.
public struct ProbeSocket: Sendable {
    /// What is sent.
    public enum Transport: Hashable, Sendable {
        /// A TCP connection.
        case tcp
        /// UDP datagrams.
        case udp
        /// ICMP or ICMPv6 echoes. Needs `CAP_NET_RAW`.
        case echo
    }

    /// An error that came back: from this host, or as an ICMP message.
    public struct Report: Hashable, Sendable {
        /// What it means here.
        public var errno: Errno
        /// Who sent the ICMP message, in network order; empty if this host's kernel found the error itself.
        public var reporter: [UInt8]
        /// The type of the ICMP message.
        public var type: UInt8
        /// The code of the ICMP message.
        public var code: UInt8
        /// With `EMSGSIZE`, the size in bytes that would pass.
        public var information: UInt32
    }

    /// The open socket, for ``Poll``.
    public let descriptor: Descriptor
    let family: Int32

    /// Opens a socket, and for TCP and UDP takes a port.
    ///
    /// - Parameters:
    ///   - transport: What is to be sent.
    ///   - isIPv6: The family.
    /// - Throws: ``LinuxError`` if the socket cannot be had.
    public init(_ transport: Transport, isIPv6: Bool) throws(LinuxError) {
        try self.init(transport, isIPv6: isIPv6, source: nil)
    }

    init(_ transport: Transport, isIPv6: Bool, source: [UInt8]?) throws(LinuxError) {
        family = isIPv6 ? egret_af_inet6 : egret_af_inet
        let (type, number): (Int32, Int32) =
            switch transport {
            case .tcp: (egret_sock_stream, 6)
            case .udp: (egret_sock_dgram, 17)
            case .echo: (egret_sock_raw, isIPv6 ? 58 : 1)
            }
        descriptor = Descriptor(owning: try check(egret_socket(family, type, number), "open a probe's socket"))
        try check(egret_report_errors(descriptor.number, family), "hear errors")
        if let source {
            try ProbeSocket.bind(descriptor.number, source)
        } else if transport != .echo {
            try check(egret_bind_any(descriptor.number, family), "take a port")
        }
        try descriptor.setNonBlocking(true)
    }

    /// The socket's own port.
    public func port() throws(LinuxError) -> UInt16 {
        try own().port
    }

    /// The socket's own address, in network order; all zero before ``connect(to:port:scope:)``.
    public func address() throws(LinuxError) -> [UInt8] {
        var own = try own()
        return unsafe withUnsafeBytes(of: &own.address) { bytes in
            unsafe Array(bytes.prefix(family == egret_af_inet ? 4 : 16))
        }
    }

    private func own() throws(LinuxError) -> egret_endpoint {
        var own = egret_endpoint()
        try check(unsafe egret_own_endpoint(descriptor.number, &own), "read a socket's address")
        return own
    }

    /// Sends no packet that would need to be cut on its way, whatever the kernel believes passes.
    public func forbidFragments() throws(LinuxError) {
        try check(egret_forbid_fragments(descriptor.number, family), "forbid fragments")
    }

    /// Begins a TCP connection, or fixes the far end of the others.
    ///
    /// - Parameters:
    ///   - address: 4 or 16 bytes in network order.
    ///   - port: The far end's; 0 for echoes.
    ///   - scope: The interface of an IPv6 link-local address.
    /// - Throws: ``LinuxError`` with what the kernel finds at once, such as `ENETUNREACH`.
    public func connect(to address: [UInt8], port: UInt16, scope: UInt32 = 0) throws(LinuxError) {
        var peer = egret_endpoint()
        peer.family = family
        peer.port = port
        peer.scope = scope
        unsafe withUnsafeMutableBytes(of: &peer.address) { bytes in unsafe bytes.copyBytes(from: address.prefix(16)) }
        let result = unsafe egret_connect(descriptor.number, &peer)
        if result != -egret_errno_in_progress { try check(result, "connect") }
    }

    /// Sends bytes to the far end.
    public func send(_ bytes: [UInt8]) throws(LinuxError) {
        try check(
            unsafe bytes.withUnsafeBytes { unsafe egret_send(descriptor.number, $0.baseAddress, $0.count, 0) },
            "send a probe")
    }

    /// What has come, if anything has: of IPv4 echoes with the network header.
    ///
    /// - Throws: ``LinuxError`` with an error that was waiting.
    public func receive() throws(LinuxError) -> [UInt8]? {
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, used in
            result = unsafe egret_receive(descriptor.number, buffer.baseAddress, buffer.count, egret_msg_dontwait)
            used = max(0, Int(result))
        }
        if result == Int64(-egret_eagain) { return nil }
        try check(result, "receive an answer")
        return bytes
    }

    /// The error that is pending on the socket, which is none any more then.
    public func pendingError() -> Errno? {
        var number: Int32 = 0
        // SO_ERROR.
        _ = unsafe egret_get_option(descriptor.number, egret_sol_socket, 4, &number)
        return number == 0 ? nil : Errno(rawValue: number)
    }

    /// The next error report that is waiting.
    public func takeReport() -> Report? {
        var found = egret_reported_error()
        guard unsafe egret_take_error(descriptor.number, &found) == 1 else { return nil }
        let count = found.reporter.family == egret_af_inet ? 4 : found.reporter.family == egret_af_inet6 ? 16 : 0
        let reporter = unsafe withUnsafeBytes(of: &found.reporter.address) { bytes in unsafe Array(bytes.prefix(count))
        }
        return Report(
            errno: Errno(rawValue: found.number),
            reporter: found.origin >= 2 ? reporter : [],
            type: found.type,
            code: found.code,
            information: found.information
        )
    }
}
