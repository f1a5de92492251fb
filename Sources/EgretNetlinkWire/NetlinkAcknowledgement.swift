// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The kernel's answer to a request: `struct nlmsgerr`, or the payload of `NLMSG_DONE`.
public struct NetlinkAcknowledgement: Hashable, Sendable {
    /// The error number, positive; 0 means that all is well.
    public var errorNumber: Int32
    /// What the kernel had to say (`NLMSGERR_ATTR_MSG`).
    public var text: String?
    /// Where in the request the fault lies, in bytes from its header's first (`NLMSGERR_ATTR_OFFS`).
    public var offset: UInt32?
    /// The attribute type that was missing from the request (`NLMSGERR_ATTR_MISS_TYPE`).
    public var missingAttribute: UInt32?

    /// Whether all is well.
    public var isSuccess: Bool { errorNumber == 0 }

    /// Decodes an `NLMSG_ERROR` or `NLMSG_DONE` message.
    ///
    /// - Throws: ``WireError`` for another type of message or malformed bytes.
    public init(_ message: NetlinkMessage) throws(WireError) {
        var reader = ByteReader(message.payload)
        let code = try reader.readHost(Int32.self, "error code")
        errorNumber = code == .min ? .max : abs(code)
        switch message.type {
        case NetlinkControl.error:
            let length = Int(try reader.readHost(UInt32.self, "acknowledged header"))
            _ = try reader.readBytes(NetlinkMessage.headerSize - 4, "acknowledged header")
            if message.flags & NetlinkFlag.capped == 0 {
                guard length >= NetlinkMessage.headerSize else { throw WireError(.badLength, "acknowledged message") }
                _ = try reader.readBytes(length - NetlinkMessage.headerSize, "acknowledged message")
                reader.skipPadding(-length & 3)
            }
        case NetlinkControl.done:
            break
        default:
            throw WireError(.badValue, "message type \(message.type) is not an acknowledgement")
        }
        guard message.flags & NetlinkFlag.acknowledgementAttributes != 0 else { return }
        try NetlinkAttribute.forEach(in: reader.rest) { (attribute) throws(WireError) in
            switch attribute.type {
            case 1: text = attribute.string()
            case 2: offset = try attribute.host(UInt32.self)
            case 5: missingAttribute = try attribute.host(UInt32.self)
            default: break
            }
        }
    }
}
