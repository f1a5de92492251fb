// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What could not be done while building, using or removing a ``TestInternet``.
public struct LabError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, as words: `starting dnsmasq`.
    public var operation: String
    /// What came back: the program's complaint, or the name of the `errno`.
    public var reason: String
    /// What to do about it, if anything.
    public var advice: String?

    /// Creates an error.
    public init(_ operation: String, reason: String, advice: String? = nil) {
        self.operation = operation
        self.reason = reason
        self.advice = advice
    }

    /// One line: what was tried, what came back, what to do next.
    public var description: String {
        let text = "\(operation): \(reason)"
        return advice.map { "\(text); \($0)" } ?? text
    }
}
