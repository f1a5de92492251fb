// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretPolicy

/// The names that limits and budgets are about, and which addresses those of them have that no rule is about.
///
/// What rules hold is in ``NameHoldings``.
struct CountedNames: Sendable {
    private struct Hold {
        var until: UInt64
        /// Until when limits and budgets know it, 0 if not at all.
        var noted: UInt64 = 0
        /// Until when they need not be asked to take it, as they have just not.
        var withheld: UInt64 = 0
    }

    private var matcher = DomainMatcher<Bool>()
    /// Until when each name has its addresses.
    private var held: [DNSName: [IPAddress: Hold]] = [:]
    private var count = 0
    /// When something may expire, at the earliest.
    private var nextExpiry = UInt64.max

    init(_ patterns: [DomainPattern]) {
        for pattern in patterns { matcher.insert(pattern, true) }
    }

    /// Whether a limit or a budget is about a name.
    func covers(_ name: DNSName) -> Bool {
        name.comparedName.map { !matcher.matches($0).isEmpty } ?? false
    }

    /// Holds that a name has addresses until a time, whether the answer goes out or not: what is not taken, as a set is
    /// full, has room here all the same, so that there is not without end more of it to try.
    ///
    /// - Returns: Whether there is room for them among so many pairs of a name and an address; else nothing is held.
    mutating func hold(_ name: DNSName, _ addresses: Swift.Set<IPAddress>, until: UInt64, atMost limit: Int) -> Bool {
        let known = held[name] ?? [:]
        if count + addresses.count(where: { known[$0] == nil }) > limit { return false }
        for address in addresses { hold(name, address, until: until) }
        return true
    }

    private mutating func hold(_ name: DNSName, _ address: IPAddress, until: UInt64) {
        let before = held[name]?[address]?.until
        if before == nil { count += 1 }
        held[name, default: [:]][address, default: Hold(until: until)].until = max(before ?? 0, until)
        nextExpiry = min(nextExpiry, until)
    }

    /// Hears that limits and budgets know a holding.
    mutating func noted(_ holding: NameHolding) {
        hold(holding.name, holding.address, until: holding.until)
        let before = notedUntil(holding.address, by: holding.name)
        held[holding.name]?[holding.address]?.noted = max(before, holding.until)
    }

    /// Hears that limits or budgets have not taken a holding. For each try the kernel is asked about every address, and what it refuses
    /// holds up everybody.
    mutating func withhold(_ holding: NameHolding, now: UInt64) {
        held[holding.name]?[holding.address]?.withheld = now + 5_000
    }

    /// Hears that limits or budgets do not know a holding any more, and have no room for it.
    mutating func withdraw(_ holding: NameHolding, now: UInt64) {
        held[holding.name]?[holding.address]?.noted = 0
        withhold(holding, now: now)
    }

    /// Whether limits or budgets have just not taken one of a name's addresses.
    func isWithheld(_ addresses: Swift.Set<IPAddress>, of name: DNSName, now: UInt64) -> Bool {
        guard let known = held[name] else { return false }
        return addresses.contains { known[$0]?.withheld ?? 0 > now }
    }

    /// What limits and budgets know now.
    func live(now: UInt64) -> [NameHolding] {
        held.flatMap { name, addresses in
            addresses.filter { $0.value.noted > now }.map {
                NameHolding(name: name, address: $0.key, until: $0.value.noted, isCounted: true)
            }
        }
    }

    /// Until when limits and budgets know that a name has an address, 0 if they do not.
    func notedUntil(_ address: IPAddress, by name: DNSName) -> UInt64 { held[name]?[address]?.noted ?? 0 }

    /// Forgets what has expired.
    mutating func expire(now: UInt64) {
        guard now >= nextExpiry else { return }
        held = held.compactMapValues { addresses in
            let live = addresses.filter { $0.value.until > now }
            return live.isEmpty ? nil : live
        }
        count = held.values.reduce(0) { $0 + $1.count }
        let earliest = held.values.lazy.flatMap(\.values).map(\.until).min()
        // All that there is was looked at: not again for a while, however soon the next expires.
        nextExpiry = earliest.map { max($0, now + 5_000) } ?? .max
    }
}
