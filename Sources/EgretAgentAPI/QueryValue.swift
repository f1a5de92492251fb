// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The value of a parameter behind a path's `?`, as a request's first line has it: whatever could be taken for something else
/// there is a percent sign and two hexadecimal digits (RFC 3986, section 2.1).
public enum QueryValue {
    /// Writes a value.
    ///
    /// - Parameter text: Any text.
    /// - Returns: Letters, digits and `-._~/:,+` of it as they are, and all other bytes escaped.
    public static func encoded(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), digit(byte >> 4), digit(byte & 0xf)]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Reads a value. A plus sign stands for itself, as in times: no form is sent here.
    ///
    /// - Parameter text: What stands behind the `=`.
    /// - Returns: What it stands for; `nil` if an escape has no two digits, or what it all stands for is no text.
    public static func decoded(_ text: String) -> String? {
        var result: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(value), let low = rest.popFirst().flatMap(value) else {
                return nil
            }
            result.append(high << 4 | low)
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~/:,+".utf8.contains(byte)
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
