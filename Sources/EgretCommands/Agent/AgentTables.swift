// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy

/// What the agent holds, as tables for people.
enum AgentTables {
    /// Whether it is a group and no policy.
    static func isGroup(_ info: PolicyInfo) -> Bool { info.object.hasPrefix("DestinationGroup/") }

    /// Whether it is a price list and no policy.
    static func isPriceList(_ info: PolicyInfo) -> Bool { info.object.hasPrefix("PriceList/") }

    /// Whether it is neither a group nor a price list.
    static func isPolicy(_ info: PolicyInfo) -> Bool { !isGroup(info) && !isPriceList(info) }

    static func policies(_ policies: [PolicyInfo], isWide: Bool) -> [String] {
        let header = ["POLICY", "TIER", "MODE", "ENDPOINTS", "STATE"] + (isWide ? ["SOURCE"] : [])
        let rows = policies.map { policy in
            [
                policy.object, policy.tier ?? "-", policy.mode ?? "-", policy.endpoints.map { "\($0)" } ?? "-",
                state(policy.conditions),
            ] + (isWide ? [policy.source] : [])
        }
        return table(header, [.left, .left, .left, .right, .left, .left], rows, or: "there are no policies")
            + (isWide ? counts(policies) : [])
    }

    /// What each rule has decided about; nothing if there are no rules.
    private static func counts(_ policies: [PolicyInfo]) -> [String] {
        let rows = policies.flatMap { policy in
            (policy.traffic ?? []).map { clause in
                [
                    policy.object, clause.rule, clause.direction, clause.verdict, "\(clause.packets)",
                    "\(clause.bytes)",
                ]
            }
        }
        if rows.isEmpty { return [] }
        return [""]
            + table(
                ["POLICY", "RULE", "DIRECTION", "VERDICT", "PACKETS", "BYTES"],
                [.left, .left, .left, .left, .right, .right], rows, or: "")
    }

    static func groups(_ groups: [PolicyInfo]) -> [String] {
        let rows = groups.map { [$0.object, state($0.conditions), $0.source] }
        return table(["GROUP", "STATE", "SOURCE"], [.left, .left, .left], rows, or: "there are no groups")
    }

    static func priceLists(_ lists: [PolicyInfo]) -> [String] {
        let rows = lists.map { [$0.object, state($0.conditions), $0.source] }
        return table(["PRICE LIST", "STATE", "SOURCE"], [.left, .left, .left], rows, or: "there are no price lists")
    }

    static func endpoints(_ endpoints: [EndpointInfo], isWide: Bool) -> [String] {
        let hasRates = isWide && endpoints.contains { $0.rates != nil }
        let header =
            ["ENDPOINT", "NETWORK", "ADDRESSES", "GENERATIONS", "STATE"]
            + (isWide ? ["NAMESPACE", "LABELS", "EGRESS", "INGRESS", "ROUTES", "LIMITS", "NAMES", "REFUSED"] : [])
            + (hasRates ? ["DROPPED BY RATE"] : [])
        let rows = endpoints.map { endpoint in
            let labels = endpoint.labels.sorted { $0.key < $1.key }.map {
                "\($0.key)=\($0.value)".withVisibleControls
            }
            return [
                endpoint.name, endpoint.network, list(endpoint.addresses), list(endpoint.generations),
                state(endpoint.conditions),
            ]
                + (isWide ? [endpoint.namespace, list(labels)] + further(endpoint) : [])
                + (hasRates ? [dropped(endpoint)] : [])
        }
        let left = Array(repeating: TextTable.Alignment.left, count: header.count)
        return table(header, left, rows, or: "there are no endpoints")
    }

    /// How many packets an endpoint's own rates have dropped, by direction.
    private static func dropped(_ endpoint: EndpointInfo) -> String {
        let rates = endpoint.rates ?? []
        return list(rates.map { "\($0.direction) \($0.dropped)" })
    }

    /// What an endpoint obeys, and what has become of it.
    private static func further(_ endpoint: EndpointInfo) -> [String] {
        let names = endpoint.names.map { "\($0.names) at \($0.addresses)" }
        let egress = endpoint.networkDefault.map { "default: \($0)" } ?? list(endpoint.egress)
        return [
            egress, list(endpoint.ingress), endpoint.routes?.joined(separator: "; ") ?? "-",
            list(endpoint.limits ?? []), names ?? "-", endpoint.refused.map { "\($0)" } ?? "-",
        ]
    }

    static func revisions(_ revisions: [RevisionInfo], isWide: Bool) -> [String] {
        let header = ["REVISION", "STATE", "TIME", "OBJECTS", "AUTHOR", "MESSAGE"] + (isWide ? ["REASON"] : [])
        let rows = revisions.map { revision in
            let deadline = revision.confirmBy.map { ", until \(MomentText.text(of: Int64($0)))" } ?? ""
            return [
                "\(revision.number)", revision.state + deadline, MomentText.text(of: Int64(revision.time)),
                "\(revision.objects)", revision.author, revision.message ?? "",
            ] + (isWide ? [revision.reason ?? ""] : [])
        }
        return table(
            header, [.right, .left, .left, .right, .left, .left, .left], rows, or: "there are no revisions")
    }

    static func status(_ status: AgentStatus) -> [String] {
        // Connections by name that go on when the agent ends.
        let held: [(String, String)] = status.heldConnections.map { [("held", count($0, "connection"))] } ?? []
        let rows: [(String, String)] =
            [
                ("process", "\(status.process)"), ("revision", "\(status.revision)"),
                ("policies", "\(status.policies)"), ("endpoints", "\(status.endpoints)"),
                ("repairs", "\(status.repairs)"),
            ] + held + [("problem", (status.problem ?? "none").withVisibleControls)]
        return rows.map { name, value in name.padded(to: 11) + value }
    }

    /// What is not true first, with its reason; otherwise what was reached last.
    static func state(_ conditions: [Condition]) -> String {
        let wrong = conditions.filter { !$0.status }
        if wrong.isEmpty { return conditions.last?.type ?? "-" }
        return wrong.map { "not \($0.type)" + ($0.reason.map { ": \($0)" } ?? "") }.joined(separator: "; ")
    }

    /// `a, b`, or a hyphen for nothing.
    static func list(_ items: [some CustomStringConvertible]) -> String {
        items.isEmpty ? "-" : items.map(\.description).joined(separator: ", ")
    }

    /// `1 object`, `2 objects`.
    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    private static func table(
        _ header: [String], _ alignments: [TextTable.Alignment], _ rows: [[String]], or nothing: String
    ) -> [String] {
        if rows.isEmpty { return [nothing] }
        var table = TextTable(indent: "", header: header, alignments: Array(alignments.prefix(header.count)))
        for row in rows { table.append(row.map(\.withVisibleControls)) }
        return table.lines
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
