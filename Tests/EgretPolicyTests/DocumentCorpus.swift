// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting

/// Texts that are interesting to a reader of YAML.
enum DocumentCorpus {
    /// Valid documents, and every text that the tests know to be interesting.
    static func all() throws -> [[UInt8]] {
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

    /// Policies and manifests of Kubernetes, right and wrong ones.
    static func manifests() throws -> [[UInt8]] {
        let examples = packageDirectory + "/examples/kubernetes"
        let worlds = packageDirectory + "/Tests/ConformanceTests/Worlds"
        return try [examples, examples + "/policies", worlds, testDirectory + "/GoldenManifests"].flatMap { directory in
            try files(in: directory, endingIn: [".yaml"]).map { try contents(of: "\(directory)/\($0)") }
        }
    }

    static func mutated(_ text: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
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

    /// A random tree of texts, lists and mappings, written in a random style that both readers know.
    static func generated(_ generator: inout SeededGenerator) -> String {
        block(depth: Int.random(in: 1...4, using: &generator), indent: 0, &generator)
    }

    private static let scalars = [
        "a", "b c", "0", "-17", "010", "1e3", "true", "on", "~", "null", "", "::1", "2001:db8::/32", "10.0.0.0/8",
        "443/tcp", "a#b", "a: b", "- a", "# a", " a ", "it's", "\"", "\\", "é", "日本", "a\nb", "\t", "*", "&a", "!x",
        "{", "]",
        "%a", "@", "`", "?", "a:", "x, y", "=", "<<", "...", "---",
    ]

    private static func block(depth: Int, indent: Int, _ generator: inout SeededGenerator) -> String {
        let padding = String(repeating: " ", count: indent)
        let count = Int.random(in: 1...4, using: &generator)
        let isList = Bool.random(using: &generator)
        return (0..<count).map { index in
            let start = padding + (isList ? "-" : "\(["k", "\"k ", "'k-"].randomElement(using: &generator) ?? "k")")
            let lead = isList ? start : key(start, index)
            let comment = Int.random(in: 0..<6, using: &generator) == 0 ? "  # text\n" : "\n"
            guard depth > 1, Int.random(in: 0..<3, using: &generator) > 0 else {
                return "\(lead) \(value(indent: indent, &generator))".trimmingTrailingSpaces + comment
            }
            return lead + comment
                + block(depth: depth - 1, indent: indent + Int.random(in: 1...3, using: &generator), &generator)
        }
        .joined()
    }

    private static func key(_ start: String, _ index: Int) -> String {
        if start.contains("\"") { return "\(start)\(index)\":" }
        return start.contains("'") ? "\(start)\(index)':" : "\(start)\(index):"
    }

    private static func value(indent: Int, _ generator: inout SeededGenerator) -> String {
        let padding = String(repeating: " ", count: indent + 2)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return flow(depth: 3, &generator)
        case 1:
            let header = ["|", "|-", "|+", ">", ">-", ">+"].randomElement(using: &generator) ?? "|"
            let lines = ["x", " y", "", "z # w", "k: v"].shuffled(using: &generator).prefix(3)
            return "\(header)\n\(padding)first\n" + lines.map { $0.isEmpty ? "" : padding + $0 }.joined(separator: "\n")
        case 2: return "first\n\(padding)second"
        case 3:
            return ["0", "-17", "true", "~", "null", "a", "a-b", "10.0.0.0/8"].randomElement(using: &generator) ?? "a"
        default: return quoted(&generator)
        }
    }

    private static func flow(depth: Int, _ generator: inout SeededGenerator) -> String {
        guard depth > 0 else { return quoted(&generator) }
        let count = Int.random(in: 0...3, using: &generator)
        let isList = Bool.random(using: &generator)
        let items = (0..<count).map { index in
            let item = Bool.random(using: &generator) ? flow(depth: depth - 1, &generator) : quoted(&generator)
            return isList ? item : "k\(index): \(item)"
        }
        let separator = [", ", " , ", ",  "].randomElement(using: &generator) ?? ", "
        return isList ? "[\(items.joined(separator: separator))]" : "{\(items.joined(separator: separator))}"
    }

    private static func quoted(_ generator: inout SeededGenerator) -> String {
        let text = scalars.randomElement(using: &generator) ?? ""
        if Bool.random(using: &generator) && !text.contains("\n") && !text.contains("\t") {
            return "'" + text.replacing("'", with: "''") + "'"
        }
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        return "\"" + escaped.replacing("\t", with: "\\t") + "\""
    }
}

extension String {
    fileprivate var trimmingTrailingSpaces: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
