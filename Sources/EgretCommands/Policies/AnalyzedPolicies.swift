// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentClient
import EgretAnalysis
import EgretLinux
import EgretPolicy

/// Policies and workloads that were read without a mistake, to be analysed.
struct AnalyzedPolicies {
    let catalog: PolicyCatalog
    let inventory: Inventory

    /// Reads files and directories; if none are named, what the agent holds.
    ///
    /// Where they hold no workload, one stands in that every policy without a selector is about: the command that
    /// `egret run` would run.
    ///
    /// - Throws: ``PolicyMistakes`` with every mistake at once.
    init(_ paths: [String], or agent: AgentClient) throws {
        let files = try ManifestFiles(paths, or: agent)
        let result = try files.result()
        if result.hasErrors { throw PolicyMistakes(lines: files.lines(result.diagnostics)) }
        Console.error(files.lines(result.diagnostics.filter { $0.code == DiagnosticCode.noDocument }))
        var catalog = result.catalog
        if let action = files.networkDefault { catalog.networkDefault = action }
        self.catalog = catalog
        let standIn = Workload(Workload.ID(namespace: "default", name: "command", kind: "Endpoint"))
        inventory =
            result.inventory.workloads.isEmpty
            ? Inventory(
                workloads: [standIn], namespaces: result.inventory.namespaces, nodes: result.inventory.nodes)
            : result.inventory
    }

    /// The map at a time.
    func map(at time: Int64) -> ReachabilityMap {
        ReachabilityMap(catalog, inventory: inventory, at: time)
    }

    /// The workloads that `--endpoint` names.
    ///
    /// - Throws: ``PolicyMistakes`` if there is none, with the nearest name.
    func endpoint(_ name: String?, in inventories: [Inventory]) throws(PolicyMistakes) -> Set<Workload.ID>? {
        guard let name else { return nil }
        let all = inventories.flatMap(\.workloads).map(\.id)
        let qualified = name.lowercased()
        let found = Set(
            all.filter { $0.description == name || $0.name == name || $0.withKind.lowercased() == qualified })
        if !found.isEmpty { return found }
        let nearest = Spelling.nearest(to: name, among: all.map(\.description) + all.map(\.name))
        let suggestion = nearest.map { "did you mean \($0)?" } ?? "give the name of a workload in the files"
        let diagnostic = Diagnostic(
            .error, code: DiagnosticCode.unknownWorkload,
            at: SourceLocation(file: "--endpoint \(name)", line: 0, column: 1), "no workload has this name",
            suggestion: suggestion)
        throw PolicyMistakes(lines: [DiagnosticFormatter.format(diagnostic)])
    }
}
