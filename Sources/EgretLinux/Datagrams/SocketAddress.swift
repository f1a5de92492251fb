// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// An address and a port, as sockets have them.
public struct SocketAddress: Hashable, Sendable {
    /// The first eight bytes of an IPv6 address, as a number; 0 for IPv4.
    public var high: UInt64
    /// The last eight bytes of an IPv6 address, or an IPv4 address, as a number.
    public var low: UInt64
    /// The interface of an IPv6 link-local address, or 0.
    public var scope: UInt32
    /// The port, in the machine's byte order.
    public var port: UInt16
    /// Whether it is an IPv6 address.
    public var isIPv6: Bool

    /// Creates an IPv4 address, in host byte order.
    public init(ipv4: UInt32, port: UInt16) {
        (high, low, scope, self.port, isIPv6) = (0, UInt64(ipv4), 0, port, false)
    }

    /// Creates an IPv6 address, in host byte order.
    public init(ipv6: UInt128, port: UInt16, scope: UInt32 = 0) {
        high = UInt64(truncatingIfNeeded: ipv6 >> 64)
        low = UInt64(truncatingIfNeeded: ipv6)
        (self.scope, self.port, isIPv6) = (scope, port, true)
    }

    /// The IPv6 address in host byte order.
    public var ipv6: UInt128 { UInt128(high) << 64 | UInt128(low) }
    /// The IPv4 address in host byte order.
    public var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    init(_ endpoint: egret_endpoint) {
        var copy = endpoint
        isIPv6 = endpoint.family == egret_af_inet6
        port = endpoint.port
        scope = isIPv6 ? endpoint.scope : 0
        let isIPv6 = self.isIPv6
        (high, low) = unsafe withUnsafeBytes(of: &copy.address) { bytes in
            let first = unsafe bytes.loadUnaligned(as: UInt64.self).bigEndian
            let second = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian
            return isIPv6 ? (first, second) : (0, first >> 32)
        }
    }

    var endpoint: egret_endpoint {
        var result = egret_endpoint()
        result.family = isIPv6 ? egret_af_inet6 : egret_af_inet
        result.port = port
        result.scope = scope
        let first = isIPv6 ? high : low << 32
        let second = isIPv6 ? low : 0
        unsafe withUnsafeMutableBytes(of: &result.address) { bytes in
            unsafe bytes.storeBytes(of: first.bigEndian, as: UInt64.self)
            unsafe bytes.storeBytes(of: second.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return result
    }
}
