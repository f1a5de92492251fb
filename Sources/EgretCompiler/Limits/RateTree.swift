// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretPolicy

/// How one endpoint's rates in one direction lie within each other: a total, and shares of it that lie side by side or
/// one within the other.
public struct RateTree: Hashable, Sendable {
    /// A part of the traffic with a rate of its own.
    public struct Share: Hashable, Sendable {
        /// The limit.
        public var limit: TrafficLimit
        /// The number of its class.
        public var number: UInt16
        /// The number of the class that its packets wait in: another one where shares lie within it.
        public var leaf: UInt16
        /// The number of the share that it lies within; `nil` for none.
        public var parent: UInt16?
        /// The network whose endpoints share it, if it is shared by each network's; `nil` for others.
        public var network: String?
    }

    /// Two limits that a queue cannot hold to at once.
    public struct Conflict: Error, Hashable, Sendable, CustomStringConvertible {
        /// One sentence for a person.
        public var description: String

        /// Creates an error from the sentence.
        public init(description: String) {
            self.description = description
        }
    }

    /// The number of the class of the total.
    public static let total: UInt16 = 1
    /// The number of the class of packets that no share is about.
    public static let rest: UInt16 = 2
    /// The upper half of the numbers of all classes.
    public static let major: UInt32 = 0xe9e8_0000
    /// The priority that leads a packet to a class.
    public static func priority(of number: UInt16) -> UInt32 { major | UInt32(number) }
    /// How many shares a tree has at most.
    static let limit = 64

    /// How fast everything together may be.
    public private(set) var rate: BitRate?
    /// How much of everything passes at once after a pause.
    public private(set) var burst: ByteCount?
    /// The shares: those that lie within others before these.
    public private(set) var shares: [Share] = []

    /// Orders limits.
    ///
    /// - Parameters:
    ///   - limits: The limits of an endpoint; those that are shared with others, or have no rate, do not count.
    ///   - direction: The direction.
    ///   - groups: The groups that limits may name.
    /// - Throws: ``Conflict`` if two limits overlap and neither lies within the other, or a guarantee has nothing to be a
    ///   part of, or guarantees come to more than the rate that they lie within.
    public init(_ limits: [TrafficLimit], _ direction: TrafficDirection, groups: [String: DestinationGroup])
        throws(Conflict)
    {
        if let tightest = TrafficLimit.tightest(limits, direction) { (rate, burst) = tightest }
        let parts = limits.filter {
            $0.holds(direction) && !$0.isTotal && $0.scope == .endpoint
                && ($0.rate != nil || $0.guarantee != nil)
        }
        if parts.isEmpty { return }
        guard parts.count <= RateTree.limit else {
            throw Conflict(description: "an endpoint has more than \(RateTree.limit) limits for parts of its traffic")
        }
        if let part = parts.first(where: { $0.guarantee != nil }), rate == nil {
            throw Conflict(
                description: "the limit \(part.name ?? part.summary) guarantees a part of a rate, and no limit says "
                    + "how fast everything may be: write a limit with a rate, without to, ports and when, beside it")
        }
        let extents = parts.map { LimitExtent($0, groups) }
        try RateTree.check(parts, extents)
        // Of two that are about the same, the slower lies within the other.
        func isWithin(_ inner: Int, _ outer: Int) -> Bool {
            guard inner != outer, extents[inner].isWithin(extents[outer]) else { return false }
            if !extents[outer].isWithin(extents[inner]) { return true }
            let rates = [inner, outer].map { parts[$0].rate?.bitsPerSecond ?? .max }
            return (rates[0], inner) < (rates[1], outer)
        }
        let outer = parts.indices.map { inner in parts.indices.filter { isWithin(inner, $0) } }
        let order = RateTree.order(parts, outer, areByName: extents.contains(where: \.isByName))
        shares = order.map { index in
            let parent = order.first { outer[index].contains($0) }
            let hasInner = outer.contains { $0.contains(index) }
            let number = RateTree.number(index)
            return Share(
                limit: parts[index], number: number, leaf: hasInner ? number + 1 : number,
                parent: parent.map { RateTree.number($0) })
        }
        try checkGuarantees()
    }

