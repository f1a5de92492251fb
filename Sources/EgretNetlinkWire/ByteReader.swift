// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads integers and runs of bytes from the front of a buffer, and throws where the buffer is too short.
///
/// The one place where lengths from the kernel meet memory. It never traps, whatever the bytes.
public struct ByteReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    /// Creates a reader of a slice.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// Creates a reader of an array.
    public init(_ bytes: [UInt8]) {
        self.init(bytes[...])
    }

    /// What has not been read.
    public var rest: ArraySlice<UInt8> { bytes[position...] }

    /// The number of bytes left.
    public var count: Int { bytes.endIndex - position }

    /// Reads `count` bytes.
    public mutating func readBytes(
        _ count: Int,
        _ context: @autoclosure () -> String
    ) throws(WireError) -> ArraySlice<UInt8> {
        let start = position
        try advance(count, context())
        return bytes[start..<position]
    }

    /// Skips `count` bytes, or to the end if there are fewer.
    public mutating func skipPadding(_ count: Int) {
        position += min(max(0, count), self.count)
    }

    /// Reads one byte.
    public mutating func readUInt8(_ context: @autoclosure () -> String) throws(WireError) -> UInt8 {
        let start = position
        try advance(1, context())
        return bytes[start]
    }

    /// Reads an integer, most significant byte first.
    public mutating func readBigEndian<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ context: @autoclosure () -> String
    ) throws(WireError) -> Value {
        let start = position
        try advance(Value.bitWidth / 8, context())
        var value: Value = 0
        for index in start..<position { value = value << 8 | Value(truncatingIfNeeded: bytes[index]) }
        return value
    }

    /// Reads an integer in the machine's byte order.
    public mutating func readHost<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ context: @autoclosure () -> String
    ) throws(WireError) -> Value {
        let value = try readBigEndian(type, context())
        return ByteOrder.isLittleEndian ? value.byteSwapped : value
    }

    /// Moves past `count` bytes that are there: the one check that all reading rests on.
    private mutating func advance(_ count: Int, _ context: @autoclosure () -> String) throws(WireError) {
        guard count >= 0, count <= self.count else { throw WireError(.truncated, context()) }
        position += count
    }
}

/// Integers from and to bytes, in the two byte orders that netlink mixes.
enum ByteOrder {
    /// Whether this machine stores the least significant byte first.
    static let isLittleEndian = UInt16(1).littleEndian == 1

    /// An integer from bytes, most significant first; of more bytes than it holds, the last ones count.
    static func bigEndian<Value: FixedWidthInteger>(_ bytes: some Sequence<UInt8>, as type: Value.Type) -> Value {
        var value: Value = 0
        for byte in bytes { value = value << 8 | Value(truncatingIfNeeded: byte) }
        return value
    }

    /// An integer from bytes in the machine's order.
    static func host<Value: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, as type: Value.Type) -> Value {
        isLittleEndian ? bigEndian(bytes.reversed(), as: type) : bigEndian(bytes, as: type)
    }

    /// The low `count` bytes of an integer, most significant first.
    static func bigEndianBytes(_ value: some FixedWidthInteger, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
    }

    /// The low `count` bytes of an integer in the machine's order.
    static func hostBytes(_ value: some FixedWidthInteger, count: Int) -> [UInt8] {
        isLittleEndian ? bigEndianBytes(value, count: count).reversed() : bigEndianBytes(value, count: count)
    }
}
