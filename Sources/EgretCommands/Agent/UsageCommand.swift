// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretAnalysis
import EgretLinux
import EgretPolicy

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Show how much traffic budgets have counted, of whom, where to, when, and what it costs.",
        discussion: """
            Bytes are those of IP packets that passed, headers included. Days are by the clocks of the budget's time zone; \
            hours are known for two days, and count whole. \
            A destination is a budget's name; a budget with times has counted at these alone. Costs are by the prices that \
            the policies in force give. With --cost, what price lists have counted is shown as well, behind what budgets \
            have: it is the same traffic once more, and a destination is then the name of a price.

            Examples:
              sudo egret usage
              sudo egret usage --by endpoint,day --since 2026-11-01
              sudo egret usage --since 6h
              sudo egret usage --by policy --cost -o json
              sudo egret usage --forecast
            """
    )

    private static let defaultKeys = "endpoint,policy,destination"

    @Option(
        help: ArgumentHelp(
            "What to sum by: endpoint, policy, destination, day; several with commas between.", valueName: "keys"))
    var by = UsageCommand.defaultKeys

    @Option(
        help: ArgumentHelp(
            "The first day that counts; or the first hour, by how long ago (6h, 2d) or a moment (2026-11-24T06:00Z).",
            valueName: "start"))
    var since: UsageSince?

    @Flag(help: "Also show what it costs, and what price lists have counted.")
    var cost = false

    @Flag(
        help: "Show what the present month has come to by price lists, and what it will by its end at this rate."
    )
    var forecast = false

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        _ = try keys()
        if forecast, since != nil || cost || by != UsageCommand.defaultKeys {
            throw ValidationError(
                "--forecast is about the present month by prices, and goes without --since, --by and --cost.")
        }
    }

    func run() throws {
        try asking {
            if forecast {
                let costs = try agent.client.costs()
                return try show(costs, as: output, UsageText.lines(of: costs))
            }
            let keys = try keys()
            let start = since?.text(at: WallTime.now.seconds)
            let rows = try agent.client.usage(UsageQuery(by: keys, since: start, hasPriceLists: cost))
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

/// From when on usage is asked for.
enum UsageSince: ExpressibleByArgument, Equatable {
    /// A day, as it is written.
    case day(String)
    /// So many seconds ago.
    case ago(Int64)
    /// In seconds since 1970.
    case moment(Int64)

    init?(argument: String) {
        if CivilDate(argument) != nil {
            self = .day(argument)
        } else if let moment = Moment.unixTime(argument), moment >= 0 {
            self = .moment(moment)
        } else if let unit = argument.last.flatMap({ ["h": Int64(3_600), "d": 86_400][$0] }),
            case let digits = argument.dropLast(), digits.allSatisfy({ ("0"..."9").contains($0) }),
            let number = Int64(digits), number <= 1_000_000
        {
            self = .ago(number * unit)
        } else {
            return nil
        }
    }

    /// As the agent takes it.
    func text(at time: Int64) -> String {
        switch self {
        case .day(let day): day
        case .ago(let seconds): "\(max(0, time - seconds))"
        case .moment(let moment): "\(moment)"
        }
    }
}

/// Usage as lines for people.
enum UsageText {
    static func lines(of rows: [UsageRow], _ keys: [UsageQuery.Key], hasCost: Bool) -> [String] {
        if rows.isEmpty {
            let what = hasCost ? "a policy's budgets, or price lists, are" : "a policy's budgets are"
            return ["nothing was counted: only traffic that \(what) about is"]
        }
        let keys = UsageQuery.Key.allCases.filter { keys.contains($0) }
        let hasLists = rows.contains { $0.priceList != nil }
        let left = Array(repeating: TextTable.Alignment.left, count: keys.count + (hasLists ? 1 : 0))
        let titles = (hasLists ? ["PRICE LIST"] : []) + keys.map { $0.rawValue.uppercased() }
        var table = TextTable(
            indent: "", header: titles + ["PACKETS", "BYTES"] + (hasCost ? ["COST"] : []),
            alignments: left + [.right, .right, .right])
        for row in rows {
            let list = hasLists ? [row.priceList ?? "-"] : []
            let cells = keys.map { cell(row, $0) } + ["\(row.packets)", RoundedBytes.text(row.bytes)]
            table.append((list + cells + (hasCost ? [cost(row)] : [])).map(\.withVisibleControls))
        }
        return table.lines
    }

    /// The present month by price lists.
    static func lines(of costs: [CostInfo]) -> [String] {
        if costs.isEmpty { return ["there are no price lists"] }
        var table = TextTable(
            indent: "",
            header: ["PRICE LIST", "DESTINATION", "USED", "FREE LEFT", "COST", "FORECAST", "WILL COST", "MONTH ENDS"],
            alignments: [.left, .left, .right, .right, .right, .right, .right, .left])
        for cost in costs {
            func money(_ micros: UInt64) -> String { TrafficPrice.text(ofMicros: micros, in: cost.currency) }
            let left = cost.free.map { RoundedBytes.text($0 > cost.used ? $0 - cost.used : 0) } ?? "-"
            let cells = [
                cost.priceList, cost.destination, RoundedBytes.text(cost.used), left, money(cost.cost),
                RoundedBytes.text(cost.forecast), money(cost.costForecast),
                MomentText.text(of: Int64(cost.ends)),
            ]
            table.append(cells.map(\.withVisibleControls))
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
        let costs = row.cost.sorted { $0.key < $1.key }.map { TrafficPrice.text(ofMicros: $1, in: $0) }
        return costs.isEmpty ? "-" : costs.joined(separator: ", ")
    }
}
