// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a text that should be a domain name or a pattern of them.
public struct DomainProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was found.
    public var message: String
    /// What to write instead.
    public var suggestion: String?

    /// Creates a problem.
    public init(_ message: String, suggestion: String? = nil) {
        self.message = message
        self.suggestion = suggestion
    }

    /// The message, then the suggestion.
    public var description: String { suggestion.map { "\(message); \($0)" } ?? message }
}
