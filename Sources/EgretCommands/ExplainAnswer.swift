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
    private let time: Int64
    private let dependsOnTime: Bool
    private let routes: [EgressRoute]
    /// The name that was asked about; `nil` for an address.
    private var name: DomainName?
    private var remarks: [String] = []

    /// The answer about a name.
    init(
        name: DomainName, _ service: Service, _ text: String, policies: PolicySet, evaluator: PolicyEvaluator,
        at time: Int64
    ) throws(ExplainProblem) {
        let explained = try ExplainedName(name, service, text, evaluator: evaluator, at: time)
        self.name = name
        remarks = explained.remarks
        flow = explained.flow
        decision = explained.decision
        otherwise = explained.otherwise
        self.policies = policies
        self.time = time
        dependsOnTime = evaluator.dependsOnTime
        routes = []
    }

    init(flow: Flow, policies: PolicySet, evaluator: PolicyEvaluator, at time: Int64) {
        self.flow = flow
        self.policies = policies
        self.time = time
        dependsOnTime = evaluator.dependsOnTime
        decision = evaluator.decide(flow, at: time)
        routes = decision.verdict == .allow ? evaluator.routes(of: flow) : []
        otherwise = evaluator.decide(flow, at: time, ignoring: [decision.clause])
    }

    private var destination: String { name?.description ?? flow.destination.description }

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
            "\(destination) \(service): \(decision.verdict.rawValue)",
            "  \(decision.reason(in: policies, at: time))",
        ]
        lines += decision.closedReasons(in: policies, at: time).map { "  \($0)" }
        if let audit = decision.auditReason(in: policies) { lines.append("  in audit mode: \(audit)") }
        if case .rule = decision.clause { lines.append("  without that: \(otherwise.reason(in: policies))") }
        lines += remarks.map { "  \($0)" }
        lines += routes.map { "  route: \($0.words(for: flow.destination.family))" }
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
        /// The time that was asked about, in UTC, if the answer depends on it.
        var at: String?
        var closed: [String]?
        var auditVerdict: String?
        var auditDecidedBy: ReportDocument.Clause?
        /// The routes it is led by, each in words; absent for what goes by the main routing table.
        var routes: [String]?
        /// What else there is to know of a name; absent for an address.
        var remarks: [String]?

        init(_ answer: ExplainAnswer) {
            let clauses = ClauseText(answer.policies)
            destination = answer.destination
            remarks = answer.name == nil ? nil : answer.remarks
            service = answer.service
            verdict = answer.decision.verdict.rawValue
            audited = answer.decision.isAudited
            decidedBy = ReportDocument.Clause(answer.decision.clause, clauses)
            reason = answer.decision.reason(in: answer.policies, at: answer.time)
            passedBy = answer.decision.passed.map { ReportDocument.Clause($0, clauses) }
            otherwise = answer.otherwise.reason(in: answer.policies)
            if answer.dependsOnTime {
                at = MomentText.text(of: answer.time)
                closed = answer.decision.closedReasons(in: answer.policies, at: answer.time)
            }
            auditVerdict = answer.decision.auditRefusal?.verdict.rawValue
            auditDecidedBy = answer.decision.auditRefusal.map { ReportDocument.Clause($0.clause, clauses) }
            let family = answer.flow.destination.family
            routes = answer.routes.isEmpty ? nil : answer.routes.map { $0.words(for: family) }
        }
    }
}

extension EgressRoute {
    /// `by gateway 192.0.2.1, else by interface wg0, else dropped (policy.yaml:9:5)`: the ways that carry a family.
    func words(for family: AddressFamily) -> String {
        let end =
            switch fallback {
            case .drop: "dropped"
            case .main: "by the main routing table"
            case .next: "as the next route says"
            }
        let place = location.map { " (\($0))" } ?? ""
        return (ways.filter { $0.carries(family) }.map(\.words) + [end]).joined(separator: ", else ") + place
    }
}

extension RouteWay {
    /// `by gateway 192.0.2.1 on eth1 with source address 192.0.2.7`.
    fileprivate var words: String {
        [
            gateway.map { "by gateway \($0)" }, interface.map { gateway == nil ? "by interface \($0)" : "on \($0)" },
            sourceWords.map { "with source address \($0)" },
        ].compactMap(\.self).joined(separator: " ")
    }
}
