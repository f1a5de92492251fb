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

    /// Creates a decision.
    public init(verdict: Verdict, isAudited: Bool = false, clause: DecidingClause, passed: [DecidingClause] = []) {
        self.verdict = verdict
        self.isAudited = isAudited
        self.clause = clause
        self.passed = passed
    }
}
