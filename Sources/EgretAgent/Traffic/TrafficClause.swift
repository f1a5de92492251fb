// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretPolicy

/// A clause as its traffic is accounted for: whatever program stands for it.
struct TrafficClause: Hashable, Sendable {
    /// `egress` or `ingress`.
    var direction: String
    /// The policy by kind and name; empty for the network's default and what is refused before any policy is asked.
    var policy: String
    /// The rule's name, or `rule 2`; `default`.
    var rule: String
    /// What happens: `deny`, or `would-deny` of a policy that is only audited.
    var verdict: String

    /// A connection that was let through: by which clause, nobody has told.
    static func allowed(_ direction: TrafficDirection) -> TrafficClause {
        TrafficClause(direction: direction.rawValue, policy: "", rule: "", verdict: "allow")
    }

    /// A packet that no policy was asked about.
    static func refused(_ direction: TrafficDirection, _ why: String) -> TrafficClause {
        TrafficClause(direction: direction.rawValue, policy: "", rule: why, verdict: "deny")
    }

    /// Whether it refuses, or would.
    var isRefusal: Bool { verdict != "allow" && verdict != "audit" }
}

extension TrafficClause {
    /// A clause of a program.
    init(_ compiled: CompiledClause, of policies: PolicySet, _ direction: TrafficDirection) {
        self.init(
            compiled.clause, (compiled.isEnforced ? "" : "would-") + compiled.effect.rawValue, of: policies, direction)
    }

    /// A clause, with what it does.
    init(_ clause: DecidingClause, _ verdict: String, of policies: PolicySet, _ direction: TrafficDirection) {
        self.direction = direction.rawValue
        self.verdict = verdict
        switch clause {
        case .rule(let name, let index):
            policy = TrafficClause.object(name)
            rule = policies.rule(of: clause)?.name ?? "rule \(index + 1)"
        case .policyDefault(let name):
            policy = TrafficClause.object(name)
            rule = "default"
        case .networkDefault:
            policy = ""
            rule = "default"
        }
    }

    /// What a limit refuses.
    init(_ refusal: LimitProgram.Refusal) {
        direction = refusal.direction.rawValue
        policy = refusal.limit.policy.map { TrafficClause.object($0) } ?? ""
        rule = "limit \(refusal.words)"
        verdict = "deny"
    }

    /// Names of Kubernetes' policies have their kind already.
    private static func object(_ name: String) -> String { name.contains("/") ? name : "EgressPolicy/\(name)" }
}

/// So many packets and bytes.
struct TrafficAmount: Hashable, Sendable {
    var packets: UInt64 = 0
    var bytes: UInt64 = 0

    static func += (left: inout TrafficAmount, right: TrafficAmount) {
        left.packets = left.packets.addingClamped(right.packets)
        left.bytes = left.bytes.addingClamped(right.bytes)
    }

    /// What has come since an earlier reading of the same counter. A counter that has gone back was set to zero by somebody:
    /// what it has counted since is what it shows.
    func since(_ earlier: TrafficAmount) -> TrafficAmount {
        if packets < earlier.packets || bytes < earlier.bytes { return self }
        return TrafficAmount(packets: packets - earlier.packets, bytes: bytes - earlier.bytes)
    }
}
