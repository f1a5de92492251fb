// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Builds netlink messages by appending; lengths are filled in when a message or nest closes.
///
/// Integers come in two byte orders, each with its own functions: netlink headers and rtnetlink use the machine's,
/// nfnetlink attributes mostly big endian.
public struct NetlinkWriter: Sendable {
    /// The bytes so far.
    public private(set) var bytes: [UInt8] = []

    /// The largest payload of an attribute: a 16-bit length less the header.
    static let maximumPayload = 0xffff - 4

    /// Creates an empty writer.
    public init(reservingCapacity capacity: Int = 256) {
        bytes.reserveCapacity(capacity)
    }

    /// Makes room for this many more bytes.
    mutating func reserve(_ count: Int) {
        bytes.reserveCapacity(bytes.count + count)
    }

    /// Appends a message: header, then what `body` appends.
    public mutating func message(
        type: UInt16,
        flags: UInt16,
        sequence: UInt32,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) {
        let start = openMessage(type: type, flags: flags, sequence: sequence)
        try body(&self)
        try closeMessage(start)
    }

    /// Begins a message and returns its place, for ``closeMessage(_:)``.
    mutating func openMessage(type: UInt16, flags: UInt16, sequence: UInt32) -> Int {
        let start = bytes.count
        appendHost(UInt32(0))
        appendHost(type)
        appendHost(flags)
        appendHost(sequence)
        appendHost(UInt32(0))
        return start
    }

    /// Ends a message begun at `start`.
    mutating func closeMessage(_ start: Int) throws(WireError) {
        guard let length = UInt32(exactly: bytes.count - start) else { throw WireError(.tooLong, "message") }
        patchHost(length, at: start)
        pad()
    }

    /// Sets bits in the flags of a message begun at `start`.
    mutating func addFlags(_ flags: UInt16, toMessageAt start: Int) {
        let old = ByteOrder.host(bytes[start + 6..<start + 8], as: UInt16.self)
        patchHost(old | flags, at: start + 6)
    }

    /// Appends an attribute whose payload is what `body` appends, marked `NLA_F_NESTED`.
    public mutating func nest(
        _ type: UInt16,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) {
        let start = openNest(type)
        try body(&self)
        try closeNest(start)
    }

    /// Begins a nest and returns its place, for ``closeNest(_:)``.
    mutating func openNest(_ type: UInt16) -> Int {
        let start = bytes.count
        appendHeader(0, type | NetlinkAttribute.nestedFlag)
        return start
    }

    /// Ends a nest begun at `start`.
    mutating func closeNest(_ start: Int) throws(WireError) {
        guard let length = UInt16(exactly: bytes.count - start) else { throw WireError(.tooLong, "nested attribute") }
        patchHost(length, at: start)
    }

    /// Appends an attribute of raw bytes.
    public mutating func putBytes(_ type: UInt16, _ payload: some Collection<UInt8>) throws(WireError) {
        guard payload.count <= NetlinkWriter.maximumPayload else { throw WireError(.tooLong, "attribute \(type)") }
        appendHeader(UInt16(payload.count + 4), type)
        bytes.append(contentsOf: payload)
        pad()
    }

    /// Appends a text attribute with its terminator. Text with a NUL inside is refused.
    public mutating func putString(_ type: UInt16, _ text: String) throws(WireError) {
        let length = text.utf8.count + 1
        guard length <= NetlinkWriter.maximumPayload else { throw WireError(.tooLong, "attribute \(type)") }
        let start = bytes.count
        appendHeader(UInt16(length + 4), type)
        bytes.append(contentsOf: text.utf8)
        // Looked for where it is now: that is several times as quick as in the text.
        guard !bytes[(start + 4)...].contains(0) else {
            bytes.removeSubrange(start...)
            throw WireError(.badValue, "text with a NUL in attribute \(type)")
        }
        bytes.append(0)
        pad()
    }

    /// Appends an attribute of one byte.
    public mutating func putUInt8(_ type: UInt16, _ value: UInt8) {
        appendHeader(5, type)
        bytes.append(value)
        pad()
    }

    /// Appends an integer attribute, most significant byte first.
    public mutating func putBigEndian(_ type: UInt16, _ value: some FixedWidthInteger) {
        appendHeader(UInt16(4 + value.bitWidth / 8), type)
        appendBigEndian(value)
        pad()
    }

    /// Appends an integer attribute in the machine's byte order.
    public mutating func putHost(_ type: UInt16, _ value: some FixedWidthInteger) {
        appendHeader(UInt16(4 + value.bitWidth / 8), type)
        appendHost(value)
        pad()
    }

    /// Appends raw bytes, as they are.
    public mutating func append(_ raw: some Collection<UInt8>) {
        bytes.append(contentsOf: raw)
    }

    /// Appends an integer, most significant byte first.
    public mutating func appendBigEndian<Value: FixedWidthInteger>(_ value: Value) {
        appendInMemory(value.bigEndian)
    }

    /// Appends an integer in the machine's byte order.
    public mutating func appendHost<Value: FixedWidthInteger>(_ value: Value) {
        appendInMemory(value)
    }

    /// Appends an integer's bytes as they are in memory: all of them at once, and not one by one, as a batch is mostly integers.
    private mutating func appendInMemory<Value: FixedWidthInteger>(_ value: Value) {
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Appends an attribute's header (`struct nlattr`): two integers of 16 bits.
    private mutating func appendHeader(_ length: UInt16, _ type: UInt16) {
        let first = ByteOrder.isLittleEndian ? length : type
        let last = ByteOrder.isLittleEndian ? type : length
        appendHost(UInt32(last) << 16 | UInt32(first))
    }

    /// Overwrites bytes that were appended earlier; `offset` comes from this writer, so it is in range.
    mutating func patchBigEndian<Value: FixedWidthInteger>(_ value: Value, count: Int, at offset: Int) {
        for index in 0..<count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - index)))
        }
    }

    private mutating func patchHost<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        let swapped = ByteOrder.isLittleEndian ? value.byteSwapped : value
        patchBigEndian(swapped, count: Value.bitWidth / 8, at: offset)
    }

    private mutating func pad() {
        while bytes.count & 3 != 0 { bytes.append(0) }
    }
}
