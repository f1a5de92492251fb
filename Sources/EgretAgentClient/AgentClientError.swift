// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Why there is no answer from the agent, or none that can be used. What the agent refuses is an `APIError`.
public struct AgentClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What to do.
    public var advice: String?

    /// Creates an error.
    public init(_ message: String, advice: String? = nil) {
        self.message = message
        self.advice = advice
    }

    /// The message.
    public var description: String { message }
}
