// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A parsed document: what YAML and JSON have in common, with the place of everything.
///
/// Anchors are expanded and tags resolved by the reader; this tree says only what stands where.
public struct DocumentNode: Hashable, Sendable {
    /// A key and its value in a mapping.
    public struct Entry: Hashable, Sendable {
        /// The key's text.
        public var key: String
        /// Where the key stands.
        public var keyLocation: SourceLocation
        /// The value.
        public var value: DocumentNode

        /// Creates an entry.
        public init(key: String, keyLocation: SourceLocation, value: DocumentNode) {
            self.key = key
            self.keyLocation = keyLocation
            self.value = value
        }
    }

    /// What a node is.
    public enum Content: Hashable, Sendable {
        /// Nothing: an empty value, `null` or `~`.
        case null
        /// `true` or `false`, unquoted.
        case boolean(Bool)
        /// An unquoted whole number that fits.
        case integer(Int)
        /// Any other scalar, with its text as written between the quotes, if any.
        case string(String)
        /// A sequence.
        case sequence([DocumentNode])
        /// A mapping, in the order written. Keys are unique.
        case mapping([Entry])
    }

    /// What the node is.
    public var content: Content
    /// The scalar's text as written, for messages; empty for sequences and mappings.
    public var text: String
    /// Where the node begins.
    public var location: SourceLocation
    /// Whether it is a scalar without quotes, which other readers may take for a number where this one does not.
    public var isPlain: Bool

    /// Creates a node.
    public init(_ content: Content, text: String = "", location: SourceLocation, isPlain: Bool = false) {
        self.isPlain = isPlain
        self.content = content
        self.text = text
        self.location = location
    }
}
