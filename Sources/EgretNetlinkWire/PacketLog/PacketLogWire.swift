// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// nfnetlink_log: packets that rules log, from the kernel (`linux/netfilter/nfnetlink_log.h`).
///
/// All attributes are big endian.
public enum PacketLogWire {
    /// Makes the socket the receiver of a group (`NFULNL_CFG_CMD_BIND`). A group has one receiver in a namespace;
    /// another's is refused with `EBUSY`.
    public static func bindRequest(group: UInt16, sequence: UInt32) throws(WireError) -> [UInt8] {
        try configuration(group, sequence) { (writer) throws(WireError) in writer.putUInt8(Nfula.command, 1) }
    }

    /// Gives a group up (`NFULNL_CFG_CMD_UNBIND`). Closing the socket does the same.
    public static func unbindRequest(group: UInt16, sequence: UInt32) throws(WireError) -> [UInt8] {
        try configuration(group, sequence) { (writer) throws(WireError) in writer.putUInt8(Nfula.command, 2) }
    }

    /// Says what the kernel is to deliver of each packet, and when.
    ///
    /// - Parameters:
    ///   - group: A group that the socket is bound to.
    ///   - copyRange: The bytes copied of each packet (`NFULNL_COPY_PACKET`).
    ///   - queueThreshold: How many packets are gathered before they are delivered; `nil` for the kernel's choice.
    ///   - timeoutCentiseconds: How long the first of them waits, in hundredths of a second.
    ///   - bufferBytes: The buffer that they are gathered in; at most 128 KiB.
    ///   - countsLocally: Numbers the group's packets (`NFULNL_CFG_F_SEQ`), so that loss can be seen.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func configureRequest(
        group: UInt16,
        copyRange: UInt32,
        queueThreshold: UInt32? = nil,
        timeoutCentiseconds: UInt32? = nil,
        bufferBytes: UInt32? = nil,
        countsLocally: Bool = true,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try configuration(group, sequence) { (writer) throws(WireError) in
            try writer.putBytes(Nfula.mode, ByteOrder.bigEndianBytes(copyRange, count: 4) + [2, 0])
            if let bufferBytes { writer.putBigEndian(Nfula.bufferSize, bufferBytes) }
            if let timeoutCentiseconds { writer.putBigEndian(Nfula.timeout, timeoutCentiseconds) }
            if let queueThreshold { writer.putBigEndian(Nfula.queueThreshold, queueThreshold) }
            writer.putBigEndian(Nfula.flags, UInt16(countsLocally ? 1 : 0))
        }
    }

    /// Decodes `NFULNL_MSG_PACKET`.
    public static func decode(_ message: NetlinkMessage) throws(WireError) -> LoggedPacket {
        let (header, attributes) = try message.nfnetlink(NfnetlinkSubsystem.log, "logged packet")
        guard message.type & 0xff == 0 else { throw WireError(.badValue, "message type \(message.type) is no packet") }
        var packet = LoggedPacket(family: header.family, group: header.resource)
        for attribute in attributes { try decode(attribute, into: &packet) }
        return packet
    }

    private static func configuration(
        _ group: UInt16,
        _ sequence: UInt32,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NfnetlinkSubsystem.log << 8 | 1,
            flags: NetlinkFlag.acknowledge,
            sequence: sequence,
            header: NfnetlinkHeader(family: SocketFamily.unspecified, resource: group),
            body
        )
        return writer.bytes
    }

    private static func decode(_ attribute: NetlinkAttribute, into packet: inout LoggedPacket) throws(WireError) {
        switch attribute.type {
        case 1:
            var reader = ByteReader(attribute.payload)
            packet.hardwareProtocol = try reader.readBigEndian(UInt16.self, "packet header")
            packet.hook = try reader.readUInt8("packet header")
        case 2: packet.mark = try attribute.bigEndian(UInt32.self)
        case 3:
            var reader = ByteReader(attribute.payload)
            packet.timestampSeconds = try reader.readBigEndian(UInt64.self, "timestamp")
            packet.timestampMicroseconds = try reader.readBigEndian(UInt64.self, "timestamp")
        case 4: packet.inputInterface = try attribute.bigEndian(UInt32.self)
        case 5: packet.outputInterface = try attribute.bigEndian(UInt32.self)
        case 8:
            var reader = ByteReader(attribute.payload)
            let length = try reader.readBigEndian(UInt16.self, "hardware address")
            _ = try reader.readBytes(2, "hardware address")
            packet.hardwareAddress = Array(try reader.readBytes(Int(length), "hardware address"))
        case 9: packet.payload = Array(attribute.payload)
        case 10: packet.prefix = attribute.string()
        case 12: packet.localSequence = try attribute.bigEndian(UInt32.self)
        default: break
        }
    }
}

/// Attribute types of a configuration (`enum nfulnl_attr_config`).
private enum Nfula {
    static let command: UInt16 = 1
    static let mode: UInt16 = 2
    static let bufferSize: UInt16 = 3
    static let timeout: UInt16 = 4
    static let queueThreshold: UInt16 = 5
    static let flags: UInt16 = 6
}

/// A packet that a rule logged.
public struct LoggedPacket: Hashable, Sendable {
    /// `NFPROTO_*` of the chain.
    public var family: UInt8
    /// The group it was logged to.
    public var group: UInt16
    /// The rule's prefix.
    public var prefix = ""
    /// The EtherType.
    public var hardwareProtocol: UInt16 = 0
    /// The hook, as the chain's family numbers it.
    public var hook: UInt8 = 0
    /// The index of the interface it came in by.
    public var inputInterface: UInt32?
    /// The index of the interface it was to leave by.
    public var outputInterface: UInt32?
    /// The packet's mark.
    public var mark: UInt32 = 0
    /// When it arrived, since 1970: whole seconds. `nil` for packets of the host's own.
    public var timestampSeconds: UInt64?
    /// When it arrived: microseconds of the second.
    public var timestampMicroseconds: UInt64?
    /// The group's number for it, from 0, without gaps unless packets were lost.
    public var localSequence: UInt32?
    /// The sender's hardware address.
    public var hardwareAddress: [UInt8] = []
    /// The packet from its network header, or its first bytes.
    public var payload: [UInt8] = []

    /// Creates a packet of which nothing else is known.
    public init(
        family: UInt8,
        group: UInt16,
        payload: [UInt8] = []
    ) {
        self.family = family
        self.group = group
        self.payload = payload
    }
}
