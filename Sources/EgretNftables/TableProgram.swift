// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The desired state of a table, or of the part of it that one owner has put there.
///
/// A program is a value: two equal programs are the same state in the kernel. The order of `rules` within one
/// chain matters; every other order is only for people to read.
public struct TableProgram: Hashable, Sendable {
    /// The table.
    public var table: Table
    /// Counters that rules name.
    public var counters: [Counter] = []
    /// Limits that rules name.
    public var limits: [RateLimit] = []
    /// Quotas that rules name.
    public var quotas: [Quota] = []
    /// Sets and maps, with all that they hold.
    public var sets: [Set] = []
    /// Chains.
    public var chains: [Chain] = []
    /// Rules, in order within each chain.
    public var rules: [Rule] = []
    /// Elements of sets that are another program's, by set.
    public var memberships: [Set] = []

    /// Creates an empty program.
    public init(table: Table) {
        self.table = table
    }

    /// The steps that bring the program into a table that holds none of it.
    ///
    /// Counters, limits, quotas and chains come first, then sets, whose verdicts name chains, then the rules that name
    /// both, and last the memberships, which bring packets in.
    public var installation: [Operation] {
        counters.map { .addCounter($0) } + limits.map { .addLimit($0) } + quotas.map { .addQuota($0) }
            + chains.map { .createChain($0) }
            + sets.map { .addSet($0) } + rules.map { .addRule($0) } + memberships.map { .addElements($0) }
    }

    /// The steps that take the program out of a table that holds all of it.
    public var removal: [Operation] {
        memberships.map { .deleteElements($0) } + chains.reversed().map { .flushChain($0.name) }
            + sets.reversed().map { .deleteSet($0.name) } + chains.reversed().map { .deleteChain($0.name) }
            + quotas.map { .deleteQuota($0.name) } + limits.map { .deleteLimit($0.name) }
            + counters.map { .deleteCounter($0.name) }
    }
}

extension Sequence where Element == TableProgram {
    /// The elements that the programs have in sets of others, by table and set.
    public var sharedElements: [Table: [String: Swift.Set<SetElement>]] {
        var found: [Table: [String: Swift.Set<SetElement>]] = [:]
        for program in self {
            for set in program.memberships {
                guard case .elements(let elements) = set.contents else { continue }
                found[program.table, default: [:]][set.name, default: []].formUnion(elements)
            }
        }
        return found
    }
}
