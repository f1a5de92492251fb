// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretDNSWire
import EgretPolicy

/// An address that a name has given an endpoint, and until when: what outlives a change of rules, or the process.
public struct NameHolding: Hashable, Sendable {
    /// The name that was asked for, in lower case.
    public var name: DNSName
    /// The address.
    public var address: IPAddress
    /// Until when it is held, in milliseconds of the table's clock.
    public var until: UInt64
    /// Whether no rule was about the name: it opens nothing, and only limits and budgets are about its addresses.
    public var isCounted: Bool

    /// Creates a holding.
    public init(name: DNSName, address: IPAddress, until: UInt64, isCounted: Bool = false) {
        self.isCounted = isCounted
        self.name = name
        self.address = address
        self.until = until
    }
}

extension NameTable {
    /// What is held now, each name and address once, for the longest time that a rule holds them; and what limits and budgets
    /// are about, and no rule. What no answer has given yet is not among it: one that is refused, as a set is full, opens nothing later.
    public func holdings(now: UInt64) -> [NameHolding] {
        var longest: [DNSName: [IPAddress: UInt64]] = [:]
        for held in self.holdings.live(now: now) {
            let before = longest[held.name]?[held.address] ?? 0
            longest[held.name, default: [:]][held.address] = max(before, held.until)
        }
        return longest.flatMap { name, addresses in
            addresses.map { NameHolding(name: name, address: $0.key, until: $0.value) }
        } + self.counted.live(now: now)
    }

    /// Takes over what another table has held, as far as these rules allow its names and addresses, or limits or budgets are
    /// about them.
    ///
    /// What was an alias of which name is not known any more: a rule that denies the other name takes effect with the next
    /// answer.
    ///
    /// - Parameters:
    ///   - old: The holdings.
    ///   - now: The time in milliseconds.
    /// - Returns: What the kernel must have, to be committed and then noted with ``committed(_:now:)``.
    public mutating func takeOver(_ old: [NameHolding], now: UInt64) -> [NameGrant] {
        var grants: [NameGrant] = []
        for holding in old where holding.until > now {
            let lifetime = min(holding.until - now, UInt64(limits.longestLifetime + limits.grace) * 1_000)
            // Whoever may be asked for a name without a rule is not trusted with what rules open.
            let allowing = holding.isCounted ? [] : allowingRules(of: holding.name)
            if allowing.isEmpty, counted.covers(holding.name),
                counted.hold(holding.name, [holding.address], until: now + lifetime, atMost: limits.addresses)
            {
                counted.noted(
                    NameHolding(
                        name: holding.name, address: holding.address, until: now + lifetime, isCounted: true))
            }
            for index in allowing {
                let rule = rules[index]
                guard AddressClass.isPublic(holding.address) || rule.permittedAddresses.contains(holding.address),
                    holdings.hold(holding.name, [holding.address], rule: index, until: now + lifetime, limits) == nil
                else { continue }
                holdings.given(holding.address, by: holding.name, rule: index)
                grants.append(
                    NameGrant(
                        rule: rule.number, name: holding.name, address: holding.address, lifetimeMilliseconds: lifetime,
                        isRenewal: false))
            }
        }
        return grants
    }
}
