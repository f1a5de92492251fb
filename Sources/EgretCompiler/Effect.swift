// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// What happens to traffic that one clause decides, and how the kernel counts and names it.
public struct CompiledClause: Hashable, Sendable {
    /// What the kernel does with the packets.
    public enum Effect: String, Hashable, Sendable {
        /// They leave.
        case allow
        /// They leave, and each new connection is logged.
        case audit
        /// They are dropped, and logged.
        case deny
        /// They are refused with an answer, and logged.
        case reject
    }

    /// The clause.
    public var clause: DecidingClause
    /// What happens.
    public var effect: Effect
    /// The name of its chain, of its counter, and the prefix of its log records.
    public var name: String

    /// Whether it decides. The clause of a policy that is only audited has a counter and log records for what it would
    /// have refused.
    public var isEnforced: Bool

    /// Creates a compiled clause.
    public init(clause: DecidingClause, effect: Effect, name: String, isEnforced: Bool = true) {
        self.clause = clause
        self.effect = effect
        self.name = name
        self.isEnforced = isEnforced
    }
}

extension CompiledClause.Effect {
    init(_ action: DefaultAction) {
        switch action {
        case .allow: self = .allow
        case .audit: self = .audit
        case .deny: self = .deny
        case .reject: self = .reject
        }
    }

    /// `nil` for `pass`, which decides nothing.
    init?(_ action: RuleAction) {
        switch action {
        case .allow: self = .allow
        case .audit: self = .audit
        case .deny: self = .deny
        case .reject: self = .reject
        case .pass: return nil
        }
    }
}
