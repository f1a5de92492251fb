// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Writes a JSON text (RFC 8259) for programs and for people: the members of the outermost object have a line each, and so
/// have the elements of the arrays in it; what is within these is on their line.
struct JSONWriter {
    /// What has been written.
    private(set) var bytes: [UInt8] = []
    /// How many arrays and objects are open.
    private var depth = 0
    /// Whether nothing is yet in the innermost one.
    private var isFirst = true

    /// How many open arrays and objects have a line for each element or member.
    private static let greatestBrokenDepth = 2

    /// Creates a writer of nothing yet.
    ///
    /// - Parameter capacity: How many bytes there may be in the end.
    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    /// Begins an array or an object.
    mutating func open(_ container: JSONReader.Container) {
        bytes.append(container.opening)
        depth += 1
        isFirst = true
    }

    /// Ends an array or an object.
    mutating func close(_ container: JSONReader.Container) {
        depth -= 1
        if !isFirst && depth < JSONWriter.greatestBrokenDepth { breakLine() }
        bytes.append(container.closing)
        isFirst = false
    }

    /// Parts what comes next, an element or a member's name, from what was there before.
    mutating func beginElement() {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        if depth <= JSONWriter.greatestBrokenDepth {
            breakLine()
        } else if !isFirst {
            bytes.append(UInt8(ascii: " "))
        }
        isFirst = false
    }

    private mutating func breakLine() {
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<depth { append(plain: "  ") }
    }

    /// Writes a member, if there is a value.
    ///
    /// - Parameters:
    ///   - key: Its name.
    ///   - value: Its value; nothing is written for `nil`.
    mutating func member<Key: JSONKey, Value: JSONValue>(_ key: Key, _ value: Value?) {
        guard let value else { return }
        beginElement()
        bytes.append(UInt8(ascii: "\""))
        append(plain: key.rawValue)
        append(plain: "\" : ")
        value.write(to: &self)
    }

    /// Writes characters that stand for themselves.
    mutating func append(plain text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes a text in quotation marks.
    mutating func append(quoted text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.contains(where: JSONWriter.needsEscape) {
            for byte in text.utf8 { append(escaping: byte) }
        } else {
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func append(escaping byte: UInt8) {
        guard JSONWriter.needsEscape(byte) else {
            bytes.append(byte)
            return
        }
        switch byte {
        case UInt8(ascii: "\""): append(plain: "\\\"")
        case UInt8(ascii: "\\"): append(plain: "\\\\")
        case UInt8(ascii: "\n"): append(plain: "\\n")
        case UInt8(ascii: "\r"): append(plain: "\\r")
        case UInt8(ascii: "\t"): append(plain: "\\t")
        default: append(plain: (byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16))
        }
    }
}
