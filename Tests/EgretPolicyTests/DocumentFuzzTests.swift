// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Foundation
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

    @Test("whatever becomes of a manifest, reading ends, and says why where nothing comes of it")
    func manifests() throws {
        var generator = SeededGenerator(seed: 8)
        let corpus = try DocumentCorpus.manifests()
        #expect(corpus.count >= 18)
        for round in 0..<4_000 {
            let text = DocumentCorpus.mutated(corpus[round % corpus.count], &generator)
            let result = PolicyFiles.read([("fuzz", text)], scope: .manifests)
            #expect(!result.kinds.isEmpty || !result.passedOver.isEmpty || !result.diagnostics.isEmpty)
        }
    }

    @Test("a manifest whose keys are misspelled is never read as if they were not there")
    func misspelled() throws {
        let text = """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: p, namespace: n }
            spec:
              podSelector: { matchLabels: { a: b }, matchExpressions: [{ key: a, operator: In, values: [b] }] }
              policyTypes: [Ingress, Egress]
              ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }], ports: [{ port: 80, endPort: 90 }] }]
              egress: [{ to: [{ namespaceSelector: {}, podSelector: {} }], ports: [{ protocol: UDP }] }]

            """
        let keys = [
            "apiVersion", "kind", "metadata", "name", "namespace", "spec", "podSelector", "matchLabels",
            "matchExpressions", "key", "operator", "values", "policyTypes", "ingress", "from", "ipBlock", "cidr",
            "except",
            "ports", "port", "endPort", "egress", "to", "namespaceSelector", "protocol",
        ]
        #expect(!PolicyFiles.read([("k", Array(text.utf8))], scope: .manifests).hasErrors)
        for key in keys {
            let place = try #require(text.range(of: "\(key):"))
            let wrong = text.replacingCharacters(in: place, with: "\(key)x:")
            let result = PolicyFiles.read([("k", Array(wrong.utf8))], scope: .manifests)
            #expect(result.hasErrors, "\(key)")
        }
    }
}
