// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is wrong, or doubtful, in something a person wrote.
///
/// Diagnostics are values, collected all at once; they are not thrown.
public struct Diagnostic: Hashable, Sendable {
    /// How much a diagnostic matters.
    public enum Severity: String, Hashable, Sendable {
        /// Nothing runs and nothing is applied.
        case error
        /// Everything goes on; the user probably meant something else.
        case warning
    }

    /// A stable code, `EGR` and four digits; documented in `docs/diagnostics.md`.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The code's text, for example `EGR0012`.
        public let rawValue: String

        /// Creates a code from its text.
        public init(rawValue: String) {
            self.rawValue = rawValue
        }
    }

    /// How much it matters.
    public var severity: Severity
    /// The stable code.
    public var code: Code
    /// Where.
    public var location: SourceLocation?
    /// What was found and what was expected, as one sentence without a full stop.
    public var message: String
    /// What to write or do instead, as one sentence without a full stop.
    public var suggestion: String?

    /// Creates a diagnostic.
    public init(
        _ severity: Severity,
        code: Code,
        at location: SourceLocation?,
        _ message: String,
        suggestion: String? = nil
    ) {
        self.severity = severity
        self.code = code
        self.location = location
        self.message = message
        self.suggestion = suggestion
    }
}
