// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretPolicy

/// What `egret explain` says about a flow.
struct ExplainAnswer {
    let flow: Flow
    let decision: Decision
    private let otherwise: Decision
    private let policies: PolicySet

    init(flow: Flow, policies: PolicySet, evaluator: PolicyEvaluator) {
        self.flow = flow
        self.policies = policies
        decision = evaluator.decide(flow)
        otherwise = evaluator.decide(flow, ignoring: [decision.clause])
    }

    private var service: String {
        FlowKey(
            destination: flow.destination,
            protocol: flow.protocol,
            port: flow.destinationPort,
            icmpType: flow.icmpType
        ).serviceText
    }

    /// The sentences of `-o table`.
    var text: String {
        var lines = [
            "\(flow.destination) \(service): \(decision.verdict.rawValue)",
            "  \(decision.reason(in: policies))",
        ]
        if case .rule = decision.clause { lines.append("  without that: \(otherwise.reason(in: policies))") }
        return lines.map { $0.withVisibleControls + "\n" }.joined()
    }

    /// The table of `-o wide`: a line each.
    static func table(_ answers: [ExplainAnswer]) -> String {
        var table = TextTable(
            header: ["DESTINATION", "PORT", "VERDICT", "AUDITED", "RULE", "PLACE", "OTHERWISE", "BY"],
            alignments: Array(repeating: .left, count: 8)
        )
        for answer in answers {
            let document = answer.document
            let clauses = ClauseText(answer.policies)
            table.append(
                [
                    document.destination, document.service, document.verdict, document.audited ? "yes" : "no",
                    document.decidedBy.rule, document.decidedBy.location ?? "", answer.otherwise.verdict.rawValue,
                    clauses.short(answer.otherwise.clause),
                ].map(\.withVisibleControls))
        }
        return table.lines.map { $0 + "\n" }.joined()
    }

    var document: Document { Document(self) }

    /// The answer, for programs.
    struct Document: Encodable {
        var destination: String
        var service: String
        var verdict: String
        var audited: Bool
        var decidedBy: ReportDocument.Clause
        var reason: String
        var passedBy: [ReportDocument.Clause]
        var otherwise: String

        init(_ answer: ExplainAnswer) {
            let clauses = ClauseText(answer.policies)
            destination = answer.flow.destination.description
            service = answer.service
            verdict = answer.decision.verdict.rawValue
            audited = answer.decision.isAudited
            decidedBy = ReportDocument.Clause(answer.decision.clause, clauses)
            reason = answer.decision.reason(in: answer.policies)
            passedBy = answer.decision.passed.map { ReportDocument.Clause($0, clauses) }
            otherwise = answer.otherwise.reason(in: answer.policies)
        }
    }
}
