// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing

@Suite("Golden diagnostics")
struct DiagnosticGoldenTests {
    /// One wrong file per case, `<case>.yaml` or `<case>.json`, with `<case>.expected` beside it.
    @Test("every wrong policy gets the diagnostics recorded for it")
    func golden() throws {
        let directory = testDirectory + "/Golden"
        let names = try files(in: directory, endingIn: [".yaml", ".json"])
        #expect(names.count >= 100)
        let isRecording = environment("EGRET_RECORD") == "1"
        for name in names {
            let result = PolicyFiles.read([(name, try contents(of: "\(directory)/\(name)"))])
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
            DiagnosticFormatter.formatWithSource(diagnostic, source: text) == """
                p.yaml:3:9: error EGR0021: bad; good
                     ü: [x, oops]
                            ^
                """)
    }

    @Test("what came with the input cannot write to the terminal")
    func controls() {
        let diagnostic = Diagnostic(.warning, code: DiagnosticCode.address, at: nil, "bad \u{1b}[2J\u{202e}")
        #expect(DiagnosticFormatter.format(diagnostic) == "warning EGR0021: bad \\u{1b}[2J\\u{202e}")
    }
}
