// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy

/// What a change does, or did, for people.
struct ChangeText {
    let report: ChangeReport
    /// Whether nothing was done yet.
    let isPlan: Bool
    let style: Style

    /// Ready to be printed.
    var lines: [String] {
        var lines = report.objects.map(line)
        if !report.endpoints.isEmpty { lines += (lines.isEmpty ? [] : [""]) + table.lines }
        let cut = report.endpoints.flatMap { endpoint in endpoint.cut.map { "  \(endpoint.endpoint)  \($0)" } }
        if !cut.isEmpty {
            lines += ["", isPlan ? "open connections that would be cut:" : "open connections that were cut:"]
            lines += cut.map(\.withVisibleControls)
        }
        return lines + (lines.isEmpty ? [] : [""]) + [summary] + confirmation
    }

    private func line(_ change: ChangeReport.ObjectChange) -> String {
        let word = (isPlan ? "would be " : "") + change.change.withVisibleControls
        let name = change.object.withVisibleControls
        switch change.change {
        case "added": return "\(name) \(style.green(word))"
        case "removed": return "\(name) \(style.red(word))"
        default: return "\(name) \(style.yellow(word))"
        }
    }

    private var table: TextTable {
        // What is cut is worked out for plans: a change must not wait for that.
        let tellsCut = isPlan || report.endpoints.contains { !$0.cut.isEmpty }
        var table = TextTable(
            indent: "", header: ["ENDPOINT", "CHANGES", "GENERATIONS"] + (tellsCut ? ["CUT"] : []),
            alignments: [.left, .left, .left] + (tellsCut ? [.right] : []))
        for endpoint in report.endpoints {
            let directions =
                (endpoint.egress ? ["egress"] : []) + (endpoint.ingress ? ["ingress"] : [])
                + (endpoint.routes ?? false ? ["routes"] : []) + (endpoint.limits ?? false ? ["limits"] : [])
                + (endpoint.budgets ?? false ? ["budgets"] : [])
            table.append(
                [
                    endpoint.endpoint.withVisibleControls,
                    directions.isEmpty ? "-" : directions.joined(separator: ", "),
                    AgentTables.list(endpoint.generations ?? []),
                ] + (tellsCut ? ["\(endpoint.cut.count)"] : []))
        }
        return table
    }

    private var summary: String {
        let objects = AgentTables.count(report.objects.count, "object")
        let endpoints = AgentTables.count(report.endpoints.count, "endpoint")
        if report.objects.isEmpty && report.endpoints.isEmpty {
            return report.revision.map { "nothing changes: revision \($0) is in force" } ?? "nothing changes"
        }
        if isPlan { return "\(objects) would change, for \(endpoints); nothing was changed" }
        let revision = report.revision.map { "revision \($0) is in force" } ?? "the change is in force"
        return "\(revision): \(objects) changed, for \(endpoints)"
    }

    private var confirmation: [String] {
        guard let time = report.confirmBy, !isPlan else { return [] }
        return [
            "it goes back by itself at \(MomentText.text(of: Int64(time))) unless you confirm it: egret confirm"
        ]
    }
}

extension ChangeReport {
    /// Prints the report, and its warnings on standard error.
    func show(as output: OutputFormat, isPlan: Bool = false, _ names: (String) -> String = { $0 }) throws {
        Console.error(printable(warnings.map { "egret: " + names($0) }))
        try EgretCommands.show(
            self, as: output, ChangeText(report: self, isPlan: isPlan, style: Console.outputStyle).lines)
    }
}
