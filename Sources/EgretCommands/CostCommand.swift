// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretEvaluator
import EgretLinux
import EgretPolicy

/// `egret cost`.
struct CostCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost",
        abstract: "Say what recorded traffic costs by price lists, and would under another policy.",
        usage: """
            egret cost <report> … [--prices <file or directory>] … [--allow <destination>] … [--policy <file>] … [<options>]
            """,
        discussion: """
            Reads reports of egret run --report json, takes them together for the traffic of one month, and prices what was \
            sent and received. With a policy, in the same files and flags as egret run reads, every destination that was reached is \
            judged by it as well, as of now: what it would refuse costs nothing. A destination is judged by the name that the report \
            has of it, and by address where it has none; limits and budgets are left aside. Nothing is run, and no privileges are needed but to ask the agent.

            Examples:
              egret run --allow internet --report json --report-file run.json -- ./build.sh
              egret cost run.json --prices prices.yaml
              egret cost run.json --prices prices.yaml --allow '*.example.org' -o json
              egret cost run.json --prices prices.yaml --policy proposed.yaml
            """
    )

    @Argument(
        help: ArgumentHelp("Reports of egret run --report json; - is standard input.", valueName: "report"),
        completion: .file(extensions: ["json"]))
    var reports: [String]

    @Option(
        name: .customLong("prices"),
        help: ArgumentHelp(
            "A file or directory with price lists. May be given more than once. Without it, those that the agent keeps.",
            valueName: "file"))
    var prices: [String] = []

    @OptionGroup(title: "Proposed policy") var policy: PolicyOptions

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        if !policy.budgets.isEmpty || !policy.limits.isEmpty {
            throw ValidationError("What limits and budgets would hold back is not known: leave them out.")
        }
    }

    func run() throws {
        try asking {
            let traffic = try reports.map { try RecordedTraffic(path: $0) }
            let files = try ManifestFiles(prices, or: agent.client)
            let result = try files.result()
            if result.hasErrors { throw PolicyMistakes(lines: files.lines(result.diagnostics)) }
            guard !result.priceLists.isEmpty else {
                let who = prices.isEmpty ? "the agent keeps no price list" : "the files define no price list"
                throw PolicyMistakes(lines: ["egret: \(who)"])
            }
            // What the agent holds it has warned of when it was applied.
            if !prices.isEmpty { Console.error(files.lines(result.diagnostics)) }
            Console.error(RecordedCosts.notes(about: result.groups, in: result.priceLists))
            let evaluator = try proposed()
            let costs = RecordedCosts(
                traffic, result.priceLists, groups: result.groups, proposed: evaluator, at: WallTime.now.seconds)
            Console.error(costs.notes(about: traffic))
            try show(costs, as: output, costs.lines)
        }
    }

    /// The policy that is proposed; `nil` if none is.
    private func proposed() throws -> PolicyEvaluator? {
        let flags = policy.allow + policy.deny + policy.reject + policy.audit + policy.files
        if flags.isEmpty && policy.defaultAction == nil { return nil }
        let loaded = try policy.load()
        Console.error(loaded.warnings)
        return PolicyEvaluator(policies: loaded.set)
    }
}
