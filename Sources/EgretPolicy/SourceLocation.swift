// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A place in a file that a person wrote.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// The file as the user named it; `-` for standard input, `--allow` and the like for a flag.
    public var file: String
    /// The line, counted from 1. 0 for a flag, which has none.
    public var line: Int
    /// The column in characters, counted from 1. For a flag, within its value.
    public var column: Int

    /// Creates a location.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `policy.yaml:9:5`, or for a flag `--allow`.
    public var description: String {
        line == 0 ? file : "\(file):\(line):\(column)"
    }
}
