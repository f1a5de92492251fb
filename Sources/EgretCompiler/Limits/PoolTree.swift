// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// The rates in one direction that endpoints of a host share, and how they lie within each other.
public struct PoolTree: Hashable, Sendable {
    /// An endpoint that may share.
    public struct Candidate: Hashable, Sendable {
        /// Its number, unique on the host.
        public var number: Int
        /// The name of its network.
        public var network: String
        /// Its limits.
        public var limits: [TrafficLimit]
        /// The groups that limits may name.
        public var groups: [String: DestinationGroup]

        /// Creates a candidate.
        public init(
            number: Int, network: String, limits: [TrafficLimit], groups: [String: DestinationGroup]
        ) {
            self.number = number
            self.network = network
            self.limits = limits
            self.groups = groups
        }
    }

    /// The rates, those that lie within others before these.
    public private(set) var shares: [RateTree.Share] = []
    /// What each endpoint shares in, by its number.
    public private(set) var members: [Int: [RateTree.Share]] = [:]

    /// Shares nothing.
    public init() {}

    /// Finds out who shares what.
    ///
    /// - Parameters:
    ///   - candidates: The endpoints.
    ///   - direction: The direction.
    /// - Throws: `RateTree.Conflict` if two rates overlap, in traffic and in endpoints, and neither lies within the other.
    public init(_ candidates: [Candidate], _ direction: TrafficDirection) throws(RateTree.Conflict) {
        var pools: [String: Pool] = [:]
        var known: [String: LimitExtent] = [:]
        for candidate in candidates {
            for limit in candidate.limits where limit.scope != .endpoint && limit.holds(direction) && limit.rate != nil
            {
                let digest = limit.digest(direction) + (limit.scope == .network ? " \(candidate.network)" : "")
                // Limits that say the same but for these are different ones, and all hold.
                let says = [limit.direction?.rawValue, limit.rate?.description, limit.burst?.description]
                let key = ([digest] + says.map { $0 ?? "" }).joined(separator: "\n")
                let match =
                    "\(limit.destinations) \(limit.domains) \(limit.services) \(limit.schedule?.description ?? "")"
                let extent = known[match] ?? LimitExtent(limit, candidate.groups)
                known[match] = extent
                let network = limit.scope == .network ? candidate.network : nil
                let fresh = Pool(limit: limit, extent: extent, name: digest, network: network)
                pools[key, default: fresh].members.insert(candidate.number)
            }
        }
        if pools.isEmpty { return }
        let order = pools.sorted { $0.key < $1.key }.map(\.value)
        try PoolTree.check(order)
        let outer = order.indices.map { inner in
            order.indices.filter { other in
                inner != other && order[inner].isWithin(order[other])
                    && (!order[other].isWithin(order[inner]) || order[inner].isBefore(order[other], inner < other))
            }
        }
        let numbers = PoolTree.numbers(order.map(\.name))
        let inside = RateTree.order(order.map(\.limit), outer, areByName: order.contains { $0.extent.isByName })
        for index in inside {
            let hasInner = outer.contains { $0.contains(index) }
            let share = RateTree.Share(
                limit: order[index].limit, number: numbers[index], leaf: hasInner ? numbers[index] + 1 : numbers[index],
                parent: inside.first { outer[index].contains($0) }.map { numbers[$0] }, network: order[index].network)
            shares.append(share)
            for member in order[index].members { members[member, default: []].append(share) }
        }
    }

    /// One rate for everything that endpoints share, the slowest: it holds to each of them, and to more.
    public init(joining candidates: [Candidate], _ direction: TrafficDirection) {
        let limits = candidates.flatMap(\.limits).filter { $0.scope != .endpoint && $0.holds(direction) }
        guard let rate = limits.compactMap(\.rate).min() else { return }
        let share = RateTree.Share(
            limit: TrafficLimit(scope: .policy, rate: rate), number: 0x1000, leaf: 0x1000, parent: nil)
        shares = [share]
        for candidate in candidates { members[candidate.number] = [share] }
    }

    private static func check(_ pools: [Pool]) throws(RateTree.Conflict) {
        for first in pools.indices {
            for second in pools.indices.dropFirst(first + 1) {
                let (left, right) = (pools[first], pools[second])
                if left.isWithin(right) || right.isWithin(left) || left.isApart(from: right) { continue }
                let words = [left, right].map { $0.limit.name ?? $0.limit.summary }
                throw RateTree.Conflict(
                    description: "the shared limits \(words[0]) and \(words[1]) overlap, in traffic and endpoints, and "
                        + "neither lies within the other")
            }
        }
    }

    /// Even numbers from 0x1000 to 0xcffe: above those of endpoints' own classes, below those of trees. What a pool is
    /// called decides its number, so that it keeps it when its rate changes.
    private static func numbers(_ digests: [String]) -> [UInt16] {
        var taken: Set<UInt16> = []
        return digests.map { digest in
            var hash = StableDigest()
            hash.add(digest)
            var number = UInt16(hash.value % 0x6000) * 2 + 0x1000
            while !taken.insert(number).inserted { number = number >= 0xcffe ? 0x1000 : number + 2 }
            return number
        }
    }
}

/// One shared rate.
private struct Pool {
    let limit: TrafficLimit
    let extent: LimitExtent
    /// What it is called: the same whatever its rate.
    let name: String
    /// Whose it is, if each network has its own.
    let network: String?
    var members: Set<Int> = []

    init(limit: TrafficLimit, extent: LimitExtent, name: String, network: String?) {
        self.limit = limit
        self.extent = extent
        self.name = name
        self.network = network
    }

    func isWithin(_ other: Pool) -> Bool { members.isSubset(of: other.members) && extent.isWithin(other.extent) }

    func isApart(from other: Pool) -> Bool {
        members.isDisjoint(with: other.members) || extent.isApart(from: other.extent)
    }

    /// Of two that are about the same, whether this one is the inner one: the slower, or the first.
    func isBefore(_ other: Pool, _ isFirst: Bool) -> Bool {
        let rates = [limit, other.limit].map { $0.rate?.bitsPerSecond ?? .max }
        return rates[0] == rates[1] ? isFirst : rates[0] < rates[1]
    }
}
