// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// A recursive descent over the bytes of one file.
///
/// The text has been checked: it is UTF-8 without NUL, so 0 stands for its end. Unless said otherwise a function
/// begins at the first byte of what it reads; those that read a node in block style end at the first byte of the
/// next content, on a new line.
struct DocumentParser {
    /// A node that aliases may repeat.
    struct Anchored {
        var node: DocumentNode
        var nodes: Int
        var height: Int
    }

    let bytes: [UInt8]
    let file: String
    var documents: [DocumentNode] = []
    var diagnostics: [Diagnostic] = []
    var position = 0
    /// Where the line of `position` begins.
    var lineStart = 0
    /// The number of that line, from 1.
    var line = 1
    /// Nodes so far, with aliases expanded.
    var nodeCount = 0
    /// The deepest nesting since an anchor began.
    var deepest = 0
    var anchors: [String: Anchored] = [:]
    private var columnLine = 0
    private var columnOffset = 0
    private var columnNumber = 1

    init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// Reads every document.
    mutating func parseStream() {
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) {
            position = 3
            lineStart = 3
        }
        while true {
            do {
                guard try parseDocument() else { return }
            } catch {
                diagnostics.append(error.diagnostic)
                skipToNextDocument()
            }
            anchors = [:]
        }
    }

    /// Reads one document, if there is one; empty ones are passed over.
    private mutating func parseDocument() throws(ParseFailure) -> Bool {
        try skipBlank()
        while isAtMarker {
            let isStart = current == UInt8(ascii: "-")
            position += 3
            skipSpaces()
            if !isAtLineEnd {
                throw failure(
                    "\(isStart ? "---" : "...") stands on a line of its own", "move what follows it to the next line"
                )
            }
            try skipBlank()
        }
        if isAtEnd { return false }
        if position == lineStart && current == UInt8(ascii: "%") {
            throw failure("directives are not read", "remove the line", code: DiagnosticCode.unsupportedYAML)
        }
        let node = try blockNode(above: -1, allowsCollection: true, depth: 0)
        guard isAtBoundary else { throw strayContent() }
        documents.append(node)
        return true
    }

    private mutating func strayContent() -> ParseFailure {
        failure(
            "the document ends before this line, which does not line up with what is above",
            "indent it like the keys or list items that it belongs to, or begin a new document with ---"
        )
    }

    private mutating func skipToNextDocument() {
        while !(isAtMarker && current == UInt8(ascii: "-")) {
            while !isAtEnd && current != UInt8(ascii: "\n") { position += 1 }
            guard !isAtEnd else { return }
            endLine()
        }
    }

    // MARK: Looking

    /// The byte at hand; 0 at the end.
    var current: UInt8 { byte(at: position) }

    /// A byte; 0 outside the text.
    func byte(at index: Int) -> UInt8 {
        bytes.indices.contains(index) ? bytes[index] : 0
    }

    var isAtEnd: Bool { position >= bytes.count }

    /// Bytes since the line began: the indentation, at the first byte of its content.
    var column: Int { position - lineStart }

    /// Whether the line ends here, a comment aside.
    var isAtLineEnd: Bool {
        isLineBreak(position) || isAtEnd || isComment
    }

    private var isComment: Bool {
        current == UInt8(ascii: "#") && (position == lineStart || DocumentParser.isBlank(byte(at: position - 1)))
    }

    func isLineBreak(_ index: Int) -> Bool {
        byte(at: index) == UInt8(ascii: "\n") || byte(at: index) == UInt8(ascii: "\r")
    }

    /// Whether the byte is white space, a line's end or the text's end.
    func isBlankOrEnd(_ index: Int) -> Bool {
        DocumentParser.isBlank(byte(at: index)) || isLineBreak(index) || index >= bytes.count
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    /// Whether `---` or `...` stands here, at the beginning of a line.
    var isAtMarker: Bool {
        guard position == lineStart, current == UInt8(ascii: "-") || current == UInt8(ascii: ".") else { return false }
        return byte(at: position + 1) == current && byte(at: position + 2) == current && isBlankOrEnd(position + 3)
    }

    /// Whether the document ends here.
    var isAtBoundary: Bool { isAtEnd || isAtMarker }

    /// Whether a list item begins here: a hyphen and white space.
    var isAtHyphen: Bool { current == UInt8(ascii: "-") && isBlankOrEnd(position + 1) }

    // MARK: Moving

    /// Moves past the line end at hand.
    mutating func endLine() {
        if current == UInt8(ascii: "\r") { position += 1 }
        if current == UInt8(ascii: "\n") { position += 1 }
        lineStart = position
        line += 1
    }

    /// Moves past spaces and tabs.
    mutating func skipSpaces() {
        while DocumentParser.isBlank(current) { position += 1 }
    }

    /// Moves past white space, comments and line ends to the next content.
    ///
    /// Tabs as indentation are refused unless brackets make indentation meaningless.
    mutating func skipBlank(inBrackets: Bool = false) throws(ParseFailure) {
        while true {
            let begin = position
            skipSpaces()
            if isComment {
                while !isLineBreak(position) && !isAtEnd { position += 1 }
            }
            if isLineBreak(position) {
                endLine()
                continue
            }
            if !inBrackets && begin == lineStart && !isAtEnd { try refuseTabs(begin..<position) }
            return
        }
    }

    /// Refuses tabs in the indentation of a line.
    func refuseTabs(_ range: Range<Int>) throws(ParseFailure) {
        guard bytes[range].contains(UInt8(ascii: "\t")) else { return }
        throw ParseFailure(
            SourceLocation(file: file, line: line, column: 1), "the line is indented with a tab", "indent with spaces"
        )
    }

    // MARK: Places

    /// The place of a byte of the line at hand.
    mutating func location(at offset: Int) -> SourceLocation {
        if columnLine != line || columnOffset > offset {
            columnLine = line
            columnOffset = lineStart
            columnNumber = 1
        }
        while columnOffset < offset && columnOffset < bytes.count {
            if bytes[columnOffset] & 0xc0 != 0x80 { columnNumber += 1 }
            columnOffset += 1
        }
        return SourceLocation(file: file, line: line, column: columnNumber)
    }

    /// The place at hand.
    mutating func here() -> SourceLocation { location(at: position) }

    /// A failure at hand.
    mutating func failure(
        _ message: String, _ suggestion: String, code: Diagnostic.Code = DiagnosticCode.syntax
    ) -> ParseFailure {
        ParseFailure(here(), message, suggestion, code: code)
    }

    /// The text between two offsets.
    func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    // MARK: Budgets

    /// Counts a node at a depth; refuses what is too much.
    mutating func count(depth: Int, nodes: Int = 1, height: Int = 0) throws(ParseFailure) {
        nodeCount += nodes
        deepest = max(deepest, depth + height)
        if nodeCount > DocumentReader.Limits.nodes {
            throw failure(
                "the file has more than \(DocumentReader.Limits.nodes) values, aliases counted as often as they stand",
                "split it into several files", code: DiagnosticCode.tooLarge
            )
        }
        if depth + height > DocumentReader.Limits.depth {
            throw failure(
                "lists and mappings are nested deeper than \(DocumentReader.Limits.depth)",
                "no policy needs this depth: check the brackets and the indentation", code: DiagnosticCode.tooLarge
            )
        }
    }
}
