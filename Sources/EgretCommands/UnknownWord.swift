// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretPolicy

/// A subcommand or an option that does not exist, and the one that was meant.
struct UnknownWord: Equatable {
    /// What was typed, without a value after `=`.
    var word: String
    var isOption: Bool
    /// The nearest that exists.
    var meant: String?
    /// The command that does not have it: `egret explain`.
    var command: String

    /// Finds the first word that the command does not know.
    ///
    /// - Parameters:
    ///   - arguments: The words after the program's name.
    ///   - root: The program.
    /// - Returns: `nil` if every word before a `--` is known, or is a value.
    static func find(in arguments: [String], of root: any ParsableCommand.Type) -> UnknownWord? {
        var command = root
        var path = name(of: root)
        func enter(_ next: any ParsableCommand.Type) {
            command = next
            path += " \(name(of: next))"
        }
        for argument in arguments {
            if argument == "--" { return nil }
            let subcommands = command.configuration.subcommands
            if argument.hasPrefix("-") {
                let word = String(argument.prefix { $0 != "=" })
                if argument == "-" || options(of: command, in: root).contains(word) { continue }
                // A negative number is somebody's value.
                if argument.dropFirst().first?.isNumber == true { continue }
                if let standard = command.configuration.defaultSubcommand {
                    enter(standard)
                    if options(of: command, in: root).contains(word) { continue }
                }
                let meant = Spelling.nearest(to: word, among: options(of: command, in: root).filter { $0.count > 2 })
                return UnknownWord(word: word, isOption: true, meant: meant, command: path)
            }
            if let next = subcommands.first(where: { name(of: $0) == argument }) {
                enter(next)
            } else if !subcommands.isEmpty {
                // The parser knows `help` behind the program's name alone.
                let help = path == name(of: root) ? ["help"] : []
                if help.contains(argument) { continue }
                let meant = subcommand(meantBy: argument, among: subcommands.map(name) + help)
                if meant == nil, let standard = command.configuration.defaultSubcommand {
                    // `egret publish 8080:80/tcp`: the word is the default subcommand's first argument.
                    enter(standard)
                } else {
                    return UnknownWord(word: argument, isOption: false, meant: meant, command: path)
                }
            }
        }
        return nil
    }

    /// Words that other programs have for the same.
    private static let synonyms = [
        ["ls", "list"], ["rm", "delete", "remove", "del"], ["inspect", "get", "show", "describe"],
        ["create", "add", "new"],
    ]

    /// The subcommand that was meant by a word: one that says the same, or the nearest.
    private static func subcommand(meantBy word: String, among names: [String]) -> String? {
        let same = synonyms.first { $0.contains(word) } ?? []
        return names.first { same.contains($0) } ?? Spelling.nearest(to: word, among: names)
    }

    /// The option that was meant by one that a command does not have.
    static func option(meantBy word: String, of command: any ParsableCommand.Type) -> String? {
        let word = word.prefix { $0 != "=" }
        return Spelling.nearest(to: word, among: options(of: command, in: EgretCommand.self).filter { $0.count > 2 })
    }

    /// Ready to be printed.
    var lines: [String] {
        let kind = isOption ? "option" : "command"
        let question = meant.map { "; did you mean \($0)?" } ?? ""
        return [
            "egret: unknown \(kind) \(word)\(question)".withVisibleControls,
            "       see \(command) --help",
        ]
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? ""
    }

    /// The options as `--help` lists them.
    private static func options(
        of command: any ParsableCommand.Type, in root: any ParsableCommand.Type
    ) -> [String] {
        root.helpMessage(for: command, columns: 200).split(separator: "\n").flatMap { line -> [String] in
            let line = line.drop { $0 == " " }
            guard line.hasPrefix("-") else { return [] }
            // `-f, --policy <file>   What it is`
            let names = line.split(separator: " ").prefix { $0.hasPrefix("-") }
            return names.map { String($0.prefix { $0 != "," }) }
        }
    }
}
