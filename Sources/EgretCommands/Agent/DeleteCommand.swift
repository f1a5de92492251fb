// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretPolicy

struct DeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Remove policies and groups that the agent enforces.",
        usage: "egret delete (<kind>/<name> … | -f <file or directory> …) [--confirm <time>] [--dry-run]",
        discussion: """
            Removes all of them or none. When the command ends, the kernel enforces what is left.

            Examples:
              sudo egret delete EgressPolicy/web
              sudo egret delete NetworkPolicy/default/db --confirm 60s
              sudo egret delete NetworkPolicy default/db default/web
              sudo egret delete -f old.yaml
            """
    )

    @Argument(
        help: ArgumentHelp(
            """
            What to remove, as egret get policies calls it: EgressPolicy/web, NetworkPolicy/default/db. The kind may also \
            stand alone, before the names.
            """,
            valueName: "kind/name"))
    var objects: [String] = []

    @Option(
        name: [.customShort("f"), .customLong("file")],
        help: ArgumentHelp(
            "Remove what a file, a directory or - defines. May be given more than once.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml", "json"])
    )
    var files: [String] = []

    @OptionGroup var change: ChangeOptions
    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        guard !objects.isEmpty || !files.isEmpty else {
            throw ValidationError("Name what to remove: <kind>/<name>, or -f <file>.")
        }
        for object in DeleteCommand.named(objects) where !object.contains("/") {
            if let kind = DeleteCommand.kind(object) {
                throw ValidationError("'\(object)' is a kind: write \(kind)/<name>.")
            }
            if ["policy", "policies"].contains(object) {
                throw ValidationError(
                    "'\(object)' is no kind: write EgressPolicy/<name>, or NetworkPolicy/<namespace>/<name>.")
            }
            throw ValidationError("'\(object)' has no kind: write <kind>/\(object), such as EgressPolicy/\(object).")
        }
    }

    /// The objects that are meant, each with its kind, which kubectl takes before their names as well.
    static func named(_ words: [String]) -> [String] {
        guard words.count > 1, let kind = words.first.flatMap({ DeleteCommand.kind($0) }) else { return words }
        return words.dropFirst().map { word in
            // No namespace is called as kinds are spelled.
            AgentAPI.kinds.contains { word.hasPrefix($0 + "/") } ? word : "\(kind)/\(word)"
        }
    }

    /// The kind that a word is, in small letters or large.
    private static func kind(_ word: String) -> String? {
        AgentAPI.kinds.first { $0.lowercased() == word.lowercased() }
    }

    func run() throws {
        try asking {
            let request = ApplyRequest(
                delete: DeleteCommand.named(objects) + (try objectsOfFiles()), confirmWithin: change.confirm?.seconds,
                message: change.message)
            let report = try change.dryRun ? agent.client.plan(request) : agent.client.apply(request)
            try report.show(as: output, isPlan: change.dryRun)
        }
    }

    private func objectsOfFiles() throws -> [String] {
        if files.isEmpty { return [] }
        let sources = ManifestFiles(files)
        let result = try sources.result()
        guard !result.hasErrors else { throw PolicyMistakes(lines: sources.lines(result.diagnostics)) }
        let found =
            result.policies.map { "EgressPolicy/\($0.name)" }
            + result.networkPolicies.map { "NetworkPolicy/\($0.namespace)/\($0.name)" }
            + result.clusterPolicies.map { "\($0.kind)/\($0.name)" }
            + result.groups.map { "DestinationGroup/\($0.name)" }
            + result.priceLists.map { "PriceList/\($0.name)" }
            + result.inventory.nodes.map { "Node/\($0.name)" }
        guard !found.isEmpty else {
            throw PolicyMistakes(lines: ["egret: the files define no policy, group, price list or node"])
        }
        return found
    }
}
