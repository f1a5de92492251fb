// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How fast some traffic may be, how many connections it may have, and how it is marked.
public struct TrafficLimit: Hashable, Sendable {
    /// Whose traffic counts together.
    public enum Scope: String, Hashable, Sendable, CaseIterable {
        /// Each endpoint's by itself.
        case endpoint
        /// That of all endpoints that obey the policy.
        case policy
        /// That of all endpoints of one network that obey the policy.
        case network
        /// Each endpoint's by itself, and of that what goes to, or comes from, each far address. For numbers of
        /// connections and packets, not for rates.
        case destination
    }

    /// What its author called it.
    public var name: String?
    /// The traffic's direction; `nil` for each of the two by itself.
    public var direction: TrafficDirection?
    /// The far ends that it is about. Any one suffices; empty, without ``domains``, means all.
    public var destinations: [Destination]
    /// The names of far ends that it is about, beside ``destinations``: addresses that the endpoint has resolved them to.
    public var domains: [DomainPattern]
    /// Protocols and ports of the far end that it is about. Any one suffices; empty means all.
    public var services: [Service]
    /// Whose traffic counts together.
    public var scope: Scope
    /// How fast.
    public var rate: BitRate?
    /// How much may pass at once after a pause; `nil` for what the rate carries in 10 ms.
    public var burst: ByteCount?
    /// How fast at least, when the endpoint's other traffic wants more than there is.
    public var guarantee: BitRate?
    /// The share of what guarantees leave, in proportion to others' weights; `nil` for 100.
    public var weight: UInt16?
    /// Who comes first when what guarantees leave is shared: 0 before 7.
    public var priority: UInt8?
    /// How many connections may be open at once.
    public var connections: UInt32?
    /// How many connections may begin.
    public var newConnections: EventRate?
    /// How many packets may pass.
    public var packets: EventRate?
    /// The differentiated-services field that packets get (RFC 2474).
    public var dscp: TrafficClassMark?
    /// When it holds; `nil` for always.
    public var schedule: Schedule?
    /// The policy that it stands in; `nil` for none yet.
    public var policy: String?
    /// Where it is written.
    public var location: SourceLocation?

    /// Creates a limit.
    public init(
        name: String? = nil, direction: TrafficDirection? = nil, destinations: [Destination] = [],
        domains: [DomainPattern] = [], services: [Service] = [], scope: Scope = .endpoint, rate: BitRate? = nil,
        burst: ByteCount? = nil, guarantee: BitRate? = nil, weight: UInt16? = nil, priority: UInt8? = nil,
        connections: UInt32? = nil, newConnections: EventRate? = nil, packets: EventRate? = nil,
        dscp: TrafficClassMark? = nil, schedule: Schedule? = nil, policy: String? = nil,
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.direction = direction
        self.destinations = destinations
        self.domains = domains
        self.services = services
        self.scope = scope
        self.rate = rate
        self.burst = burst
        self.guarantee = guarantee
        self.weight = weight
        self.priority = priority
        self.connections = connections
        self.newConnections = newConnections
        self.packets = packets
        self.dscp = dscp
        self.schedule = schedule
        self.policy = policy
        self.location = location
    }

    /// Whether it is about all far ends.
    public var isForAllFarEnds: Bool { destinations.isEmpty && domains.isEmpty }

    /// Whether it is about all traffic of its directions, at whatever times.
    public var isForEverything: Bool { isForAllFarEnds && services.isEmpty }

    /// The names that it is about: its own, and those of the groups that it refers to.
    public func patterns(_ groups: [String: DestinationGroup]) -> [DomainPattern] {
        domains + PolicySet.patterns(ofGroupsIn: destinations, groups)
    }

    /// Whether it is about all traffic of its directions, always.
    public var isTotal: Bool { isForEverything && schedule == nil }

    /// Whether it is about a direction.
    public func holds(_ direction: TrafficDirection) -> Bool { self.direction == nil || self.direction == direction }

    /// What remains of some limits that all hold for everything an endpoint sends or receives: for each direction, the
    /// slowest rate, with the smallest burst that any of them says. Limits for a part of the traffic or for some times,
    /// and shared ones, do not count.
    public static func tightest(_ limits: [TrafficLimit], _ direction: TrafficDirection) -> (BitRate, ByteCount?)? {
        let rates = limits.filter { $0.holds(direction) && $0.isTotal && $0.scope == .endpoint }
            .compactMap { limit in limit.rate.map { ($0, limit.burst) } }
        guard let rate = rates.map({ $0.0 }).min() else { return nil }
        guard let smallest = rates.compactMap({ $0.1 }).min() else { return (rate, nil) }
        // Without a burst of its own, the slowest has what it carries in 10 ms.
        let hasNone = rates.contains { $0.0 == rate && $0.1 == nil }
        return (rate, hasNone && smallest.bytes >= rate.bytesPerSecond / 100 ? nil : smallest)
    }
}
