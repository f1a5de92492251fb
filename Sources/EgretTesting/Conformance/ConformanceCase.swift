// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// What some policies must do among some pods, as data: every implementation of the language is held to it.
///
/// A case is a list of steps. Each has the whole state of then, so a step may be judged by itself, or on a kernel that
/// holds the state of the step before.
public struct ConformanceCase: Sendable {
    /// A state, and who reaches whom in it.
    public struct Step: Sendable {
        /// The policies.
        public var catalog: PolicyCatalog
        /// The pods, namespaces and nodes.
        public var inventory: Inventory
        /// Every connection that is tried, in a fixed order.
        public var probes: [Probe] = []
        /// Where the step's first check stands.
        public var location: SourceLocation
    }

    /// A connection that somebody tries to open.
    public struct Probe: Hashable, Sendable {
        /// Who tries.
        public var source: ConnectionEnd
        /// Whom.
        public var target: ConnectionEnd
        /// What with.
        public var service: ConnectionService
        /// Which of the two ends' addresses.
        public var family: AddressFamily
        /// Whether it must succeed. If not, it must end in a timeout: a denial does not answer.
        public var isAllowed: Bool
    }

    /// What it shows, as a sentence.
    public var name: String
    /// The steps, in order.
    public var steps: [Step]
    /// Where it begins.
    public var location: SourceLocation
}

/// Why a file of cases cannot be used.
public struct ConformanceError: Error, CustomStringConvertible {
    /// What is wrong, with its place.
    public var description: String

    init(_ location: SourceLocation, _ message: String) {
        description = "\(location): \(message)"
    }
}
