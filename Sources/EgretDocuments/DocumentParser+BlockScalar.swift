// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    private struct Header {
        var isLiteral: Bool
        /// Indentation that the header states, in addition to the parent's.
        var indent: Int?
        var chomping: UInt8 = 0
    }

    /// Reads `|` and `>` scalars (YAML 1.2, section 8.1).
    mutating func blockScalar(above parent: Int, depth: Int) throws(ParseFailure) -> DocumentNode {
        let location = here()
        try count(depth: depth)
        let header = try blockScalarHeader()
        var blankLines = ""
        let indent: Int
        if let stated = header.indent {
            indent = max(parent, 0) + stated
        } else {
            indent = try detectIndent(above: parent)
        }
        try skipBlankLines(indent: indent, into: &blankLines)
        var value = ""
        var pendingBreak = ""
        var endedBlank = false
        while !isAtEnd && column == indent {
            let isMoreIndented = DocumentParser.isBlank(current)
            if !header.isLiteral && pendingBreak == "\n" && !endedBlank && !isMoreIndented {
                if blankLines.isEmpty { value += " " }
            } else {
                value += pendingBreak
            }
            value += blankLines
            blankLines = ""
            pendingBreak = ""
            endedBlank = isMoreIndented
            let start = position
            while !isLineBreak(position) && !isAtEnd { position += 1 }
            value += text(start..<position)
            if isLineBreak(position) {
                pendingBreak = "\n"
                endLine()
            }
            try skipBlankLines(indent: indent, into: &blankLines)
        }
        if header.chomping != UInt8(ascii: "-") { value += pendingBreak }
        if header.chomping == UInt8(ascii: "+") { value += blankLines }
        if !isAtEnd {
            position = lineStart
            try skipBlank()
        }
        return DocumentNode(.string(value), text: value, location: location)
    }

    private mutating func blockScalarHeader() throws(ParseFailure) -> Header {
        var header = Header(isLiteral: current == UInt8(ascii: "|"))
        position += 1
        for _ in 0..<2 {
            switch current {
            case UInt8(ascii: "1")...UInt8(ascii: "9") where header.indent == nil:
                header.indent = Int(current - UInt8(ascii: "0"))
            case UInt8(ascii: "+") where header.chomping == 0, UInt8(ascii: "-") where header.chomping == 0:
                header.chomping = current
            default: continue
            }
            position += 1
        }
        skipSpaces()
        guard isAtLineEnd else {
            throw failure(
                "the text after \(header.isLiteral ? "|" : ">") begins on the next line",
                "move it there, or put it in quotes")
        }
        while !isLineBreak(position) && !isAtEnd { position += 1 }
        if isLineBreak(position) { endLine() }
        return header
    }

    /// The indentation of the first line that holds anything; `position` stays.
    private mutating func detectIndent(above parent: Int) throws(ParseFailure) -> Int {
        var index = position
        var blankest = 0
        while index < bytes.count {
            let start = index
            while byte(at: index) == UInt8(ascii: " ") { index += 1 }
            let indent = index - start
            if isLineBreak(index) {
                blankest = max(blankest, indent)
                while byte(at: index) != UInt8(ascii: "\n") && index < bytes.count { index += 1 }
                index += 1
                continue
            }
            if index >= bytes.count {
                blankest = max(blankest, indent)
                break
            }
            if indent <= parent { break }
            if byte(at: index) == UInt8(ascii: "\t") { try refuseTabs(index..<(index + 1)) }
            if blankest > indent {
                throw failure(
                    "the blank lines before this text are indented further than the text",
                    "remove the spaces from the blank lines")
            }
            return max(indent, 1)
        }
        return max(parent + 1, blankest, 1)
    }

    /// Moves past blank lines, and to column `indent` of a line that holds something.
    private mutating func skipBlankLines(indent: Int, into blankLines: inout String) throws(ParseFailure) {
        while !isAtEnd {
            while column < indent && current == UInt8(ascii: " ") { position += 1 }
            if column < indent && current == UInt8(ascii: "\t") { try refuseTabs(position..<(position + 1)) }
            guard isLineBreak(position) else { return }
            blankLines += "\n"
            endLine()
        }
    }
}
