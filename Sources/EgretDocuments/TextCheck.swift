// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// Checks that bytes are text which every parser sees alike.
enum TextCheck {
    /// The first thing wrong with the bytes, or `nil`.
    ///
    /// Refused are bytes that are not UTF-8, control characters other than tab and line ends, carriage returns
    /// that no line feed follows, and the characters that some parsers of YAML take for line ends and others do
    /// not (U+0085, U+2028, U+2029).
    static func problem(in bytes: [UInt8], file: String) -> Diagnostic? {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x20 && byte < 0x7f || byte == 0x0a || byte == 0x09 {
                index += 1
                continue
            }
            guard let length = scalarLength(bytes, at: index) else {
                return diagnostic(
                    bytes, index, file, "the byte 0x\(hex(UInt32(byte))) is not UTF-8 text", "save the file as UTF-8")
            }
            if let name = refused(bytes, at: index, length: length) {
                return diagnostic(bytes, index, file, name.message, name.suggestion)
            }
            index += length
        }
        return nil
    }

    /// The length of the well-formed UTF-8 sequence that begins here (Unicode, table 3-7).
    private static func scalarLength(_ bytes: [UInt8], at index: Int) -> Int? {
        func continues(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xbf) -> Bool {
            index + offset < bytes.count && range.contains(bytes[index + offset])
        }
        switch bytes[index] {
        case 0x00...0x7f: return 1
        case 0xc2...0xdf: return continues(1) ? 2 : nil
        case 0xe0: return continues(1, 0xa0...0xbf) && continues(2) ? 3 : nil
        case 0xed: return continues(1, 0x80...0x9f) && continues(2) ? 3 : nil
        case 0xe1...0xef: return continues(1) && continues(2) ? 3 : nil
        case 0xf0: return continues(1, 0x90...0xbf) && continues(2) && continues(3) ? 4 : nil
        case 0xf4: return continues(1, 0x80...0x8f) && continues(2) && continues(3) ? 4 : nil
        case 0xf1...0xf3: return continues(1) && continues(2) && continues(3) ? 4 : nil
        default: return nil
        }
    }

    private static func refused(_ bytes: [UInt8], at index: Int, length: Int) -> (message: String, suggestion: String)?
    {
        let scalar = bytes[index..<(index + length)]
        switch length {
        case 1:
            let byte = bytes[index]
            if byte == 0x0d {
                if index + 1 < bytes.count && bytes[index + 1] == 0x0a { return nil }
                return ("a carriage return stands without a line feed", "end lines with a line feed")
            }
            if byte == 0 { return ("the file holds a NUL byte, so it is not text", "save the file as UTF-8") }
            return (control(UInt32(byte)), "remove it, or write it as an escape in double quotes")
        case 2 where scalar.elementsEqual([0xc2, 0x85]) || (bytes[index] == 0xc2 && bytes[index + 1] < 0xa0):
            return (control(UInt32(bytes[index + 1])), "remove it, or write it as an escape in double quotes")
        case 3 where scalar.elementsEqual([0xe2, 0x80, 0xa8]) || scalar.elementsEqual([0xe2, 0x80, 0xa9]):
            let value: UInt32 = bytes[index + 2] == 0xa8 ? 0x2028 : 0x2029
            return (
                "U+\(hex(value)) ends a line for some parsers and not for others",
                "remove it, or write it as an escape in double quotes"
            )
        case 3 where scalar.elementsEqual([0xef, 0xbb, 0xbf]) && index > 0:
            return ("a byte order mark stands in the middle of the file", "remove it")
        case 3 where scalar.elementsEqual([0xef, 0xbf, 0xbe]) || scalar.elementsEqual([0xef, 0xbf, 0xbf]):
            return ("U+FFFE and U+FFFF are not characters", "remove it")
        default: return nil
        }
    }

    private static func control(_ value: UInt32) -> String {
        "the control character U+\(hex(value)) does not belong in a text file"
    }

    private static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return value > 0xff ? digits : String(repeating: "0", count: max(0, 2 - digits.count)) + digits
    }

    private static func diagnostic(
        _ bytes: [UInt8], _ index: Int, _ file: String, _ message: String, _ suggestion: String
    ) -> Diagnostic {
        var line = 1
        var column = 1
        for byte in bytes[..<index] {
            if byte == 0x0a {
                line += 1
                column = 1
            } else if byte & 0xc0 != 0x80 {
                column += 1
            }
        }
        let location = SourceLocation(file: file, line: line, column: column)
        return DocumentReader.problem(DiagnosticCode.encoding, at: location, message, suggestion)
    }
}
