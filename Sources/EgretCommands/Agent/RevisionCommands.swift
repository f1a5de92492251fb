// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

struct ConfirmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm",
        abstract: "Keep the change that egret apply --confirm has made.",
        discussion: """
            Example:
              sudo egret confirm
            """
    )

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let revision = try agent.client.confirm()
            try show(revision, as: output, ["revision \(revision.number) stays in force"])
        }
    }
}

struct RollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Put the policies of an earlier revision in force again.",
        discussion: """
            That makes a new revision; the history stays. Without --to it goes back by one change, and once more by one \
            further: egret rollback --to puts any revision of the history in force, a later one too. When the command ends, the kernel enforces it. Where its \
            limits do not go together for endpoints that have come since, the slowest holds, and a warning says so.

            Examples:
              sudo egret rollback
              sudo egret rollback --to 7
            """
    )

    @Option(
        help: ArgumentHelp(
            "A revision of egret history. Default: what was in force before the present policies came.",
            valueName: "revision"))
    var to: Int?

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        if let to, to < 0 { throw ValidationError("A revision is a number from 0 on.") }
    }

    func run() throws {
        try asking { try agent.client.rollback(to: to).show(as: output) }
    }
}

struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List the revisions of the policies: when, who, why.",
        discussion: """
            Examples:
              sudo egret history
              sudo egret history -o wide
            """
    )

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let revisions = try agent.client.history()
            try show(revisions, as: output, AgentTables.revisions(revisions, isWide: output == .wide))
        }
    }
}

struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Say what one revision has otherwise than another.",
        discussion: """
            Example:
              sudo egret diff 6 7
            """
    )

    @Argument(help: ArgumentHelp("The earlier revision.", valueName: "from"))
    var from: Int

    @Argument(help: ArgumentHelp("The later revision.", valueName: "to"))
    var to: Int

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        if from < 0 || to < 0 { throw ValidationError("A revision is a number from 0 on.") }
    }

    func run() throws {
        try asking {
            let difference = try agent.client.difference(from: from, to: to)
            try show(difference, as: output, lines(difference, Console.outputStyle))
        }
    }

    private func lines(_ difference: RevisionDifference, _ style: Style) -> [String] {
        if difference.objects.isEmpty && difference.text.isEmpty { return ["revisions \(from) and \(to) are the same"] }
        var text = difference.text.split(separator: "\n", omittingEmptySubsequences: false)
        if text.last?.isEmpty == true { text.removeLast() }
        let objects = difference.objects.map { "\($0.object) \($0.change)".withVisibleControls }
        return objects + [""] + text.map { DiffCommand.coloured(String($0), style) }
    }

    private static func coloured(_ line: String, _ style: Style) -> String {
        // A tab is harmless, and indentation of the documents.
        let text = line.split(separator: "\t", omittingEmptySubsequences: false)
            .map { String($0).withVisibleControls }.joined(separator: "\t")
        if line.hasPrefix("+++") || line.hasPrefix("---") { return style.bold(text) }
        if line.hasPrefix("+") { return style.green(text) }
        if line.hasPrefix("-") { return style.red(text) }
        return line.hasPrefix("@@") ? style.dim(text) : text
    }
}
