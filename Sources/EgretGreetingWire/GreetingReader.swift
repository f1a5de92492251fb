// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads bytes of a whole message from its front, and throws where it is too short. It never traps.
struct GreetingReader {
    private(set) var bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var count: Int { bytes.count }

    mutating func readUInt8() throws(GreetingFailure) -> UInt8 {
        guard let byte = bytes.popFirst() else { throw GreetingFailure(.malformed) }
        return byte
    }

    /// Reads a number of two bytes, most significant first.
    mutating func readUInt16() throws(GreetingFailure) -> Int {
        Int(try readUInt8()) << 8 | Int(try readUInt8())
    }

    /// Reads a number of three bytes, most significant first.
    mutating func readUInt24() throws(GreetingFailure) -> Int {
        Int(try readUInt8()) << 16 | (try readUInt16())
    }

    mutating func readBytes(_ count: Int) throws(GreetingFailure) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count else { throw GreetingFailure(.malformed) }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    /// Reads bytes behind their number of one byte.
    mutating func readVector8() throws(GreetingFailure) -> ArraySlice<UInt8> { try readBytes(Int(try readUInt8())) }

    /// Reads bytes behind their number of two bytes.
    mutating func readVector16() throws(GreetingFailure) -> ArraySlice<UInt8> { try readBytes(try readUInt16()) }
}
