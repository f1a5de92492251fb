// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretEvaluator
public import EgretPolicy
import EgretResolution

/// What every workload may ask of every other and of the rest of the world, and the rest of the world of it.
///
/// Of two workloads both ends decide: what is allowed is what the egress policies of the one and the ingress policies of
/// the other both allow. Whatever the same policies select shares one header space, so that the cost grows with the
/// distinct lists of policies and not with the pairs of workloads.
public struct ReachabilityMap: Sendable {
    /// What a workload may ask of another, by the family of the addresses that speak.
    public struct PairServices: Hashable, Sendable {
        /// Over IPv4; `nil` if one of the two has no IPv4 address.
        public var ipv4: ServiceSet?
        /// Over IPv6; `nil` if one of the two has no IPv6 address.
        public var ipv6: ServiceSet?

        /// Over whatever addresses there are.
        public var any: ServiceSet { (ipv4 ?? .nothing).union(ipv6 ?? .nothing) }
        /// Whether both families have the same services, or only one family speaks.
        public var isUniform: Bool { ipv4 == nil || ipv6 == nil || ipv4 == ipv6 }

        /// The services of one family.
        public subscript(family: AddressFamily) -> ServiceSet? { family == .ipv4 ? ipv4 : ipv6 }
    }

    /// Addresses outside that behave alike.
    ///
    /// The workloads' own addresses are not outside, even where a block holds them.
    public struct OutsideRange: Hashable, Sendable {
        /// The addresses.
        public var prefix: IPPrefix
        /// What may be asked of them, or by them.
        public var services: ServiceSet
    }

    /// The workloads, each with an address.
    public let inventory: Inventory
    /// Addresses that stand in for those of workloads that have none, by place.
    public let placeholders: [Int: [IPAddress]]
    /// How many distinct lists of policies there are, in both directions together.
    public var classCount: Int { classes.count }

    /// The time that it is true of; `nil` for one that nobody knows.
    public let time: Int64?

    /// The workloads' addresses.
    let addresses: InventoryAddresses
    var services = ServiceTable()
    var classes: [ReachabilityClass] = []
    private var egressClass: [Int] = []
    private var ingressClass: [Int] = []

    /// Works out the map.
    ///
    /// - Parameters:
    ///   - catalog: The policies.
    ///   - inventory: The workloads. Those without an address get one of 240.0.0.0/4 and one of e000::/4.
    ///   - unixTime: The time that it is true of, in seconds since 1970-01-01T00:00Z; `nil` for one that nobody knows:
    ///     rules with a schedule then hold if they deny, and not if they allow.
    /// - Complexity: O(*c* *n* log *n*) for *c* distinct lists of policies and *n* address ranges in each.
    public init(_ catalog: PolicyCatalog, inventory: Inventory, at unixTime: Int64? = nil) {
        time = unixTime
        let (inventory, placeholders) = inventory.withPlaceholders()
        self.inventory = inventory
        self.placeholders = placeholders
        addresses = InventoryAddresses(inventory)
        var resolver = PolicyResolver(catalog, inventory: inventory)
        egressClass = classify(&resolver, .egress)
        ingressClass = classify(&resolver, .ingress)
    }

    /// What one workload may ask of another: `nil` if it is the same, which nobody decides, unless it stands for all the
    /// pods of a template, of which one may ask another.
    ///
    /// - Parameters:
    ///   - source: The place in the inventory of the workload that begins.
    ///   - target: The place of the other.
    /// - Returns: What both ends allow.
    public func services(from source: Int, to target: Int) -> PairServices? {
        var rows = PairRows(self)
        rows.begin(source)
        return rows.services(with: target)
    }

