// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAnalysis
import EgretLinux
import EgretPolicy

/// `egret map`.
struct MapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Say what every workload may ask of every other and of the outside.",
        usage: """
            egret map [-f <file or directory>] … [--endpoint <name>] [-o <format>]
            egret map --diff <before> <after> [--endpoint <name>] [--exit-code] [-o <format>]
            """,
        discussion: """
            Reads policies and the workloads that they choose from, as egret validate does, and works out the answer for \
            every address, protocol and port: nothing is sampled, and no privileges are needed. The outside is told in the \
            fewest blocks of addresses that behave alike. What is not listed is not allowed. Exit code 0; with --exit-code, \
            1 if two directories differ; 2 if the files have mistakes. Without -f it is about what the agent enforces.

            Examples:
              egret map -f policies/
              egret map -f policies/ --endpoint shop/cart -o wide
              egret map -f policies/ -o dot | dot -Tsvg > map.svg
              egret map --diff policies.old/ policies/ -o json
            """
    )

    @Option(name: [.customShort("f"), .customLong("file")], help: PolicyFileHelp.help)
    var files: [String] = []

    @OptionGroup var agent: AgentOptions

    @Option(
        name: .customLong("diff"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "Compare two files or directories: what each pair of workloads, and each block outside, gains and loses.",
            valueName: "before> <after")
    )
    var difference: [String] = []

    @Option(
        name: .customLong("endpoint"),
        help: ArgumentHelp(
            "List only what this workload begins, or others begin with it: NAMESPACE/NAME, or the name.",
            valueName: "name")
    )
    var endpoint: String?

    @Flag(name: .customLong("exit-code"), help: "With --diff, end with 1 if anything differs.")
    var setsExitCode = false

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp(
            "How to print: wide lists every block, and what is not allowed.", valueName: "format")
    )
    var output: MapFormat = .table

    func validate() throws {
        if !difference.isEmpty && !files.isEmpty { throw ValidationError("give -f or --diff, not both") }
        if !difference.isEmpty && difference.count != 2 {
            throw ValidationError("--diff takes two files or directories: before and after")
        }
        if !difference.isEmpty && output == .dot {
            throw ValidationError("a difference cannot be printed as dot; use -o csv, json, yaml, wide or table")
        }
        if setsExitCode && difference.isEmpty { throw ValidationError("--exit-code goes with --diff") }
    }

    func run() throws {
        try asking(failure: 2) {
            let time = WallTime.now.seconds
            if difference.isEmpty {
                let policies = try AnalyzedPolicies(files, or: agent.client)
                let map = policies.map(at: time)
                let rows = try MapRows(
                    map, of: try policies.endpoint(endpoint, in: [map.inventory]), withNothing: output == .wide)
                Console.output(try rows.text(output, map))
            } else {
                let before = try AnalyzedPolicies([difference[0]], or: agent.client).map(at: time)
                let policies = try AnalyzedPolicies([difference[1]], or: agent.client)
                let after = policies.map(at: time)
                let named = try policies.endpoint(endpoint, in: [before.inventory, after.inventory])
                let names = WorkloadNames(before.inventory, after.inventory)
                let rows = DifferenceRows(ReachabilityDifference(from: before, to: after), of: named, names: names)
                Console.output(try rows.text(output))
                if setsExitCode && !rows.isEmpty { throw ExitCode(1) }
            }
        }
    }
}

/// The formats of a map.
enum MapFormat: String, ExpressibleByArgument, CaseIterable {
    case table, wide, json, yaml, dot, csv

    /// The format of data and tables; `nil` for those that only maps have.
    var common: OutputFormat? { OutputFormat(rawValue: rawValue) }
}

/// What `-f` is called where policies are analysed.
enum PolicyFileHelp {
    static let help = ArgumentHelp(
        "A YAML or JSON file, a directory with everything below it, or - for standard input. May be given more than once.",
        valueName: "file")
}
