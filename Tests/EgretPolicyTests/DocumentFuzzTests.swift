// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing
import Yams

@Suite("Documents, at random")
struct DocumentFuzzTests {
    /// Valid documents, and every text that the tests know to be interesting.
    private func corpus() throws -> [[UInt8]] {
        var texts: [[UInt8]] = []
        for directory in [packageDirectory + "/examples", testDirectory + "/Golden"] {
            for name in try files(in: directory, endingIn: [".yaml", ".json"]) {
                texts.append(try contents(of: "\(directory)/\(name)"))
            }
        }
        let more = [
            "a: |\n  x\n   y\n\nb: >-\n  c\n  d\n\n  e\nf: \"g\\n\\x41 h\n  i\"\nj: 'k''l'\n",
            "a: &x [1, {b: c}]\nd: *x\ne:\n- - f\n  - g\n- h: i\n  j:\n  - k\n", "---\na: b\n...\n---\n- c\n-\n- ~\n",
        ]
        return texts + more.map { Array($0.utf8) }
    }

    private func mutated(_ text: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        let alphabet = Array(" \n\t:-[]{},#&*!|>'\"\\%@`?~0aA.\r".utf8) + [0, 0xc3, 0xa9, 0xff, 0xe2, 0x80, 0xa8]
        var text = text
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let place = Int.random(in: 0...text.count, using: &generator)
            let end = min(text.count, place + Int.random(in: 0...8, using: &generator))
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: text.removeSubrange(place..<end)
            case 1: text.insert(alphabet.randomElement(using: &generator) ?? 0, at: place)
            case 2: text.insert(contentsOf: text[place..<end], at: Int.random(in: 0...text.count, using: &generator))
            case 3 where place < text.count: text[place] = alphabet.randomElement(using: &generator) ?? 0
            default: text.removeLast(min(text.count, Int.random(in: 0...40, using: &generator)))
            }
        }
        return text
    }

    @Test("whatever the bytes, reading ends, and never with neither documents nor diagnostics")
    func anyBytes() throws {
        var generator = SeededGenerator(seed: 7)
        let corpus = try corpus()
        for round in 0..<6_000 {
            let text = mutated(corpus[round % corpus.count], &generator)
            let result = PolicyFiles.read([("fuzz", text)])
            #expect(!result.policies.isEmpty || !result.groups.isEmpty || result.hasErrors)
        }
    }

    @Test("what both this parser and libyaml read, they read alike")
    func secondOpinion() throws {
        var generator = SeededGenerator(seed: 11)
        let corpus = try corpus()
        var both = 0
        var onlyOurs: [String] = []
        for round in 0..<6_000 {
            let text = round < corpus.count ? corpus[round] : mutated(corpus[round % corpus.count], &generator)
            let (documents, diagnostics) = DocumentReader.read(text: text, file: "")
            guard diagnostics.isEmpty, let string = String(validating: text, as: UTF8.self) else { continue }
            guard let theirs = yamsOutlines(string) else {
                onlyOurs.append(string)
                continue
            }
            both += 1
            let ours = documents.map { outline($0) }
            // libyaml places an anchored node at its anchor, this parser at the node.
            let isAlike =
                text.contains(UInt8(ascii: "&"))
                ? ours.map(withoutPlaces) == theirs.map(withoutPlaces) : ours == theirs
            if !isAlike { Issue.record("\(string)\nours: \(ours)\nlibyaml: \(theirs)") }
        }
        if let directory = environment("EGRET_SHOW") {
            try write(onlyOurs.joined(separator: "\n=====\n"), to: directory)
        }
        #expect(both > 1_000)
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
