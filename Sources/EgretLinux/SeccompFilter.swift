// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A seccomp filter as a value: rules over system calls, to be assembled into classic BPF.
///
/// The first rule that matches a call decides; a call that no rule matches is allowed, if ``unmatched`` does not say otherwise. A
/// call of a convention the filter does not understand ends the process.
public struct SeccompFilter: Hashable, Sendable {
    /// What happens to a call.
    public enum Action: Hashable, Sendable {
        /// It goes ahead: `SECCOMP_RET_ALLOW`.
        case allow
        /// It fails without being made: `SECCOMP_RET_ERRNO`.
        case refuse(Errno)
        /// The process ends with `SIGSYS`: `SECCOMP_RET_KILL_PROCESS`.
        case killProcess
    }

    /// What an argument must be for a rule to match.
    ///
    /// Only the low 32 bits count: the arguments that Egret asks about are C `int`s, of which the kernel ignores the
    /// rest.
    public struct Condition: Hashable, Sendable {
        /// Which argument, 0 to 5.
        public var argument: Int
        /// The bits that count.
        public var mask: UInt32
        /// The values, compared after masking.
        public var values: [UInt32]
        /// Whether the argument must be one of the values, or none.
        public var mustBeAmong: Bool

        /// The argument is one of the values.
        public static func argument(_ index: Int, mask: UInt32 = .max, isAmong values: [UInt32]) -> Condition {
            Condition(argument: index, mask: mask, values: values, mustBeAmong: true)
        }

        /// The argument is none of the values.
        public static func argument(_ index: Int, mask: UInt32 = .max, isNotAmong values: [UInt32]) -> Condition {
            Condition(argument: index, mask: mask, values: values, mustBeAmong: false)
        }
    }

    /// One rule.
    public struct Rule: Hashable, Sendable {
        /// The call it is about.
        public var call: SystemCall
        /// All of these must hold.
        public var conditions: [Condition]
        /// What then happens.
        public var action: Action

        /// Makes a rule.
        public init(_ call: SystemCall, where conditions: [Condition] = [], _ action: Action) {
            self.call = call
            self.conditions = conditions
            self.action = action
        }
    }

    /// The rules, the first match deciding.
    public var rules: [Rule]
    /// What happens to a call that no rule matches.
    public var unmatched: Action
    /// Whether the machine's own convention is all that is understood: on x86_64, 32-bit calls end the process.
    public var isNativeOnly: Bool

    /// Makes a filter of rules.
    public init(rules: [Rule], unmatched: Action = .allow, isNativeOnly: Bool = false) {
        self.rules = rules
        self.unmatched = unmatched
        self.isNativeOnly = isNativeOnly
    }
}
