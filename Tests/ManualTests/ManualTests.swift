// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

@Suite("The manual page and the documentation")
struct ManualTests {
    private let package = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/../.."

    private func text(_ path: String) throws -> String {
        String(decoding: try contents(of: "\(package)/\(path)"), as: UTF8.self)
    }

    /// The options that each section of the manual page describes, by the section's name.
    private func manual() throws -> [String: Swift.Set<String>] {
        var sections: [String: Swift.Set<String>] = [:]
        var section = ""
        for line in try text("packaging/man/egret.1").split(separator: "\n") {
            if let heading = line.firstMatch(of: #/^\.S[sh] (.*)/#) { section = String(heading.1) }
            guard line.hasPrefix(".It Fl ") else { continue }
            for flag in line.matches(of: #/Fl (-?)([a-z][a-z-]*)/#) {
                sections[section, default: []].insert("-\(flag.1)\(flag.2)")
            }
        }
        return sections
    }

    @Test("the manual page describes every option of every command, and no other")
    func options() throws {
        let egret = try CommandDescription.of("egret")
        let manual = try manual()
        let shared = manual["POLICY OPTIONS", default: []]
        let everywhere = manual["Everywhere", default: []]
        #expect(shared.isSuperset(of: ["--allow", "--deny", "--policy", "-f"]))
        #expect(egret.visibleSubcommands.count >= 4)
        for command in egret.visibleSubcommands {
            let own = manual["egret \(command.commandName)", default: []]
            let known = own.union(shared).union(everywhere)
            let options = command.allOptions.subtracting(["--help", "-h", "--version"])
            #expect(options.subtracting(known).sorted() == [], "egret \(command.commandName): not described")
            #expect(own.subtracting(options).sorted() == [], "egret \(command.commandName): does not exist")
        }
        #expect(shared.union(everywhere).subtracting(egret.allOptions).sorted() == [])
    }

    @Test("the manual page has every command in its synopsis and as a section")
    func commands() throws {
        let text = try text("packaging/man/egret.1")
        for command in try CommandDescription.of("egret").visibleSubcommands {
            #expect(text.contains("\n.Cm \(command.commandName)\n"))
            #expect(text.contains("\n.Ss egret \(command.commandName)\n"))
        }
    }

    @Test(
        "the documentation names no command and no option that does not exist",
        arguments: ["README.md", "CHANGELOG.md", "SECURITY.md"] + documents)
    func documentation(_ path: String) throws {
        let egret = try CommandDescription.of("egret")
        let commands = Swift.Set(egret.visibleSubcommands.map(\.commandName))
        let lab = try CommandDescription.of("egret-lab").allOptions
        for line in try text(path).split(separator: "\n") {
            for use in line.matches(of: #/(?:\$ |# |`|sudo |^ *)egret ([a-z]+)((?: (?!-- )[^`#|]+)?)/#) {
                #expect(commands.contains(String(use.1)), "\(path): \(line)")
                let arguments = use.2.split(separator: " -- ", maxSplits: 1).first ?? ""
                let used = arguments.matches(of: #/(?:^| )(--?[a-z][a-z-]*)/#).map { String($0.1) }
                let command = egret.visibleSubcommands.first { $0.commandName == use.1 }
                let unknown = Swift.Set(used).subtracting(command?.allOptions ?? []).subtracting(["--help", "-h"])
                #expect(unknown.sorted() == [], "\(path): \(line)")
            }
            // An option by itself, in code: `--report json`.
            for flag in line.matches(of: #/`(--[a-z][a-z-]*)/#) {
                #expect(egret.allOptions.union(lab).contains(String(flag.1)), "\(path): \(line)")
            }
        }
    }

    @Test("every suite that the threat model names exists")
    func suites() throws {
        let known = try FileManager.default.subpathsOfDirectory(atPath: package + "/Tests")
            .compactMap { $0.split(separator: "/").last?.split(separator: ".").first.map(String.init) }
        let named = Swift.Set(try text("docs/threat-model.md").matches(of: #/`(\w+Tests)`/#).map { String($0.1) })
        #expect(named.count > 10)
        #expect(named.subtracting(known).sorted() == [])
    }

    private static var documents: [String] {
        let package = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/../.."
        return ["docs", "docs/design", "docs/adr"].flatMap { directory in
            ((try? files(in: "\(package)/\(directory)", endingIn: [".md"])) ?? []).map { "\(directory)/\($0)" }
        }
    }
}
