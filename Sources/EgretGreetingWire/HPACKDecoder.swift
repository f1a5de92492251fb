// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Decodes the header blocks of one direction of an HTTP/2 connection, one after the other (RFC 7541).
struct HPACKDecoder: Sendable {
    /// A header field.
    struct Field: Hashable, Sendable {
        var name: [UInt8]
        var value: [UInt8]

        /// What it costs in a table (section 4.1).
        var size: Int { name.count + value.count + 32 }
    }

    /// The largest table that is kept, in the sense of section 4.1. Servers allow 4,096 unless they say otherwise.
    static let largestTable = 16_384
    /// The most that a block may hold once it is decoded, by the same measure: few bytes can stand for many fields.
    static let largestBlock = 65_536

    /// The oldest first, from `oldest` on; what is before it is forgotten.
    private var table: [Field] = []
    private var oldest = 0
    private var tableSize = 0
    private var tableLimit = 4_096

    /// Decodes a whole block, and tells its fields in their order.
    ///
    /// - Throws: `tooLong` for one that holds more than ``largestBlock``.
    mutating func decode(_ block: ArraySlice<UInt8>, _ body: (Field) throws(GreetingFailure) -> Void)
        throws(GreetingFailure)
    {
        var reader = GreetingReader(block)
        var mayResize = true
        var room = HPACKDecoder.largestBlock
        while reader.count > 0 {
            let first = try reader.readUInt8()
            let field: Field
            if first & 0x80 != 0 {
                field = try self.field(at: try HPACKDecoder.integer(first, bits: 7, &reader))
            } else if first & 0xc0 == 0x40 {
                field = try literal(first, bits: 6, &reader)
                insert(field)
            } else if first & 0xe0 == 0x20 {
                // Only before the first field (section 4.2).
                let size = try HPACKDecoder.integer(first, bits: 5, &reader)
                guard mayResize, size <= HPACKDecoder.largestTable else { throw GreetingFailure(.malformed) }
                tableLimit = size
                evict(room: 0)
                continue
            } else {
                field = try literal(first, bits: 4, &reader)
            }
            mayResize = false
            room -= field.size
            guard room >= 0 else { throw GreetingFailure(.tooLong) }
            try body(field)
        }
    }

    private func field(at index: Int) throws(GreetingFailure) -> Field {
        let known = HPACKDecoder.staticTable
        if index >= 1, index <= known.count { return known[index - 1] }
        // The newest has the lowest index.
        let place = table.count - (index - known.count)
        guard index > known.count, place >= oldest else { throw GreetingFailure(.malformed) }
        return table[place]
    }

    private func literal(_ first: UInt8, bits: UInt8, _ reader: inout GreetingReader) throws(GreetingFailure) -> Field {
        let index = try HPACKDecoder.integer(first, bits: bits, &reader)
        let name = try index == 0 ? HPACKDecoder.string(&reader) : field(at: index).name
        return Field(name: name, value: try HPACKDecoder.string(&reader))
    }

    private mutating func insert(_ field: Field) {
        evict(room: field.size)
        // One that is larger than the table empties it (section 4.4).
        guard field.size <= tableLimit else { return }
        table.append(field)
        tableSize += field.size
    }

    private mutating func evict(room: Int) {
        while tableSize + room > tableLimit, oldest < table.count {
            tableSize -= table[oldest].size
            oldest += 1
        }
        if oldest > 256, oldest * 2 > table.count {
            table.removeFirst(oldest)
            oldest = 0
        }
    }

    /// An integer whose first bits are in a byte already read (section 5.1).
    private static func integer(_ first: UInt8, bits: UInt8, _ reader: inout GreetingReader) throws(GreetingFailure)
        -> Int
    {
        let mask = UInt8(truncatingIfNeeded: (1 << Int(bits)) - 1)
        guard first & mask == mask else { return Int(first & mask) }
        var value = Int(mask)
        // Four bytes more are plenty for anything that fits a block.
        for shift in stride(from: 0, through: 21, by: 7) {
            let byte = try reader.readUInt8()
            value += Int(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw GreetingFailure(.malformed)
    }

    private static func string(_ reader: inout GreetingReader) throws(GreetingFailure) -> [UInt8] {
        let first = try reader.readUInt8()
        let bytes = try reader.readBytes(try integer(first, bits: 7, &reader))
        return first & 0x80 != 0 ? try HuffmanCode.decode(bytes) : Array(bytes)
    }
}
