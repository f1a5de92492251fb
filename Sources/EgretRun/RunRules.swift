// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What the rules of a run's policy are called, by their names in the kernel: for whoever finds a packet there.
public struct RunRules: Hashable, Sendable {
    /// The words, by the name that a rule's chain has.
    public private(set) var words: [String: String] = [:]

    /// Collects words; each are one line.
    public init(_ words: [String: String]) {
        self.words = words.mapValues { String($0.map { $0.isNewline ? " " : $0 }) }
    }

    /// Reads what ``text`` has written; other lines are skipped.
    public init(text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { words[String(parts[0])] = String(parts[1]) }
        }
    }

    /// A line for each rule: its name and the words.
    public var text: String {
        words.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
    }
}
