// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting
import Testing

@Suite("The language reference")
struct DocumentationTests {
    @Test("every YAML and JSON block of the reference is read without an error")
    func reference() throws {
        let text = String(decoding: try contents(of: packageDirectory + "/docs/policy-language.md"), as: UTF8.self)
        var blocks: [String] = []
        var block: [Substring]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if let lines = block { blocks.append(lines.joined(separator: "\n")) }
                block = line == "```yaml" || line == "```json" ? [] : nil
            } else {
                block?.append(line)
            }
        }
        #expect(blocks.count >= 5)
        for block in blocks {
            let result = readPolicies(block, file: "policy-language.md")
            #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))\n\(block)")
        }
    }
}
