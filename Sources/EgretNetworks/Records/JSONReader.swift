// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads a JSON text (RFC 8259) from its front, value by value; whoever calls knows what has to come next.
///
/// It never traps, whatever the bytes, keeps nothing of what it has passed, and never calls itself. White space before what
/// is read is passed over.
struct JSONReader {
    /// A value that has others in it.
    enum Container {
        case array
        case object

        var opening: UInt8 { self == .array ? UInt8(ascii: "[") : UInt8(ascii: "{") }
        var closing: UInt8 { self == .array ? UInt8(ascii: "]") : UInt8(ascii: "}") }
    }

    /// The whole text.
    let bytes: [UInt8]
    /// The place of the next byte to be read, never past the end.
    private(set) var position = 0

    /// Creates a reader of a whole text.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Something that is wrong with what comes next.
    func fault(_ words: String) -> JSONFault { JSONFault(position: position, words: words) }

    private var hasEnded: JSONFault { JSONFault(position: bytes.count, words: "it ends too early") }

    /// Moves to what comes next.
    ///
    /// - Returns: Its first byte.
    /// - Throws: ``JSONFault`` at the end of the text.
    mutating func peek() throws(JSONFault) -> UInt8 {
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return byte
            }
        }
        throw hasEnded
    }

    /// Checks that nothing comes any more.
    mutating func finish() throws(JSONFault) {
        if (try? peek()) != nil { throw fault("it goes on after its end") }
    }

    // MARK: - Arrays and objects

    /// Moves into an array or an object.
    mutating func open(_ container: Container) throws(JSONFault) {
        guard try peek() == container.opening else {
            throw fault("here has to be \(container == .array ? "a list" : "an object")")
        }
        position += 1
    }

    /// Moves to the next element or member, or out of the array or object.
    ///
    /// - Parameters:
    ///   - container: Which of the two it is.
    ///   - isFirst: Whether none was there yet.
    /// - Returns: Whether there is one.
    /// - Throws: ``JSONFault`` if what comes is neither.
    mutating func hasNext(in container: Container, isFirst: Bool) throws(JSONFault) -> Bool {
        let byte = try peek()
        if byte == container.closing {
            position += 1
            return false
        }
        if isFirst { return true }
        guard byte == UInt8(ascii: ",") else { throw fault("here has to be a comma or the end") }
        position += 1
        guard try peek() != container.closing else { throw fault("there is a comma too many before this") }
        return true
    }

    /// Reads a member's name, and moves to its value.
    mutating func readName() throws(JSONFault) -> String {
        let name = try readString()
        try passColon()
        return name
    }

    /// Reads a member's name, and moves to its value.
    ///
    /// - Parameters:
    ///   - names: The names that the caller knows.
    ///   - expected: The number of the one that may well come next.
    /// - Returns: The number of the name; `nil` if it is none of them.
    /// - Throws: ``JSONFault`` if no name comes.
    mutating func readName(among names: [[UInt8]], expected: Int) throws(JSONFault) -> Int? {
        let run = try passString()
        let found: Int?
        if run.isPlain {
            found = number(of: run, among: names, expected: expected)
        } else {
            // It may be a plain name in other words (`\u006eame`), or no text at all.
            found = names.firstIndex(of: Array(try text(of: run).utf8))
        }
        try passColon()
        return found
    }

    private func number(of run: Run, among names: [[UInt8]], expected: Int) -> Int? {
        var index = expected
        for _ in names.indices {
            if index >= names.count { index = 0 }
            if holds(names[index], run) { return index }
            index += 1
        }
        return nil
    }

    private func holds(_ name: [UInt8], _ run: Run) -> Bool {
        guard name.count == run.count else { return false }
        for offset in name.indices where bytes[run.start + offset] != name[offset] { return false }
        return true
    }

    private mutating func passColon() throws(JSONFault) {
        guard try peek() == UInt8(ascii: ":") else { throw fault("here has to be a colon") }
        position += 1
    }

    // MARK: - Words and numbers

    /// Moves past `null`, if it comes next.
    ///
    /// - Returns: Whether it came.
    mutating func takeNull() throws(JSONFault) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try passWord("null")
        return true
    }

    /// Reads `true` or `false`.
    mutating func readBool() throws(JSONFault) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try passWord("true")
            return true
        case UInt8(ascii: "f"):
            try passWord("false")
            return false
        default: throw fault("here has to be true or false")
        }
    }

    private mutating func passWord(_ word: String) throws(JSONFault) {
        let start = position
        for byte in word.utf8 {
            guard position < bytes.count else { throw hasEnded }
            guard bytes[position] == byte else { throw JSONFault(position: start, words: "this is no value") }
            position += 1
        }
    }

    /// Reads a whole number. One that is written with a point or an exponent is refused: Egret writes none.
    ///
    /// - Parameter type: What has to hold it.
    /// - Returns: The number.
    /// - Throws: ``JSONFault`` if what comes next is no such number.
    mutating func readInteger<Value: FixedWidthInteger>(_ type: Value.Type) throws(JSONFault) -> Value {
        let isNegative = try peek() == UInt8(ascii: "-")
        let first = isNegative ? position + 1 : position
        var index = first
        var value: Value = 0
        var fits = true
        while index < bytes.count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            let product = value.multipliedReportingOverflow(by: 10)
            let sum =
                isNegative
                ? product.partialValue.subtractingReportingOverflow(Value(truncatingIfNeeded: digit))
                : product.partialValue.addingReportingOverflow(Value(truncatingIfNeeded: digit))
            if product.overflow || sum.overflow { fits = false }
            value = sum.partialValue
            index += 1
        }
        guard index > first else { throw fault("here has to be a number") }
        guard index - first == 1 || bytes[first] != UInt8(ascii: "0") else { throw fault("this is no number") }
        if index < bytes.count, JSONReader.isFraction(bytes[index]) { throw fault("here has to be a whole number") }
        guard fits else { throw fault("the number is not in \(Value.min) to \(Value.max)") }
        position = index
        return value
    }

    private static func isFraction(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
    }

    /// Moves past a number of any kind.
    private mutating func passNumber() throws(JSONFault) {
        let start = position
        passByte { $0 == UInt8(ascii: "-") }
        let first = position
        guard passDigits() else { throw JSONFault(position: start, words: "this is no value") }
        guard position - first == 1 || bytes[first] != UInt8(ascii: "0") else {
            throw JSONFault(position: start, words: "this is no number")
        }
        if passByte({ $0 == UInt8(ascii: ".") }), !passDigits() { throw fault("here has to be a digit") }
        if passByte({ $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
            passByte { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
            guard passDigits() else { throw fault("here has to be a digit") }
        }
    }

    @discardableResult
    private mutating func passByte(_ isIt: (UInt8) -> Bool) -> Bool {
        guard position < bytes.count, isIt(bytes[position]) else { return false }
        position += 1
        return true
    }

    private mutating func passDigits() -> Bool {
        let start = position
        while passByte({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {}
        return position > start
    }

    // MARK: - Text

    /// What is between two quotation marks.
    private struct Run {
        var start: Int
        var count: Int
        /// Whether a character is written as an escape.
        var hasEscapes: Bool
        /// Whether each byte is a character of its own: no escapes, and ASCII alone.
        var isPlain: Bool
    }

    /// Reads a text.
    mutating func readString() throws(JSONFault) -> String {
        let run = try passString()
        return try text(of: run)
    }

    /// Reads a text that stands for something else.
    ///
    /// - Parameters:
    ///   - noun: What it stands for.
    ///   - value: What a text stands for, if for anything.
    /// - Returns: What it stands for.
    /// - Throws: ``JSONFault`` if what comes next is no text, or stands for nothing.
    mutating func read<Value>(_ noun: String, _ value: (String) -> Value?) throws(JSONFault) -> Value {
        _ = try peek()
        let start = position
        let text = try readString()
        guard let found = value(text) else { throw JSONFault(position: start, words: "“\(text)” is no \(noun)") }
        return found
    }

    /// Moves past a text. What it has of escapes and of bytes beyond ASCII is not looked at.
    private mutating func passString() throws(JSONFault) -> Run {
        guard try peek() == UInt8(ascii: "\"") else { throw fault("here has to be a text in quotation marks") }
        let start = position + 1
        var index = start
        var hasEscapes = false
        var all: UInt8 = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                position = index + 1
                return Run(
                    start: start, count: index - start, hasEscapes: hasEscapes, isPlain: !hasEscapes && all < 0x80)
            }
            if byte < 0x20 { throw JSONFault(position: index, words: "a control character is in a text") }
            all |= byte
            index += 1
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                // The character behind it, which may be a quotation mark.
                index += 1
            }
        }
        throw hasEnded
    }

    private func text(of run: Run) throws(JSONFault) -> String {
        let written = bytes[run.start..<(run.start + run.count)]
        // There is nothing to check in ASCII.
        if run.isPlain { return String(decoding: written, as: UTF8.self) }
        let meant = run.hasEscapes ? try unescaped(run)[...] : written
        guard let text = String(validating: meant, as: UTF8.self) else {
            throw JSONFault(position: run.start, words: "the text is not UTF-8")
        }
        return text
    }

    /// The bytes that a text with escapes stands for.
    private func unescaped(_ run: Run) throws(JSONFault) -> [UInt8] {
        let end = run.start + run.count
        var result: [UInt8] = []
        result.reserveCapacity(run.count)
        var index = run.start
        while index < end {
            guard bytes[index] == UInt8(ascii: "\\") else {
                result.append(bytes[index])
                index += 1
                continue
            }
            guard index + 1 < end else { throw JSONFault(position: index, words: "this is no escape") }
            if bytes[index + 1] == UInt8(ascii: "u") {
                let (scalar, length) = try escapedScalar(at: index, before: end)
                result.append(contentsOf: String(Character(scalar)).utf8)
                index += length
                continue
            }
            guard let byte = JSONReader.meaning(ofEscape: bytes[index + 1]) else {
                throw JSONFault(position: index, words: "this is no escape")
            }
            result.append(byte)
            index += 2
        }
        return result
    }

    private static func meaning(ofEscape byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "t"): 0x09
        default: nil
        }
    }

    /// The character that `\uXXXX`, or two of them, a surrogate pair, stands for, and how many bytes these are.
    private func escapedScalar(at index: Int, before end: Int) throws(JSONFault) -> (Unicode.Scalar, Int) {
        guard let first = escapedUnit(at: index, before: end) else {
            throw JSONFault(position: index, words: "this is no escape")
        }
        if let scalar = Unicode.Scalar(first) { return (scalar, 6) }
        guard (0xd800...0xdbff).contains(first), let second = escapedUnit(at: index + 6, before: end),
            (0xdc00...0xdfff).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw JSONFault(position: index, words: "this is half a character") }
        return (scalar, 12)
    }

    private func escapedUnit(at index: Int, before end: Int) -> UInt32? {
        guard index + 6 <= end, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        var value: UInt32 = 0
        for byte in bytes[(index + 2)..<(index + 6)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    // MARK: - What nobody here knows

    /// How many arrays and objects may be within each other in what is passed over.
    static let greatestDepth = 64

    /// Moves past a value of any kind, and checks that it is one.
    mutating func skipValue() throws(JSONFault) {
        // The containers that it is in at this place: a bit for each, the innermost one last, set for an object.
        var objects: UInt64 = 0
        var depth = 0
        var isFirst = false
        repeat {
            if depth > 0 {
                let container: Container = objects & 1 == 1 ? .object : .array
                guard try hasNext(in: container, isFirst: isFirst) else {
                    objects >>= 1
                    depth -= 1
                    isFirst = false
                    continue
                }
                if container == .object { _ = try readName() }
            }
            isFirst = false
            let byte = try peek()
            switch byte {
            case Container.array.opening, Container.object.opening:
                guard depth < JSONReader.greatestDepth else { throw fault("too much is within each other") }
                position += 1
                objects = objects << 1 | (byte == Container.object.opening ? 1 : 0)
                depth += 1
                isFirst = true
            case UInt8(ascii: "\""): _ = try readString()
            case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try readBool()
            case UInt8(ascii: "n"): _ = try takeNull()
            default: try passNumber()
            }
        } while depth > 0
    }
}
