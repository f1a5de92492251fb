// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import Testing

@testable import EgretAgent

@Suite("Documents of the agent's store")
struct DocumentTests {
    @Test("a file is split at its markers, and put together again with every line in its place")
    func splitting() {
        let text = "# a comment\n---\na: 1\nb: 2\n--- # two\nc: 3\n---\n\n---\nd: 4"
        let parts = DocumentSplitter.split(text)
        #expect(parts.map(\.line) == [2, 5, 9])
        let documents = parts.map { StoredDocument(objects: [], file: "f", line: $0.line, text: $0.text) }
        let placed = documents.placed
        #expect(placed.count == 1)
        #expect(
            String(decoding: placed[0].bytes, as: UTF8.self) == "\n---\na: 1\nb: 2\n--- # two\nc: 3\n\n\n---\nd: 4\n")
    }

    @Test("documents of different states of a file are texts of their own")
    func states() {
        let one = StoredDocument(objects: [], file: "f", line: 1, text: "a: 1\nb: 2\n")
        let two = StoredDocument(objects: [], file: "f", line: 2, text: "---\nc: 3\n")
        let three = StoredDocument(objects: [], file: "f", line: 9, text: "---\nd: 4\n")
        let texts = [three, two, one].placed.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(texts == ["a: 1\nb: 2\n", "\n---\nc: 3\n\n\n\n\n\n---\nd: 4\n"])
    }

    @Test("objects are known by kind and name, those of lists too, and what runs something is passed over")
    func objects() {
        let text = """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicyList
            items:
            - metadata: { name: a, namespace: shop }
              spec: { podSelector: {} }
            - metadata: { name: b }
              spec: { podSelector: {} }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: p }
            ---
            apiVersion: v1
            kind: Namespace
            metadata: { name: shop, labels: { team: x } }
            ---
            kind: [
            """
        let read = DocumentIndex.read([SourceFile(name: "f", text: text)])
        #expect(
            read.documents.map(\.objects) == [
                ["NetworkPolicy/shop/a", "NetworkPolicy/default/b"], ["Namespace/shop"], [],
            ])
        #expect(read.passedOver == ["Pod": 1])
    }

    @Test("what is passed over may be written in YAML that is not read, and what is kept may not")
    func unread() {
        let text = """
            apiVersion: v1
            kind: ConfigMap
            data: { 1: a }
            ---
            apiVersion: v1
            kind: Secret
            data: !!map {}
            ---
            apiVersion: v1
            kind: Namespace
            metadata: { name: n, labels: { 1: a } }
            """
        let read = DocumentIndex.read([SourceFile(name: "f", text: text)])
        #expect(read.documents.map(\.objects) == [["Namespace/n"]])
        #expect(read.passedOver == ["ConfigMap": 1])
    }

    @Test("differences are in the unified form")
    func differences() {
        let old = (1...12).map(String.init)
        var new = old
        new[5] = "six"
        new.append("13")
        #expect(
            LineDifference(from: old, to: new).lines == [
                "@@ -3,10 +3,11 @@", " 3", " 4", " 5", "-6", "+six", " 7", " 8", " 9", " 10", " 11", " 12", "+13",
            ])
        #expect(LineDifference(from: old, to: old).lines.isEmpty)
        #expect(LineDifference(from: [], to: ["a"]).lines == ["@@ -0,0 +1,1 @@", "+a"])
    }
}
