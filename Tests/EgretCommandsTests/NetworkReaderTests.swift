// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretNetworks
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretCommands

@Suite("Golden diagnostics of networks")
struct NetworkReaderTests {
    private let directory =
        String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/Golden"

    private func read(_ text: [UInt8], _ name: String) -> NetworkReader {
        var reader = NetworkReader()
        for document in DocumentReader.read(text: text, file: name).documents { reader.read(document) }
        return reader
    }

    /// One wrong file per case, with what is said of it beside it.
    @Test("every wrong network gets the diagnostics recorded for it, and is not made")
    func golden() throws {
        let names = try files(in: directory, endingIn: [".yaml"])
        #expect(names.count >= 7)
        let isRecording = environment("EGRET_RECORD") == "1"
        for name in names {
            let reader = read(try contents(of: "\(directory)/\(name)"), name)
            let text = reader.diagnostics.map { DiagnosticFormatter.format($0) + "\n" }.joined()
            #expect(!text.isEmpty && reader.specs.isEmpty, "\(name) is not wrong")
            let expected = "\(directory)/\(name.split(separator: ".")[0]).expected"
            if isRecording {
                try write(text, to: expected)
            } else {
                #expect(String(decoding: try contents(of: expected), as: UTF8.self) == text, "\(name)")
            }
        }
        if isRecording { Issue.record("recorded \(names.count) cases: run again without EGRET_RECORD") }
    }

    @Test("of several source addresses each endpoint keeps to one, or each connection gets one")
    func sourceUse() throws {
        func translation(_ more: String) throws -> NetworkSpec.Translation {
            let text = """
                apiVersion: egret.dev/v1
                kind: Network
                metadata: { name: br0 }
                spec: { subnets: [10.9.0.0/24], sourceAddresses: [192.0.2.7-192.0.2.9]\(more) }
                """
            let reader = read(Array(text.utf8), "n.yaml")
            #expect(reader.diagnostics.isEmpty)
            return try #require(reader.specs.first).translation
        }
        let run = ["192.0.2.7-192.0.2.9"]
        let (kept, spread) = (try SourceUse.endpoint.pairs(run), try SourceUse.connection.pairs(run))
        #expect(kept != spread && spread.map(\.text) == ["192.0.2.7-192.0.2.9 per connection"])
        #expect(try translation("") == .sourceAddresses(kept))
        #expect(try translation(", sourceAddressPer: endpoint") == .sourceAddresses(kept))
        #expect(try translation(", sourceAddressPer: connection") == .sourceAddresses(spread))
        #expect(throws: NetworkProblem.self) { try SourceUse.connection.pairs([]) }
        #expect(try SourceUse.endpoint.pairs([]).isEmpty)
    }

    @Test(
        "a run of source addresses that is none is refused with how to write it",
        arguments: [
            ("192.0.2.9-192.0.2.7", "“192.0.2.9-192.0.2.7” ends before it begins", "write 192.0.2.7-192.0.2.9"),
            ("2001:db8::2-2001:db8::1", "ends before it begins", "write 2001:db8::1-2001:db8::2"),
            ("192.0.2.7-2001:db8::1", "is of two families", "write one run of addresses for each family"),
            ("192.0.2.7-", "is no address", "write 192.0.2.7 or 192.0.2.7-192.0.2.9"),
            ("192.0.2.0/24", "is no address", "write 192.0.2.7 or 192.0.2.7-192.0.2.9"),
        ])
    func sourceMistakes(_ text: String, _ message: String, _ advice: String) {
        let problem = #expect(throws: NetworkProblem.self) { try SourceUse.endpoint.pairs([text]) }
        #expect(problem?.message.contains(message) == true && problem?.advice == advice)
    }

    @Test(
        "a network that is not there comes with which is meant, or where to look",
        arguments: [
            (["br0"], "did you mean br0?"),
            (["lab"], "egret network ls lists those there are; egret network create makes one"),
            ([], "egret network ls lists those there are; egret network create makes one"),
        ] as [([String], String)])
    func absence(_ known: [String], _ advice: String) {
        let problem = NetworkName.absence(of: "br9", among: known)
        #expect(problem.message == "there is no network br9" && problem.advice == advice)
    }

    @Test("allowThrough names the tools whose rules get one of ours; without it there are none")
    func allowThrough() throws {
        func spec(_ more: String) throws -> NetworkSpec {
            let text = """
                apiVersion: egret.dev/v1
                kind: Network
                metadata: { name: br0 }
                spec: { subnets: [10.9.0.0/24]\(more) }
                """
            let reader = read(Array(text.utf8), "n.yaml")
            #expect(reader.diagnostics.isEmpty)
            return try #require(reader.specs.first)
        }
        #expect(try spec("").allowedThrough.isEmpty)
        #expect(try spec(", allowThrough: []") == spec(""))
        #expect(try spec(", allowThrough: [ufw, docker]").allowedThrough == [.docker, .ufw])
        let all = Passage.Tool.allCases.map(\.rawValue).joined(separator: ", ")
        #expect(try spec(", allowThrough: [\(all)]").allowedThrough == Set(Passage.Tool.allCases))
    }
}
