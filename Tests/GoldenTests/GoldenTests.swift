// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Glibc
import Testing

@Suite("Golden programs")
struct GoldenTests {
    @Test("there is a case for every part of the language")
    func cases() throws {
        #expect(try GoldenCase.all().count >= 25)
    }

    @Test("a policy file makes the recorded nft text and bytes", arguments: try GoldenCase.all())
    func golden(_ name: String) throws {
        let golden = try GoldenCase(named: name)
        let isRecording = environment("EGRET_RECORD") == "1"
        for (file, text) in [("program.nft", golden.script), ("batch.hex", try golden.hexadecimal())] {
            let path = "\(GoldenCase.directory)/\(name)/\(file)"
            if isRecording {
                try write(text, to: path)
            } else {
                let recorded = String(decoding: try contents(of: path), as: UTF8.self)
                #expect(recorded == text, "\(path); make golden records what there is now")
            }
        }
        if isRecording { Issue.record("recorded: run again without EGRET_RECORD") }
    }

    @Test("the same input gives the same program", arguments: ["tiers-with-pass", "two-endpoints", "group-internet"])
    func determinism(_ name: String) throws {
        let first = try GoldenCase(named: name)
        for _ in 0..<5 { #expect(try GoldenCase(named: name).transaction == first.transaction) }
    }

    /// In a network namespace with interfaces of the endpoints' names, because an ingress chain needs its device.
    @Test("nft takes every recorded program", .enabled("a network namespace needs root") { geteuid() == 0 })
    func nft() throws {
        let script = """
            ip link add egret0 index 7 type veth peer name egret1 index 9 || exit 9
            for case in \(GoldenCase.directory)/*/; do nft -c -f "$case/program.nft" || echo "$case"; done
            """
        let output = try runProgram(["unshare", "--net", "sh", "-c", script], timeout: .seconds(120))
        #expect(output.succeeded && output.standardOutput.isEmpty, "\(output.standardOutput)\(output.standardError)")
    }
}

@Suite("The data-plane reference")
struct ReferenceTests {
    @Test("every object of every golden program is in the reference, by the pattern of its name")
    func names() throws {
        let path = GoldenCase.directory + "/../../../docs/dataplane-reference.md"
        let reference = String(decoding: try contents(of: path), as: UTF8.self)
        var patterns: Swift.Set<String> = []
        for name in try GoldenCase.all() {
            let script = try GoldenCase(named: name).script
            for object in script.matches(of: #/(?:add|create) (?:chain|map|set|counter|limit) \w+ egret ([^ \n]+)/#) {
                let pattern = object.1.replacing(#/^g\d+/#, with: "gG").replacing(#/egret\d+/#, with: "egretN")
                    .replacing(#/-([a-z])\d+/#) { "-\($0.1)K" }
                patterns.insert(String(pattern))
            }
        }
        #expect(patterns.count >= 20)
        for pattern in patterns.sorted() { #expect(reference.contains("`\(pattern)`"), "\(pattern)") }
    }
}
