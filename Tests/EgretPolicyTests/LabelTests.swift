// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("Labels and selectors")
struct LabelTests {
    @Test(
        "keys are a name, with or without a DNS name before it",
        arguments: [
            ("app", true), ("kubernetes.io/metadata.name", true), ("A_b.c-9", true), ("", false), ("/app", false),
            ("a/b/c", false), ("-app", false), ("app-", false), ("no spaces", false), ("Upper.Case/app", false),
            (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
        ])
    func keys(text: String, isKey: Bool) {
        #expect(LabelSyntax.isKey(text) == isKey)
    }

    @Test(
        "names of ports have a letter and no hyphen beside another or at an end",
        arguments: [
            ("http", true), ("serve-80-tcp", true), ("80", false), ("a--b", false), ("-a", false), ("a-", false),
            ("Http", false), ("", false), ("exactly15chars1", true), ("exactly15chars12", false),
        ])
    func portNames(text: String, isName: Bool) {
        #expect(LabelSyntax.isPortName(text) == isName)
    }

    @Test("of a value without end the message has the beginning")
    func longValues() {
        let policy = """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: a }
            spec: { selects: { matchLabels: { app: \(String(repeating: "x", count: 100_000)) } } }

            """
        let messages = readPolicies(policy).diagnostics.map(\.message)
        let beginning = String(repeating: "x", count: 97)
        #expect(messages.count == 1)
        #expect(messages.allSatisfy { $0.hasPrefix("\"\(beginning)...\" cannot be the value of a label") })
    }

    @Test("NotIn and DoesNotExist match what has no such label")
    func requirements() {
        let labels = ["app": "web"]
        let selector = { (operation: LabelSelector.Requirement.Operation, key: String, values: [String]) in
            LabelSelector([.init(key, operation, values)]).matches(labels)
        }
        #expect(selector(.isIn, "app", ["api", "web"]))
        #expect(!selector(.isIn, "tier", ["front"]))
        #expect(!selector(.isNotIn, "app", ["web"]))
        #expect(selector(.isNotIn, "tier", ["front"]))
        #expect(selector(.exists, "app", []) && !selector(.exists, "tier", []))
        #expect(selector(.doesNotExist, "tier", []) && !selector(.doesNotExist, "app", []))
        #expect(LabelSelector.everything.matches([:]))
    }
}
