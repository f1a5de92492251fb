// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A message of the relay that is none.
struct RelayFormatError: Error, Hashable, Sendable {}

/// Puts values into a message: numbers with their lowest byte first, texts and bytes behind their length.
struct RelayWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    mutating func put(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    mutating func put(_ text: String) { put(Array(text.utf8)) }

    mutating func put(_ content: [UInt8]) {
        put(UInt32(clamping: content.count))
        bytes += content
    }
}

/// Takes values out of a message. Nothing in it is trusted to be there.
struct RelayReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Whether everything was taken.
    var isAtEnd: Bool { rest.isEmpty }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(RelayFormatError)
        -> Number
    {
        var number: Number = 0
        for (place, byte) in try take(Number.bitWidth / 8).enumerated() {
            number |= Number(truncatingIfNeeded: byte) << Number(8 * place)
        }
        return number
    }

    mutating func flag() throws(RelayFormatError) -> Bool {
        switch try number(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw RelayFormatError()
        }
    }

    mutating func text() throws(RelayFormatError) -> String {
        guard let text = String(validating: try bytes(), as: UTF8.self) else { throw RelayFormatError() }
        return text
    }

    mutating func bytes() throws(RelayFormatError) -> [UInt8] {
        Array(try take(Int(try number(UInt32.self))))
    }

    private mutating func take(_ count: Int) throws(RelayFormatError) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw RelayFormatError() }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}
