// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting
import Testing

@Suite("Golden diagnostics")
struct DiagnosticGoldenTests {
    /// One wrong file per case, `<case>.yaml` or `<case>.json`, with `<case>.expected` beside it.
    @Test("every wrong policy gets the diagnostics recorded for it")
    func golden() throws {
        #expect(try check("Golden", .own) >= 100)
    }

    @Test("every wrong manifest and every wrong policy of Kubernetes gets the diagnostics recorded for it")
    func manifests() throws {
        #expect(try check("GoldenManifests", .manifests) >= 14)
    }

    /// Checks the cases of a directory and returns how many there are.
    private func check(_ folder: String, _ scope: PolicyReader.Scope) throws -> Int {
        let directory = "\(testDirectory)/\(folder)"
        let names = try files(in: directory, endingIn: [".yaml", ".json"])
        let isRecording = environment("EGRET_RECORD") == "1"
        for name in names {
            let bytes = try contents(of: "\(directory)/\(name)")
            let result = PolicyFiles.read([(name, bytes)], scope: scope, timeZones: testTimeZones)
            let text = result.diagnostics.map { DiagnosticFormatter.format($0) + "\n" }.joined()
            #expect(!text.isEmpty, "\(name) is not wrong")
            let expected = "\(directory)/\(name.split(separator: ".")[0]).expected"
            if isRecording {
                try write(text, to: expected)
            } else {
                #expect(String(decoding: try contents(of: expected), as: UTF8.self) == text, "\(name)")
            }
            for diagnostic in result.diagnostics {
                #expect(diagnostic.location != nil && diagnostic.suggestion != nil, "\(name)")
                #expect(DiagnosticCode.all.contains(diagnostic.code))
            }
        }
        if isRecording { Issue.record("recorded \(names.count) cases: run again without EGRET_RECORD") }
        return names.count
    }

    @Test("every code is documented, and no other")
    func documented() throws {
        let text = String(decoding: try contents(of: packageDirectory + "/docs/diagnostics.md"), as: UTF8.self)
        let sections = text.split(separator: "\n").filter { $0.hasPrefix("## EGR") }.map { $0.dropFirst(3).prefix(7) }
        #expect(sections.map(String.init) == DiagnosticCode.all.map(\.rawValue))
    }

    @Test("the source line and a caret show the place")
    func source() {
        let text = "a: 1\nspec:\n\tü: [x, oops]\n"
        let diagnostic = Diagnostic(
            .error, code: DiagnosticCode.address, at: SourceLocation(file: "p.yaml", line: 3, column: 9), "bad",
            suggestion: "good"
        )
        #expect(
            DiagnosticFormatter.format([diagnostic], withSourceFrom: [("p.yaml", Array(text.utf8))]) == [
                """
                p.yaml:3:9: error EGR0021: bad; good
                     ü: [x, oops]
                            ^
                """
            ])
    }

    @Test("places out of order, past a line's end or in no file are no trouble")
    func oddPlaces() {
        let line = String(repeating: "ä", count: 300) + "X" + String(repeating: "b", count: 300)
        let bytes = Array("first\n\(line)\nlast \u{1b}[2J".utf8) + [0xff, 0x80]
        func caret(_ line: Int, _ column: Int, in file: String = "p") -> String {
            let place = SourceLocation(file: file, line: line, column: column)
            let diagnostic = Diagnostic(.error, code: DiagnosticCode.address, at: place, "m")
            let later = Diagnostic(
                .error, code: DiagnosticCode.address, at: SourceLocation(file: "p", line: 2, column: 500), "m")
            let lines = DiagnosticFormatter.format([later, diagnostic], withSourceFrom: [("p", bytes)])[1]
                .split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.count == 3 else { return "-" }
            let offset = lines[2].count - 1
            let shown = Array(lines[1])
            return offset < shown.count ? String(shown[offset]) : "end"
        }
        #expect(caret(2, 301) == "X")
        #expect(caret(2, 1) == "ä")
        #expect(caret(1, 1) == "f")
        #expect(caret(1, 99) == "end")
        #expect(caret(3, 6) == " ")
        #expect(caret(3, 7) == "[")
        #expect(caret(4, 1) == "-")
        #expect(caret(0, 1) == "-")
        #expect(caret(1, 1, in: "other") == "-")
        #expect(caret(1, .min + 1) == "f")
        #expect(caret(3, .max) == "end")
    }

    @Test("twenty thousand mistakes are printed in one walk of the file", arguments: ["\n", ", "])
    func manyMistakes(_ separator: String) {
        let entry = "10.0.0.300" + separator
        let bytes = Array(String(repeating: entry, count: 20_000).utf8)
        let diagnostics = (0..<20_000).map { number in
            let isLine = separator == "\n"
            let location = SourceLocation(
                file: "many.yaml", line: isLine ? number + 1 : 1, column: isLine ? 1 : number * entry.count + 1)
            return Diagnostic(.error, code: DiagnosticCode.address, at: location, "bad")
        }
        let started = ContinuousClock.now
        let lines = DiagnosticFormatter.format(diagnostics, withSourceFrom: [("many.yaml", bytes)])
        #expect(lines.count == 20_000)
        #expect(ContinuousClock.now - started < .seconds(20))
    }

    @Test("what came with the input cannot write to the terminal")
    func controls() {
        let diagnostic = Diagnostic(.warning, code: DiagnosticCode.address, at: nil, "bad \u{1b}[2J\u{202e}")
        #expect(DiagnosticFormatter.format(diagnostic) == "warning EGR0021: bad \\u{1b}[2J\\u{202e}")
    }
}
