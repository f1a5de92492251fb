// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing

@Suite("Documents")
struct DocumentReaderTests {
    /// Texts, and the trees that they are.
    private static let readings = [
        ("a: 1", "{a: 1}"), ("a: on", "{a: \"on\"}"), ("a: yes", "{a: \"yes\"}"), ("a: ~", "{a: null}"),
        ("a:", "{a: null}"), ("a: true", "{a: true}"), ("a: 010", "{a: \"010\"}"), ("a: 0x10", "{a: \"0x10\"}"),
        ("a: 1.5", "{a: \"1.5\"}"), ("a: -5", "{a: -5}"), ("a: \"5\"", "{a: \"5\"}"),
        ("a: 99999999999999999999", "{a: \"99999999999999999999\"}"), ("a: 12:30", "{a: \"12:30\"}"),
        ("a: ::1", "{a: \"::1\"}"), ("a: 2001:db8::/32", "{a: \"2001:db8::/32\"}"),
        ("- a\n- b", "[\"a\", \"b\"]"), ("a:\n- b\n- c\nd: e", "{a: [\"b\", \"c\"], d: \"e\"}"),
        ("- - a\n  - b\n- c", "[[\"a\", \"b\"], \"c\"]"), ("- a: 1\n  b: 2\n- c: 3", "[{a: 1, b: 2}, {c: 3}]"),
        ("a: [1, 2,]", "{a: [1, 2]}"), ("a: {b: 1, c: [d]}", "{a: {b: 1, c: [\"d\"]}}"),
        ("a: {\n b: 1\n}", "{a: {b: 1}}"), ("a: 'it''s'", "{a: \"it's\"}"),
        ("a: \"x\\ty\"", "{a: \"x\ty\"}"), ("a: b # c", "{a: \"b\"}"), ("a: b#c", "{a: \"b#c\"}"),
        ("# c\n\na: b\n # d\n", "{a: \"b\"}"), ("a: b\n  c", "{a: \"b c\"}"),
        ("a: |\n  x\n   y\n\nb: 1", "{a: \"x\n y\n\", b: 1}"), ("a: >-\n  x\n  y\n", "{a: \"x y\"}"),
        ("a: |+\n  x\n\n", "{a: \"x\n\n\"}"), ("a: \"x\n  y\"", "{a: \"x y\"}"),
        ("\"a\": 1", "{a: 1}"), ("'a' : 1", "{a: 1}"), ("a: &x [1]\nb: *x", "{a: [1], b: [1]}"),
        ("a:\r\n- b\r\n", "{a: [\"b\"]}"), ("{\"a\":1,\"b\":[true,null]}", "{a: 1, b: [true, null]}"),
        ("{\n\t\"a\": \"\\u00e9\\ud83d\\ude00\\/\"\n}", "{a: \"é😀/\"}"), ("\"a\"", "\"a\""), ("- ", "[null]"),
        ("-\n- a", "[null, \"a\"]"), ("a:\n  b:\n    c\n  d: e", "{a: {b: \"c\", d: \"e\"}}"),
        ("a: &x\n  b: 1\nc: *x", "{a: {b: 1}, c: {b: 1}}"), ("{a: , b: ::/0}", "{a: null, b: \"::/0\"}"),
        ("{ a:}", "{a: null}"), ("[b/1,:2/c,]", "[\"b/1\", \":2/c\"]"),
    ]

    /// Texts that are read without a mistake.
    static let valid = readings.map(\.0)

    @Test("texts are read as every parser reads them", arguments: readings)
    func reading(_ text: String, _ outline: String) {
        #expect(syntaxMistakes(text) == [])
        #expect(parse(text).map(\.outline) == [outline])
    }

    @Test("several documents are several trees, and empty ones are none")
    func streams() {
        #expect(parse("---\na: 1\n---\n---\nb: 2\n...\n").map(\.outline) == ["{a: 1}", "{b: 2}"])
    }

    @Test("everything has its line and column, counted in characters from 1")
    func places() {
        let document = parse("a: 1\nb:\n- ü: [x, é, y]\n").first
        guard case .mapping(let entries)? = document?.content, entries.count == 2,
            case .sequence(let items) = entries[1].value.content,
            case .mapping(let inner)? = items.first?.content,
            case .sequence(let list)? = inner.first?.value.content
        else {
            Issue.record("unexpected shape")
            return
        }
        #expect(entries[0].value.location.description == "test.yaml:1:4")
        #expect(entries[1].keyLocation.description == "test.yaml:2:1")
        #expect(entries[1].value.location.description == "test.yaml:3:1")
        #expect(inner[0].keyLocation.description == "test.yaml:3:3")
        #expect(list.map(\.location.column) == [7, 10, 13])
    }

