// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// What brings the kernel from one plan to another, in three transactions.
///
/// What comes is used by nobody yet; the switch leads packets to it at one moment; what goes is used by nobody any
/// more. A packet keeps the rules that it has begun with, but each set it asks answers as of that moment: with everything
/// in one transaction, a few packets would find sets empty that their rules ask.
public struct HostDifference: Hashable, Sendable {
    /// What comes.
    public var arrival: [TableProgram] = []
    /// What leads packets from the old to the new.
    public var switching = Transaction()
    /// What goes.
    public var departure: [TableProgram] = []
    /// Numbers that programs have had which go: they rest in the new plan.
    public var retired: [Generation] = []

    /// Creates an empty difference.
    public init() {}

    /// Whether there is nothing to do.
    public var isEmpty: Bool { arrival.isEmpty && switching.steps.isEmpty && departure.isEmpty }
}
