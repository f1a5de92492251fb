// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Where a command is run: how the namespace is entered.
public enum Place: Hashable, Sendable {
    /// The doctor's own namespace.
    case host
    /// A namespace that `ip netns` knows.
    case name(String)
    /// A file of nsfs.
    case file(String)

    /// A command that is to be run there.
    func command(_ words: String...) -> [String] { wrap(words) }

    /// A command that is to be run there.
    func wrap(_ words: [String]) -> [String] {
        switch self {
        case .host: words
        case .name(let name) where words.first == "ip": ["ip", "-n", name] + words.dropFirst()
        case .name(let name): ["ip", "netns", "exec", name] + words
        case .file(let path): ["nsenter", "--net=\(path)"] + words
        }
    }

    /// The place in a sentence.
    var words: String {
        switch self {
        case .host: "the host"
        case .name(let name): name
        case .file(let path): path
        }
    }
}
