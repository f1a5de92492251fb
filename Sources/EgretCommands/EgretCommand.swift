// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import EgretAgent
import EgretLinux

/// `egret`: the whole of the command line.
public struct EgretCommand: ParsableCommand {
    /// What `egret --help` says.
    public static let configuration = CommandConfiguration(
        commandName: "egret",
        abstract: "Decides what may leave a command, where to, and shows what left.",
        discussion: """
            Examples:
              sudo egret run --allow 203.0.113.10:443 -- curl https://203.0.113.10/
              sudo egret run --policy policy.yaml -- bash
              egret explain -f policy.yaml --to 203.0.113.10 --port 443/tcp
              egret validate -f policies/
            """,
        version: Version.text,
        subcommands: [
            RunCommand.self, ExplainCommand.self, ValidateCommand.self, MapCommand.self, ProveCommand.self,
            ApplyCommand.self, PlanCommand.self, DeleteCommand.self, LimitCommand.self,
            ConfirmCommand.self, RollbackCommand.self, HistoryCommand.self, DiffCommand.self, GetCommand.self,
            FlowsCommand.self, UsageCommand.self, BudgetCommand.self, CostCommand.self,
            NetworkCommand.self, PublishCommand.self, UnpublishCommand.self,
            NatCommand.self, DoctorCommand.self, AgentCommand.self, AttachCommand.self,
            DetachCommand.self, CollectCommand.self, VersionCommand.self,
        ]
    )

    /// Creates the command; argument-parser fills it.
    public init() {}

    /// Runs what this process's arguments say, and ends the process.
    public static func runAndExit() -> Never {
        // The agent has started it beside itself.
        let code = RelayProcess.run(CommandLine.arguments) { Console.error(["\(RelayProcess.name): \($0)"]) }
        if let code { CurrentProcess.end(with: code) }
        let arguments = Array(CommandLine.arguments.dropFirst())
        // The parser would show the help of the nearest command that there is, as if all was well.
        if arguments.first == "help", let unknown = UnknownWord.find(in: arguments, of: EgretCommand.self) {
            Console.error(unknown.lines)
            CurrentProcess.end(with: ExitCode.validationFailure.rawValue)
        }
        do {
            var command = try parseAsRoot()
            try command.run()
            exit()
        } catch let code as ExitCode {
            // A run's usual end. The parser would first write help that nobody reads.
            CurrentProcess.end(with: code.rawValue)
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            let unknown = UnknownWord.find(in: arguments, of: EgretCommand.self)
            Console.error(unknown?.lines ?? [fullMessage(for: error)])
            // What went wrong with Egret must not pass for the exit code of the command that it was to run.
            CurrentProcess.end(with: arguments.first == "run" ? 125 : ExitCode.validationFailure.rawValue)
        }
    }
}

/// What this build is.
enum Version {
    /// The version of the product, by semantic versioning.
    static let number = "0.1.0"
    /// What `egret --version` prints.
    static let text = "egret \(number)"
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version."
    )

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        Console.output(try output.text(of: ["version": Version.number]) ?? Version.text + "\n")
    }
}
