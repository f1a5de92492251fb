// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// rtnetlink: links, addresses, routes and neighbours as requests and records (`linux/rtnetlink.h`).
///
/// Integers are in the machine's byte order, addresses as packets have them. Requests that change something ask
/// for an acknowledgement; requests for one object get it and then an acknowledgement.
public enum RouteWire {
    static func request(
        _ type: UInt16,
        _ flags: UInt16,
        _ sequence: UInt32,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.message(type: type, flags: flags | NetlinkFlag.request, sequence: sequence, body)
        return writer.bytes
    }

    /// Flags of a request that changes something.
    static let change = NetlinkFlag.acknowledge
    /// Flags of a request that makes something new.
    static let create = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive
}

/// rtnetlink's multicast groups (`enum rtnetlink_groups`).
public enum RouteGroup {
    /// `RTNLGRP_LINK`.
    public static let links: UInt32 = 1
    /// `RTNLGRP_TC`.
    public static let trafficControl: UInt32 = 4
}

/// Message types of rtnetlink (`RTM_*`).
enum RouteMessage {
    /// `RTM_NEWLINK`.
    static let newLink: UInt16 = 16
    /// `RTM_DELLINK`.
    static let deleteLink: UInt16 = 17
    /// `RTM_GETLINK`.
    static let getLink: UInt16 = 18
    /// `RTM_NEWADDR`.
    static let newAddress: UInt16 = 20
    /// `RTM_DELADDR`.
    static let deleteAddress: UInt16 = 21
    /// `RTM_GETADDR`.
    static let getAddress: UInt16 = 22
    /// `RTM_NEWROUTE`.
    static let newRoute: UInt16 = 24
    /// `RTM_DELROUTE`.
    static let deleteRoute: UInt16 = 25
    /// `RTM_GETROUTE`.
    static let getRoute: UInt16 = 26
    /// `RTM_NEWRULE`.
    static let newRule: UInt16 = 32
    /// `RTM_DELRULE`.
    static let deleteRule: UInt16 = 33
    /// `RTM_GETRULE`.
    static let getRule: UInt16 = 34
    /// `RTM_NEWNEIGH`.
    static let newNeighbour: UInt16 = 28
    /// `RTM_DELNEIGH`.
    static let deleteNeighbour: UInt16 = 29
    /// `RTM_GETNEIGH`.
    static let getNeighbour: UInt16 = 30
}

extension AddressFamily {
    /// `AF_INET` or `AF_INET6`.
    var socketFamily: UInt8 { self == .ipv4 ? SocketFamily.inet : SocketFamily.inet6 }

    /// The family with this `AF_*` number.
    init?(socketFamily: UInt8) {
        switch socketFamily {
        case SocketFamily.inet: self = .ipv4
        case SocketFamily.inet6: self = .ipv6
        default: return nil
        }
    }
}

extension IPAddress {
    /// The address as packets have it: 4 or 16 bytes.
    var networkBytes: [UInt8] { ByteOrder.bigEndianBytes(rawValue, count: family.bitWidth / 8) }

    /// The address in these bytes: 4 for IPv4, 16 for IPv6.
    init(networkBytes bytes: ArraySlice<UInt8>) throws(WireError) {
        switch bytes.count {
        case 4: self = .v4(IPv4Address(rawValue: ByteOrder.bigEndian(bytes, as: UInt32.self)))
        case 16: self = .v6(IPv6Address(rawValue: ByteOrder.bigEndian(bytes, as: UInt128.self)))
        default: throw WireError(.badLength, "address of \(bytes.count) bytes")
        }
    }
}

extension MACAddress {
    /// The address in these bytes; `nil` if they are not six.
    init?(networkBytes bytes: ArraySlice<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.init(rawValue: ByteOrder.bigEndian(bytes, as: UInt64.self))
    }
}
