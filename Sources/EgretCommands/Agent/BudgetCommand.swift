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
              sudo egret budget grant build-jobs hourly 500 connections
              sudo egret budget reset build-jobs monthly --account team-a
            """,
        subcommands: [BudgetListCommand.self, BudgetGrantCommand.self, BudgetResetCommand.self]
    )
}

struct BudgetListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List budgets, what is used of them, and what will be by the period's end.",
        discussion: """
            The forecast is what will have been used if it goes on as it did since the period began, or since the budget \
            counts, where that was later.
            """
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

    @Argument(
        help: ArgumentHelp(
            "How much more: 5GB, or 500 packets, or 500 connections, as the budget is.", valueName: "5GB"))
    var amount: [String]

    @OptionGroup var agent: AgentOptions

    private var text: String { amount.joined(separator: " ") }

    func validate() throws {
        guard let amount = BudgetAmount(text), amount.count > 0 else {
            throw ValidationError(
                "\(text) is no amount of bytes, packets or connections: write a number and a unit, for example 5GB.")
        }
        guard amount.count <= BudgetAmount.most else {
            throw ValidationError(
                "\(text) is more than can be counted: a budget has at most 2^63 - 1 \(amount.unit.rawValue).")
        }
    }

    func run() throws { try budget.change(agent.client, grant: BudgetAmount(text)) }
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

    func change(_ client: AgentClient, grant: BudgetAmount?) throws {
        try asking {
            let unit = grant.flatMap { $0.unit == .bytes ? nil : $0.unit.rawValue }
            let states = try client.change(
                BudgetChange(policy: policy, budget: name, account: account, grant: grant?.count, unit: unit))
            Console.output(BudgetText.lines(of: states, isWide: false).map { $0 + "\n" }.joined())
        }
    }
}

/// Budgets as lines for people.
enum BudgetText {
    static func lines(of states: [BudgetInfo], isWide: Bool) -> [String] {
        if states.isEmpty { return ["there are no budgets"] }
        let hasTimes = isWide && states.contains { $0.when != nil }
        var more = isWide ? ["COST", "FORECAST", "GRANTED", "ENDS", "REFUSED", "ENDPOINTS"] : []
        if hasTimes { more.append("WHEN") }
        var table = TextTable(
            indent: "",
            header: ["POLICY", "BUDGET", "ACCOUNT", "USED", "OF", "PER", "FORECAST", "STATE"] + more,
            alignments: [
                .left, .left, .left, .right, .right, .left, .right, .left, .right, .right, .right, .left, .right,
                .right, .left,
            ])
        for state in states {
            let times = hasTimes ? [state.when ?? "-"] : []
            table.append((row(state, isWide: isWide) + times).map(\.withVisibleControls))
        }
        return table.lines
    }

    private static func cost(_ micros: UInt64?, _ state: BudgetInfo) -> String {
        micros.map { TrafficPrice.text(ofMicros: $0, in: state.currency ?? "") } ?? "-"
    }

    private static func amount(_ count: UInt64, _ state: BudgetInfo) -> String {
        RoundedBytes.text(count, BudgetAmount.Unit(rawValue: state.unit) ?? .bytes)
    }

    private static func word(_ state: BudgetInfo) -> String {
        if state.isExhausted { return "exhausted: \(state.onExhausted)" }
        return state.isOpen == false ? "not now" : "open"
    }

    private static func row(_ state: BudgetInfo, isWide: Bool) -> [String] {
        let whole = state.amount.map { $0.addingClamped(state.granted) }
        let percent = whole.map { " (\(Int((Double(state.used) * 100 / Double(max(1, $0))).rounded(.down)))%)" } ?? ""
        let cells = [
            state.policy, state.budget, state.account.isEmpty ? "-" : state.account,
            amount(state.used, state) + percent, whole.map { amount($0, state) } ?? "-", state.period,
            state.forecast.map { amount($0, state) } ?? "-",
            word(state),
        ]
        return isWide
            ? cells + [
                cost(state.cost, state), cost(state.costForecast, state),
                amount(state.granted, state), state.ends.map { MomentText.text(of: Int64($0)) } ?? "-",
                "\(state.refused)", "\(state.endpoints)",
            ] : cells
    }
}

/// Amounts for reading, not for reckoning: `1.53 GB`.
enum RoundedBytes {
    /// Packets and connections are counted out: `4711 packets`.
    static func text(_ count: UInt64, _ unit: BudgetAmount.Unit) -> String {
        unit == .bytes ? text(count) : BudgetAmount(count, unit).description
    }

    static func text(_ bytes: UInt64) -> String {
        let units: [(UInt64, String)] = [
            (1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"),
        ]
        guard let (size, name) = units.first(where: { bytes >= $0.0 }) else { return "\(bytes) B" }
        let hundredths = bytes / (size / 100) % 100
        return "\(bytes / size).\(hundredths < 10 ? "0" : "")\(hundredths) \(name)"
    }
}
