// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A named list of addresses and names that rules may refer to.
public struct DestinationGroup: Hashable, Sendable {
    /// `metadata.name`, unique among groups and never the name of a built-in one.
    public var name: String
    /// The addresses that its document holds.
    public var cidrs: [AddressBlock]
    /// The names that its document holds, besides the addresses.
    public var domains: [DomainPattern]
    /// Where more of the addresses come from.
    public var feed: Feed?
    /// What last came from there and was good; `nil` before anything did.
    public var fetched: [AddressBlock]?
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a group.
    public init(
        name: String, blocks: [AddressBlock], domains: [DomainPattern] = [], feed: Feed? = nil,
        fetched: [AddressBlock]? = nil, location: SourceLocation? = nil
    ) {
        self.domains = domains
        self.name = name
        cidrs = blocks
        self.feed = feed
        self.fetched = fetched
        self.location = location
    }

    /// All addresses: those of the document and those of the feed.
    public var blocks: [AddressBlock] {
        guard let fetched else { return cidrs }
        return cidrs.isEmpty ? fetched : cidrs + fetched
    }

    /// Whether all addresses are known: the group has no feed, or a list has come from it.
    public var isLoaded: Bool { feed == nil || fetched != nil }
}
