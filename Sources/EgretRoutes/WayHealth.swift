// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// What is known of a way's health: a count of missed and of answered checks, with hysteresis.
///
/// It starts usable: a way is given up for a reason. Its link being down is one by itself, at once.
public struct WayHealth: Hashable, Sendable {
    /// Whether new connections may take the way.
    public var isUsable: Bool { isLinkUp && isAnswering }
    /// Whether the way's interface is there and up.
    public private(set) var isLinkUp = true

    private var streak = 0
    private let failures: Int
    private let successes: Int

    /// Whether the checks say that the way is there.
    public private(set) var isAnswering: Bool

    /// Begins with a usable way, or with one that is known not to answer.
    public init(_ check: RouteCheck?, isAnswering: Bool = true) {
        self.isAnswering = isAnswering || check == nil
        failures = check?.failures ?? 1
        successes = check?.successes ?? 1
    }

    /// Takes note of a check's outcome.
    public mutating func note(answered: Bool) {
        guard answered != isAnswering else {
            streak = 0
            return
        }
        streak += 1
        guard streak >= (answered ? successes : failures) else { return }
        isAnswering = answered
        streak = 0
    }

    /// Takes note of whether the interface is up.
    public mutating func note(isLinkUp: Bool) {
        self.isLinkUp = isLinkUp
    }
}
