// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Says what a policy set does with a flow: the reference that the data plane is tested against.
///
/// The tiers are asked in order: admin, workload, baseline. In a tier the policies are asked by priority and
/// name, and their rules in order; the first rule that matches decides, and `pass` leaves the tier. What no rule
/// of the workload tier matched gets that tier's default if any workload policy is present, and the baseline
/// tier is then not asked. What no tier decided gets the network's default.
///
/// The answer is a function of the set and the flow alone. Building an evaluator sorts addresses once;
/// ``decide(_:at:ignoring:)`` then walks the rules.
public struct PolicyEvaluator: Sendable {
    /// The set that decides.
    public let policies: PolicySet
    /// The policies that decide.
    package let enforcing: PreparedTiers
    /// Enforcing and auditing policies together; `nil` if none audits.
    package let everything: PreparedTiers?
    /// The rules about names.
    let names: NameIndex

    /// Prepares a policy set.
    ///
    /// - Complexity: O(*n* log *n*) in the number of address blocks.
    public init(policies: PolicySet) {
        self.policies = policies
        names = NameIndex(policies)
        let decisive = policies.policies.filter { $0.mode == .enforce }
        enforcing = PreparedTiers(decisive, of: policies)
        everything = decisive.count < policies.policies.count ? PreparedTiers(policies.policies, of: policies) : nil
    }

    /// Whether what it decides depends on the time.
    public var dependsOnTime: Bool { enforcing.hasSchedules || everything?.hasSchedules ?? false }

    /// Decides about the first packet of a connection.
    ///
    /// Of a flow with names it answers for what becomes of it in the end: for the packet, and for what the client says on
    /// the connection as soon as that is read.
    ///
    /// - Parameters:
    ///   - flow: The packet.
    ///   - unixTime: When it is sent, in seconds since 1970-01-01T00:00Z. `nil` is a time that nobody knows, which matters
    ///     only if the evaluator ``dependsOnTime``: rules with a schedule then hold if they deny or reject, and not
    ///     otherwise, as in a kernel whose compiled windows have run out.
    ///   - ignored: Clauses to leave out: what would happen without the rule that decides now. An ignored default is as if
    ///     its policy had no part in the tier's default; if none is left, the baseline tier is asked. The network's
    ///     default cannot be ignored.
    /// - Returns: What the enforcing policies decide, and what the auditing ones would have refused beyond that.
    /// - Complexity: O(*r* log *n*) in the rules asked and their address blocks.
    public func decide(
        _ flow: Flow, at unixTime: Int64? = nil, ignoring ignored: Set<DecidingClause> = []
    ) -> Decision {
        decide(flow, holding: names.held(flow.names, ignoring: ignored), at: unixTime, ignoring: ignored)
    }

    /// Decides about a flow of which it is known by which rules the endpoint holds the destination, and by which names.
    ///
    /// A rule that covers a name need not hold an address of it: a rule that denies what the name is an alias of stood in
    /// its way.
    ///
    /// - Parameters:
    ///   - flow: The packet; its ``Flow/names`` play no part.
    ///   - holders: The names by which each rule holds the destination; other rules hold it by none.
    ///   - unixTime: As for ``decide(_:at:ignoring:)``.
    ///   - beginning: When the connection began, if it is open: rules whose schedules drain then hold as they did at that
    ///     time. `nil` for one that begins.
    /// - Returns: The same.
    public func decide(
        _ flow: Flow, heldBy holders: [DecidingClause: Set<DomainName>], at unixTime: Int64? = nil,
        since beginning: Int64? = nil
    ) -> Decision {
        let covered = names.held(holders.values.reduce(into: []) { $0.formUnion($1) }, ignoring: [])
        var held: HeldNames = [:]
        for (clause, names) in covered {
            let both = names.intersection(holders[clause] ?? [])
            if !both.isEmpty { held[clause] = both }
        }
        return decide(flow, holding: held, at: unixTime, since: beginning, ignoring: [])
    }

    private func decide(
        _ flow: Flow, holding held: HeldNames, at unixTime: Int64?, since beginning: Int64? = nil,
        ignoring ignored: Set<DecidingClause>
    ) -> Decision {
        var decision = enforcing.decide(flow, holding: held, at: unixTime, since: beginning, ignoring: ignored)
        guard let everything, decision.verdict == .allow else { return decision }
        let strict = everything.decide(flow, holding: held, at: unixTime, since: beginning, ignoring: ignored)
        if strict.verdict != .allow {
            decision.auditRefusal = AuditRefusal(verdict: strict.verdict, clause: strict.clause)
        }
        return decision
    }
}
