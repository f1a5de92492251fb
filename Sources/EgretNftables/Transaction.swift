// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One change to one table's objects. Verbs are nft's own: `add` takes what exists as it is, `create` refuses
/// what exists, `delete` refuses what does not, `destroy` does not mind.
public enum Operation: Hashable, Sendable {
    /// `add table`.
    case addTable
    /// Adds a table that nobody else may change as long as the sender's socket is open (kernel 6.9 and later), and that stays
    /// when the socket closes. A table that a former owner has left is taken over.
    case addOwnedTable
    /// `delete table`, with everything in it.
    case deleteTable
    /// `add chain`, or change a base chain's policy.
    case addChain(Chain)
    /// `create chain`.
    case createChain(Chain)
    /// `flush chain`: deletes its rules.
    case flushChain(String)
    /// `delete chain`: it must be unused. Its rules go with it.
    case deleteChain(String)
    /// `add rule`, at the chain's end.
    case addRule(Rule)
    /// `delete rule`, by the number that the kernel gave it.
    case deleteRule(chain: String, handle: UInt64)
    /// `add set` or `add map`, and its contents.
    case addSet(Set)
    /// `add element` to a set or map whose shape is given; `set.contents` is what is added.
    case addElements(Set)
    /// `delete element`; `set.contents` is what is deleted.
    case deleteElements(Set)
    /// `delete set` or `delete map`: it must be unused.
    case deleteSet(String)
    /// `add counter`.
    case addCounter(Counter)
    /// `delete counter`: it must be unused.
    case deleteCounter(String)
    /// `add limit`.
    case addLimit(RateLimit)
    /// `delete limit`: it must be unused.
    case deleteLimit(String)
    /// `add quota`; of one that is there, the bytes are set, and what is used stays.
    case addQuota(Quota)
    /// `delete quota`: it must be unused.
    case deleteQuota(String)
}

/// Changes that the kernel makes together or not at all. No packet sees a part of them.
public struct Transaction: Hashable, Sendable {
    /// An operation and the table it is about.
    public struct Step: Hashable, Sendable {
        /// The table.
        public var table: Table
        /// The change.
        public var operation: Operation

        /// Creates a step.
        public init(_ operation: Operation, in table: Table) {
            self.operation = operation
            self.table = table
        }
    }

    /// The changes, in order.
    public var steps: [Step]

    /// Creates a transaction.
    public init(_ steps: [Step] = []) {
        self.steps = steps
    }

    /// Appends a change.
    public mutating func append(_ operation: Operation, in table: Table) {
        steps.append(Step(operation, in: table))
    }
}
