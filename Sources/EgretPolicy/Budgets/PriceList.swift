// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What traffic costs in a month, by where it goes, as its author wrote it, validated.
///
/// The first entry that matches a packet counts it. What is counted is priced by the month, for all endpoints together.
public struct PriceList: Hashable, Sendable {
    /// A price for a part of a month's traffic.
    public struct Tier: Hashable, Sendable {
        /// The month's byte up to which the price is for, counted from its first; `nil` for all that is beyond.
        public var upTo: ByteCount?
        /// What it costs.
        public var price: TrafficPrice

        /// Creates a tier.
        public init(upTo: ByteCount? = nil, price: TrafficPrice) {
            self.upTo = upTo
            self.price = price
        }
    }

    /// What traffic to some destinations costs.
    public struct Entry: Hashable, Sendable {
        /// The name, unique in its list: with the list's, what is counted under.
        public var name: String
        /// The far side's addresses. Any one suffices; empty, without ``domains``, means all that no earlier entry matches.
        public var destinations: [Destination]
        /// The far side's names, beside ``destinations``: addresses that the endpoint has resolved them to.
        public var domains: [DomainPattern]
        /// The far side's protocols and ports. Any one suffices; empty means all.
        public var services: [Service]
        /// Which packets count.
        public var direction: TrafficBudget.Direction
        /// How much of a month's traffic costs nothing: its first bytes, which count for tiers as well.
        public var free: ByteCount?
        /// The prices, in the order of volume: the last one is without end, and all are for one unit of bytes.
        public var tiers: [Tier]
        /// Where it is written.
        public var location: SourceLocation?

        /// Creates an entry.
        public init(
            name: String, destinations: [Destination] = [], domains: [DomainPattern] = [], services: [Service] = [],
            direction: TrafficBudget.Direction = .egress, free: ByteCount? = nil, tiers: [Tier],
            location: SourceLocation? = nil
        ) {
            self.name = name
            self.destinations = destinations
            self.domains = domains
            self.services = services
            self.direction = direction
            self.free = free
            self.tiers = tiers
            self.location = location
        }

        /// Whether it is about all far sides that no earlier entry matches.
        public var isForAllFarSides: Bool { destinations.isEmpty && domains.isEmpty }

        /// The names that it is about: its own, and those of the groups that it refers to.
        public func patterns(_ groups: [String: DestinationGroup]) -> [DomainPattern] {
            domains + PolicySet.patterns(ofGroupsIn: destinations, groups)
        }
    }

    /// `metadata.name`, unique among price lists.
    public var name: String
    /// The zone by whose clocks months begin.
    public var zone: TimeZoneRules
    /// The entries, in order.
    public var entries: [Entry]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a list.
    public init(name: String, zone: TimeZoneRules = .utc, entries: [Entry], location: SourceLocation? = nil) {
        self.name = name
        self.zone = zone
        self.entries = entries
        self.location = location
    }

    /// The currency of all prices.
    public var currency: String { entries.first?.tiers.first?.price.currency ?? "" }

    /// Whether an entry is about some protocols or ports only.
    public var hasServices: Bool { entries.contains { !$0.services.isEmpty } }

    /// Whether an entry is about some protocols, ports or names only: what it leaves to the next ones is no set of addresses.
    ///
    /// - Parameter groups: The groups that entries name.
    /// - Returns: Whether packets must be asked about in the order of the entries.
    public func mustBeAskedInOrder(_ groups: [String: DestinationGroup]) -> Bool {
        hasServices || entries.contains { !$0.patterns(groups).isEmpty }
    }

    /// The entry that counts packets: the first that matches them.
    ///
    /// - Parameters:
    ///   - address: The far side's address.
    ///   - proto: The packets' protocol.
    ///   - port: The far side's port; `nil` for a protocol that has none.
    ///   - icmpType: The type of the packets in this direction, which is another for a request than for its answer; `nil` for
    ///     another protocol than ICMP and ICMPv6.
    ///   - name: The name that the far side was reached by; `nil` for none.
    ///   - direction: Whether packets go there or come from there.
    ///   - groups: The groups that entries name.
    /// - Returns: The entry's place in the list; `nil` if none matches.
    public func entry(
        for address: IPAddress, _ proto: IPProtocol, port: UInt16? = nil, icmpType: UInt8? = nil,
        name: DomainName? = nil, _ direction: TrafficDirection, groups: [String: DestinationGroup]
    ) -> Int? {
        entries.firstIndex { entry in
            guard entry.direction.covers(direction),
                entry.services.isEmpty
                    || entry.services.contains(where: { $0.matches(proto, port: port, icmpType: icmpType) })
            else { return false }
            if entry.isForAllFarSides { return true }
            if let name, entry.patterns(groups).contains(where: { $0.covers(name) }) { return true }
            return entry.destinations.contains { $0.blocks(groups).contains { $0.contains(address) } }
        }
    }

    /// The first day of the month that a day is in.
    public static func month(of day: CivilDate) -> CivilDate {
        let (year, month, _) = day.components
        return CivilDate(uncheckedYear: year, month: month, day: 1)
    }
}

extension PriceList.Entry {
    /// What a month's traffic costs, in millionths of the currency's unit: worked out exactly, and rounded down once.
    ///
    /// - Parameter bytes: All bytes of the month.
    /// - Returns: Millionths; never less for more bytes.
    public func micros(of bytes: UInt64) -> UInt64 {
        var sum: UInt128 = 0
        var begin: UInt64 = 0
        for tier in tiers {
            let end = tier.upTo?.bytes ?? .max
            let first = max(begin, free?.bytes ?? 0)
            let last = min(end, bytes)
            // Tiers lie apart: all products together stay below 2^64 times the highest price.
            if last > first { sum += UInt128(last - first) * UInt128(tier.price.micros) }
            begin = max(begin, end)
        }
        return UInt64(clamping: sum / UInt128(max(1, tiers.first?.price.unit.bytes ?? 1)))
    }

    /// Shares out what a month's traffic costs among those whose it is.
    ///
    /// A day costs what its bytes add to the month's cost, so that what is free is used up by the month's first bytes; who
    /// has used something on a day has his part of what the day costs, by bytes.
    ///
    /// - Parameter days: Bytes by user, for each day in order.
    /// - Returns: Millionths of the currency's unit in the same places; together exactly what the month costs.
    public func shares(of days: [[UInt64]]) -> [[UInt64]] {
        var total: UInt64 = 0
        var charged: UInt64 = 0
        return days.map { parts in
            let used = parts.reduce(UInt64(0)) { $0.addingClamped($1) }
            total = total.addingClamped(used)
            let cost = micros(of: total) - charged
            charged += cost
            var part: UInt64 = 0
            var given: UInt64 = 0
            return parts.map { bytes in
                part = part.addingClamped(bytes)
                // Rounding the sums, not the parts, leaves nothing over.
                let wanted = used == 0 ? 0 : UInt64(clamping: UInt128(cost) * UInt128(part) / UInt128(used))
                defer { given = wanted }
                return wanted - given
            }
        }
    }
}
