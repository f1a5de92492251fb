// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    /// Reads a node in brackets, or the brackets themselves, and stops behind it.
    mutating func flowNode(depth: Int) throws(ParseFailure) -> DocumentNode {
        switch current {
        case UInt8(ascii: "["): return try flowSequence(depth: depth)
        case UInt8(ascii: "{"): return try flowMapping(depth: depth)
        case UInt8(ascii: "*"): return try alias(depth: depth)
        case UInt8(ascii: "&"):
            let name = try anchorName()
            let before = (count: nodeCount, deepest: deepest)
            deepest = depth
            try skipBlank(inBrackets: true)
            if current == UInt8(ascii: "&") { throw failure("a value has one anchor at most", "remove one of the two") }
            let node = try flowNode(depth: depth)
            register(name, node, since: before, depth: depth)
            return node
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            let location = here()
            try count(depth: depth)
            let value = try quotedScalar()
            return DocumentNode(.string(value), text: value, location: location)
        default:
            try refuseIndicators(inBrackets: true)
            let location = here()
            try count(depth: depth)
            let value = plainLine(inBrackets: true)
            return DocumentNode(
                ScalarResolution.content(ofPlain: value), text: value, location: location, isPlain: true)
        }
    }

    private mutating func flowSequence(depth: Int) throws(ParseFailure) -> DocumentNode {
        let opening = here()
        try count(depth: depth + 1)
        position += 1
        var items: [DocumentNode] = []
        while true {
            try skipInBrackets(opening)
            if current == UInt8(ascii: "]") { break }
            items.append(try flowNode(depth: depth + 1))
            try skipInBrackets(opening)
            if current == UInt8(ascii: ",") {
                position += 1
            } else if current == UInt8(ascii: ":") {
                throw failure(
                    "a key and a value stand in a list",
                    "write them as a mapping: { key: value }; put a text with a colon in quotes")
            } else if current != UInt8(ascii: "]") {
                throw failure("a comma or a closing ] is expected here", "separate the items of a list with commas")
            }
        }
        position += 1
        return DocumentNode(.sequence(items), location: opening)
    }

    private mutating func flowMapping(depth: Int) throws(ParseFailure) -> DocumentNode {
        let opening = here()
        try count(depth: depth + 1)
        position += 1
        var entries = MappingBuilder()
        while true {
            try skipInBrackets(opening)
            if current == UInt8(ascii: "}") { break }
            let key = try flowKey(opening)
            let afterColon = here()
            try skipInBrackets(opening)
            if current == UInt8(ascii: ",") || current == UInt8(ascii: "}") {
                try count(depth: depth + 1)
                add(key, DocumentNode(.null, location: afterColon), to: &entries)
            } else {
                add(key, try flowNode(depth: depth + 1), to: &entries)
                try skipInBrackets(opening)
            }
            if current == UInt8(ascii: ",") {
                position += 1
            } else if current != UInt8(ascii: "}") {
                throw failure(
                    "a comma or a closing } is expected here", "separate the entries of a mapping with commas")
            }
        }
        position += 1
        return DocumentNode(.mapping(entries.entries), location: opening)
    }

    /// Reads a key in brackets and its colon.
    private mutating func flowKey(_ opening: SourceLocation) throws(ParseFailure) -> Key {
        let location = here()
        let key: Key
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): key = Key(try quotedScalar(), location)
        case UInt8(ascii: "{") where byte(at: position - 1) == current:
            throw failure(
                "{{ opens a template, which is no YAML yet",
                "give what helm template prints, or put it in quotes if it is a text",
                code: DiagnosticCode.unsupportedYAML)
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "&"), UInt8(ascii: "*"):
            throw failure("a key is a text", "put it in quotes if it is a key", code: DiagnosticCode.unsupportedYAML)
        default:
            try refuseIndicators(inBrackets: true)
            key = Key(plain: plainLine(inBrackets: true), location)
        }
        try skipInBrackets(opening)
        guard current == UInt8(ascii: ":") else {
            throw ParseFailure(
                location, "a key is expected here, with a colon and a space after it", "write { key: value }")
        }
        position += 1
        return key
    }

    /// Moves to the next content inside brackets.
    private mutating func skipInBrackets(_ opening: SourceLocation) throws(ParseFailure) {
        try skipBlank(inBrackets: true)
        if isAtBoundary {
            throw ParseFailure(
                opening, "the bracket that opens here is never closed", "close it, and check the quotes after it")
        }
    }
}
