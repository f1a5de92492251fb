// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNftables
public import EgretPolicy

/// A set of the addresses that names were resolved to, which limits ask.
///
/// It is empty when it is loaded. Whoever resolves a name that one of the patterns covers puts the addresses of its family
/// in, before the answer goes out; rules keep those in that packets go to or come from.
public struct NamedSet: Hashable, Sendable {
    /// Its name: made of the patterns, so that limits about the same names ask one set.
    public let name: String
    /// The family of its addresses.
    public let family: AddressFamily
    /// The names.
    public let patterns: [DomainPattern]

    /// For how long an address is in the set after it was resolved, or its last packet, in milliseconds: longer than an
    /// answer holds.
    public static let lifetimeMilliseconds = Statement.keptSeconds * 1_000

    init(_ patterns: [DomainPattern], _ family: AddressFamily) {
        let texts = Swift.Set(patterns.map(\.description)).sorted()
        var digest = StableDigest()
        for text in texts { digest.add(text) }
        name = "names\(family == .ipv4 ? 4 : 6)-\(digest.text)"
        self.family = family
        self.patterns = patterns
    }

    /// The set as the kernel is given it. Without a size it takes no room before it is used; the kernel then lets rules and
    /// others put 65,535 addresses in.
    var declaration: EgretNftables.Set {
        var set = EgretNftables.Set(name, keyType: family.dataType)
        (set.isDynamic, set.hasTimeouts) = (true, true)
        return set
    }
}
