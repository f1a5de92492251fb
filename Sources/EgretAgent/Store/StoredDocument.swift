// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A document as it was applied: its text, and what it defines.
struct StoredDocument: Hashable, Sendable {
    /// What it defines: `EgressPolicy/name`, `NetworkPolicy/namespace/name`. A list defines several.
    var objects: [String]
    /// The file that it came from.
    var file: String
    /// The line of the file that it begins in, from 1.
    var line: Int
    /// Its text.
    var text: String
}

extension [StoredDocument] {
    /// The documents as texts in which everything stands in the line of the file that it came from.
    ///
    /// Documents of one file are one text, with empty lines for what is not there any more. Where that cannot be (they come
    /// from different states of the file), there are several texts of its name.
    var placed: [(name: String, bytes: [UInt8])] {
        var texts: [(name: String, bytes: [UInt8], line: Int)] = []
        var latest: [String: Int] = [:]
        for document in sorted(by: { ($0.file, $0.line) < ($1.file, $1.line) }) {
            let fits = latest[document.file].flatMap { place in
                texts[place].line <= document.line && document.beginsWithMarker ? place : nil
            }
            let place = fits ?? texts.count
            if fits == nil { texts.append((document.file, [], 1)) }
            latest[document.file] = place
            let gap = document.line - texts[place].line
            texts[place].bytes += [UInt8](repeating: UInt8(ascii: "\n"), count: Swift.max(0, gap))
            texts[place].bytes += document.text.utf8
            texts[place].line = document.line + document.text.utf8.count { $0 == UInt8(ascii: "\n") }
        }
        return texts.map { ($0.name, $0.bytes) }
    }
}

extension StoredDocument {
    fileprivate var beginsWithMarker: Bool { text.hasPrefix("---") }
}

/// The documents of a file, by the lines that separate them.
enum DocumentSplitter {
    /// Splits a text at YAML's document markers (YAML 1.2.2 section 9.1.2): lines that are `---`, or begin with it and a
    /// space. A JSON text has none and stays whole.
    ///
    /// - Returns: The parts that are not empty, with the line that each begins in.
    static func split(_ text: String) -> [(line: Int, text: String)] {
        var parts: [(line: Int, text: String)] = []
        var start = 1
        var lines: [Substring] = []
        func close(before next: Int) {
            let isEmpty = lines.allSatisfy { line in
                let content = line.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
                return content.isEmpty || content.first == "#" || content == "---" || content == "..."
            }
            if !isEmpty { parts.append((start, lines.joined(separator: "\n") + "\n")) }
            start = next
            lines = []
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line == "---" || line.hasPrefix("--- ") || line == "---\r" { close(before: index + 1) }
            lines.append(line)
        }
        if lines.last == "" { lines.removeLast() }
        close(before: 0)
        return parts
    }
}
