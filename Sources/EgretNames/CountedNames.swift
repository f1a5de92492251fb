// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretPolicy

/// The names that limits are about, and which addresses those of them have that no rule is about.
///
/// What rules hold is in ``NameHoldings``.
struct CountedNames: Sendable {
    private var matcher = DomainMatcher<Bool>()
    /// Until when each name has its addresses.
    private var held: [DNSName: [IPAddress: UInt64]] = [:]
    private var count = 0
    /// When something may expire, at the earliest.
    private var nextExpiry = UInt64.max

    init(_ patterns: [DomainPattern]) {
        for pattern in patterns { matcher.insert(pattern, true) }
    }

    /// Whether a limit is about a name.
    func covers(_ name: DNSName) -> Bool {
        DomainName(labels: name.labels).map { !matcher.matches($0).isEmpty } ?? false
    }

    /// Whether so many pairs of a name and an address are not exceeded with some more addresses of a name.
    func hasRoom(for name: DNSName, _ addresses: Swift.Set<IPAddress>, atMost limit: Int) -> Bool {
        let known = held[name] ?? [:]
        return count + addresses.count { known[$0] == nil } <= limit
    }

    /// Notes that a name has an address.
    mutating func hold(_ holding: NameHolding) {
        let before = held[holding.name]?[holding.address]
        if before == nil { count += 1 }
        held[holding.name, default: [:]][holding.address] = max(before ?? 0, holding.until)
        nextExpiry = min(nextExpiry, holding.until)
    }

    /// What is held now.
    func live(now: UInt64) -> [NameHolding] {
        held.flatMap { name, addresses in
            addresses.filter { $0.value > now }.map {
                NameHolding(name: name, address: $0.key, until: $0.value, isCounted: true)
            }
        }
    }

    /// Until when a name has an address, 0 if it has not.
    func heldUntil(_ address: IPAddress, by name: DNSName) -> UInt64 { held[name]?[address] ?? 0 }

    /// Forgets what has expired.
    mutating func expire(now: UInt64) {
        guard now >= nextExpiry else { return }
        held = held.compactMapValues { addresses in
            let live = addresses.filter { $0.value > now }
            return live.isEmpty ? nil : live
        }
        count = held.values.reduce(0) { $0 + $1.count }
        let earliest = held.values.lazy.flatMap(\.values).min()
        // All that there is was looked at: not again for a while, however soon the next expires.
        nextExpiry = earliest.map { max($0, now + 5_000) } ?? .max
    }
}
