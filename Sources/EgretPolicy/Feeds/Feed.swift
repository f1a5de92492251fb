// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Where a ``DestinationGroup`` takes more addresses from than its document holds.
public struct Feed: Hashable, Sendable {
    /// Where the list is.
    public enum Source: Hashable, Sendable, CustomStringConvertible {
        /// A file of this machine, by its absolute path.
        case file(String)
        /// What an `https` URL answers.
        case url(String)

        /// The path or the URL.
        public var description: String {
            switch self {
            case .file(let path): path
            case .url(let url): url
            }
        }
    }

    /// How the list is written.
    public enum Format: String, Hashable, Sendable, CaseIterable {
        /// One address or CIDR a line; see ``FeedList``.
        case list
    }

    /// How often a list may be asked for, in seconds: a minute to thirty days.
    public static let refreshLimits: ClosedRange<Int64> = 60...2_592_000
    /// The size of a list, in bytes: 64 MiB.
    public static let byteLimit = 64 << 20

    /// Where it is.
    public var source: Source
    /// The SHA-256 digest that it must have, in lower-case hexadecimal; `nil` for any.
    public var sha256: String?
    /// How often it is read again, in seconds.
    public var refresh: Int64
    /// How it is written.
    public var format: Format

    /// Creates a feed.
    public init(_ source: Source, sha256: String? = nil, refresh: Int64 = 3_600, format: Format = .list) {
        self.source = source
        self.sha256 = sha256
        self.refresh = refresh
        self.format = format
    }

    /// Reads what came from the source: all of it, or nothing.
    ///
    /// - Parameter bytes: The whole list.
    /// - Returns: The blocks in the order written, at least one.
    /// - Throws: ``FeedError`` if the digest is another, a line is wrong or no line holds anything: an empty list would
    ///   disarm the rules that name the group.
    public func blocks(of bytes: [UInt8]) throws(FeedError) -> [AddressBlock] {
        guard bytes.count <= Feed.byteLimit else {
            throw FeedError("it has \(bytes.count) bytes, and at most \(Feed.byteLimit) (64 MiB) are read")
        }
        if let sha256 {
            let digest = SHA256.digest(of: bytes)
            guard digest == sha256 else { throw FeedError("its SHA-256 digest is \(digest), and not \(sha256)") }
        }
        let list = FeedList(bytes)
        guard list.mistakeCount == 0 else {
            let noun = list.mistakeCount == 1 ? "one line is wrong" : "\(list.mistakeCount) lines are wrong"
            throw FeedError(noun, mistakes: list.mistakes)
        }
        guard !list.blocks.isEmpty else { throw FeedError("it holds no address") }
        return list.blocks
    }
}

/// Why a list was not taken.
public struct FeedError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, as a part of a sentence.
    public var message: String
    /// The first wrong lines, with their numbers.
    public var mistakes: [FeedList.Mistake]

    /// Creates an error.
    public init(_ message: String, mistakes: [FeedList.Mistake] = []) {
        self.message = message
        self.mistakes = mistakes
    }

    /// The message, and the first wrong line.
    public var description: String {
        mistakes.first.map { "\(message), first line \($0.line): \($0.message)" } ?? message
    }
}
