// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    /// Refuses characters that no plain scalar begins with.
    mutating func refuseIndicators(inBrackets: Bool) throws(ParseFailure) {
        let next = position + 1
        let isFollowedByBlank = isBlankOrEnd(next) || (inBrackets && DocumentParser.isBracketIndicator(byte(at: next)))
        switch current {
        case UInt8(ascii: "!"):
            throw failure(
                "tags are not read", "remove the tag, and put the value in quotes if it is a text",
                code: DiagnosticCode.unsupportedYAML
            )
        case UInt8(ascii: "?") where isFollowedByBlank || inBrackets:
            throw failure("keys after ? are not read", "write key: value", code: DiagnosticCode.unsupportedYAML)
        case UInt8(ascii: ":") where isFollowedByBlank:
            throw failure(
                "there is no key before the colon", "write the key, or put a text that begins with a colon in quotes")
        case UInt8(ascii: "-") where isFollowedByBlank:
            throw failure(
                "a hyphen begins a list item, and none can stand here", "write [a, b], or put the text in quotes")
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            throw failure("this bracket closes nothing", "remove it, or put the text in quotes")
        case UInt8(ascii: ","):
            throw failure("a value is expected before the comma", "remove the comma, or put the text in quotes")
        case UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "%"), UInt8(ascii: "|"), UInt8(ascii: ">"),
            UInt8(ascii: "#"):
            throw failure("a text cannot begin with this character", "put it in quotes")
        default: break
        }
    }

    static func isBracketIndicator(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"): true
        default: false
        }
    }

    /// Reads a plain scalar up to the end of its line and stops at what ended it, white space skipped.
    ///
    /// It ends at a colon before white space, at white space before `#`, and in brackets at `,[]{}`.
    mutating func plainLine(inBrackets: Bool) -> String {
        let start = position
        var end = position
        while !isLineBreak(position) && !isAtEnd {
            let byte = current
            if byte == UInt8(ascii: ":") {
                let next = self.byte(at: position + 1)
                if isBlankOrEnd(position + 1) || (inBrackets && DocumentParser.isBracketIndicator(next)) { break }
            } else if byte == UInt8(ascii: "#") {
                if position > start && DocumentParser.isBlank(self.byte(at: position - 1)) { break }
            } else if inBrackets && DocumentParser.isBracketIndicator(byte) {
                break
            }
            position += 1
            if !DocumentParser.isBlank(byte) { end = position }
        }
        return text(start..<end)
    }

    /// Reads the further lines of a plain scalar: those indented deeper than `parent`, folded into spaces.
    mutating func plainContinuation(of first: String, above parent: Int) throws(ParseFailure) -> String {
        var value = first
        while isLineBreak(position) {
            let saved = (position, lineStart, line)
            var breaks = 0
            while isLineBreak(position) {
                endLine()
                breaks += 1
                skipSpaces()
            }
            let begin = lineStart
            guard !isAtEnd, column > parent, current != UInt8(ascii: "#"), !isAtMarker else {
                (position, lineStart, line) = saved
                break
            }
            try refuseTabs(begin..<position)
            let location = here()
            let more = plainLine(inBrackets: false)
            if isAtColon {
                throw ParseFailure(
                    location, "the line reads as a part of the text above, and has a colon",
                    "align the key with those of its level, and write a space after the colon above; or put the text in quotes"
                )
            }
            value += breaks == 1 ? " " : String(repeating: "\n", count: breaks - 1)
            value += more
        }
        return value
    }
}
