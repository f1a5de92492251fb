// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show what the agent holds and enforces.",
        usage: "egret get (policies | groups | prices | endpoints | revisions | status) [<name> …] [-o <format>]",
        discussion: """
            policies, groups and prices (price lists) say whether they are enforced, and if not, why. endpoints say which policies decide about \
            them, and by which generations of the kernel's rules.

            Examples:
              sudo egret get policies
              sudo egret get endpoints default/web -o wide
              sudo egret get status -o json
            """
    )

    /// What there is to show.
    enum Resource: String, CaseIterable, ExpressibleByArgument {
        case policies
        case groups
        case prices
        case endpoints
        case revisions
        case status

        /// Also takes the singular.
        init?(argument: String) {
            let singulars = [
                "policy": "policies", "group": "groups", "price": "prices", "endpoint": "endpoints",
                "revision": "revisions",
            ]
            self.init(rawValue: singulars[argument] ?? argument)
        }
    }

    @Argument(help: ArgumentHelp("policies, groups, prices, endpoints, revisions or status.", valueName: "what"))
    var resource: Resource

    @Argument(help: ArgumentHelp("Only these: by kind and name, or by name.", valueName: "name"))
    var names: [String] = []

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        if resource == .status, !names.isEmpty { throw ValidationError("status has no names.") }
    }

    func run() throws {
        try asking {
            let (client, isWide) = (agent.client, output == .wide)
            switch resource {
            case .policies:
                let found = try chosen(client.policies().filter(AgentTables.isPolicy), \.object)
                try show(found, as: output, AgentTables.policies(found, isWide: isWide))
            case .groups:
                let found = try chosen(client.policies().filter(AgentTables.isGroup), \.object)
                try show(found, as: output, AgentTables.groups(found))
            case .prices:
                let found = try chosen(client.policies().filter(AgentTables.isPriceList), \.object)
                try show(found, as: output, AgentTables.priceLists(found))
            case .endpoints:
                let found = try chosen(client.endpoints(), \.name)
                try show(found, as: output, AgentTables.endpoints(found, isWide: isWide))
            case .revisions:
                let found = try chosen(client.history()) { "\($0.number)" }
                try show(found, as: output, AgentTables.revisions(found, isWide: isWide))
            case .status:
                let status = try client.status()
                try show(status, as: output, AgentTables.status(status))
            }
        }
    }

    /// Those that are named: by the whole name, or by its end.
    private func chosen<Item>(_ items: [Item], _ name: (Item) -> String) throws -> [Item] {
        if names.isEmpty { return items }
        func isMeant(_ item: Item, by wanted: String) -> Bool {
            name(item) == wanted || name(item).hasSuffix("/" + wanted)
        }
        for wanted in names where !items.contains(where: { isMeant($0, by: wanted) }) {
            let meant = Spelling.nearest(to: wanted, among: items.map(name)).map { "did you mean \($0)?" }
            throw AgentClientError(
                "there is no \(wanted) among the \(resource.rawValue)",
                advice: meant ?? "egret get \(resource.rawValue) lists them")
        }
        return items.filter { item in names.contains { isMeant(item, by: $0) } }
    }
}
