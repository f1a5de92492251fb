// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What the host's kernel can do for Egret, and what stands in the way.
public struct HostCheck: Hashable, Sendable {
    /// One thing that was looked at.
    public struct Line: Hashable, Sendable {
        /// What.
        public var name: String
        /// Whether it is as it should be.
        public var isGood: Bool
        /// What was seen; where it is not good, what that costs.
        public var words: String
        /// Whether Egret cannot do its work without it.
        public var isNeeded: Bool
        /// What mends it.
        public var commands: [[String]]

        /// Creates a line.
        public init(_ name: String, isGood: Bool, _ words: String, isNeeded: Bool = false, commands: [[String]] = []) {
            self.name = name
            self.isGood = isGood
            self.words = words
            self.isNeeded = isNeeded
            self.commands = commands
        }
    }

    /// The kernel's features.
    public var features: [Line]
    /// What others do on this host that keeps packets from passing, and the switches.
    public var conflicts: [Line]

    /// Whether nothing is in the way: every feature that is needed is there, and there are no conflicts.
    public var isHealthy: Bool {
        features.allSatisfy { $0.isGood || !$0.isNeeded } && conflicts.allSatisfy { $0.isGood || !$0.isNeeded }
    }

    /// Creates a check from its lines.
    public init(features: [Line], conflicts: [Line]) {
        self.features = features
        self.conflicts = conflicts
    }
}
