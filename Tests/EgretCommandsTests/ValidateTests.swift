// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// `egret validate` as its users meet it.
@Suite("egret validate")
struct ValidateTests {
    private let folder: TemporaryDirectory

    init() throws {
        folder = try TemporaryDirectory()
    }

    /// Writes a file below the folder.
    private func write(_ text: String, _ name: String) throws {
        let file = URL(fileURLWithPath: "\(folder.path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    private func validate(_ arguments: String..., standardInput: String = "") throws -> ProgramOutput {
        try runProgram([Self.egret, "validate"] + arguments, standardInput: standardInput)
    }

    static var egret: String {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
    }

    private static let namespace = "{ apiVersion: v1, kind: Namespace, metadata: { name: NAME } }\n"

    @Test("a directory is read below, in order of path, without hidden and other files")
    func directory() throws {
        let text = Self.namespace
        for path in ["b.yaml", "a/z.yml", "a/c.json", "d.yaml/e.yaml"] {
            try write(text.replacingOccurrences(of: "NAME", with: path.replacingOccurrences(of: "/", with: "-")), path)
        }
        for path in [".hidden.yaml", ".git/x.yaml", "README.md", "values.yaml.tmpl"] { try write("{{ x", path) }
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/link.yaml", withDestinationPath: folder.path + "/.hidden.yaml")
        let output = try validate("-f", folder.path, "-o", "json")
        #expect(output.status == 2)
        #expect(output.standardError.contains("link.yaml:1:"))
        try FileManager.default.removeItem(atPath: folder.path + "/link.yaml")
        let right = try validate("-f", folder.path)
        #expect(right.status == 0, "\(right.standardError)")
        #expect(right.standardOutput == "KIND       READ\nNamespace     4\n\n4 documents in 4 files: no mistakes\n")
        let twice = try validate("-f", folder.path, "-f", folder.path + "/b.yaml")
        #expect(twice.status == 0, "a namespace may be written twice: \(twice.standardError)")
        try write("{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: {} }\n", "p.yaml")
        let wrong = try validate("-f", folder.path, "-f", folder.path + "/p.yaml")
        #expect(wrong.standardError.contains("the Pod default/p is defined already"))
    }

    @Test("directories without a file, that lead back to themselves, or are not there are mistakes")
    func unreadable() throws {
        #expect(try validate("-f", folder.path).standardError.contains("EGR0007: the directory holds no"))
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/loop", withDestinationPath: folder.path)
        let output = try validate("-f", folder.path, "-f", "/nowhere")
        #expect(output.standardError.contains("to a depth of 32"))
        #expect(output.standardError.contains("/nowhere: error EGR0007"))
        #expect(output.status == 2)
    }

    @Test("what was read is told for people and for programs, mistakes included")
    func formats() throws {
        let text = """
            { apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p, namespace: n }, spec: { podSelector: {} } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: n }, spec: {} }
            ---
            { apiVersion: v1, kind: ConfigMap }

            """
        let wide = try validate("-f", "-", "-o", "wide", standardInput: text)
        #expect(wide.status == 0 && wide.standardError == "")
        #expect(wide.standardOutput.contains("NetworkPolicy/n/p          1  -:1:1\n"), "\(wide.standardOutput)")
        #expect(wide.standardOutput.contains("passed over: ConfigMap (1)\n2 documents in 1 file: no mistakes\n"))
        let json = try validate("-f", "-", "-o", "json", standardInput: text + "---\nkind: X\n")
        #expect(json.status == 2)
        let document = try JSONDecoder().decode(Report.self, from: Data(json.standardOutput.utf8))
        #expect(document.valid == false)
        #expect(document.kinds == ["NetworkPolicy": 1, "Pod": 1])
        #expect(document.passedOver == ["ConfigMap": 1])
        #expect(document.policies.map(\.workloads) == [1])
        #expect(document.diagnostics.map(\.code) == ["EGR0013"])
        #expect(document.diagnostics.map(\.line) == [7])
        let yaml = try validate("-f", "-", "-o", "yaml", standardInput: text)
        #expect(yaml.standardOutput.hasPrefix("diagnostics: []\nfiles: 1\n"))
    }

    private struct Report: Decodable {
        struct Policy: Decodable { var workloads: Int }
        struct Mistake: Decodable {
            var code: String
            var line: Int
        }
        var valid: Bool
        var kinds: [String: Int]
        var passedOver: [String: Int]
        var policies: [Policy]
        var diagnostics: [Mistake]
    }
}
