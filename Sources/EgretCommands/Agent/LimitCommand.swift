// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

/// `egret limit`.
struct LimitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limit",
        abstract: "Limit how fast an endpoint is, and how many connections it has.",
        usage: """
            egret limit <endpoint> [--rate <rate>] … [--connections <number>] … [--new-connections <rate>] … \
            [--packets <rate>] … [--confirm <time>] [--dry-run]
            egret limit <endpoint> --clear [--confirm <time>] [--dry-run]
            """,
        discussion: """
            The limits take the place of those that an earlier egret limit has set, and hold beside those of policies. They \
            are kept as the policy limit.<endpoint>, which egret get policies shows and egret rollback takes back; it says \
            nothing about what the endpoint may reach. Traffic that flows goes on.

            Examples:
              sudo egret limit shop/web --rate 10Mbit --rate internet=2Mbit
              sudo egret limit docker/db --connections 100 --new-connections 20/s
              sudo egret limit shop/crawler --connections destination=4
              sudo egret limit shop/web --clear
            """
    )

    @Argument(
        help: ArgumentHelp(
            "The endpoint, as egret get endpoints calls it: shop/web, or web where only one group has that.",
            valueName: "endpoint"))
    var endpoint: String

    @OptionGroup var limits: LimitOptions

    @Flag(help: "Take away what egret limit has set.")
    var clear = false

    @OptionGroup var change: ChangeOptions
    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        if clear == !limits.isEmpty {
            throw ValidationError("Say a limit, such as --rate 10Mbit, or --clear.")
        }
    }

    func run() throws {
        try asking {
            let request: ApplyRequest
            let names = try agent.client.endpoints().map(\.name)
            let known = try EndpointName.whole(endpoint, among: names)
            if clear {
                // Limits of endpoints that are gone can be taken away too.
                let name = known ?? (endpoint.contains("/") ? endpoint : "default/\(endpoint)")
                request = ApplyRequest(
                    delete: ["EgressPolicy/\(LimitCommand.policyName(of: name))"],
                    confirmWithin: change.confirm?.seconds, message: change.message)
            } else {
                guard let known else { throw EndpointName.absent(endpoint, among: names) }
                let kind = "DestinationGroup/"
                let groups = try agent.client.policies().map(\.object).filter { $0.hasPrefix(kind) }
                let text = try document(about: known, groups: Set(groups.map { String($0.dropFirst(kind.count)) }))
                let file = SourceFile(name: "egret limit \(known)", text: text)
                request = ApplyRequest(
                    files: [file], confirmWithin: change.confirm?.seconds, message: change.message)
            }
            let report = try change.dryRun ? agent.client.plan(request) : agent.client.apply(request)
            try report.show(as: output, isPlan: change.dryRun)
        }
    }

    /// The policy that keeps the limits. What names of policies have no room for is written as the number of its byte.
    private static func policyName(of endpoint: String) -> String {
        let bytes = Array(endpoint.utf8)
        func isPlain(_ place: Int) -> Bool {
            guard bytes.indices.contains(place) else { return false }
            return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[place])
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[place])
        }
        let parts = bytes.indices.map { place -> String in
            let byte = bytes[place]
            let isInner = isPlain(place - 1) && isPlain(place + 1)
            if isPlain(place) || byte == UInt8(ascii: "-") && isInner { return String(UnicodeScalar(byte)) }
            return byte == UInt8(ascii: "/") && isInner ? "." : "x\(String(byte, radix: 16))x"
        }
        return "limit." + parts.joined()
    }

    private func document(about endpoint: String, groups: Set<String>) throws -> String {
        var found: [TrafficLimit] = []
        var diagnostics: [Diagnostic] = []
        for (flag, values) in limits.values {
            for value in values {
                // A group that was added or taken away meanwhile, the agent knows.
                let (limit, problems) = flag.parse(value, groups: groups, groupsMayBeMissing: true)
                diagnostics += problems
                if let limit { found.append(limit) }
            }
        }
        guard diagnostics.isEmpty else {
            throw PolicyMistakes(lines: diagnostics.map(DiagnosticFormatter.format))
        }
        let policy = EgressPolicy(
            name: LimitCommand.policyName(of: endpoint), selects: WorkloadSelector(names: [endpoint]), tier: .admin,
            priority: 0, defaultAction: nil, rules: [], limits: found)
        return PolicyPrinter.yaml(policies: [policy])
    }
}

/// The flags for limits.
struct LimitOptions: ParsableArguments {
    @Option(
        name: .customLong("rate"),
        help: ArgumentHelp(
            "How fast traffic may be, in each direction: 20Mbit; or egress=20Mbit, ingress=20Mbit, internet=2Mbit.",
            discussion: """
                Before the equals sign stands a direction, or a destination as --allow takes it; names are limited at the \
                addresses that they were resolved to. The next three take the same, and \
                destination= before it or alone, which counts for each far address by itself: destination=20, \
                destination=internet=20. May be given more than once: all hold.
                """,
            valueName: "rate")
    )
    var rates: [String] = []

    @Option(
        name: .customLong("connections"),
        help: ArgumentHelp(
            "How many connections may be open at once: 100, internet=20, or destination=5.", valueName: "number")
    )
    var connections: [String] = []

    @Option(
        name: .customLong("new-connections"),
        help: ArgumentHelp(
            "How many connections may begin in a time: 20/s, 600/min, or 198.51.100.0/24=1/s.", valueName: "rate")
    )
    var newConnections: [String] = []

    @Option(
        name: .customLong("packets"),
        help: ArgumentHelp("How many packets may pass in a time, in each direction: 1000/s.", valueName: "rate")
    )
    var packets: [String] = []

    /// The values by flag.
    var values: [(FlagLimit, [String])] {
        [(.rate, rates), (.connections, connections), (.newConnections, newConnections), (.packets, packets)]
    }

    /// Whether none is given.
    var isEmpty: Bool { values.allSatisfy(\.1.isEmpty) }
}
