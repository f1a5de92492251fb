// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    /// Reads a scalar in single or double quotes.
    mutating func quotedScalar() throws(ParseFailure) -> String {
        let opening = here()
        let quote = current
        position += 1
        var value: [UInt8] = []
        while true {
            let byte = current
            if isAtEnd {
                throw ParseFailure(opening, "the quotes that open here are never closed", "close them")
            }
            if byte == quote {
                position += 1
                guard quote == UInt8(ascii: "'"), current == quote else { break }
                value.append(quote)
                position += 1
            } else if byte == UInt8(ascii: "\\") && quote == UInt8(ascii: "\"") {
                try escape(into: &value, opening: opening)
            } else if isLineBreak(position) {
                while let last = value.last, DocumentParser.isBlank(last) { value.removeLast() }
                value += try foldedBreaks(opening: opening)
            } else {
                value.append(byte)
                position += 1
            }
        }
        return String(decoding: value, as: UTF8.self)
    }

    /// Moves past line ends and indentation inside quotes and gives what they stand for.
    private mutating func foldedBreaks(opening: SourceLocation) throws(ParseFailure) -> [UInt8] {
        var breaks = 0
        while isLineBreak(position) {
            endLine()
            breaks += 1
            if isAtMarker {
                throw ParseFailure(
                    opening, "the quotes that open here are not closed before the document ends", "close them")
            }
            skipSpaces()
        }
        return breaks == 1 ? [UInt8(ascii: " ")] : Array(repeating: UInt8(ascii: "\n"), count: breaks - 1)
    }

    private mutating func escape(into value: inout [UInt8], opening: SourceLocation) throws(ParseFailure) {
        let location = here()
        position += 1
        if isLineBreak(position) {
            let breaks = try foldedBreaks(opening: opening)
            if breaks.first == UInt8(ascii: "\n") { value += breaks }
            return
        }
        let letter = current
        position += 1
        let scalar: UInt32
        switch letter {
        case UInt8(ascii: "x"): scalar = try hexadecimal(2, at: location)
        case UInt8(ascii: "u"): scalar = try utf16Escape(at: location)
        case UInt8(ascii: "U"): scalar = try hexadecimal(8, at: location)
        default:
            guard let known = DocumentParser.escapes[letter] else {
                throw ParseFailure(
                    location, "this escape does not exist", "write a backslash as \\\\, or use single quotes")
            }
            scalar = known
        }
        guard scalar != 0, let unicode = Unicode.Scalar(scalar) else {
            throw ParseFailure(location, "this escape is not a character that a text can hold", "remove it")
        }
        value += Array(String(Character(unicode)).utf8)
    }

    /// `\uXXXX`; in JSON two of them can make one character.
    private mutating func utf16Escape(at location: SourceLocation) throws(ParseFailure) -> UInt32 {
        let first = try hexadecimal(4, at: location)
        guard (0xd800..<0xdc00).contains(first) else { return first }
        guard current == UInt8(ascii: "\\"), byte(at: position + 1) == UInt8(ascii: "u") else { return first }
        position += 2
        let second = try hexadecimal(4, at: location)
        guard (0xdc00..<0xe000).contains(second) else { return first }
        return 0x10000 + (first - 0xd800) << 10 + (second - 0xdc00)
    }

    private mutating func hexadecimal(_ digits: Int, at location: SourceLocation) throws(ParseFailure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = DocumentParser.hexDigit(current) else {
                throw ParseFailure(
                    location, "the escape needs \(digits) hexadecimal digits", "write them, or use single quotes")
            }
            value = value << 4 | digit
            position += 1
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// The escapes of YAML 1.2, section 5.7, less `\0`.
    private static let escapes: [UInt8: UInt32] = [
        UInt8(ascii: "a"): 0x07, UInt8(ascii: "b"): 0x08, UInt8(ascii: "t"): 0x09, UInt8(ascii: "\t"): 0x09,
        UInt8(ascii: "n"): 0x0a, UInt8(ascii: "v"): 0x0b, UInt8(ascii: "f"): 0x0c, UInt8(ascii: "r"): 0x0d,
        UInt8(ascii: "e"): 0x1b, UInt8(ascii: " "): 0x20, UInt8(ascii: "\""): 0x22, UInt8(ascii: "/"): 0x2f,
        UInt8(ascii: "\\"): 0x5c, UInt8(ascii: "N"): 0x85, UInt8(ascii: "_"): 0xa0, UInt8(ascii: "L"): 0x2028,
        UInt8(ascii: "P"): 0x2029,
    ]
}
