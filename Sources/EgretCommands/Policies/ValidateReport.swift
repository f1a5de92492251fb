// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import EgretResolution

/// What `egret validate` says of what it has read.
struct ValidateReport {
    let document: Document

    /// What was read, for programs.
    struct Document: Encodable {
        struct Policy: Encodable {
            var kind: String
            var name: String
            var namespace: String?
            var location: String?
            /// How many workloads of the same files obey it; none known without workloads.
            var workloads: Int?
        }

        struct Mistake: Encodable {
            var severity: String
            var code: String
            var file: String?
            var line: Int?
            var column: Int?
            var message: String
            var suggestion: String?
        }

        var valid: Bool
        var files: Int
        var kinds: [String: Int]
        var passedOver: [String: Int]
        var workloads: Int
        var policies: [Policy]
        var diagnostics: [Mistake]
    }

    init(_ result: PolicyReader.Result, fileCount: Int) {
        document = Document(
            valid: !result.hasErrors,
            files: fileCount,
            kinds: result.kinds,
            passedOver: result.passedOver,
            workloads: result.inventory.workloads.count,
            policies: ValidateReport.policies(result),
            diagnostics: result.diagnostics.map { diagnostic in
                let place = diagnostic.location
                return Document.Mistake(
                    severity: diagnostic.severity.rawValue, code: diagnostic.code.rawValue, file: place?.file,
                    line: place.flatMap { $0.line > 0 ? $0.line : nil },
                    column: place.flatMap { $0.line > 0 ? $0.column : nil },
                    message: diagnostic.message, suggestion: diagnostic.suggestion
                )
            }
        )
    }

    private static func policies(_ result: PolicyReader.Result) -> [Document.Policy] {
        var resolver = PolicyResolver(PolicyCatalog(), inventory: result.inventory)
        func count(_ selector: WorkloadSelector) -> Int? {
            result.inventory.workloads.isEmpty ? nil : resolver.workloads(chosenBy: selector).count
        }
        let own = result.policies.map { policy in
            Document.Policy(
                kind: "EgressPolicy", name: policy.name, location: policy.location?.description,
                workloads: count(policy.selects ?? .everything))
        }
        let cluster = result.clusterPolicies.map { policy in
            Document.Policy(
                kind: policy.kind, name: policy.name, location: policy.location?.description,
                workloads: count(policy.subject.selector))
        }
        let namespaced = result.networkPolicies.map { policy in
            Document.Policy(
                kind: "NetworkPolicy", name: policy.name, namespace: policy.namespace,
                location: policy.location?.description,
                workloads: count(WorkloadSelector(namespaces: [policy.namespace], labels: policy.podSelector)))
        }
        return own + cluster + namespaced
    }

    /// The tables for people.
    func text(isWide: Bool) -> String {
        var lines: [String] = []
        if !document.kinds.isEmpty {
            var table = TextTable(indent: "", header: ["KIND", "READ"], alignments: [.left, .right])
            for (kind, count) in document.kinds.sorted(by: { $0.key < $1.key }) { table.append([kind, "\(count)"]) }
            lines += table.lines + [""]
        }
        if isWide && !document.policies.isEmpty { lines += policyTable.lines + [""] }
        if !document.passedOver.isEmpty {
            let kinds = document.passedOver.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }
            lines.append("passed over: \(kinds.joined(separator: ", "))")
        }
        return (lines + [summary]).map { $0.withVisibleControls + "\n" }.joined()
    }

    private var policyTable: TextTable {
        var table = TextTable(
            indent: "", header: ["POLICY", "WORKLOADS", "PLACE"], alignments: [.left, .right, .left])
        for policy in document.policies {
            let name = policy.namespace.map { "\($0)/\(policy.name)" } ?? policy.name
            table.append(
                ["\(policy.kind)/\(name)", policy.workloads.map { "\($0)" } ?? "-", policy.location ?? ""]
                    .map(\.withVisibleControls))
        }
        return table
    }

    private var summary: String {
        let errors = document.diagnostics.count { $0.severity == "error" }
        let warnings = document.diagnostics.count - errors
        let read = document.kinds.values.reduce(0, +)
        return "\(ValidateReport.count(read, "document")) in \(ValidateReport.count(document.files, "file")): "
            + "\(errors == 0 ? "no mistakes" : ValidateReport.count(errors, "mistake"))"
            + (warnings == 0 ? "" : ", \(ValidateReport.count(warnings, "warning"))")
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
