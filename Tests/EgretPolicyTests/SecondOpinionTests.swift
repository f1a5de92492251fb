// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing
import Yams

/// Two readers of one file that differ would be a way round a policy: what this one reads, libyaml must read alike.
@Suite("Documents, and what libyaml makes of them")
struct SecondOpinionTests {
    /// What libyaml refuses and this reader has to take: JSON's white space and surrogate pairs (RFC 8259, sections
    /// 2 and 7), and colons inside brackets as ``plainer(_:)`` has them.
    private static let onlyHere = [
        "{\n\t\"a\": \"\\u00e9\\ud83d\\ude00\\/\"\n}", "{a: , b: ::/0}", "{ a:}", "[b/1,:2/c,]",
    ]

    @Test("every text that the documents' reader is tested with", arguments: DocumentReaderTests.valid)
    func written(_ text: String) {
        if SecondOpinionTests.onlyHere.contains(text) {
            #expect(yamsOutlines(text) == nil, "no exception any more")
        } else {
            let difference = difference(Array(text.utf8))
            #expect(difference == nil, "\(difference ?? "")")
        }
    }

    @Test("examples, wrong policies and thousands of mutations of both")
    func mutations() throws {
        var generator = SeededGenerator(seed: 11)
        let corpus = try DocumentCorpus.all()
        var read = 0
        for round in 0..<6_000 {
            let plain = corpus[round % corpus.count]
            let text = round < corpus.count ? plain : DocumentCorpus.mutated(plain, &generator)
            if DocumentReader.read(text: text, file: "").diagnostics.isEmpty { read += 1 }
            if let difference = difference(text) { Issue.record("\(difference)") }
        }
        #expect(read > 1_000)
    }

    @Test("documents made at random in every style")
    func generated() {
        var generator = SeededGenerator(seed: 12)
        var read = 0
        for _ in 0..<2_000 {
            let text = Array(DocumentCorpus.generated(&generator).utf8)
            if DocumentReader.read(text: text, file: "").diagnostics.isEmpty { read += 1 }
            if let difference = difference(text) { Issue.record("\(difference)") }
        }
        #expect(read > 1_500)
    }

    /// How the two readings differ; `nil` if they do not, or if this reader refuses the text.
    private func difference(_ text: [UInt8]) -> String? {
        let (documents, diagnostics) = DocumentReader.read(text: text, file: "")
        guard diagnostics.isEmpty, let string = String(validating: text, as: UTF8.self) else { return nil }
        let ours = documents.map { outline($0) }
        guard let theirs = yamsOutlines(string) else {
            // YAML 1.2 takes what libyaml, of YAML 1.1, does not: a document without `---` after `...` (section 9.2), and
            // tabs on a line of white space or before a comment (6.6).
            let isNewer =
                string.contains("...")
                || string.split(separator: "\n").contains { line in
                    let indentation = line.prefix(while: \.isWhitespace)
                    let isEmpty = indentation.count == line.count || line.dropFirst(indentation.count).hasPrefix("#")
                    return indentation.contains("\t") && isEmpty
                }
            if isNewer { return nil }
            let theirs = yamsOutlines(plainer(string))?.map(withoutPlaces)
            return theirs == ours.map(withoutPlaces) ? nil : "libyaml refuses:\n\(string)"
        }
        // libyaml places an anchored node at its anchor, this parser at the node.
        let isAlike =
            text.contains(UInt8(ascii: "&"))
            ? ours.map(withoutPlaces) == theirs.map(withoutPlaces) : ours == theirs
        return isAlike ? nil : "\(string)\nours: \(ours)\nlibyaml: \(theirs)"
    }

    /// The text as libyaml reads it too: inside brackets YAML 1.2 takes a colon before a bracket or comma for the end of
    /// a key, lets the colon stand on the line after the key and a quoted key go on there (section 7.4.2), and lets an
    /// unquoted text begin with a colon (section 7.3.3); libyaml, of YAML 1.1, refuses all four.
    private func plainer(_ text: String) -> String {
        let keys = text.replacing(#/"([^"\n]*?)[ \t]*\n[ \t]*([^"\n]*)"(?=\s*:)/#) { "\"\($0.1) \($0.2)\"" }
        let joined = keys.replacing(#/\s*\n\s*:(?=\s)/#, with: ":")
        // From the colon to the end of the text: a colon before white space, a comma or a bracket, or the line's end.
        let colonFirst = #/([\[{,] *|: +)(:(?:[^:,\[\]{}\n#]|:(?=[^\s,\[\]{}]))*[^\s:,\[\]{}#])/#
        let quoted = joined.replacing(colonFirst) { "\($0.1)'\($0.2.replacing("'", with: "''"))'" }
        return quoted.replacing(#/:(?=[,\[\]{}])/#, with: ": ")
    }

    /// The documents as libyaml reads them, empty ones left out; `nil` if it refuses.
    private func yamsOutlines(_ text: String) -> [String]? {
        do {
            let parser = try Yams.Parser(yaml: text)
            var outlines: [String] = []
            while let node = try parser.nextRoot() {
                if case .scalar(let scalar) = node, scalar.string.isEmpty, scalar.style == .plain { continue }
                outlines.append(outline(node))
            }
            return outlines
        } catch {
            return nil
        }
    }

    private func outline(_ node: Node) -> String {
        let place = node.mark.map { "\($0.line):\($0.column)" } ?? "?"
        switch node {
        case .scalar(let scalar):
            return scalar.style == .plain && isNull(scalar.string) ? "null" : "\(place) \"\(scalar.string)\""
        case .sequence(let items):
            return "\(place) [\(items.map { outline($0) }.joined(separator: ", "))]"
        case .mapping(let entries):
            return
                "\(place) {\(entries.map { "\($0.key.string ?? "?"): \(outline($0.value))" }.joined(separator: ", "))}"
        case .alias: return "alias"
        }
    }

    private func withoutPlaces(_ outline: String) -> String {
        outline.replacing(#/\d+:\d+ /#, with: "")
    }

    private func isNull(_ text: String) -> Bool {
        ["", "~", "null", "Null", "NULL"].contains(text)
    }

    private func outline(_ node: DocumentNode) -> String {
        let place = "\(node.location.line):\(node.location.column)"
        switch node.content {
        case .null: return "null"
        case .boolean, .integer, .string: return "\(place) \"\(node.text)\""
        case .sequence(let items):
            return "\(place) [\(items.map { outline($0) }.joined(separator: ", "))]"
        case .mapping(let entries):
            return "\(place) {\(entries.map { "\($0.key): \(outline($0.value))" }.joined(separator: ", "))}"
        }
    }
}
