// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDocuments
import EgretPolicy
import EgretSources
import EgretTesting
import Testing

@testable import EgretAgent

@Suite("reading documents that change")
struct ReadingTests {
    /// Documents with and without mistakes and doubts, some of which are about others.
    private static func text(_ number: Int, _ variant: Int) -> String {
        let egret = { (kind: String, name: String, spec: String) in
            "---\napiVersion: egret.dev/v1\nkind: \(kind)\nmetadata: { name: \(name) }\nspec: \(spec)\n"
        }
        return switch (number % 5, variant) {
        case (0, 0): egret("DestinationGroup", "g\(number)", "{ cidrs: [203.0.113.0/24] }")
        case (0, _): egret("DestinationGroup", "g\(number)", "{ cidrs: [198.51.100.\(variant)/32] }")
        case (1, 0): egret("EgressPolicy", "p\(number)", "{ egress: [{ action: allow, to: [{ group: g0 }] }] }")
        case (1, 1): egret("EgressPolicy", "p\(number)", "{ egress: [{ action: alow }] }")
        case (2, 0):
            // A rule behind one that matches everything is a doubt.
            egret(
                "EgressPolicy", "p\(number)",
                "{ egress: [{ action: allow }, { action: deny, to: [{ group: host }] }] }")
        case (3, 0):
            "---\napiVersion: v1\nkind: Namespace\nmetadata: { name: n\(number), labels: { a: b } }\n"
        case (3, 1):
            "---\napiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Namespace, metadata: { name: n\(number) } }\n"
        case (4, 0):
            "---\napiVersion: v1\nkind: Node\nmetadata: { name: n\(number) }\n"
                + "status: { addresses: [{ address: 192.0.2.\(number) }] }\n"
        default:
            """
            ---
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: p\(number), namespace: n3 }
            spec: { podSelector: {}, ingress: [{ ports: [{ port: \(80 + variant) }] }] }

            """
        }
    }

    private static let timeZones = SystemTimeZones.database()

    private func read(_ documents: [StoredDocument], _ former: PolicyReading?) -> (PolicyReading?, [String]) {
        do {
            let reading = try PolicyReading(documents, timeZones: ReadingTests.timeZones, former: former)
            return (reading, reading.warnings.sorted())
        } catch {
            return (nil, error.diagnostics ?? [error.message])
        }
    }

    @Test("with what was read before at hand, the result is that of reading everything", arguments: 0..<12)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var former: PolicyReading?
        var documents: [StoredDocument] = []
        var (sound, unsound) = (0, 0)
        for step in 0..<40 {
            var texts = documents.map { ($0.file, $0.text) }
            for _ in 0...Int.random(in: 0...1, using: &random) {
                let number = Int.random(in: 0..<10, using: &random)
                let fresh = (
                    "f\(number % 2).yaml", ReadingTests.text(number, Int.random(in: 0..<3, using: &random))
                )
                if texts.count > number, Bool.random(using: &random) {
                    texts.remove(at: number)
                } else {
                    texts.insert(fresh, at: Int.random(in: 0...texts.count, using: &random))
                }
            }
            let files = ["f0.yaml", "f1.yaml"].map { name in
                SourceFile(name: name, text: texts.filter { $0.0 == name }.map(\.1).joined())
            }
            let fresh = DocumentIndex.read(files, known: documents).documents
            #expect(fresh == DocumentIndex.read(files).documents)
            let (reading, words) = read(fresh, former)
            let (whole, wholeWords) = read(fresh, nil)
            #expect(words == wholeWords, "seed \(seed), step \(step)")
            #expect(reading?.catalog == whole?.catalog, "seed \(seed), step \(step)")
            #expect(reading?.namespaces == whole?.namespaces, "seed \(seed), step \(step)")
            #expect(reading?.nodes == whole?.nodes, "seed \(seed), step \(step)")
            if let reading { former = reading }
            documents = fresh
            if reading == nil { unsound += 1 } else { sound += 1 }
            try compareWithReadingTogether(fresh, reading, words)
        }
        #expect(sound + unsound == 40 && unsound > 0)
    }

    @Test("a namespace may be written twice, with the same labels", arguments: ["b", "c"])
    func repeatedNamespaces(_ value: String) throws {
        let text = """
            apiVersion: v1
            kind: Namespace
            metadata: { name: n, labels: { a: b } }
            ---
            apiVersion: v1
            kind: Namespace
            metadata: { name: n, labels: { a: \(value) } }
            """
        let documents = DocumentIndex.read([SourceFile(name: "f.yaml", text: text)]).documents
        let (reading, words) = read(documents, nil)
        #expect((reading != nil) == (value == "b"))
        try compareWithReadingTogether(documents, reading, words)
    }

    @Test(
        "what files say of times needs an agent, in limits as in rules",
        arguments: ["egress: [{ action: allow, WHEN }]", "limits: [{ rate: 1Mbit, WHEN }]"])
    func filesWithTimes(spec: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/job.yaml"
        for (when, isRefused) in [("when: { hours: [\"09:00-17:00\"] }", true), ("name: always", false)] {
            let text = """
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: job }
                spec: { default: allow, \(spec.replacing("WHEN", with: when)) }
                """
            try write(text, to: path)
            if isRefused {
                let error = #expect(throws: APIError.self) { try FilePolicies.check([path]) }
                #expect(error?.message.hasPrefix("times of job need an agent") ?? false)
            } else {
                try FilePolicies.check([path])
            }
        }
    }

    /// Reading all the texts in one go is what says which mistakes there are.
    private func compareWithReadingTogether(
        _ documents: [StoredDocument], _ reading: PolicyReading?, _ words: [String]
    ) throws {
        let together = ReadingTogether.read(documents)
        #expect((reading != nil) == !together.hasErrors)
        guard let reading else { return }
        #expect(words == DiagnosticFormatter.format(together.diagnostics, withSourceFrom: documents.placed).sorted())
        #expect(Set(reading.catalog.egressPolicies) == Set(together.policies))
        #expect(Set(reading.catalog.networkPolicies) == Set(together.networkPolicies))
        #expect(Set(reading.catalog.groups) == Set(together.groups))
        #expect(reading.namespaces == together.inventory.namespaces)
        #expect(reading.nodes == together.inventory.nodes)
    }
}

private enum ReadingTogether {
    static func read(_ documents: [StoredDocument]) -> PolicyReader.Result {
        PolicyFiles.read(documents.placed, scope: .manifests)
    }
}
