// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting

/// The tests' directory, found from this file's place.
let testDirectory = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))
/// The package's directory.
let packageDirectory = testDirectory + "/../.."

/// Reads one file's text through parser and reader.
func readPolicies(_ text: String, file: String = "policy.yaml") -> PolicyReader.Result {
    PolicyFiles.read([(file, Array(text.utf8))], timeZones: testTimeZones)
}

/// The zones of `Zones/zones.txt`, whatever the machine has.
let testTimeZones: TimeZoneDatabase = {
    let zones = (try? capturedZones()) ?? [:]
    return TimeZoneDatabase(names: { zones.keys.sorted() }, lookUp: { zones[$0].map { .rules($0) } ?? .unknown })
}()

/// The zones that were captured, by name.
func capturedZones() throws -> [String: TimeZoneRules] {
    let text = String(decoding: try contents(of: testDirectory + "/Zones/zones.txt"), as: UTF8.self)
    var zones: [String: TimeZoneRules] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("zone ") {
        let words = line.split(separator: " ")
        zones[String(words[1])] = try TimeZoneRules(tzif: bytes(ofHex: words[2]), name: String(words[1]))
    }
    return zones
}

/// Bytes written as two hexadecimal digits each.
func bytes(ofHex hex: Substring) -> [UInt8] {
    let digits = hex.utf8.map { $0 < 0x3a ? $0 - 0x30 : $0 - 0x61 + 10 }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
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
