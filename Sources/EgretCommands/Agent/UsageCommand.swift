// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Show how much traffic budgets have counted, of whom, where to, when, and what it costs.",
        discussion: """
            Bytes are those of IP packets that passed, headers included. Days are by the clocks of the budget's time zone. \
            A destination is a budget's name. Costs are by the prices that the policies in force give.

            Examples:
              sudo egret usage
              sudo egret usage --by endpoint,day --since 2026-11-01
              sudo egret usage --by policy --cost -o json
            """
    )

    @Option(
        help: ArgumentHelp(
            "What to sum by: endpoint, policy, destination, day; several with commas between.", valueName: "keys"))
    var by = "endpoint,policy,destination"

    @Option(help: ArgumentHelp("The first day that counts.", valueName: "2026-11-01"))
    var since: String?

    @Flag(help: "Also show what it costs.")
    var cost = false

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws { _ = try keys() }

    func run() throws {
        try asking {
            let keys = try keys()
            let rows = try agent.client.usage(UsageQuery(by: keys, since: since))
            try show(rows, as: output, UsageText.lines(of: rows, keys, hasCost: cost))
        }
    }

    private func keys() throws -> [UsageQuery.Key] {
        try by.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let key = UsageQuery.Key(rawValue: String(word)) else {
                throw ValidationError(
                    "usage cannot be summed by \(word): write endpoint, policy, destination or day.")
            }
            return key
        }
    }
}

/// Usage as lines for people.
enum UsageText {
    static func lines(of rows: [UsageRow], _ keys: [UsageQuery.Key], hasCost: Bool) -> [String] {
        if rows.isEmpty { return ["nothing was counted: only traffic that a policy's budgets are about is"] }
        let keys = UsageQuery.Key.allCases.filter { keys.contains($0) }
        var table = TextTable(
            indent: "",
            header: keys.map { $0.rawValue.uppercased() } + ["PACKETS", "BYTES"] + (hasCost ? ["COST"] : []),
            alignments: keys.map { _ in .left } + [.right, .right, .right])
        for row in rows {
            let cells = keys.map { cell(row, $0) } + ["\(row.packets)", RoundedBytes.text(row.bytes)]
            table.append((cells + (hasCost ? [cost(row)] : [])).map(\.withVisibleControls))
        }
        return table.lines
    }

    private static func cell(_ row: UsageRow, _ key: UsageQuery.Key) -> String {
        switch key {
        case .endpoint: row.endpoint ?? "-"
        case .policy: row.policy ?? "-"
        case .destination: row.destination ?? "-"
        case .day: row.day ?? "-"
        }
    }

    private static func cost(_ row: UsageRow) -> String {
        let costs = row.cost.sorted { $0.key < $1.key }.map { "\(TrafficPrice.text(ofMicros: $1)) \($0)" }
        return costs.isEmpty ? "-" : costs.joined(separator: ", ")
    }
}
