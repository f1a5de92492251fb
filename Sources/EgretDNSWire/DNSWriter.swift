// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Writes a message of the DNS, and remembers where its names are to point back at them.
struct DNSWriter {
    private(set) var bytes: [UInt8] = []
    /// Where the names are that later ones may point to, by their bytes: letter case is kept.
    private var places: [ArraySlice<UInt8>: Int] = [:]

    mutating func append(_ value: UInt8) { bytes.append(value) }

    mutating func append(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func append(_ value: UInt32) {
        append(UInt16(truncatingIfNeeded: value >> 16))
        append(UInt16(truncatingIfNeeded: value))
    }

    mutating func append(contentsOf more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// Appends a name, by a pointer to an earlier one as far as there is one.
    mutating func append(_ name: DNSName, compressed: Bool = true) {
        guard compressed else {
            bytes.append(contentsOf: name.wire)
            return
        }
        var rest = name.wire[...]
        while let length = rest.first, length > 0, rest.count > Int(length) + 1 {
            if let place = places[rest] {
                append(0xc000 | UInt16(truncatingIfNeeded: place))
                return
            }
            // A pointer has 14 bits.
            if bytes.count < 0x4000 { places[rest] = bytes.count }
            bytes.append(contentsOf: rest.prefix(Int(length) + 1))
            rest = rest.dropFirst(Int(length) + 1)
        }
        bytes.append(0)
    }

    /// Appends what the body writes, after two bytes with its length.
    mutating func lengthPrefixed(
        _ body: (inout DNSWriter) throws(DNSWireError) -> Void
    ) throws(DNSWireError) {
        let place = bytes.count
        append(UInt16(0))
        try body(&self)
        guard let count = UInt16(exactly: bytes.count - place - 2) else { throw .tooLong }
        bytes[place] = UInt8(truncatingIfNeeded: count >> 8)
        bytes[place + 1] = UInt8(truncatingIfNeeded: count)
    }
}
