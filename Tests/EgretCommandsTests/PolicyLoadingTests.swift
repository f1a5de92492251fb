// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretTesting
import Testing

@testable import EgretCommands

@Suite("reading policies from files and flags")
struct PolicyLoadingTests {
    private func mistakes(_ arguments: [String]) throws -> [String] {
        do {
            _ = try PolicyOptions.parse(arguments).load()
            return []
        } catch let mistakes as PolicyMistakes {
            return mistakes.lines
        }
    }

    @Test("a file that cannot be read hides no mistake of other files and of flags")
    func unreadable() throws {
        let directory = try TemporaryDirectory()
        let wrong = directory.path + "/wrong.yaml"
        try write("apiVersion: egret.dev/v1\nkind: EgressPolicie\n", to: wrong)
        let missing = directory.path + "/missing.yaml"
        let lines = try mistakes([
            "-f", wrong, "-f", missing, "-f", directory.path, "--allow", "300.1.1.1", "--deny", "group-of-missing:443",
        ])
        try #require(lines.count == 4, "\(lines)")
        #expect(lines[0].hasPrefix("\(missing): error EGR0007: cannot open \(missing): ENOENT"))
        #expect(lines[1].hasPrefix("\(directory.path): error EGR0007: cannot read \(directory.path): EISDIR"))
        #expect(lines[2].hasPrefix("\(wrong):2:7: error EGR0011"))
        #expect(lines[3].hasPrefix("--allow 300.1.1.1: error EGR0029"))
    }

    @Test("a file that cannot be read is an error without any other")
    func onlyUnreadable() throws {
        #expect(try mistakes(["-f", "/nonexistent", "--allow", "internet"]).count == 1)
        #expect(try mistakes(["-f", "/nonexistent"]).count == 1)
    }
}