    /// The order in which shares are asked: those that lie within others before these.
    ///
    /// Where some hold at some times only, the slower of two goes first. Beyond the times that somebody has worked out
    /// all hold, also those that do not at any one time: a packet then waits in the slowest class that is for it. So it is
    /// where some are for names: two names may have one address.
    ///
    /// - Parameters:
    ///   - limits: The limits.
    ///   - outer: For each the places of those that it lies within.
    ///   - areByName: Whether some are for names.
    /// - Returns: The places of all.
    static func order(_ limits: [TrafficLimit], _ outer: [[Int]], areByName: Bool = false) -> [Int] {
        let mayCross = areByName || limits.contains { $0.schedule != nil }
        let ceilings = limits.indices.map { place -> UInt64 in
            if !mayCross { return 0 }
            return ([place] + outer[place]).compactMap { limits[$0].rate?.bitsPerSecond }.min() ?? .max
        }
        return limits.indices.sorted {
            (ceilings[$0], outer[$1].count, $0) < (ceilings[$1], outer[$0].count, $1)
        }
    }

    /// The slowest of all rates of an endpoint's own, for everything: it holds to each of them, and to more.
    public init(slowestOf limits: [TrafficLimit], _ direction: TrafficDirection) {
        let own = limits.filter { $0.holds(direction) && $0.scope == .endpoint }
        rate = own.compactMap(\.rate).min()
    }

    /// What each share gets at least, by its number, in bits a second: its guarantee, or what those within it come to
    /// if that is more. What all come to stands by the number of the total. Who is guaranteed nothing has no entry.
    public var guaranteed: [UInt16: UInt64] {
        var sums: [UInt16: UInt64] = [:]
        // Those that lie within others come first.
        for share in shares {
            let own = max(sums[share.number] ?? 0, share.limit.guarantee?.bitsPerSecond ?? 0)
            if own == 0 { continue }
            sums[share.number] = own
            let outer = share.parent ?? RateTree.total
            sums[outer] = (sums[outer] ?? 0).addingClamped(own)
        }
        return sums
    }

    private func checkGuarantees() throws(Conflict) {
        let sums = guaranteed
        for share in shares {
            guard let rate = share.limit.rate, let sum = sums[share.number], sum > rate.bitsPerSecond else {
                continue
            }
            throw Conflict(
                description: "the guarantees within the limit \(share.limit.name ?? share.limit.summary) come to "
                    + "\(BitRate(bitsPerSecond: sum)), and its rate is \(rate): write smaller guarantees, or "
                    + "a higher rate")
        }
        if let rate, let sum = sums[RateTree.total], sum > rate.bitsPerSecond {
            throw Conflict(
                description: "the guarantees come to \(BitRate(bitsPerSecond: sum)), and the rate for everything is "
                    + "\(rate): write smaller guarantees, or a higher rate for everything")
        }
    }

    private static func number(_ index: Int) -> UInt16 { 16 + 2 * UInt16(truncatingIfNeeded: index) }

    private static func check(_ parts: [TrafficLimit], _ extents: [LimitExtent]) throws(Conflict) {
        for first in parts.indices {
            for second in parts.indices.dropFirst(first + 1) {
                let (left, right) = (extents[first], extents[second])
                if left.isWithin(right) || right.isWithin(left) || left.isApart(from: right) { continue }
                let words = [first, second].map { parts[$0].name ?? parts[$0].summary }
                let how = (left.schedule ?? right.schedule) == nil ? "" : ", in traffic and in times"
                throw Conflict(
                    description: "the limits \(words[0]) and \(words[1]) overlap\(how), and neither lies within "
                        + "the other: write them so that one covers all that the other does, or nothing of it")
            }
        }
    }
}

/// What a limit is about, as sets, and when it holds.
struct LimitExtent: Sendable {
    let addresses: [RangeSet<UInt128>]
    /// The names whose addresses it is about as well.
    let names: [DomainPattern]
    let services: [Service]
    let schedule: Schedule?

    /// Whether it is about names.
    var isByName: Bool { !names.isEmpty }

