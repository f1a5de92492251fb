// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension BatchEncoder {
    /// An element list is closed before its attribute's 16-bit length could overflow.
    private static let maximumListBytes = 60_000
    /// What comes before a message's elements: headers, and two names of up to 256 bytes.
    private static let maximumHeadBytes = 600

    /// Appends the messages that add or delete a set's contents; none if there are none.
    mutating func appendElements(
        of set: Set,
        _ table: Table,
        _ type: UInt16,
        _ flags: UInt16
    ) throws(WireError) {
        guard set.contents.count > 0 else { return }
        let target = ElementTarget(table: table, set: set.name, type: type, flags: flags)
        switch set.contents {
        case .elements(let elements):
            try append(elements, of: set, target)
        case .ipv4Intervals(let intervals, let verdicts):
            guard set.keyType == .ipv4Address else {
                throw WireError(.badValue, "IPv4 ranges in set “\(set.name)” of \(set.keyType)")
            }
            try append(intervals, verdicts, of: set, target)
        case .ipv6Intervals(let intervals, let verdicts):
            guard set.keyType == .ipv6Address else {
                throw WireError(.badValue, "IPv6 ranges in set “\(set.name)” of \(set.keyType)")
            }
            try append(intervals, verdicts, of: set, target)
        }
    }

    private mutating func append<Address>(
        _ intervals: [AddressInterval<Address>],
        _ verdicts: [Verdict],
        of set: Set,
        _ target: ElementTarget
    ) throws(WireError) {
        var templates: [ElementTemplate] = []
        if set.mapsToVerdict {
            for verdict in verdicts { templates.append(try ElementTemplate(set.keyByteCount, verdict: verdict)) }
        } else {
            templates.append(try ElementTemplate(set.keyByteCount))
        }
        let end = try ElementTemplate(set.keyByteCount, isIntervalEnd: true)
        let largest = templates.reduce(0) { max($0, $1.bytes.count) } + (set.hasIntervals ? end.bytes.count : 0)
        // The elements, and the heads of the messages that they are spread over: no growing, no copy.
        let elements = intervals.count * largest
        writer.reserve(elements + (elements / BatchEncoder.maximumListBytes + 2) * BatchEncoder.maximumHeadBytes)
        var list = try openList(target)
        for interval in intervals {
            guard templates.indices.contains(Int(interval.verdictIndex)) else {
                throw WireError(.badValue, "verdict \(interval.verdictIndex) of map “\(set.name)”")
            }
            try list.makeRoom(largest, BatchEncoder.maximumListBytes, in: &self)
            let template = templates[Int(interval.verdictIndex)]
            if set.hasIntervals {
                try appendRange(interval.lowerBound, interval.upperBound, .max, template, end, set)
            } else if interval.lowerBound == interval.upperBound {
                append(interval.lowerBound, template, set.keyType)
            } else {
                throw WireError(.badValue, "a range in “\(set.name)”, which has no ranges")
            }
        }
        try list.close(in: &self)
    }

    private mutating func append(_ elements: [SetElement], of set: Set, _ target: ElementTarget) throws(WireError) {
        var templates: [Verdict?: ElementTemplate] = [:]
        let end = try ElementTemplate(set.keyByteCount, isIntervalEnd: true)
        let bits = UInt128(8 * set.keyType.byteCount)
        let top = bits == 128 ? UInt128.max : (UInt128(1) << bits) - 1
        var list = try openList(target)
        for element in elements {
            guard set.mapsToVerdict == (element.verdict != nil) else {
                throw WireError(.badValue, "an element of “\(set.name)” must have a verdict if it is a map")
            }
            let template: ElementTemplate
            if let known = templates[element.verdict] {
                template = known
            } else {
                template = try ElementTemplate(set.keyByteCount, verdict: element.verdict)
                templates[element.verdict] = template
            }
            try list.makeRoom(template.bytes.count + end.bytes.count, BatchEncoder.maximumListBytes, in: &self)
            guard element.furtherKeys.count == set.furtherKeyTypes.count else {
                throw WireError(
                    .badValue, "an element of “\(set.name)” with \(element.furtherKeys.count) further parts")
            }
            guard element.upperBound <= top else {
                throw WireError(.badValue, "an element of “\(set.name)” is too large for \(set.keyType)")
            }
            if set.hasIntervals {
                try appendRange(element.lowerBound, element.upperBound, top, template, end, set)
            } else if element.lowerBound == element.upperBound {
                let start = writer.bytes.count + template.keyOffset
                append(element.lowerBound, template, set.keyType)
                try patch(element.furtherKeys, of: set, at: start)
            } else {
                throw WireError(.badValue, "a range in “\(set.name)”, which has no ranges")
            }
        }
        try list.close(in: &self)
    }

    /// Writes the further parts of a concatenated key that begins at `start`, each padded behind.
    private mutating func patch(_ values: [UInt128], of set: Set, at start: Int) throws(WireError) {
        var offset = start + DataType.padded(set.keyType.byteCount)
        for (value, type) in zip(values, set.furtherKeyTypes) {
            guard type.byteCount == 16 || value >> UInt128(8 * type.byteCount) == 0 else {
                throw WireError(.badValue, "an element of “\(set.name)” is too large for \(type)")
            }
            writer.patch(value, of: type, at: offset)
            offset += DataType.padded(type.byteCount)
        }
    }

    /// A range in the kernel's interval form: its first key, then the key behind its last one marked as an end.
    /// A range that reaches the top of the key space has no end.
    private mutating func appendRange<Key: FixedWidthInteger & UnsignedInteger>(
        _ lower: Key,
        _ upper: Key,
        _ top: Key,
        _ template: ElementTemplate,
        _ end: ElementTemplate,
        _ set: Set
    ) throws(WireError) {
        guard lower <= upper else { throw WireError(.badValue, "a range of “\(set.name)” that runs backwards") }
        append(lower, template, set.keyType)
        if upper != top { append(upper &+ 1, end, set.keyType) }
    }

    private mutating func append<Key: FixedWidthInteger & UnsignedInteger>(
        _ key: Key,
        _ template: ElementTemplate,
        _ type: DataType
    ) {
        let start = writer.bytes.count
        writer.append(template.bytes)
        writer.patch(key, of: type, at: start + template.keyOffset)
    }

    private mutating func openList(_ target: ElementTarget) throws(WireError) -> ElementList {
        try ElementList(target, in: &self)
    }
}

