// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretPolicy

/// What `egret explain --from` says about a connection.
struct ConnectionAnswer {
    /// What one end says.
    struct Side {
        /// The end, as it is named.
        var name: String
        var decision: Decision
        /// What the end would say without the clause that decides.
        var otherwise: Decision
        var policies: PolicySet
        /// The time that was asked about, in seconds since 1970-01-01T00:00Z.
        var time: Int64
        /// Whether another time may have another answer.
        var dependsOnTime: Bool

        /// The rules that would decide at another time, each in words.
        var closedReasons: [String] { decision.closedReasons(in: policies, at: time) }
        /// Whether two ends say the same by the same clauses.
        func isEqual(to other: Side) -> Bool { decision == other.decision && otherwise == other.otherwise }
    }

    var source: String
    var target: String
    var service: String
    var via: String?
    /// The links that the ends have it by, where they have several and that makes a difference, or is known.
    var sourceLink: String?
    var targetLink: String?
    /// The families that it is true of, where the target has both and they differ.
    var family: AddressFamily?
    /// What the end that begins it says; `nil` if it has no policies here.
    var egress: Side?
    /// What the target says; `nil` if it has no policies here.
    var ingress: Side?
    /// Why an end says nothing, for each that does.
    var remarks: [String] = []

    var isAllowed: Bool { [egress, ingress].allSatisfy { $0?.decision.verdict ?? .allow == .allow } }

    /// Whether two answers differ in nothing but the family.
    func isEqual(to other: ConnectionAnswer) -> Bool {
        func same(_ left: Side?, _ right: Side?) -> Bool {
            guard let left, let right else { return left == nil && right == nil }
            return left.isEqual(to: right)
        }
        return same(egress, other.egress) && same(ingress, other.ingress)
    }

    /// One answer in the place of those for each link that a connection may take, if they say the same.
    static func joined(_ answers: [ConnectionAnswer]) -> [ConnectionAnswer] {
        guard let first = answers.first?.withoutLinks, answers.count > 1 else { return answers }
        let areSame = answers.allSatisfy { answer in
            (answer.sourceLink ?? answer.targetLink) != nil && answer.withoutLinks.text == first.text
                && answer.egress?.policies == first.egress?.policies
                && answer.ingress?.policies == first.ingress?.policies
        }
        return areSame ? [first] : answers
    }

    /// The answer without what tells those about the links of one endpoint apart.
    private var withoutLinks: ConnectionAnswer {
        var answer = self
        (answer.sourceLink, answer.targetLink, answer.family) = (nil, nil, nil)
        return answer
    }

    private var sourceTitle: String { source + (sourceLink.map { " (\($0))" } ?? "") }
    private var targetTitle: String { target + (targetLink.map { " (\($0))" } ?? "") }

    private var title: String {
        let path = via.map { " -> \($0)" } ?? ""
        let family = family.map { $0 == .ipv4 ? " (IPv4)" : " (IPv6)" } ?? ""
        return "\(sourceTitle)\(path) -> \(targetTitle) \(service)\(family)"
    }

    /// The sentences of `-o table`.
    var text: String {
        var lines = ["\(title): \(isAllowed ? "allow" : "deny")"]
        for (direction, side) in [("egress", egress), ("ingress", ingress)] {
            guard let side else { continue }
            lines.append("  \(direction) of \(side.name): \(side.decision.reason(in: side.policies, at: side.time))")
            lines += side.closedReasons.map { "    \($0)" }
            if let audit = side.decision.auditReason(in: side.policies) { lines.append("    in audit mode: \(audit)") }
            if side.decision.clause != .networkDefault {
                lines.append("    without that: \(side.otherwise.reason(in: side.policies))")
            }
        }
        lines += remarks.map { "  \($0)" }
        return lines.map { $0.withVisibleControls + "\n" }.joined()
    }

    /// The table of `-o wide`: a line each.
    static func table(_ answers: [ConnectionAnswer]) -> String {
        var table = TextTable(
            header: ["FROM", "TO", "PORT", "VERDICT", "EGRESS", "BY", "INGRESS", "BY"],
            alignments: Array(repeating: .left, count: 8)
        )
        for answer in answers {
            func cells(_ side: Side?) -> [String] {
                guard let side else { return ["-", "-"] }
                return [side.decision.verdict.rawValue, ClauseText(side.policies).short(side.decision.clause)]
            }
            table.append(
                ([answer.sourceTitle, answer.targetTitle, answer.service, answer.isAllowed ? "allow" : "deny"]
                    + cells(answer.egress) + cells(answer.ingress)).map(\.withVisibleControls))
        }
        return table.lines.map { $0 + "\n" }.joined()
    }

    var document: Document { Document(self) }

    /// The answer, for programs.
    struct Document: Encodable {
        struct Side: Encodable {
            var workload: String
            var verdict: String
            var audited: Bool
            var tier: String?
            var decidedBy: ReportDocument.Clause
            var passedBy: [ReportDocument.Clause]
            var reason: String
            var otherwise: String
            var otherwiseVerdict: String
            /// The rules that would decide at another time; absent where the answer does not depend on it.
            var closed: [String]?
            var auditVerdict: String?
            var auditDecidedBy: ReportDocument.Clause?

            init(_ side: ConnectionAnswer.Side) {
                let clauses = ClauseText(side.policies)
                workload = side.name
                verdict = side.decision.verdict.rawValue
                audited = side.decision.isAudited
                decidedBy = ReportDocument.Clause(side.decision.clause, clauses)
                tier = decidedBy.policy.flatMap { name in
                    side.policies.policies.first { $0.name == name }?.tier.rawValue
                }
                passedBy = side.decision.passed.map { ReportDocument.Clause($0, clauses) }
                reason = side.decision.reason(in: side.policies, at: side.time)
                otherwise = side.otherwise.reason(in: side.policies)
                otherwiseVerdict = side.otherwise.verdict.rawValue
                closed = side.dependsOnTime ? side.closedReasons : nil
                auditVerdict = side.decision.auditRefusal?.verdict.rawValue
                auditDecidedBy = side.decision.auditRefusal.map { ReportDocument.Clause($0.clause, clauses) }
            }
        }

        var from: String
        /// The network by which it leaves, if the endpoint has several and that is known or makes a difference.
        var fromLink: String?
        var to: String
        /// The same of the network at which it arrives.
        var toLink: String?
        var service: String
        var via: String?
        var family: String?
        /// The time that was asked about, in UTC, if the answer depends on it.
        var at: String?
        var verdict: String
        var egress: Side?
        var ingress: Side?
        var remarks: [String]

        init(_ answer: ConnectionAnswer) {
            from = answer.source
            fromLink = answer.sourceLink
            to = answer.target
            toLink = answer.targetLink
            service = answer.service
            via = answer.via
            family = answer.family.map { $0 == .ipv4 ? "IPv4" : "IPv6" }
            verdict = answer.isAllowed ? "allow" : "deny"
            egress = answer.egress.map { Side($0) }
            ingress = answer.ingress.map { Side($0) }
            remarks = answer.remarks
            at = [answer.egress, answer.ingress].compactMap { $0 }.first(where: \.dependsOnTime)
                .map { MomentText.text(of: $0.time) }
        }
    }
}
