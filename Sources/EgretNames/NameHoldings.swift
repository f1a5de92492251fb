// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire

/// Which names an endpoint has resolved to which addresses, by which rule, and until when.
struct NameHoldings: Sendable {
    private struct Key: Hashable {
        var rule: Int
        var address: IPAddress
    }

    private struct NameKey: Hashable {
        var rule: Int
        var name: DNSName
    }

    /// Until when a name has an address.
    private struct Hold {
        var until: UInt64
        /// Until when whoever keeps notes knows it, 0 if not at all.
        var noted: UInt64 = 0
        /// Whether an answer with it has gone out, and not only come: what limits and the kernel do not know stays here.
        var isGiven = false
    }

    /// Until when the kernel has the element; what is in the kernel, or about to be.
    private var elements: [Key: UInt64] = [:]
    /// Until when each name has its addresses.
    private var names: [NameKey: [IPAddress: Hold]] = [:]
    /// Which of them have an address, perhaps no longer.
    private var holders: [IPAddress: Swift.Set<NameKey>] = [:]
    private var nameCounts: [Int]
    private var addressCounts: [Int]
    /// When something may expire, at the earliest.
    private var nextExpiry = UInt64.max

    init(ruleCount: Int) {
        nameCounts = [Int](repeating: 0, count: ruleCount)
        addressCounts = nameCounts
    }

    var nameCount: Int { names.count }
    var addressCount: Int { elements.count }

    /// Notes that a name has addresses until a time.
    ///
    /// - Returns: The limit that stands against it; then nothing is noted.
    mutating func hold(_ name: DNSName, _ addresses: [IPAddress], rule: Int, until: UInt64, _ limits: NameLimits)
        -> NameEvent.Limit?
    {
        let nameKey = NameKey(rule: rule, name: name)
        let known = names[nameKey]
        if known == nil, names.count >= limits.names || nameCounts[rule] >= limits.namesPerRule { return .names }
        let new = addresses.count { elements[Key(rule: rule, address: $0)] == nil }
        if elements.count + new > limits.addresses || addressCounts[rule] + new > limits.addressesPerRule {
            return .addresses
        }
        if known == nil { nameCounts[rule] += 1 }
        nextExpiry = min(nextExpiry, until)
        for address in addresses {
            let before = names[nameKey]?[address]?.until ?? 0
            names[nameKey, default: [:]][address, default: Hold(until: until)].until = max(before, until)
            holders[address, default: []].insert(nameKey)
            // Counted from now on; the kernel does not have it yet.
            if elements[Key(rule: rule, address: address)] == nil {
                elements[Key(rule: rule, address: address)] = 0
                addressCounts[rule] += 1
            }
        }
        return nil
    }

    /// Until when the kernel has an element, 0 if it does not.
    func committedUntil(_ address: IPAddress, rule: Int) -> UInt64 {
        elements[Key(rule: rule, address: address)] ?? 0
    }

    mutating func committed(_ grant: NameGrant, rule: Int, now: UInt64) {
        let key = Key(rule: rule, address: grant.address)
        let until = now &+ grant.lifetimeMilliseconds
        guard let before = elements[key] else { return }
        elements[key] = max(before, until)
    }

    /// Until when it was noted that a rule's name has an address, 0 if it was not.
    func notedUntil(_ address: IPAddress, by name: DNSName, rule: Int) -> UInt64 {
        names[NameKey(rule: rule, name: name)]?[address]?.noted ?? 0
    }

    /// Hears that a holding was noted; the rules are those that may have it.
    mutating func noted(_ holding: NameHolding, rules: some Sequence<Int>) {
        for rule in rules {
            let key = NameKey(rule: rule, name: holding.name)
            guard let before = names[key]?[holding.address]?.noted, before < holding.until else { continue }
            names[key]?[holding.address]?.noted = holding.until
            names[key]?[holding.address]?.isGiven = true
        }
    }

    /// Hears that an answer with an address has gone out before, under other rules; whoever keeps notes is told once more.
    mutating func given(_ address: IPAddress, by name: DNSName, rule: Int) {
        names[NameKey(rule: rule, name: name)]?[address]?.isGiven = true
    }

