// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// An address of a link as the kernel reports it.
public struct AddressRecord: Hashable, Sendable {
    /// The link's index.
    public var linkIndex: UInt32
    /// The link's own address (`IFA_LOCAL`, or `IFA_ADDRESS` where there is no peer).
    public var address: IPAddress
    /// The far end's address on a point-to-point link, if it differs.
    public var peer: IPAddress?
    /// The number of bits that the link's network shares.
    public var prefixLength: UInt8
    /// ``AddressFlags``.
    public var flags: AddressFlags
    /// `RT_SCOPE_*`.
    public var scope: UInt8

    /// Creates a record.
    public init(
        linkIndex: UInt32,
        address: IPAddress,
        peer: IPAddress? = nil,
        prefixLength: UInt8,
        flags: AddressFlags = [],
        scope: UInt8 = 0
    ) {
        self.linkIndex = linkIndex
        self.address = address
        self.peer = peer
        self.prefixLength = prefixLength
        self.flags = flags
        self.scope = scope
    }
}

/// Flags of an address (`IFA_F_*` in `linux/if_addr.h`).
public struct AddressFlags: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt32

    /// Creates flags from their bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `IFA_F_NODAD`: usable at once, without asking whether another has it.
    public static let noDuplicateDetection = AddressFlags(rawValue: 0x02)
    /// `IFA_F_TENTATIVE`: being asked for.
    public static let tentative = AddressFlags(rawValue: 0x40)
    /// `IFA_F_PERMANENT`: does not expire.
    public static let permanent = AddressFlags(rawValue: 0x80)
    /// `IFA_F_NOPREFIXROUTE`: without a route to its network.
    public static let noPrefixRoute = AddressFlags(rawValue: 0x200)
}

extension RouteWire {
    /// Adds an address to a link. What exists is refused with `EEXIST`.
    public static func addAddress(
        _ address: IPAddress,
        prefixLength: UInt8,
        peer: IPAddress? = nil,
        flags: AddressFlags = [],
        link index: UInt32,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        guard Int(prefixLength) <= address.family.bitWidth, peer?.family ?? address.family == address.family else {
            throw WireError(.badValue, "address \(address)/\(prefixLength)")
        }
        return try request(RouteMessage.newAddress, create, sequence) { (writer) throws(WireError) in
            writer.appendAddressHeader(address.family.socketFamily, prefixLength, flags, index)
            try writer.putBytes(Ifa.address, (peer ?? address).networkBytes)
            try writer.putBytes(Ifa.local, address.networkBytes)
            writer.putHost(Ifa.flags, flags.rawValue)
        }
    }

    /// Takes an address from a link: the one with this prefix length.
    public static func deleteAddress(
        _ address: IPAddress, prefixLength: UInt8, link index: UInt32, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        guard Int(prefixLength) <= address.family.bitWidth else {
            throw WireError(.badValue, "address \(address)/\(prefixLength)")
        }
        return try request(RouteMessage.deleteAddress, change, sequence) { (writer) throws(WireError) in
            writer.appendAddressHeader(address.family.socketFamily, prefixLength, [], index)
            try writer.putBytes(Ifa.address, address.networkBytes)
            try writer.putBytes(Ifa.local, address.networkBytes)
        }
    }

    /// Asks for the addresses of all links, of one family or of both.
    public static func addressesRequest(family: AddressFamily? = nil, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getAddress, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendAddressHeader(family?.socketFamily ?? SocketFamily.unspecified, 0, [], 0)
        }
    }

    /// Decodes `RTM_NEWADDR` or `RTM_DELADDR`. `nil` for addresses of other families than the two.
    public static func decodeAddress(_ message: NetlinkMessage) throws(WireError) -> AddressRecord? {
        guard message.type == RouteMessage.newAddress || message.type == RouteMessage.deleteAddress else {
            throw WireError(.badValue, "message type \(message.type) is not an address")
        }
        var (header, attributes) = try message.headerAndAttributes(8, "address header")
        let family = AddressFamily(socketFamily: try header.readUInt8("address header"))
        let prefixLength = try header.readUInt8("address header")
        var flags = AddressFlags(rawValue: UInt32(try header.readUInt8("address header")))
        let scope = try header.readUInt8("address header")
        let index = try header.readHost(UInt32.self, "address header")
        guard let family else { return nil }
        var address: IPAddress?
        var local: IPAddress?
        for attribute in attributes {
            switch attribute.type {
            case Ifa.address: address = try IPAddress(networkBytes: attribute.payload)
            case Ifa.local: local = try IPAddress(networkBytes: attribute.payload)
            case Ifa.flags: flags = AddressFlags(rawValue: try attribute.host(UInt32.self))
            default: break
            }
        }
        guard let own = local ?? address, own.family == family else { throw WireError(.missing, "address") }
        return AddressRecord(
            linkIndex: index,
            address: own,
            peer: address == own ? nil : address,
            prefixLength: prefixLength,
            flags: flags,
            scope: scope
        )
    }
}

/// Attribute types of addresses (`IFA_*` in `linux/if_addr.h`).
private enum Ifa {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let flags: UInt16 = 8
}

extension NetlinkWriter {
    /// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
    fileprivate mutating func appendAddressHeader(
        _ family: UInt8,
        _ prefixLength: UInt8,
        _ flags: AddressFlags,
        _ index: UInt32
    ) {
        append([family, prefixLength, UInt8(truncatingIfNeeded: flags.rawValue), 0])
        appendHost(index)
    }
}
