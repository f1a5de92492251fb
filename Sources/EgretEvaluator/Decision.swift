// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// What happens to a flow, and which clause says so.
public struct Decision: Hashable, Sendable {
    /// What happens to the flow's packets.
    public enum Verdict: String, Hashable, Sendable, CaseIterable {
        /// They leave.
        case allow
        /// They are dropped without an answer.
        case deny
        /// They are refused with an answer.
        case reject
    }

    /// What happens.
    public var verdict: Verdict
    /// Whether the flow is reported although it leaves (`audit`).
    public var isAudited: Bool
    /// The clause that decided.
    public var clause: DecidingClause
    /// The `pass` rules that matched on the way, in order.
    public var passed: [DecidingClause]

    /// The rules asked on the way that match but for the time, in order.
    public var closed: [DecidingClause]
    /// What policies in audit mode would have made of it, if they would have refused what leaves.
    public var auditRefusal: AuditRefusal?

    /// Creates a decision.
    public init(
        verdict: Verdict, isAudited: Bool = false, clause: DecidingClause, passed: [DecidingClause] = [],
        closed: [DecidingClause] = [], auditRefusal: AuditRefusal? = nil
    ) {
        self.verdict = verdict
        self.isAudited = isAudited
        self.clause = clause
        self.passed = passed
        self.closed = closed
        self.auditRefusal = auditRefusal
    }
}

/// What all policies, those in audit mode included, would have refused of what the enforcing ones let out.
public struct AuditRefusal: Hashable, Sendable {
    /// `deny` or `reject`.
    public var verdict: Decision.Verdict
    /// The clause that would have decided.
    public var clause: DecidingClause

    /// Creates a refusal.
    public init(verdict: Decision.Verdict, clause: DecidingClause) {
        self.verdict = verdict
        self.clause = clause
    }
}
