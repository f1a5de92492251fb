// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not the rules of a time zone.
public struct TimeZoneReadError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, as a part of a sentence.
    public var description: String

    /// Creates an error.
    public init(_ description: String) {
        self.description = description
    }
}

extension TimeZoneRules {
    /// Reads a TZif file (RFC 8536) of version 1, 2, 3 or 4.
    ///
    /// Versions 2 and later hold everything twice, with times of 32 and of 64 bits; the second is read. Files that count
    /// leap seconds (`right/`) are refused: the kernel's clock does not count them.
    ///
    /// - Parameters:
    ///   - bytes: The whole file. No bytes make it trap.
    ///   - name: The zone's name.
    /// - Throws: ``TimeZoneReadError`` for anything that is not well formed.
    public init(tzif bytes: [UInt8], name: String) throws(TimeZoneReadError) {
        var reader = TZifReader(bytes: bytes)
        var header = try reader.header()
        var width = 4
        if header.version >= 2 {
            try reader.skip(header.size(width: 4))
            header = try reader.header()
            width = 8
        }
        if header.leapCount > 0 { throw TimeZoneReadError("it counts leap seconds, and the kernel's clock does not") }
        let data = try reader.data(header, width: width)
        let footer = width == 8 ? try reader.footer() : nil
        self.init(
            name: name, transitions: data.transitions, offsets: data.offsets, firstOffset: data.firstOffset,
            footer: footer)
    }
}

/// Takes a TZif file apart.
private struct TZifReader {
    struct Header {
        var version: Int
        var isutCount: Int
        var isstdCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var charCount: Int

        /// The bytes of the data that follow, with times of this width. Counts are at most 2^20 each.
        func size(width: Int) -> Int {
            timeCount * (width + 1) + typeCount * 6 + charCount + leapCount * (width + 4) + isstdCount + isutCount
        }
    }

    let bytes: [UInt8]
    var place = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private static let truncated = TimeZoneReadError("it ends too early")

    mutating func skip(_ count: Int) throws(TimeZoneReadError) {
        guard count >= 0, count <= bytes.count - place else { throw TZifReader.truncated }
        place += count
    }

    private mutating func number(_ width: Int) throws(TimeZoneReadError) -> Int64 {
        guard width <= bytes.count - place else { throw TZifReader.truncated }
        var value: UInt64 = 0
        for byte in bytes[place..<(place + width)] { value = value << 8 | UInt64(byte) }
        place += width
        return width == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
    }

    private mutating func count() throws(TimeZoneReadError) -> Int {
        let value = try number(4)
        guard (0...(1 << 20)).contains(value) else { throw TimeZoneReadError("it has an impossible count") }
        return Int(value)
    }

    mutating func header() throws(TimeZoneReadError) -> Header {
        guard bytes.count - place >= 44, bytes[place..<(place + 4)].elementsEqual("TZif".utf8) else {
            throw TimeZoneReadError("it is not a TZif file")
        }
        let letter = bytes[place + 4]
        guard letter == 0 || (0x32...0x34).contains(letter) else {
            throw TimeZoneReadError("it is a TZif file of a version that is not 1 to 4")
        }
        place += 20
        let isut = try count()
        let isstd = try count()
        let leap = try count()
        let time = try count()
        let type = try count()
        let char = try count()
        return Header(
            version: letter == 0 ? 1 : Int(letter - 0x30), isutCount: isut, isstdCount: isstd, leapCount: leap,
            timeCount: time, typeCount: type, charCount: char)
    }

    mutating func data(
        _ header: Header, width: Int
    ) throws(TimeZoneReadError) -> (transitions: [Int64], offsets: [Int32], firstOffset: Int32) {
        guard header.size(width: width) <= bytes.count - place else { throw TZifReader.truncated }
        let end = place + header.size(width: width)
        var transitions: [Int64] = []
        for _ in 0..<header.timeCount {
            let time = min(max(try number(width), TimeZoneRules.earliest), TimeZoneRules.latest)
            if let last = transitions.last, last >= time { throw TimeZoneReadError("its changes are not in order") }
            transitions.append(time)
        }
        let types = bytes[place..<(place + header.timeCount)].map { Int($0) }
        place += header.timeCount
        var all: [Int32] = []
        for _ in 0..<header.typeCount {
            let offset = try number(4)
            // RFC 8536 section 3.2: no zone is further from UTC.
            guard (-89_999...93_599).contains(offset) else { throw TimeZoneReadError("it has an impossible offset") }
            all.append(Int32(offset))
            try skip(2)
        }
        var offsets: [Int32] = []
        for type in types {
            guard all.indices.contains(type) else { throw TimeZoneReadError("a change leads nowhere") }
            offsets.append(all[type])
        }
        guard let first = all.first else { throw TimeZoneReadError("it has no offset") }
        place = end
        return (transitions, offsets, first)
    }

    mutating func footer() throws(TimeZoneReadError) -> RecurringOffsets? {
        let rest = bytes[place...]
        guard rest.count >= 2, rest.first == 0x0a, let end = rest.dropFirst().firstIndex(of: 0x0a) else {
            throw TimeZoneReadError("it has no footer")
        }
        let text = rest[(place + 1)..<end]
        if text.isEmpty { return nil }
        guard let footer = RecurringOffsets(text) else {
            throw TimeZoneReadError("its footer \(quoted(String(decoding: text, as: UTF8.self))) is not understood")
        }
        return footer
    }
}
