// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    /// Reads a node of block style, or anything that can stand in its place.
    ///
    /// - Parameters:
    ///   - parent: The indentation of what holds the node; its lines are indented further.
    ///   - allowsCollection: Whether a list or mapping may begin here: not after a key on the same line.
    ///   - depth: How many lists and mappings hold the node.
    /// - Returns: The node.
    /// - Throws: ``ParseFailure`` if the rest of the document cannot be read.
    mutating func blockNode(
        above parent: Int, allowsCollection: Bool, depth: Int
    ) throws(ParseFailure) -> DocumentNode {
        switch current {
        case UInt8(ascii: "&"):
            return try anchoredBlockNode(above: parent, depth: depth)
        case UInt8(ascii: "*"):
            let node = try alias(depth: depth)
            try endNode()
            return node
        case UInt8(ascii: "|"), UInt8(ascii: ">"):
            return try blockScalar(above: parent, depth: depth)
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            let node = try flowNode(depth: depth)
            try endNode()
            return node
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            return try quotedBlockNode(allowsCollection: allowsCollection, depth: depth)
        case UInt8(ascii: "-") where isBlankOrEnd(position + 1):
            guard allowsCollection else {
                throw failure(
                    "a list cannot begin on the line of its key", "begin it on the next line, or write [a, b]")
            }
            return try blockSequence(indent: column, depth: depth)
        default:
            try refuseIndicators(inBrackets: false)
            return try plainBlockNode(above: parent, allowsCollection: allowsCollection, depth: depth)
        }
    }

    /// Checks that nothing else follows a node on its line, and goes on to the next content.
    mutating func endNode() throws(ParseFailure) {
        skipSpaces()
        guard isAtLineEnd else {
            if current == UInt8(ascii: ":") {
                throw failure(
                    "a key is a text on one line, and stands at the beginning of its line",
                    "put the key in quotes, on a line of its own")
            }
            let rest = text(position..<min(position + 1, bytes.count))
            let what = rest.utf8.first.map { $0 < 0x80 } ?? false ? " \"\(rest)\"" : ""
            throw failure(
                "the value ends before this\(what)", "put the whole value in quotes, or remove what follows it")
        }
        try skipBlank()
    }

    private mutating func anchoredBlockNode(above parent: Int, depth: Int) throws(ParseFailure) -> DocumentNode {
        let place = here()
        let name = try anchorName()
        let before = (count: nodeCount, deepest: deepest)
        deepest = depth
        skipSpaces()
        let isInline = !isAtLineEnd
        try skipBlank()
        let node: DocumentNode
        if !isInline && (isAtBoundary || column <= parent) {
            try count(depth: depth)
            node = DocumentNode(.null, location: place)
        } else if current == UInt8(ascii: "&") {
            throw failure("a value has one anchor at most", "remove one of the two")
        } else {
            node = try blockNode(above: parent, allowsCollection: !isInline, depth: depth)
        }
        register(name, node, since: before, depth: depth)
        return node
    }

    private mutating func quotedBlockNode(allowsCollection: Bool, depth: Int) throws(ParseFailure) -> DocumentNode {
        let indent = column
        let startLine = line
        let location = here()
        let value = try quotedScalar()
        let end = position
        skipSpaces()
        if line == startLine, current == UInt8(ascii: ":"), isBlankOrEnd(position + 1) {
            guard allowsCollection else { throw mappingOnLineOfKey() }
            return try blockMapping(indent: indent, firstKey: Key(value, location), depth: depth)
        }
        position = end
        try count(depth: depth)
        try endNode()
        return DocumentNode(.string(value), text: value, location: location)
    }

    private mutating func plainBlockNode(
        above parent: Int, allowsCollection: Bool, depth: Int
    ) throws(ParseFailure) -> DocumentNode {
        let indent = column
        let location = here()
        let first = plainLine(inBrackets: false)
        if isAtColon {
            guard allowsCollection else { throw mappingOnLineOfKey() }
            return try blockMapping(indent: indent, firstKey: Key(plain: first, location), depth: depth)
        }
        let value = try plainContinuation(of: first, above: parent)
        try count(depth: depth)
        try endNode()
        return DocumentNode(
            ScalarResolution.content(ofPlain: value), text: value, location: location, isPlain: true)
    }

    /// Whether the colon that ends a key is at hand.
    var isAtColon: Bool { current == UInt8(ascii: ":") && isBlankOrEnd(position + 1) }

    private mutating func mappingOnLineOfKey() -> ParseFailure {
        failure(
            "a second colon with a space or nothing after it stands on this line",
            "put the value in quotes, or write the inner key on a line of its own"
        )
    }

    /// Reads a list; `position` is at its first hyphen.
    mutating func blockSequence(indent: Int, depth: Int) throws(ParseFailure) -> DocumentNode {
        let location = here()
        try count(depth: depth + 1)
        var items: [DocumentNode] = []
        while !isAtBoundary && column == indent && isAtHyphen {
            let hyphen = here()
            position += 1
            let begin = position
            skipSpaces()
            if !isAtLineEnd && bytes[begin..<position].contains(UInt8(ascii: "\t")) {
                throw failure("a tab follows the hyphen", "write a space after the hyphen")
            }
            try skipBlank()
            if isAtBoundary || column <= indent {
                try count(depth: depth + 1)
                items.append(DocumentNode(.null, location: hyphen))
            } else {
                items.append(try blockNode(above: indent, allowsCollection: true, depth: depth + 1))
            }
        }
        if !isAtBoundary && column > indent { throw misaligned() }
        return DocumentNode(.sequence(items), location: location)
    }

    /// Reads a mapping whose first key has been read; `position` is at the colon.
    mutating func blockMapping(indent: Int, firstKey: Key, depth: Int) throws(ParseFailure) -> DocumentNode {
        try count(depth: depth + 1)
        var entries = MappingBuilder()
        var key = firstKey
        while true {
            let value = try blockValue(indent: indent, depth: depth + 1)
            add(key, value, to: &entries)
            if isAtBoundary || column < indent { break }
            if column > indent { throw misaligned() }
            key = try blockKey()
        }
        return DocumentNode(.mapping(entries.entries), location: firstKey.location)
    }

    /// Reads what follows a key's colon.
    private mutating func blockValue(indent: Int, depth: Int) throws(ParseFailure) -> DocumentNode {
        position += 1
        let afterColon = here()
        skipSpaces()
        guard isAtLineEnd else { return try blockNode(above: indent, allowsCollection: false, depth: depth) }
        try skipBlank()
        if !isAtBoundary {
            if column > indent { return try blockNode(above: indent, allowsCollection: true, depth: depth) }
            if column == indent && isAtHyphen { return try blockSequence(indent: indent, depth: depth) }
        }
        try count(depth: depth)
        return DocumentNode(.null, location: afterColon)
    }

    /// Reads a key and stops at its colon.
    private mutating func blockKey() throws(ParseFailure) -> Key {
        let location = here()
        let startLine = line
        let key: Key
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            key = Key(try quotedScalar(), location)
            skipSpaces()
        case UInt8(ascii: "-") where isAtHyphen:
            throw failure(
                "a list item stands where a key is expected",
                "indent the list further than its key, and keep keys and items apart")
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "&"), UInt8(ascii: "*"), UInt8(ascii: "|"),
            UInt8(ascii: ">"):
            throw failure("a key is a text", "put it in quotes if it is a key", code: DiagnosticCode.unsupportedYAML)
        default:
            try refuseIndicators(inBrackets: false)
            key = Key(plain: plainLine(inBrackets: false), location)
        }
        guard isAtColon, line == startLine else {
            throw ParseFailure(
                location, "a key is expected here, with a colon and a space after it",
                "write key: value; if the line continues the text above, indent it further or put the text in quotes"
            )
        }
        return key
    }

    private mutating func misaligned() -> ParseFailure {
        failure(
            "the line does not line up with any level above it", "align it with the keys or list items of its own level"
        )
    }
}
