// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// Whether an assertion holds.
public struct Proof: Hashable, Sendable {
    /// What was claimed.
    public var assertion: Assertion
    /// Whether it holds, for every packet there can be.
    public var holds: Bool
    /// Where it does not hold, a flow that shows it; for `some` the flow that shows that it holds.
    public var flow: ProofFlow?
    /// Why there is no flow to show, or what is taken for granted, as one sentence without a full stop.
    public var note: String?
}

/// A connection that an assertion stands or falls by.
public struct ProofFlow: Hashable, Sendable {
    /// One end.
    public struct End: Hashable, Sendable {
        /// Its place in the inventory, if it is a workload.
        public var workload: Int?
        /// The address that it speaks with; `nil` where nobody knows it, as of a workload in a manifest.
        public var address: IPAddress?
    }

    /// What one end says of the connection.
    public struct Opinion: Hashable, Sendable {
        /// Which end: the one that begins has `egress`, its target `ingress`.
        public var direction: TrafficDirection
        /// What its policies say.
        public var decision: Decision
        /// The same in words, with the rule and where it is written.
        public var reason: String
        /// Where the clause is written.
        public var location: SourceLocation?
    }

    /// Who begins.
    public var source: End
    /// Who is asked.
    public var target: End
    /// Whether the target is the machine that the source runs on.
    public var targetIsHost: Bool
    /// What with.
    public var service: ConnectionService
    /// When, in seconds since 1970-01-01T00:00Z; `nil` if no rule depends on the time.
    public var time: Int64?
    /// What every end says that has policies.
    public var opinions: [Opinion]

    /// When, in UTC: `2026-12-24T18:00Z`.
    public var timeText: String? { time.map(Moment.text) }

    /// Whether every end lets it pass.
    public var isAllowed: Bool { opinions.allSatisfy { $0.decision.verdict == .allow } }
}
