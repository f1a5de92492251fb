// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretFlows
import EgretNames
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The report of a run, for programs: `--report json`. `docs/report.md` describes it.
struct ReportDocument: Encodable {
    struct Amount: Encodable {
        var packets: UInt64
        var bytes: UInt64

        init(_ traffic: Traffic) {
            packets = traffic.packets
            bytes = traffic.bytes
        }
    }

    struct Clause: Encodable {
        /// `rule`, `flag`, `policy-default` or `network-default`.
        var kind: String
        var policy: String?
        var rule: String
        var location: String?

        init(_ clause: DecidingClause, _ text: ClauseText) {
            let place = text.location(clause)
            switch clause {
            case .rule(let policy, _):
                kind = place?.line == 0 ? "flag" : "rule"
                self.policy = policy
            case .policyDefault(let policy):
                kind = "policy-default"
                self.policy = policy
            case .networkDefault:
                kind = "network-default"
                policy = nil
            }
            rule = text.short(clause)
            location = place?.description
        }
    }

    struct Reached: Encodable {
        var destination: String
        /// The name that it was reached by; absent where an address let it out.
        var name: String?
        var service: String
        var decidedBy: Clause?
        var audited: Bool
        var connections: UInt64
        var sent: Amount
        var received: Amount
    }

    struct Refused: Encodable {
        var destination: String
        var service: String
        var verdict: String
        var reason: String
        var decidedBy: Clause?
        var logged: Amount
    }

    struct RefusedTotal: Encodable {
        var verdict: String
        var reason: String
        var decidedBy: Clause?
        var total: Amount
        var unloggedPackets: UInt64
    }

    struct Ending: Encodable {
        var exitCode: Int32
        var signal: Int32?
        var seconds: Double
    }

    var version = 1
    var command: [String]
    var ending: Ending
    var reached: [Reached]
    var refused: [Refused]
    var refusedTotals: [RefusedTotal]
    var lostConnections: Bool
    var unloggedAudits: UInt64
    var omittedDestinations: UInt64
    var suggestedFlags: [String]
    /// What became of names; absent where the policy is about none.
    var names: Names?
    /// What was used of budgets; absent where the policy has none.
    var budgets: [RunBudgets.Use]?
    /// What was to be known before the command started.
    var warnings: [String]

    init(
        _ report: RunReport, names: NameReport? = nil, budgets: [RunBudgets.Use] = [], policies: PolicySet,
        command: [String], ending: Ending,
        warnings: [String] = []
    ) {
        self.names = names.map { Names($0) }
        let clauses = ClauseText(policies)
        self.command = command
        self.ending = ending
        reached = report.reached.map { line in
            Reached(
                destination: line.key.destination.description,
                name: line.name,
                service: line.key.serviceText,
                decidedBy: line.clause.map { Clause($0, clauses) },
                audited: line.isAudited,
                connections: line.connections,
                sent: Amount(line.sent),
                received: Amount(line.received)
            )
        }
        refused = report.refused.map { line in
            let words = line.reason.words
            return Refused(
                destination: line.key.destination.description,
                service: line.key.serviceText,
                verdict: words.verdict,
                reason: words.reason,
                decidedBy: line.reason.clause.map { Clause($0, clauses) },
                logged: Amount(line.logged)
            )
        }
        refusedTotals = report.refusedTotals.map { reason, total in
            RefusedTotal(
                verdict: reason.words.verdict,
                reason: reason.words.reason,
                decidedBy: reason.clause.map { Clause($0, clauses) },
                total: Amount(total),
                unloggedPackets: report.unlogged[reason, default: 0]
            )
        }
        .sorted { ($0.reason, $0.decidedBy?.rule ?? "") < ($1.reason, $1.decidedBy?.rule ?? "") }
        lostConnections = report.lostConnections
        unloggedAudits = report.unloggedAudits
        omittedDestinations = report.omittedDestinations
        self.warnings = warnings
        self.budgets = budgets.isEmpty ? nil : budgets
        suggestedFlags = Suggestions(report, names: names, policies: policies).flags
    }

    /// The document as text, keys sorted, with a line feed at its end.
    func text() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}

extension RefusalReason {
    /// The clause, if the policy refused.
    var clause: DecidingClause? {
        guard case .clause(let clause, _) = self else { return nil }
        return clause
    }

    /// The reason and the verdict, as reports spell them.
    var words: (reason: String, verdict: String) {
        switch self {
        case .clause(_, let rejected): ("policy", rejected ? "reject" : "deny")
        case .spoofed: ("spoofed", "deny")
        case .invalid: ("invalid", "deny")
        case .inbound: ("inbound", "deny")
        case .limit: ("limit", "deny")
        }
    }
}