    /// Forgets that a name has an address.
    ///
    /// - Returns: The rules for which no other name has it: the kernel is not to have their elements any more.
    mutating func forget(_ address: IPAddress, of name: DNSName, now: UInt64) -> [Int] {
        var rules: [Int] = []
        for rule in nameCounts.indices {
            let key = NameKey(rule: rule, name: name)
            guard names[key]?.removeValue(forKey: address) != nil else { continue }
            holders[address]?.remove(key)
            if names[key]?.isEmpty == true {
                names[key] = nil
                nameCounts[rule] -= 1
            }
            // One whose answer was withheld holds nothing yet, and what was judged with it is not committed any more.
            let isHeld = (holders[address] ?? []).contains { other in
                guard other.rule == rule, let hold = names[other]?[address] else { return false }
                return hold.isGiven && hold.until > now
            }
            if isHeld { continue }
            if elements.removeValue(forKey: Key(rule: rule, address: address)) != nil { addressCounts[rule] -= 1 }
            rules.append(rule)
        }
        return rules
    }

    func holds(_ address: IPAddress, by name: DNSName, rule: Int, now: UInt64) -> Bool {
        (names[NameKey(rule: rule, name: name)]?[address]?.until ?? 0) > now
    }

    /// Whether some name has the address. An element that is not committed is none.
    func holds(_ address: IPAddress, rule: Int, now: UInt64) -> Bool {
        committedUntil(address, rule: rule) > now
    }

    /// The names that have an address now; a name that several rules hold stands there several times.
    func names(holding address: IPAddress, now: UInt64) -> [DNSName] {
        (holders[address] ?? []).filter { (names[$0]?[address]?.until ?? 0) > now }.map(\.name)
    }

    /// Who holds an address now: the rules' indices, each with one of its names.
    func holders(of address: IPAddress, now: UInt64) -> [Int: DNSName] {
        let count = nameCounts.indices.count { holds(address, rule: $0, now: now) }
        var found: [Int: DNSName] = [:]
        for key in holders[address] ?? [] where found[key.rule] == nil && (names[key]?[address]?.until ?? 0) > now {
            found[key.rule] = key.name
            if found.count == count { break }
        }
        return found
    }

    /// What is held now by answers that have gone out: by which rule's index, of which name, until when.
    func live(now: UInt64) -> [(rule: Int, name: DNSName, address: IPAddress, until: UInt64)] {
        names.flatMap { key, addresses in
            addresses.filter { $0.value.isGiven && $0.value.until > now }
                .map { (key.rule, key.name, $0.key, $0.value.until) }
        }
    }

    /// The elements that the kernel has now.
    func committed(now: UInt64) -> [(rule: Int, address: IPAddress)] {
        elements.compactMap { key, until in until > now ? (key.rule, key.address) : nil }
    }

    mutating func forgetCommits() {
        for key in elements.keys { elements[key] = 0 }
    }

    mutating func expire(now: UInt64) {
        guard now >= nextExpiry else { return }
        nextExpiry = UInt64.max
        for (key, addresses) in names {
            let live = addresses.filter { $0.value.until > now }
            // All that there is was looked at: not again for a while, however soon the next expires.
            if let earliest = live.values.lazy.map(\.until).min() {
                nextExpiry = min(nextExpiry, max(earliest, now + 5_000))
            }
            guard live.count < addresses.count else { continue }
            for address in addresses.keys where live[address] == nil { holders[address]?.remove(key) }
            if live.isEmpty {
                names[key] = nil
                nameCounts[key.rule] -= 1
            } else {
                names[key] = live
            }
        }
        for (address, keys) in holders where keys.isEmpty { holders[address] = nil }
        var wanted: Swift.Set<Key> = []
        for (key, addresses) in names {
            for address in addresses.keys { wanted.insert(Key(rule: key.rule, address: address)) }
        }
        for (key, until) in elements where !wanted.contains(key) {
            if until > now {
                nextExpiry = min(nextExpiry, max(until, now + 5_000))
                continue
            }
            elements[key] = nil
            addressCounts[key.rule] -= 1
        }
    }
}
