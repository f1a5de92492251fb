// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A neighbour: which hardware address an address on a link has.
public struct NeighbourRecord: Hashable, Sendable {
    /// The link's index.
    public var linkIndex: UInt32
    /// The address.
    public var address: IPAddress
    /// The hardware address, if it is known and an EUI-48.
    public var hardwareAddress: MACAddress?
    /// `NUD_*` bits in `linux/neighbour.h`.
    public var state: UInt16

    /// Creates a record.
    public init(
        linkIndex: UInt32,
        address: IPAddress,
        hardwareAddress: MACAddress? = nil,
        state: UInt16
    ) {
        self.linkIndex = linkIndex
        self.address = address
        self.hardwareAddress = hardwareAddress
        self.state = state
    }

    /// Whether it was set by hand and does not expire (`NUD_PERMANENT`).
    public var isPermanent: Bool { state & 0x80 != 0 }
}

extension RouteWire {
    /// Adds, or replaces, a neighbour that neither expires nor is asked for (`NUD_PERMANENT`).
    public static func setPermanentNeighbour(
        _ address: IPAddress,
        hardwareAddress: MACAddress,
        link index: UInt32,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let flags = change | NetlinkFlag.create | NetlinkFlag.replace
        return try request(RouteMessage.newNeighbour, flags, sequence) { (writer) throws(WireError) in
            writer.appendNeighbourHeader(address.family.socketFamily, index, state: 0x80)
            try writer.putBytes(Nda.destination, address.networkBytes)
            try writer.putBytes(Nda.hardwareAddress, hardwareAddress.octets)
        }
    }

    /// Lets the host answer for a neighbour on a link, or no more (`NTF_PROXY`).
    ///
    /// - Parameters:
    ///   - address: The neighbour's.
    ///   - index: The link on which others ask for it.
    ///   - isAnswered: Whether the host is to answer.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if it does not fit.
    public static func setNeighbourProxy(
        _ address: IPAddress,
        link index: UInt32,
        isAnswered: Bool,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let type = isAnswered ? RouteMessage.newNeighbour : RouteMessage.deleteNeighbour
        let flags = isAnswered ? change | NetlinkFlag.create : change
        return try request(type, flags, sequence) { (writer) throws(WireError) in
            writer.appendNeighbourHeader(address.family.socketFamily, index, state: 0, flags: 0x08)
            try writer.putBytes(Nda.destination, address.networkBytes)
        }
    }

    /// Asks for the neighbours on all links, of one family or of both.
    public static func neighboursRequest(family: AddressFamily? = nil, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getNeighbour, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendNeighbourHeader(family?.socketFamily ?? SocketFamily.unspecified, 0, state: 0)
        }
    }

    /// Decodes `RTM_NEWNEIGH` or `RTM_DELNEIGH`. `nil` for neighbours of other families than the two.
    public static func decodeNeighbour(_ message: NetlinkMessage) throws(WireError) -> NeighbourRecord? {
        guard message.type == RouteMessage.newNeighbour || message.type == RouteMessage.deleteNeighbour else {
            throw WireError(.badValue, "message type \(message.type) is not a neighbour")
        }
        var (header, attributes) = try message.headerAndAttributes(12, "neighbour header")
        let family = AddressFamily(socketFamily: try header.readUInt8("neighbour header"))
        _ = try header.readBytes(3, "neighbour header")
        let index = try header.readHost(UInt32.self, "neighbour header")
        let state = try header.readHost(UInt16.self, "neighbour header")
        guard let family else { return nil }
        var address: IPAddress?
        var hardwareAddress: MACAddress?
        for attribute in attributes {
            switch attribute.type {
            case Nda.destination: address = try IPAddress(networkBytes: attribute.payload)
            case Nda.hardwareAddress: hardwareAddress = MACAddress(networkBytes: attribute.payload)
            default: break
            }
        }
        guard let address, address.family == family else { throw WireError(.missing, "neighbour address") }
        return NeighbourRecord(linkIndex: index, address: address, hardwareAddress: hardwareAddress, state: state)
    }
}

/// Attribute types of neighbours (`NDA_*` in `linux/neighbour.h`).
private enum Nda {
    static let destination: UInt16 = 1
    static let hardwareAddress: UInt16 = 2
}

extension NetlinkWriter {
    /// `struct ndmsg`: family, padding, index, state, flags, type.
    fileprivate mutating func appendNeighbourHeader(_ family: UInt8, _ index: UInt32, state: UInt16, flags: UInt8 = 0) {
        append([family, 0, 0, 0])
        appendHost(index)
        appendHost(state)
        append([flags, 0])
    }
}