    /// What names lead to, but for what a rule permits besides.
    private static let publicAddresses = LimitExtent.ranges(AddressRangeSet(BuiltInGroup.internet.blocks))

    init(_ limit: TrafficLimit, _ groups: [String: DestinationGroup]) {
        services = limit.services
        schedule = limit.schedule
        names = limit.patterns(groups)
        addresses =
            limit.isForAllFarEnds
            ? AddressFamily.allCases.map { _ in RangeSet<UInt128>.everything }
            : LimitExtent.ranges(AddressRangeSet(limit.destinations.flatMap { $0.blocks(groups) }))
    }

    private static func ranges(_ set: AddressRangeSet) -> [RangeSet<UInt128>] {
        AddressFamily.allCases.map { family in
            RangeSet(set.ranges(family).map { RangeSet<UInt128>.Range(lower: $0.lowerBound, upper: $0.upperBound) })
        }
    }

    /// Whether it is about what names lead to, whatever names.
    private var coversPublicAddresses: Bool {
        zip(LimitExtent.publicAddresses, addresses).allSatisfy { $0.subtracting($1).isEmpty }
    }

    /// Whether all addresses that the names may have are the other's, too. What a rule permits a name besides public
    /// addresses counts as one of these.
    private func hasNamesWithin(_ other: LimitExtent) -> Bool {
        if names.allSatisfy({ name in other.names.contains { $0.covers(name) } }) { return true }
        return other.coversPublicAddresses
    }

    func isWithin(_ other: LimitExtent) -> Bool {
        zip(addresses, other.addresses).allSatisfy { $0.subtracting($1).isEmpty } && hasNamesWithin(other)
            && (other.services.isEmpty
                || !services.isEmpty && services.allSatisfy { inner in other.services.contains { inner.isWithin($0) } })
            && holdsOnly(with: other)
    }

    /// Whether the other holds whenever this one does, for certain.
    private func holdsOnly(with other: LimitExtent) -> Bool {
        guard let theirs = other.schedule else { return true }
        return schedule.map { theirs.covers($0) } ?? false
    }

    /// Whether no far end is both extents'. Which addresses a name has nobody knows beforehand: those of two names count as
    /// two, and are asked for in an order that holds to the slower where they are not; beside an address any may be its own.
    private func hasOtherFarEnds(than other: LimitExtent) -> Bool {
        let haveAddresses = [self, other].map { $0.addresses.contains { !$0.isEmpty } }
        if isByName && haveAddresses[1] || other.isByName && haveAddresses[0] { return false }
        return zip(addresses, other.addresses).allSatisfy { $0.subtracting($1) == $0 }
            && names.allSatisfy { mine in !other.names.contains { mine.overlaps($0) } }
    }

    func isApart(from other: LimitExtent) -> Bool {
        hasOtherFarEnds(than: other)
            || (!services.isEmpty && !other.services.isEmpty
                && services.allSatisfy { mine in other.services.allSatisfy { mine.isApart(from: $0) } })
            || isApartInTime(from: other)
    }

    /// Whether the two never hold at once, for certain.
    private func isApartInTime(from other: LimitExtent) -> Bool {
        guard let schedule, let theirs = other.schedule else { return false }
        return schedule.isApart(from: theirs)
    }
}

extension Service {
    private var extent: (IPProtocol, ClosedRange<Int>) {
        switch self {
        case .any(let proto): (proto, 0...65_535)
        case .ports(let proto, let ports): (proto, Int(ports.lowerBound)...Int(ports.upperBound))
        case .icmp(let proto, let type): (proto, Int(type)...Int(type))
        }
    }

    fileprivate func isWithin(_ other: Service) -> Bool {
        let (mine, theirs) = (extent, other.extent)
        return mine.0 == theirs.0 && theirs.1.contains(mine.1.lowerBound) && theirs.1.contains(mine.1.upperBound)
    }

    fileprivate func isApart(from other: Service) -> Bool {
        let (mine, theirs) = (extent, other.extent)
        return mine.0 != theirs.0 || !mine.1.overlaps(theirs.1)
    }
}