    @Test("a key that stands twice is reported with both places, and the rest is read")
    func duplicates() {
        #expect(
            syntaxMistakes("a: 1\nb: 2\na: 3\nb: {c: 1, c: 2}") == [
                "t:3:1: error EGR0002: the key a stands here already, at t:1:1; remove one of the two",
                "t:4:11: error EGR0002: the key c stands here already, at t:4:5; remove one of the two",
                "t:4:1: error EGR0002: the key b stands here already, at t:2:1; remove one of the two",
            ])
    }

    @Test(
        "what other parsers read differently, or nobody means, is refused",
        arguments: [
            "a: !!str 1", "<<: {a: 1}", "1: a", "true: a", "? a\n: b", "%YAML 1.1\n---\na: 1", "a:\n\t- b", "a: *x",
            "a: &x &y 1", "a: b: c", "a: - b", "a: [b", "a: {b", "a: [b c: d]", "a: \"x", "a: 'x", "a: \"\\q\"",
            "a: \"\\ud800\"", "a: \"\\u0000\"", "a: b\n c: d", "a:\n    b: 1\n  c: 2", "- a\nb: c", "a: 1\n- b", "a: ]",
            "a: @b", "a: `b", "a: [b\n c]", "--- a", "&a b: c", "[a]: b", "a: \"b\" c", "a\nb: c", "a:\n  - b\n  c: d",
            "a: |x\n  y", "a: *", "a: [,]", ": a", "a: {b c}", "a\n--- b", "{a: 1} b",
        ])
    func refusal(_ text: String) {
        #expect(!syntaxMistakes(text).isEmpty, "\(parse(text).map(\.outline))")
    }

    @Test("bytes that are not text are refused with their place")
    func encoding() {
        func first(_ bytes: [UInt8]) -> String? {
            DocumentReader.read(text: bytes, file: "t").diagnostics.first?.location?.description
        }
        #expect(first([0x61, 0x0a, 0x62, 0xff]) == "t:2:2")
        #expect(first([0xc0, 0x80]) == "t:1:1")
        #expect(first([0xed, 0xa0, 0x80]) == "t:1:1")
        #expect(first([0xf5, 0x80, 0x80, 0x80]) == "t:1:1")
        #expect(first([0x61, 0x00]) == "t:1:2")
        #expect(first([0x61, 0x1b]) == "t:1:2")
        #expect(first([0x61, 0x0d, 0x62]) == "t:1:2")
        #expect(first([0xc3, 0xa9, 0xe2, 0x80, 0xa8]) == "t:1:2")
        #expect(first([0xef, 0xbb, 0xbf, 0x61, 0x3a]) == nil)
    }

    @Test("a file without documents is an error")
    func nothing() {
        #expect(syntaxMistakes("").count == 1)
        #expect(syntaxMistakes("# only a comment\n---\n").count == 1)
    }

    @Test("reading goes on at the next document after a mistake")
    func recovery() {
        let (documents, diagnostics) = DocumentReader.read(
            text: Array("a: [\n---\nb: 1\n---\nc: ]\n---\nd: 2\n".utf8), file: "t"
        )
        #expect(documents.map(\.outline) == ["{b: 1}", "{d: 2}"])
        #expect(diagnostics.map { $0.location?.line } == [1, 5])
    }

    @Test(
        "64 levels are read, more are refused without a trap", arguments: ["[", "{a: ", "- ", "{\"a\":["])
    func depth(_ opening: String) {
        for count in [65, 1_000, 200_000] {
            let text = String(repeating: opening, count: count)
            #expect(syntaxMistakes(text).first?.contains("EGR0004") == true, "\(count) of \(opening)")
        }
        #expect(parse(String(repeating: "- ", count: 64) + "a").count == 1)
        #expect(parse(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).count == 1)
    }

    @Test("deep indentation is refused without a trap")
    func deepIndentation() {
        let text = (0..<3_000).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
        #expect(syntaxMistakes(text).first?.contains("EGR0004") == true)
    }

    @Test("aliases that would grow beyond the budget are refused")
    func bombs() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let list = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(list)]\n"
        }
        #expect(syntaxMistakes(text).contains { $0.contains("EGR0004") })
        var deep = "a0: &a0 [x]\n"
        for level in 1...70 { deep += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(syntaxMistakes(deep).contains { $0.contains("EGR0004") })
    }

    @Test("a file above 64 MiB is refused by its size")
    func size() {
        let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: DocumentReader.Limits.bytes + 1)
        #expect(DocumentReader.read(text: bytes, file: "t").diagnostics.map(\.code) == [DiagnosticCode.tooLarge])
    }
}
