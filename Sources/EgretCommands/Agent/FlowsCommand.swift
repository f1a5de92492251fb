// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct FlowsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flows",
        abstract: "Show what left endpoints, what reached them, and what was refused.",
        discussion: """
            One line for each other end, service and deciding rule. Refused packets are those that the kernel has logged; \
            logging is limited, and egret get policies -o wide has the exact counts. would-deny is what a policy in audit \
            mode would have refused. Of what is allowed, the packets are connections that began.

            Examples:
              sudo egret flows --denied
              sudo egret flows --endpoint shop/web --follow
              sudo egret flows -o json
            """
    )

    @Option(help: ArgumentHelp("Only what this endpoint began or was sent.", valueName: "group/name"))
    var endpoint: String?

    @Flag(help: "Only what was refused, or would have been if its policy enforced.")
    var denied = false

    @Flag(help: "Go on, and print each flow again when more of it comes, until interrupted.")
    var follow = false

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let client = agent.client
            var query = FlowQuery(endpoint: try endpoint.map { try known($0, client) }, deniedOnly: denied)
            let list = try client.flows(query)
            if !follow { return try show(list, as: output, FlowsText.lines(of: list)) }
            try print(list, hasHeader: true)
            query.after = list.cursor
            var pause = Poll()
            while true {
                _ = try pause.wait(timeout: .seconds(1))
                let more = try client.flows(query)
                // An agent that lost what it had kept begins again.
                query.after = more.cursor
                try print(more, hasHeader: false)
            }
        }
    }

    /// The endpoint's whole name. An end of it will do where only one has it.
    private func known(_ name: String, _ client: AgentClient) throws -> String {
        let names = try client.endpoints().map(\.name)
        if let whole = try EndpointName.whole(name, among: names) { return whole }
        // Flows of endpoints that are gone are there still.
        if name.contains("/"), try client.flows(FlowQuery(endpoint: name)).flows.count > 0 { return name }
        throw EndpointName.absent(name, among: names)
    }

    private func print(_ list: FlowList, hasHeader: Bool) throws {
        switch output {
        case .json, .yaml:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // One document in a line for each flow, for readers of streams.
            for flow in list.flows { Console.output(String(decoding: try encoder.encode(flow), as: UTF8.self) + "\n") }
        case .table, .wide:
            let lines = FlowsText.lines(of: list)
            if hasHeader { Console.output(lines.map { $0 + "\n" }.joined()) }
            if !hasHeader, !list.flows.isEmpty { Console.output(lines.dropFirst().map { $0 + "\n" }.joined()) }
        }
    }
}

/// Flows as lines for people.
enum FlowsText {
    static func lines(of list: FlowList) -> [String] {
        var lines = ["there are no flows"]
        if !list.flows.isEmpty {
            var table = TextTable(
                indent: "",
                header: ["LAST", "ENDPOINT", "DIRECTION", "VERDICT", "PEER", "SERVICE", "PACKETS", "BYTES", "RULE"],
                alignments: [.left, .left, .left, .left, .left, .left, .right, .right, .left])
            for flow in list.flows { table.append(row(flow).map(\.withVisibleControls)) }
            lines = table.lines
        }
        if list.lost > 0 { lines.append("\(list.lost) log records were lost; the counters have them") }
        if list.forgotten > 0 { lines.append("\(list.forgotten) flows made room for others") }
        return lines
    }

    private static func row(_ flow: FlowInfo) -> [String] {
        let service =
            flow.port.map { "\($0)/\(flow.protocol)" } ?? flow.icmpType.map { "\(flow.protocol)/\($0)" }
            ?? flow.protocol
        return [
            MomentText.text(of: Int64(flow.last)), flow.endpoint, flow.direction, flow.verdict,
            (flow.name.map { "\($0) at " } ?? "") + flow.peer + (flow.peerEndpoint.map { " (\($0))" } ?? ""), service,
            "\(flow.packets)",
            flow.verdict == "allow" ? "-" : "\(flow.bytes)",
            [flow.policy, flow.rule].compactMap(\.self).joined(separator: " "),
        ]
    }
}