    /// Visits pairs of workloads that ``services(from:to:)`` has an answer for, by source and then target.
    ///
    /// - Parameters:
    ///   - places: Visits only pairs in which one of these is; `nil` for all.
    ///   - withNothing: Whether pairs that nothing is allowed to are visited as well.
    ///   - body: Is called with the places of a pair, and what it is allowed.
    /// - Complexity: O(*w*² log *n*) for *w* workloads and *n* address ranges in a list of policies; with few lists, or with
    ///   few places, less.
    public func forEachPair(
        about places: Set<Int>? = nil, withNothing: Bool = true,
        _ body: (_ source: Int, _ target: Int, _ services: PairServices) throws -> Void
    ) rethrows {
        var rows = PairRows(self)
        let all = Array(inventory.workloads.indices)
        let some = places.map { $0.sorted() } ?? all
        for source in all {
            let targets = places?.contains(source) ?? true ? all : some
            if targets.isEmpty { continue }
            rows.begin(source)
            for target in targets where withNothing || rows.hasServices(with: target) {
                guard let pair = rows.services(with: target) else { continue }
                try body(source, target, pair)
            }
        }
    }

    /// What a workload may ask of the outside, or the outside of it, in the fewest blocks of addresses.
    ///
    /// - Parameters:
    ///   - workload: The place in the inventory.
    ///   - direction: Who begins: the workload in `egress`, the outside in `ingress`.
    /// - Returns: The blocks of the families that the workload speaks, those with nothing allowed included; they are
    ///   apart, and together everything.
    public func outside(of workload: Int, _ direction: TrafficDirection) -> [OutsideRange] {
        let list = self.class(of: workload, direction)
        return families(of: workload).flatMap { list.blocks($0, ignoring: addresses[$0], services) }
    }

    /// What a workload may ask of the machine it runs on, by the address that it uses for it.
    public func host(of workload: Int) -> [OutsideRange] {
        let list = self.class(of: workload, .egress)
        return families(of: workload).flatMap {
            list.blocks($0, withHost: true, ignoring: addresses.guests($0), services)
        }
    }

    /// What a workload may ask of the names that its rules are about, while they lead to public addresses that no narrower
    /// rule is about; `nil` if its rules are about none.
    public func names(of workload: Int) -> NameReach? { self.class(of: workload, .egress).names }

    /// The families that a workload speaks: those of its addresses, and both if nobody knows these.
    public func families(of workload: Int) -> [AddressFamily] {
        let addresses = inventory.workloads[workload].addresses
        return AddressFamily.allCases.filter { family in addresses.contains { $0.family == family } }
    }

    func `class`(of workload: Int, _ direction: TrafficDirection) -> ReachabilityClass {
        classes[classPlace(of: workload, direction)]
    }

    /// The place of a workload's class; `nil` if the workload does not speak the family.
    func classPlace(of workload: Int, _ direction: TrafficDirection, _ family: AddressFamily) -> Int? {
        guard families(of: workload).contains(family) else { return nil }
        return classPlace(of: workload, direction)
    }

    /// The place of a workload's class.
    func classPlace(of workload: Int, _ direction: TrafficDirection) -> Int {
        direction == .egress ? egressClass[workload] : ingressClass[workload]
    }

    /// The class of each workload for a direction.
    private mutating func classify(_ resolver: inout PolicyResolver, _ direction: TrafficDirection) -> [Int] {
        var places: [PolicyResolver.Key: Int] = [:]
        var unpoliced: Int?
        return inventory.workloads.indices.map { workload in
            if inventory.workloads[workload].usesHostNetwork {
                // Nobody decides for it: the machine speaks.
                let place = unpoliced ?? append(PolicySet(policies: [], networkDefault: .allow))
                unpoliced = place
                return place
            }
            let key = resolver.key(of: workload, direction)
            if let place = places[key] { return place }
            let place = append(resolver.policies(of: workload, direction), direction)
            places[key] = place
            return place
        }
    }

    private mutating func append(_ policies: PolicySet, _ direction: TrafficDirection = .egress) -> Int {
        classes.append(ReachabilityClass(policies, direction, at: time, &services))
        return classes.count - 1
    }
}

extension Workload {
    /// Whether it stands for every pod that some object makes: there may be two, and one may ask the other.
    var isTemplate: Bool { id.kind != "Pod" && id.kind != "Endpoint" }
}
