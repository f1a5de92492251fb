// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// The page about networks, typed as it stands.
@Suite("the page about networks", .serialized, .requiresRoot)
struct NetworkPageTests {
    private static let page = #filePath.replacing(
        "Tests/IntegrationTests/NetworkPageTests.swift", with: "docs/networks.md")

    /// A command of the page, and what the page shows of its output.
    private struct Command {
        var line: String
        var output: [String] = []
    }

    @Test("every command succeeds, and prints what the page says")
    func page() throws {
        let commands = try commands()
        #expect(commands.count >= 25)
        let lab = try DoctorLab(.script("true"))
        let directory = try TemporaryDirectory()
        // In one shell: names of network namespaces are files that another one does not see.
        let script = commands.map { "{ \($0.line); } 2>&1; echo \"== $?\"" }.joined(separator: "\n")
        let results = try lab.onHost("cd \(directory.path); set +e\n\(script)").standardOutput
            .components(separatedBy: "== ")
        try #require(results.count == commands.count + 1)
        for (place, command) in commands.enumerated() {
            // What follows the mark is the code, and then what the next command says.
            let output =
                place == 0 ? results[0] : results[place].split(separator: "\n").dropFirst().joined(separator: "\n")
            #expect(results[place + 1].hasPrefix("0"), "\(command.line): \(output)")
            let lines = Swift.Set(output.split(separator: "\n").map { words(String($0)) })
            for expected in command.output {
                let wanted = words(expected)
                #expect(lines.contains { $0.hasPrefix(wanted) }, "\(command.line) says:\n\(output)")
            }
        }
        #expect(try lab.onHost("ip -o link show type veth | grep -v up0; nft list tables").standardOutput == "")
    }

    /// A line without what a table has between its columns.
    private func words(_ line: String) -> String { line.split(separator: " ").joined(separator: " ") }

    private func commands() throws -> [Command] {
        let text = String(decoding: try contents(of: NetworkPageTests.page), as: UTF8.self)
        var commands: [Command] = []
        var isInside = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("```") {
                isInside = line == "```console"
            } else if isInside, line.hasPrefix("# ") {
                commands.append(Command(line: String(line.dropFirst(2))))
            } else if isInside, !commands.isEmpty {
                commands[commands.count - 1].output.append(String(line))
            }
        }
        return commands
    }
}
