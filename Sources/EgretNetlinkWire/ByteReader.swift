// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads integers and runs of bytes from the front of a buffer, and throws where the buffer is too short.
///
/// The one place where lengths from the kernel meet memory. It never traps, whatever the bytes.
public struct ByteReader: Sendable {
    /// What has not been read.
    public private(set) var rest: ArraySlice<UInt8>

    /// Creates a reader of a slice.
    public init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// Creates a reader of an array.
    public init(_ bytes: [UInt8]) {
        rest = bytes[...]
    }

    /// The number of bytes left.
    public var count: Int { rest.count }

    /// Reads `count` bytes.
    public mutating func readBytes(_ count: Int, _ context: @autoclosure () -> String) throws(WireError)
        -> ArraySlice<UInt8>
    {
        guard count >= 0, count <= rest.count else { throw WireError(.truncated, context()) }
        let taken = rest.prefix(count)
        rest = rest.dropFirst(count)
        return taken
    }

    /// Skips `count` bytes, or to the end if there are fewer.
    public mutating func skipPadding(_ count: Int) {
        rest = rest.dropFirst(max(0, count))
    }

    /// Reads one byte.
    public mutating func readUInt8(_ context: @autoclosure () -> String) throws(WireError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw WireError(.truncated, context()) }
        return byte
    }

    /// Reads an integer, most significant byte first.
    public mutating func readBigEndian<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ context: @autoclosure () -> String
    ) throws(WireError) -> Value {
        let bytes = try readBytes(Value.bitWidth / 8, context())
        return ByteOrder.bigEndian(bytes, as: type)
    }

    /// Reads an integer in the machine's byte order.
    public mutating func readHost<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ context: @autoclosure () -> String
    ) throws(WireError) -> Value {
        let bytes = try readBytes(Value.bitWidth / 8, context())
        return ByteOrder.host(bytes, as: type)
    }
}

/// Integers from and to bytes, in the two byte orders that netlink mixes.
enum ByteOrder {
    /// Whether this machine stores the least significant byte first.
    static let isLittleEndian = UInt16(1).littleEndian == 1

    /// An integer from bytes, most significant first; of more bytes than it holds, the last ones count.
    static func bigEndian<Value: FixedWidthInteger>(_ bytes: some Sequence<UInt8>, as type: Value.Type) -> Value {
        bytes.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
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
