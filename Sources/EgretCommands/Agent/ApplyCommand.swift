// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient

/// What `apply`, `plan` and `delete` have in common.
struct ChangeOptions: ParsableArguments {
    @Option(
        name: .customLong("confirm"),
        help: ArgumentHelp(
            "Everything is as before after so long (60s, 5m), unless egret confirm comes first.", valueName: "time"))
    var confirm: ConfirmationTime?

    @Option(help: ArgumentHelp("Why, for egret history.", valueName: "text"))
    var message: String?

    @Flag(help: "Only say what would change.")
    var dryRun = false
}

/// A whole time, such as `60s`, `5m` or `1h`; a number alone is seconds.
struct ConfirmationTime: ExpressibleByArgument, Equatable {
    /// The longest: a day.
    static let limit = 86_400

    var seconds: Int

    init?(argument: String) {
        let units = ["s": 1, "m": 60, "h": 3600]
        let unit = argument.last.flatMap { units[String($0)] }
        let digits = unit == nil ? argument[...] : argument.dropLast()
        guard digits.allSatisfy({ ("0"..."9").contains($0) }), let number = Int(digits) else { return nil }
        let (seconds, isTooLong) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !isTooLong, (1...ConfirmationTime.limit).contains(seconds) else { return nil }
        self.seconds = seconds
    }
}

struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Change the policies that the agent enforces, all at once or not at all.",
        usage: "egret apply -f <file or directory> … [--prune] [--confirm <time>] [--message <text>] [--dry-run]",
        discussion: """
            Objects of the files come, or take the place of those with the same kind and name. When the command ends, the \
            kernel enforces the change; if it ends with an error, everything is as before. Exit code 0 if the change is in \
            force, 2 if the files have mistakes, 1 if the agent refuses.

            Examples:
              sudo egret apply -f policies/
              sudo egret apply -f policies/ --prune --confirm 60s --message "new registry"
              sudo egret apply -f policies/ --dry-run
              kubectl get netpol -A -o yaml | sudo egret apply -f -
            """
    )

    @OptionGroup var input: ManifestFileOptions

    @Flag(
        help: "Remove objects that came from these files, or from below these directories, and are in none of them now."
    )
    var prune = false

    @Flag(help: "Return when the kernel enforces the change. It is always so.")
    var wait = false

    @OptionGroup var change: ChangeOptions
    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let sources = try ChangeFiles(input.files)
            var request = sources.request(prune: prune)
            request.confirmWithin = change.confirm?.seconds
            request.message = change.message
            let report = try sources.sending {
                try change.dryRun ? agent.client.plan(request) : agent.client.apply(request)
            }
            try report.show(as: output, isPlan: change.dryRun, sources.withGivenNames)
        }
    }
}

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what egret apply would change, and change nothing.",
        usage: "egret plan -f <file or directory> … [--prune] [-o <format>]",
        discussion: """
            Says which objects would come, change and go, which endpoints would obey other policies than now, and which of \
            their open connections would be cut.

            Examples:
              sudo egret plan -f policies/
              sudo egret plan -f policies/ --prune -o json
            """
    )

    @OptionGroup var input: ManifestFileOptions

    @Flag(
        help: "Remove objects that came from these files, or from below these directories, and are in none of them now."
    )
    var prune = false

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let sources = try ChangeFiles(input.files)
            let report = try sources.sending { try agent.client.plan(sources.request(prune: prune)) }
            try report.show(as: output, isPlan: true, sources.withGivenNames)
        }
    }
}
