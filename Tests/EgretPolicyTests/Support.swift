// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy

/// The tests' directory, found from this file's place.
let testDirectory = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))
/// The package's directory.
let packageDirectory = testDirectory + "/../.."

/// Reads one file's text through parser and reader.
func readPolicies(_ text: String, file: String = "policy.yaml") -> PolicyReader.Result {
    PolicyFiles.read([(file, Array(text.utf8))])
}

/// Reads a document, expecting no diagnostics.
func parse(_ text: String) -> [DocumentNode] {
    let (documents, diagnostics) = DocumentReader.read(text: Array(text.utf8), file: "test.yaml")
    return diagnostics.isEmpty ? documents : []
}

/// The diagnostics of a text that is not well formed.
func syntaxMistakes(_ text: String) -> [String] {
    DocumentReader.read(text: Array(text.utf8), file: "t").diagnostics.map(DiagnosticFormatter.format)
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

extension DocumentNode {
    /// The tree as text without places, for comparisons.
    var outline: String {
        switch content {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .sequence(let items): "[\(items.map(\.outline).joined(separator: ", "))]"
        case .mapping(let entries):
            "{\(entries.map { "\($0.key): \($0.value.outline)" }.joined(separator: ", "))}"
        }
    }
}