extension NetlinkWriter {
    /// Writes a key over the bytes at a place, in the byte order of its type.
    fileprivate mutating func patch<Key: FixedWidthInteger & UnsignedInteger>(
        _ key: Key,
        of type: DataType,
        at place: Int
    ) {
        let swapped = type.isHostOrder && ByteOrder.isLittleEndian
        let count = type.byteCount
        patchBigEndian(swapped ? key.byteSwapped >> (Key.bitWidth - 8 * count) : key, count: count, at: place)
    }
}

/// Which set a list of elements is for, and what happens to them.
private struct ElementTarget {
    var table: Table
    var set: String
    var type: UInt16
    var flags: UInt16
}

/// An open message and its open list.
private struct ElementList {
    private let target: ElementTarget
    private var message: Int
    private var nest: Int

    init(_ target: ElementTarget, in encoder: inout BatchEncoder) throws(WireError) {
        self.target = target
        message = try encoder.open(target.type, target.flags, target.table)
        try encoder.writer.putName(Nfta.ElementList.set, target.set)
        nest = encoder.writer.openNest(Nfta.ElementList.elements)
    }

    /// Goes on in a new message if `count` more bytes do not fit this one.
    mutating func makeRoom(_ count: Int, _ limit: Int, in encoder: inout BatchEncoder) throws(WireError) {
        guard encoder.writer.bytes.count - nest + count > limit else { return }
        try close(in: &encoder)
        self = try ElementList(target, in: &encoder)
    }

    func close(in encoder: inout BatchEncoder) throws(WireError) {
        try encoder.writer.closeNest(nest)
        try encoder.writer.closeMessage(message)
    }
}

/// The bytes of an element but for its key, which is copied and patched for every element. Nothing is allocated.
private struct ElementTemplate {
    let bytes: [UInt8]
    let keyOffset: Int

    init(_ keyByteCount: Int, verdict: Verdict? = nil, isIntervalEnd: Bool = false) throws(WireError) {
        var writer = NetlinkWriter(reservingCapacity: 64)
        var offset = 0
        try writer.nest(Nfta.listElement) { (writer) throws(WireError) in
            if isIntervalEnd { writer.putBigEndian(Nfta.Element.flags, NftValue.elementIsIntervalEnd) }
            try writer.nest(Nfta.Element.key) { (writer) throws(WireError) in
                offset = writer.bytes.count + 4
                try writer.putBytes(Nfta.Data.value, [UInt8](repeating: 0, count: keyByteCount))
            }
            if let verdict {
                try writer.nest(Nfta.Element.data) { (writer) throws(WireError) in try verdict.encode(into: &writer) }
            }
        }
        bytes = writer.bytes
        keyOffset = offset
    }
}
