// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting
import Testing

@Suite("Examples")
struct ExampleTests {
    @Test("every example is read without a diagnostic")
    func examples() throws {
        let directory = packageDirectory + "/examples"
        let names = try files(in: directory, endingIn: [".yaml", ".json"])
        #expect(names.count >= 5)
        for name in names {
            let result = PolicyFiles.read([(name, try contents(of: "\(directory)/\(name)"))])
            #expect(result.diagnostics.map(DiagnosticFormatter.format) == [], "\(name)")
            #expect(!result.policies.isEmpty)
        }
    }
}
