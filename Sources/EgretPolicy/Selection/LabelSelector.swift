// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Chooses objects by their labels, as Kubernetes does (`meta/v1` LabelSelector).
///
/// All requirements must hold. A selector without requirements matches everything.
public struct LabelSelector: Hashable, Sendable {
    /// What must hold of one key.
    public struct Requirement: Hashable, Sendable {
        /// How the key's value is compared.
        public enum Operation: String, Hashable, Sendable, CaseIterable {
            /// The key is there and its value is one of the values.
            case isIn = "In"
            /// The key is missing, or its value is none of the values.
            case isNotIn = "NotIn"
            /// The key is there.
            case exists = "Exists"
            /// The key is missing.
            case doesNotExist = "DoesNotExist"
        }

        /// The label's key.
        public var key: String
        /// The comparison.
        public var operation: Operation
        /// What the value is compared with; empty for `exists` and `doesNotExist`.
        public var values: [String]

        /// Creates a requirement.
        public init(_ key: String, _ operation: Operation, _ values: [String] = []) {
            self.key = key
            self.operation = operation
            self.values = values
        }

        /// Whether the labels meet the requirement.
        public func matches(_ labels: [String: String]) -> Bool {
            switch operation {
            case .isIn: labels[key].map(values.contains) ?? false
            case .isNotIn: labels[key].map { !values.contains($0) } ?? true
            case .exists: labels[key] != nil
            case .doesNotExist: labels[key] == nil
            }
        }
    }

    /// The selector that matches every object.
    public static let everything = LabelSelector()

    /// What must hold, in the order of reading.
    public var requirements: [Requirement]

    /// Creates a selector.
    public init(_ requirements: [Requirement] = []) {
        self.requirements = requirements
    }

    /// Creates a selector that wants these values.
    public init(matchLabels: [String: String]) {
        requirements = matchLabels.sorted { $0.key < $1.key }.map { Requirement($0.key, .isIn, [$0.value]) }
    }

    /// Whether the labels meet every requirement.
    public func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { $0.matches(labels) }
    }
}
