// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// ctnetlink: connection tracking as requests and records (`linux/netfilter/nfnetlink_conntrack.h`).
///
/// All attributes are big endian.
public enum ConntrackWire {
    /// A mark, and which of its bits count.
    public struct MarkFilter: Hashable, Sendable {
        /// The bits that must be.
        public var value: UInt32
        /// The bits that count.
        public var mask: UInt32

        /// Creates a filter.
        public init(value: UInt32, mask: UInt32) {
            self.value = value
            self.mask = mask
        }

        func encode(into writer: inout NetlinkWriter) {
            writer.putBigEndian(Cta.mark, value)
            writer.putBigEndian(Cta.markMask, mask)
        }
    }

    /// Asks for all connections of one family, or of both; with a filter only for those whose mark fits.
    public static func dumpRequest(
        family: AddressFamily? = nil,
        mark: MarkFilter? = nil,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let family = family?.socketFamily ?? SocketFamily.unspecified
        return try request(CtMessage.get, NetlinkFlag.dump, family, sequence) { (writer) throws(WireError) in
            mark?.encode(into: &writer)
        }
    }

    /// Deletes every connection of both families whose mark fits.
    ///
    /// A filter whose mask is 0 fits every connection of the namespace, so it is refused here.
    public static func deleteRequest(mark: MarkFilter, sequence: UInt32) throws(WireError) -> [UInt8] {
        guard mark.mask != 0 else { throw WireError(.badValue, "a mark filter that fits every connection") }
        let flags = NetlinkFlag.acknowledge
        return try request(CtMessage.delete, flags, SocketFamily.unspecified, sequence) { (writer) throws(WireError) in
            mark.encode(into: &writer)
        }
    }

    /// Deletes the connection with this original tuple. `ENOENT` if there is none.
    ///
    /// - Parameters:
    ///   - original: As the first packet had it.
    ///   - zone: The connection's zone.
    ///   - identifier: The kernel's number for it: another connection that has taken the tuple meanwhile is left alone.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if the tuple has addresses of two families.
    public static func deleteRequest(
        original: ConnectionTuple,
        zone: UInt16 = 0,
        identifier: UInt32? = nil,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let family = original.source.family
        guard original.destination.family == family else { throw WireError(.badValue, "tuple of two families") }
        let flags = NetlinkFlag.acknowledge
        return try request(CtMessage.delete, flags, family.socketFamily, sequence) { (writer) throws(WireError) in
            try writer.nest(Cta.originalTuple) { (writer) throws(WireError) in try original.encode(into: &writer) }
            if zone != 0 { writer.putBigEndian(Cta.zone, zone) }
            if let identifier { writer.putBigEndian(Cta.identifier, identifier) }
        }
    }

    /// Asks for the connection that has this tuple: the connection, then an acknowledgement. `ENOENT` if there is none.
    ///
    /// - Parameters:
    ///   - tuple: In either direction.
    ///   - isReply: Whether the tuple is as answers have it.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if the tuple has addresses of two families.
    public static func getRequest(_ tuple: ConnectionTuple, isReply: Bool = false, sequence: UInt32)
        throws(WireError) -> [UInt8]
    {
        let family = tuple.source.family
        guard tuple.destination.family == family else { throw WireError(.badValue, "tuple of two families") }
        let flags = NetlinkFlag.acknowledge
        return try request(CtMessage.get, flags, family.socketFamily, sequence) { (writer) throws(WireError) in
            try writer.nest(isReply ? Cta.replyTuple : Cta.originalTuple) { (writer) throws(WireError) in
                try tuple.encode(into: &writer)
            }
        }
    }

    /// Decodes `IPCTNL_MSG_CT_NEW` or `IPCTNL_MSG_CT_DELETE`, in a dump or a notification.
    public static func decode(_ message: NetlinkMessage) throws(WireError) -> ConnectionRecord {
        let (_, attributes) = try message.nfnetlink(NfnetlinkSubsystem.conntrack, "conntrack message")
        guard [CtMessage.new, CtMessage.delete].contains(message.type & 0xff) else {
            throw WireError(.badValue, "message type \(message.type) is not a connection")
        }
        guard let original = attributes.first(where: { $0.type == Cta.originalTuple }),
            let reply = attributes.first(where: { $0.type == Cta.replyTuple })
        else { throw WireError(.missing, "connection tuple") }
        var record = ConnectionRecord(
            original: try ConnectionTuple(original.payload),
            reply: try ConnectionTuple(reply.payload)
        )
        for attribute in attributes { try decode(attribute, into: &record) }
        return record
    }

    /// Decodes a notification of the conntrack groups.
    public static func decodeEvent(_ message: NetlinkMessage) throws(WireError) -> ConnectionEvent {
        let record = try decode(message)
        if message.type & 0xff == CtMessage.delete { return .destroy(record) }
        return message.flags & NetlinkFlag.create != 0 ? .new(record) : .update(record)
    }

    static func request(
        _ message: UInt16,
        _ flags: UInt16,
        _ family: UInt8,
        _ sequence: UInt32,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NfnetlinkSubsystem.conntrack << 8 | message,
            flags: flags,
            sequence: sequence,
            header: NfnetlinkHeader(family: family),
            body
        )
        return writer.bytes
    }

    private static func decode(
        _ attribute: NetlinkAttribute,
        into record: inout ConnectionRecord
    ) throws(WireError) {
        switch attribute.type {
        case Cta.status: record.status = ConnectionStatus(rawValue: try attribute.bigEndian(UInt32.self))
        case Cta.timeout: record.timeoutSeconds = try attribute.bigEndian(UInt32.self)
        case Cta.mark: record.mark = try attribute.bigEndian(UInt32.self)
        case Cta.identifier: record.identifier = try attribute.bigEndian(UInt32.self)
        case Cta.zone: record.zone = try attribute.bigEndian(UInt16.self)
        case Cta.labels: record.labels = ConnectionLabels(words: attribute.payload)
        case Cta.originalCounters: record.originalCounters = try ConnectionCounters(attribute.payload)
        case Cta.replyCounters: record.replyCounters = try ConnectionCounters(attribute.payload)
        case Cta.protocolInformation: record.tcpState = try tcpState(attribute)
        default: break
        }
    }

    private static func tcpState(_ attribute: NetlinkAttribute) throws(WireError) -> UInt8? {
        // CTA_PROTOINFO_TCP, then CTA_PROTOINFO_TCP_STATE.
        guard let tcp = try attribute.attributes().first(where: { $0.type == 1 }),
            let state = try tcp.attributes().first(where: { $0.type == 1 })
        else { return nil }
        return try state.uint8()
    }
}

/// Message types of ctnetlink (`enum cntl_msg_types`).
private enum CtMessage {
    /// `IPCTNL_MSG_CT_NEW`.
    static let new: UInt16 = 0
    /// `IPCTNL_MSG_CT_GET`.
    static let get: UInt16 = 1
    /// `IPCTNL_MSG_CT_DELETE`.
    static let delete: UInt16 = 2
}

/// Attribute types of ctnetlink (`enum ctattr_type`).
private enum Cta {
    static let originalTuple: UInt16 = 1
    static let replyTuple: UInt16 = 2
    static let status: UInt16 = 3
    static let protocolInformation: UInt16 = 4
    static let timeout: UInt16 = 7
    static let mark: UInt16 = 8
    static let originalCounters: UInt16 = 9
    static let replyCounters: UInt16 = 10
    static let identifier: UInt16 = 12
    static let zone: UInt16 = 18
    static let markMask: UInt16 = 21
    static let labels: UInt16 = 22
}
