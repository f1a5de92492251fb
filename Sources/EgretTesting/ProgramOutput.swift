// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a program said, and how it ended.
public struct ProgramOutput: Hashable, Sendable {
    /// The exit code; 128 plus the signal's number for a program that a signal ended, as a shell reports it.
    public var status: Int32
    /// What it wrote to standard output; bytes that are not UTF-8 become U+FFFD.
    public var standardOutput: String
    /// What it wrote to standard error; bytes that are not UTF-8 become U+FFFD.
    public var standardError: String
    /// Whether it was killed because its time was up.
    public var timedOut: Bool
    /// How long it ran.
    public var duration: Duration

    /// Creates an output.
    public init(
        status: Int32,
        standardOutput: String,
        standardError: String,
        timedOut: Bool = false,
        duration: Duration = .zero
    ) {
        self.status = status
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.timedOut = timedOut
        self.duration = duration
    }

    /// Whether it ended by itself with exit code 0.
    public var succeeded: Bool { status == 0 && !timedOut }

    /// The last lines of complaint, for an error message.
    var complaint: String {
        if timedOut { return "no answer in time" }
        let text = standardError.isEmpty ? standardOutput : standardError
        let lines = text.split(whereSeparator: \.isNewline).suffix(2)
        return lines.isEmpty ? "exit code \(status)" : lines.joined(separator: "; ")
    }
}
