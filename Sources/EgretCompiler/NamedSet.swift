// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNftables
public import EgretPolicy

/// A set of the addresses that names were resolved to, which limits and budgets ask.
///
/// It is empty when it is loaded. Whoever resolves a name that one of the patterns covers puts the addresses of its family
/// in, before the answer goes out; rules keep those in that packets go to or come from.
///
/// Where a table has several endpoints each has sets of its own: what one has resolved is nothing to the others, and one that
/// fills a set takes none of their room.
public struct NamedSet: Hashable, Sendable {
    /// Its name: made of the patterns, so that what an endpoint has about the same names asks one set, and of whose it is.
    public let name: String
    /// The family of its addresses.
    public let family: AddressFamily
    /// The names.
    public let patterns: [DomainPattern]

    /// For how long an address is in the set after it was resolved, or its last packet, in milliseconds: longer than an
    /// answer holds.
    public static let lifetimeMilliseconds = Statement.keptSeconds * 1_000

    /// Describes a set.
    ///
    /// - Parameters:
    ///   - patterns: The names.
    ///   - family: The family of its addresses.
    ///   - owner: The index of the link whose endpoint's it is; `nil` where the table has one endpoint.
    init(_ patterns: [DomainPattern], _ family: AddressFamily, of owner: UInt32? = nil) {
        self.init(patterns, digest: NamedSet.digest(of: patterns), family, of: owner)
    }

    /// The same where the names' digest is known.
    init(_ patterns: [DomainPattern], digest: String, _ family: AddressFamily, of owner: UInt32?) {
        name = "names\(family == .ipv4 ? 4 : 6)-\(owner.map { "\($0)-" } ?? "")\(digest)"
        self.family = family
        self.patterns = patterns
    }

    /// What tells names apart, in whatever order they are.
    static func digest(of patterns: [DomainPattern]) -> String {
        let texts = Swift.Set(patterns.map(\.description)).sorted()
        var digest = StableDigest()
        for text in texts { digest.add(text) }
        return digest.text
    }

    /// Whether two are one set of a table's: its name says of which names and family it is, and the names may be thousands.
    ///
    /// - Parameters:
    ///   - left: A set.
    ///   - right: Another.
    /// - Returns: Whether their names are one.
    public static func == (left: NamedSet, right: NamedSet) -> Bool { left.name == right.name }

    /// Hashes the name.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// Whether a set is one of addresses of names, by its name.
    public static func isOfNames(_ set: String) -> Bool { set.hasPrefix("names4-") || set.hasPrefix("names6-") }

    /// The set as the kernel is given it. Without a size it takes no room before it is used; the kernel then lets rules and
    /// others put 65,535 addresses in.
    var declaration: EgretNftables.Set {
        var set = EgretNftables.Set(name, keyType: family.dataType)
        (set.isDynamic, set.hasTimeouts) = (true, true)
        return set
    }
}
