// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// The commands and options of the built `egret`, as it tells them itself.
struct CommandDescription: Decodable {
    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }

        var names: [Name]?
        var shouldDisplay: Bool
    }

    var commandName: String
    var arguments: [Argument]?
    var subcommands: [CommandDescription]?

    /// The options as they are typed: `--allow`, `-f`.
    var options: Swift.Set<String> {
        let names = (arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }
        return Swift.Set(names.map { $0.kind == "long" ? "--\($0.name)" : "-\($0.name)" })
    }

    /// The options of the command and of everything below it.
    var allOptions: Swift.Set<String> {
        (subcommands ?? []).reduce(options) { $0.union($1.allOptions) }
    }

    /// The subcommands that people are told of.
    var visibleSubcommands: [CommandDescription] {
        (subcommands ?? []).filter { $0.commandName != "help" }
    }

    /// Asks a program that stands beside the tests.
    static func of(_ program: String) throws -> CommandDescription {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent(program).path
        let output = try runProgram([path, "--experimental-dump-help"])
        try #require(output.succeeded, "\(path): \(output.standardError)")
        return try JSONDecoder().decode(Dump.self, from: Data(output.standardOutput.utf8)).command
    }

    private struct Dump: Decodable {
        var command: CommandDescription
    }
}
