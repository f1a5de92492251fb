// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One attribute of a message: `struct nlattr` in `linux/netlink.h`.
///
/// ```
///  0               16              32
///  +---------------+---------------+----------------- - -
///  | length (host) | type (host)   | payload, padded to 4
///  +---------------+---------------+----------------- - -
/// ```
/// The length counts the four header bytes but not the padding.
public struct NetlinkAttribute: Hashable, Sendable {
    /// The type, without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    public var type: UInt16
    /// The payload, without padding.
    public var payload: ArraySlice<UInt8>

    /// `NLA_F_NESTED`.
    static let nestedFlag: UInt16 = 0x8000
    /// `NLA_TYPE_MASK`.
    static let typeMask: UInt16 = 0x3fff

    /// The payload as one byte.
    public func uint8() throws(WireError) -> UInt8 {
        try exactly(1)
        return payload.first ?? 0
    }

    /// The payload as an integer, most significant byte first.
    public func bigEndian<Value: FixedWidthInteger>(_ type: Value.Type) throws(WireError) -> Value {
        try exactly(Value.bitWidth / 8)
        return ByteOrder.bigEndian(payload, as: type)
    }

    /// The payload as an integer in the machine's byte order.
    public func host<Value: FixedWidthInteger>(_ type: Value.Type) throws(WireError) -> Value {
        try exactly(Value.bitWidth / 8)
        return ByteOrder.host(payload, as: type)
    }

    /// The payload as text, up to its terminator if it has one. Bytes that are not UTF-8 are replaced.
    public func string() -> String {
        String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The payload's own attributes.
    public func attributes() throws(WireError) -> [NetlinkAttribute] {
        try NetlinkAttribute.parse(payload)
    }

    /// Splits bytes into attributes, in order.
    ///
    /// - Throws: ``WireError`` when a length is below 4 or beyond the end, or fewer than 4 bytes are left over.
    public static func parse(_ bytes: ArraySlice<UInt8>) throws(WireError) -> [NetlinkAttribute] {
        var attributes: [NetlinkAttribute] = []
        try forEach(in: bytes) { (attribute) throws(WireError) in attributes.append(attribute) }
        return attributes
    }

    /// Calls `body` with each attribute, in order, without gathering them.
    public static func forEach(
        in bytes: ArraySlice<UInt8>,
        _ body: (NetlinkAttribute) throws(WireError) -> Void
    ) throws(WireError) {
        var reader = ByteReader(bytes)
        while reader.count > 0 {
            let length = Int(try reader.readHost(UInt16.self, "attribute length"))
            let type = try reader.readHost(UInt16.self, "attribute type")
            guard length >= 4 else { throw WireError(.badLength, "attribute \(type & typeMask)") }
            let payload = try reader.readBytes(length - 4, "attribute \(type & typeMask)")
            reader.skipPadding(-length & 3)
            try body(NetlinkAttribute(type: type & typeMask, payload: payload))
        }
    }

    private func exactly(_ count: Int) throws(WireError) {
        guard payload.count == count else {
            throw WireError(.badLength, "attribute \(type): \(payload.count) bytes, expected \(count)")
        }
    }
}
