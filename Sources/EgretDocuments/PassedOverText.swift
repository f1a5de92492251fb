// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// The lines of a file of manifests, where its documents could not all be parsed.
///
/// A set of manifests holds objects of kinds that say nothing here, and some of them are written in YAML that is not
/// read. That is no mistake, as long as no parser can take such a document for another: every key of its outermost
/// mapping stands at the beginning of a line, once and without quotes, and `kind` and `apiVersion` are words.
struct PassedOverText {
    private let lines: [ArraySlice<UInt8>]
    /// The number of the first line.
    private let firstLine: Int
    /// The lines, from 0, in which documents begin.
    private let starts: [Int]

    init(_ bytes: [UInt8], firstLine: Int) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        self.lines = lines
        self.firstLine = firstLine
        starts = [0] + lines.indices.dropFirst().filter { PassedOverText.isMarker(lines[$0]) }
    }

    /// The mistakes, less those of documents that are passed over: a warning for each of these takes their place.
    ///
    /// - Parameter diagnostics: What the parser found, in the order of the documents.
    /// - Returns: What there is to say, in the same order.
    func excused(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        var rest: [Diagnostic] = []
        var place = 0
        var kind = passedOverKind(at: place)
        var isTold = false
        for diagnostic in diagnostics {
            let line = (diagnostic.location?.line ?? firstLine) - firstLine
            let former = place
            while place + 1 < starts.count, starts[place + 1] <= line { place += 1 }
            if place != former {
                kind = passedOverKind(at: place)
                isTold = false
            }
            guard let kind else {
                rest.append(diagnostic)
                continue
            }
            if isTold { continue }
            isTold = true
            var warning = diagnostic
            warning.severity = .warning
            warning.suggestion = "documents of the kind \(kind) are passed over all the same"
            rest.append(warning)
        }
        return rest
    }

    /// The kind of a document that is passed over for certain; `nil` for any other.
    private func passedOverKind(at place: Int) -> String? {
        let end = place + 1 < starts.count ? starts[place + 1] : lines.count
        var values: [String: String] = [:]
        for number in starts[place]..<end {
            let line = lines[number]
            if PassedOverText.isInner(line) || PassedOverText.isLoneMarker(line) { continue }
            guard let (key, value) = PassedOverText.entry(line), values.updateValue(value, forKey: key) == nil else {
                return nil
            }
        }
        guard let kind = values["kind"], let version = values["apiVersion"],
            PassedOverText.isWord(kind), PassedOverText.isWord(version),
            PolicyReader.passesOver(kind: kind, apiVersion: version)
        else { return nil }
        return kind
    }

    // MARK: - Lines

    /// Whether a document begins with the line: `---` alone or before a blank.
    private static func isMarker(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.starts(with: "---".utf8) else { return false }
        return line.dropFirst(3).first.map(isBlank) ?? true
    }

    /// Whether a document begins with the line, and nothing of it stands there.
    private static func isLoneMarker(_ line: ArraySlice<UInt8>) -> Bool {
        isMarker(line) && line.dropFirst(3).drop(while: isBlank).first ?? UInt8(ascii: "#") == UInt8(ascii: "#")
    }

    /// Whether the line is empty or a comment, or belongs to what stands above it.
    private static func isInner(_ line: ArraySlice<UInt8>) -> Bool {
        guard let first = line.first else { return true }
        if first == UInt8(ascii: "-") { return line.dropFirst().first.map(isBlank) ?? true }
        return isBlank(first) || first == UInt8(ascii: "#")
    }

    /// The key and the value of `key: value`; `nil` for any other line.
    private static func entry(_ line: ArraySlice<UInt8>) -> (key: String, value: String)? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(isAlphanumeric)
        else { return nil }
        let rest = line[(colon + 1)...]
        guard rest.first.map(isBlank) ?? true else { return nil }
        let words = rest.split(whereSeparator: isBlank).prefix { $0.first != UInt8(ascii: "#") }
        let value = words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        return (String(decoding: line[..<colon], as: UTF8.self), value)
    }

    /// Whether the value is a kind or a version without quotes, and not a tag, an alias or the begin of more.
    private static func isWord(_ value: String) -> Bool {
        !value.isEmpty && value.utf8.allSatisfy { isAlphanumeric($0) || "./-".utf8.contains($0) }
    }

    /// White space, the return of a Windows line end included.
    private static func isBlank(_ byte: UInt8) -> Bool {
        DocumentParser.isBlank(byte) || byte == UInt8(ascii: "\r")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
