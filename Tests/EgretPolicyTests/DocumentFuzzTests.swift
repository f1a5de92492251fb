// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing

@Suite("Documents, at random")
struct DocumentFuzzTests {
    @Test("whatever the bytes, reading ends, and never with neither documents nor diagnostics")
    func anyBytes() throws {
        var generator = SeededGenerator(seed: 7)
        let corpus = try DocumentCorpus.all()
        for round in 0..<6_000 {
            let text = DocumentCorpus.mutated(corpus[round % corpus.count], &generator)
            let result = PolicyFiles.read([("fuzz", text)])
            #expect(!result.policies.isEmpty || !result.groups.isEmpty || result.hasErrors)
        }
    }
}
