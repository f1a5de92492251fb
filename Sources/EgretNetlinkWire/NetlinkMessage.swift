// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One message from the kernel: `struct nlmsghdr` in `linux/netlink.h`, and what follows it.
///
/// ```
///  0               16              32
///  +---------------+---------------+
///  | length, with this header      |   all in the machine's byte order
///  +---------------+---------------+
///  | type          | flags         |
///  +---------------+---------------+
///  | sequence                      |
///  +---------------+---------------+
///  | port id                       |
///  +---------------+---------------+ - -
/// ```
public struct NetlinkMessage: Hashable, Sendable {
    /// What it is; below 16 one of ``NetlinkControl``.
    public var type: UInt16
    /// ``NetlinkFlag`` bits.
    public var flags: UInt16
    /// The sequence number of the request that it answers; 0 on notifications.
    public var sequence: UInt32
    /// The port of the socket that it is for.
    public var portID: UInt32
    /// What follows the header.
    public var payload: ArraySlice<UInt8>

    /// The size of the header.
    static let headerSize = 16

    /// Creates a message.
    public init(type: UInt16, flags: UInt16, sequence: UInt32, portID: UInt32, payload: ArraySlice<UInt8>) {
        self.type = type
        self.flags = flags
        self.sequence = sequence
        self.portID = portID
        self.payload = payload
    }

    /// Splits a datagram into its messages. The payloads share the datagram's memory.
    ///
    /// - Throws: ``WireError`` if there is no message in it, or a length is below 16 or beyond the end.
    public static func parse(_ datagram: [UInt8]) throws(WireError) -> [NetlinkMessage] {
        var reader = ByteReader(datagram)
        var messages: [NetlinkMessage] = []
        repeat {
            let length = Int(try reader.readHost(UInt32.self, "netlink header"))
            let type = try reader.readHost(UInt16.self, "netlink header")
            let flags = try reader.readHost(UInt16.self, "netlink header")
            let sequence = try reader.readHost(UInt32.self, "netlink header")
            let portID = try reader.readHost(UInt32.self, "netlink header")
            guard length >= headerSize else { throw WireError(.badLength, "netlink message of \(length) bytes") }
            let payload = try reader.readBytes(length - headerSize, "netlink message of \(length) bytes")
            reader.skipPadding(-length & 3)
            messages.append(
                NetlinkMessage(type: type, flags: flags, sequence: sequence, portID: portID, payload: payload)
            )
        } while reader.count > 0
        return messages
    }

    /// A request with another sequence number and more flags.
    ///
    /// - Throws: ``WireError`` if the bytes are not exactly one message.
    public static func resequenced(
        _ request: [UInt8],
        sequence: UInt32,
        addingFlags flags: UInt16 = 0
    ) throws(WireError) -> [UInt8] {
        let messages = try parse(request)
        guard messages.count == 1, let message = messages.first else { throw WireError(.badLength, "one request") }
        var writer = NetlinkWriter(reservingCapacity: request.count)
        try writer.message(type: message.type, flags: message.flags | flags, sequence: sequence) { (writer) in
            writer.append(message.payload)
        }
        return writer.bytes
    }

    /// Whether what the dump describes changed while it was being dumped (`NLM_F_DUMP_INTR`).
    public var isInterrupted: Bool { flags & NetlinkFlag.dumpInterrupted != 0 }

    /// Whether more messages of the same answer follow (`NLM_F_MULTI`).
    public var isMultipart: Bool { flags & NetlinkFlag.multi != 0 }

    /// Reads a fixed header and the attributes after it.
    func headerAndAttributes(_ headerSize: Int, _ context: String) throws(WireError) -> (ByteReader, [NetlinkAttribute])
    {
        var reader = ByteReader(payload)
        let header = try reader.readBytes(headerSize, context)
        return (ByteReader(header), try NetlinkAttribute.parse(reader.rest))
    }
}
