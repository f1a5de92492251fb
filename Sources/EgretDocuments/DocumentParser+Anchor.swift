// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension DocumentParser {
    /// Reads `&name`.
    mutating func anchorName() throws(ParseFailure) -> String {
        try markName("anchor")
    }

    /// Reads `*name` and gives the node that it repeats.
    mutating func alias(depth: Int) throws(ParseFailure) -> DocumentNode {
        let location = here()
        let name = try markName("alias")
        guard let anchored = anchors[name] else {
            throw ParseFailure(
                location, "no anchor &\(name) stands before this alias",
                "define it first, or put the text in quotes if it begins with a star"
            )
        }
        try count(depth: depth, nodes: anchored.nodes, height: anchored.height)
        return anchored.node
    }

    /// Keeps an anchored node for aliases.
    mutating func register(
        _ name: String, _ node: DocumentNode, since before: (count: Int, deepest: Int), depth: Int
    ) {
        anchors[name] = Anchored(node: node, nodes: max(1, nodeCount - before.count), height: deepest - depth)
        deepest = max(deepest, before.deepest)
    }

    private mutating func markName(_ what: String) throws(ParseFailure) -> String {
        let location = here()
        position += 1
        let start = position
        while DocumentParser.isNameByte(current) { position += 1 }
        let next = current
        let isEnded =
            isBlankOrEnd(position) || [UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(next)
        guard position > start, isEnded else {
            throw ParseFailure(
                location, "this is not the name of an \(what): a name has letters, digits, - and _",
                "put the text in quotes if it begins with \(what == "alias" ? "a star" : "an ampersand")"
            )
        }
        return text(start..<position)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
