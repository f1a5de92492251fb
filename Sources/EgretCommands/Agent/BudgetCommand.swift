// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

struct BudgetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budget",
        abstract: "Show what is used of budgets, and give more.",
        discussion: """
            Examples:
              sudo egret budget ls
              sudo egret budget grant build-jobs monthly 5GB
              sudo egret budget reset build-jobs monthly --account team-a
            """,
        subcommands: [BudgetListCommand.self, BudgetGrantCommand.self, BudgetResetCommand.self]
    )
}

struct BudgetListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List budgets, what is used of them, and what will be by the period's end.",
        discussion: "The forecast is what will have been used if it goes on as it did since the period began."
    )

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let states = try agent.client.budgets()
            try show(states, as: output, BudgetText.lines(of: states, isWide: output == .wide))
        }
    }
}

struct BudgetGrantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant",
        abstract: "Let more be used of a budget until its period ends.",
        discussion: "Traffic that was held back passes again at once."
    )

    @OptionGroup var budget: BudgetArguments

    @Argument(help: ArgumentHelp("How much more.", valueName: "5GB"))
    var amount: String

    @OptionGroup var agent: AgentOptions

    func validate() throws {
        guard let count = ByteCount(amount), count.bytes > 0 else {
            throw ValidationError("\(amount) is no amount of bytes: write a number and a unit, for example 5GB.")
        }
        guard count.bytes <= UInt64(Int64.max) else {
            throw ValidationError("\(amount) is more than can be counted: a budget has at most 2^63 - 1 bytes.")
        }
    }

    func run() throws { try budget.change(agent.client, grant: ByteCount(amount)?.bytes) }
}

struct BudgetResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Let the whole amount of a budget be used again in its present period.",
        discussion: "What was counted stays counted: egret usage shows it."
    )

    @OptionGroup var budget: BudgetArguments
    @OptionGroup var agent: AgentOptions

    func run() throws { try budget.change(agent.client, grant: nil) }
}

/// Which budget.
struct BudgetArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("The policy's name.", valueName: "policy"))
    var policy: String

    @Argument(help: ArgumentHelp("The budget's name.", valueName: "budget"))
    var name: String

    @Option(help: ArgumentHelp("Only for this endpoint, or this value of the label.", valueName: "name"))
    var account: String?

    func change(_ client: AgentClient, grant: UInt64?) throws {
        try asking {
            let states = try client.change(
                BudgetChange(policy: policy, budget: name, account: account, grant: grant))
            Console.output(BudgetText.lines(of: states, isWide: false).map { $0 + "\n" }.joined())
        }
    }
}

/// Budgets as lines for people.
enum BudgetText {
    static func lines(of states: [BudgetInfo], isWide: Bool) -> [String] {
        if states.isEmpty { return ["there are no budgets"] }
        let more = isWide ? ["COST", "FORECAST", "GRANTED", "ENDS", "REFUSED", "ENDPOINTS"] : []
        var table = TextTable(
            indent: "",
            header: ["POLICY", "BUDGET", "ACCOUNT", "USED", "OF", "PER", "FORECAST", "STATE"] + more,
            alignments: [
                .left, .left, .left, .right, .right, .left, .right, .left, .right, .right, .right, .left, .right,
                .right,
            ])
        for state in states { table.append(row(state, isWide: isWide).map(\.withVisibleControls)) }
        return table.lines
    }

    private static func cost(_ micros: UInt64?, _ state: BudgetInfo) -> String {
        micros.map { TrafficPrice.text(ofMicros: $0, in: state.currency ?? "") } ?? "-"
    }

    private static func row(_ state: BudgetInfo, isWide: Bool) -> [String] {
        let whole = state.amount.map { $0.addingClamped(state.granted) }
        let percent = whole.map { " (\(Int((Double(state.used) * 100 / Double(max(1, $0))).rounded(.down)))%)" } ?? ""
        let cells = [
            state.policy, state.budget, state.account.isEmpty ? "-" : state.account,
            RoundedBytes.text(state.used) + percent, whole.map { RoundedBytes.text($0) } ?? "-", state.period,
            state.forecast.map { RoundedBytes.text($0) } ?? "-",
            state.isExhausted ? "exhausted: \(state.onExhausted)" : "open",
        ]
        return isWide
            ? cells + [
                cost(state.cost, state), cost(state.costForecast, state),
                RoundedBytes.text(state.granted), state.ends.map { MomentText.text(of: Int64($0)) } ?? "-",
                "\(state.refused)", "\(state.endpoints)",
            ] : cells
    }
}

/// Amounts for reading, not for reckoning: `1.53 GB`.
enum RoundedBytes {
    static func text(_ bytes: UInt64) -> String {
        let units: [(UInt64, String)] = [
            (1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"),
        ]
        guard let (size, name) = units.first(where: { bytes >= $0.0 }) else { return "\(bytes) B" }
        let hundredths = bytes / (size / 100) % 100
        return "\(bytes / size).\(hundredths < 10 ? "0" : "")\(hundredths) \(name)"
    }
}
