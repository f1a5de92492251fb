// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads a message of the DNS from its front, and throws where it is too short.
///
/// The one place where lengths from a message meet memory. It never traps, whatever the bytes. Names may point to
/// earlier parts of the message, so a reader always holds all of it.
public struct DNSReader: Sendable {
    /// The whole message.
    public let message: [UInt8]
    /// The place of the next byte to be read, never past ``end``.
    public private(set) var position: Int
    /// Where reading ends; names may still point before ``position``.
    public private(set) var end: Int

    private static let headerLength = 12
    /// The most pointers in one name.
    private static let mostPointers = 127

    /// Creates a reader of a whole message.
    public init(_ message: [UInt8]) {
        self.message = message
        position = 0
        end = message.count
    }

    /// The number of bytes left.
    public var count: Int { end - position }

    /// Reads one byte.
    public mutating func readUInt8() throws(DNSWireError) -> UInt8 {
        guard position < end else { throw .truncated }
        defer { position += 1 }
        return message[position]
    }

    /// Reads two bytes, most significant first.
    public mutating func readUInt16() throws(DNSWireError) -> UInt16 {
        guard count >= 2 else { throw .truncated }
        defer { position += 2 }
        return UInt16(message[position]) << 8 | UInt16(message[position + 1])
    }

    /// Reads four bytes, most significant first.
    public mutating func readUInt32() throws(DNSWireError) -> UInt32 {
        let high = try readUInt16()
        return UInt32(high) << 16 | UInt32(try readUInt16())
    }

    /// Reads `count` bytes.
    public mutating func readBytes(_ count: Int) throws(DNSWireError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= self.count else { throw .truncated }
        defer { position += count }
        return message[position..<(position + count)]
    }

    /// Reads what is left.
    public mutating func readRest() -> ArraySlice<UInt8> {
        defer { position = end }
        return message[position..<end]
    }

    /// A reader of the next `count` bytes alone, and moves past them. Its names may point to the whole message.
    public mutating func readPart(_ count: Int) throws(DNSWireError) -> DNSReader {
        guard count >= 0, count <= self.count else { throw .truncated }
        var part = self
        part.end = position + count
        position += count
        return part
    }

    /// Reads a name, following compression pointers (RFC 1035, section 4.1.4).
    ///
    /// Each pointer must lead to a place before the one that the last led to, so that reading ends. A name has 127 labels
    /// at most, and no more pointers: a long chain of them would cost time in every name that leads into it.
    public mutating func readName() throws(DNSWireError) -> DNSName {
        var wire: [UInt8] = []
        wire.reserveCapacity(64)
        var place = position
        // Labels after a pointer may lie behind the part, in the message as a whole.
        var limit = end
        var lowest = position
        var pointers = 0
        while true {
            guard place < limit else { throw .truncated }
            let byte = message[place]
            switch byte & 0xc0 {
            case 0x00:
                let next = place + 1 + Int(byte)
                guard next <= limit else { throw .truncated }
                guard wire.count + 1 + Int(byte) <= DNSName.maximumLength else { throw .nameTooLong }
                wire.append(contentsOf: message[place..<next])
                place = next
                if byte == 0 {
                    if pointers == 0 { position = place }
                    return DNSName(uncheckedWire: wire)
                }
                // The root must still fit.
                guard wire.count < DNSName.maximumLength else { throw .nameTooLong }
            case 0xc0:
                guard place + 1 < limit else { throw .truncated }
                let target = Int(byte & 0x3f) << 8 | Int(message[place + 1])
                // In the header stand no names, and its id changes on the way.
                guard target < lowest, target >= DNSReader.headerLength else { throw .badPointer }
                if pointers == 0 {
                    position = place + 2
                    limit = message.count
                }
                pointers += 1
                guard pointers <= DNSReader.mostPointers else { throw .badPointer }
                lowest = target
                place = target
            default:
                throw .badLabel
            }
        }
    }
}
