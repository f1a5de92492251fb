// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// One of an endpoint's links, as the agent tells of it.
struct EndpointLink {
    /// The network that it leads to.
    var network: String
    /// The endpoint's addresses there.
    var addresses: [IPAddress]
    /// What is reached by it without a gateway; empty where nobody knows.
    var blocks: [IPPrefix]
    /// The families of which everything else is reached by it; `nil` where nobody knows.
    var leads: Swift.Set<AddressFamily>?
}

/// By which of its links a connection of an endpoint with several leaves, and at which it arrives.
struct EndpointLinks {
    /// A way that a connection may take: each end at one of its links.
    struct Way: Hashable {
        var source: ConnectionEnd
        var target: ConnectionEnd
        /// The family that takes it, where the ends have both and the other one does not.
        var family: AddressFamily?
    }

    private let inventory: Inventory
    private let links: [Workload.ID: [EndpointLink]]

    /// Creates it from the workloads, one for each link, and what is known of the links.
    init(_ inventory: Inventory, _ links: [Workload.ID: [EndpointLink]]) {
        self.inventory = inventory
        self.links = links
    }

    /// The ways of a connection; at least one, if there are ends.
    ///
    /// What is in a network of its own an endpoint reaches by its link to that, and everything else by the link that leads
    /// out. Where that is not known, it may be any.
    ///
    /// - Parameters:
    ///   - sources: Who begins it: an end for each of its links.
    ///   - targets: Where it is delivered, likewise.
    ///   - number: Its protocol.
    /// - Returns: The ways, in the order of the ends.
    func ways(from sources: [ConnectionEnd], to targets: [ConnectionEnd], _ number: IPProtocol) -> [Way] {
        let all = sources.flatMap { source in targets.map { Way(source: source, target: $0) } }
        if all.count < 2 { return all }
        // What it sends to itself it does not send by a link.
        if let own = sources.first(where: { targets.contains($0) }) { return [Way(source: own, target: own)] }
        var chosen: [AddressFamily: [Way]] = [:]
        for family in AddressFamily.allCases { chosen[family] = ways(among: all, number, family) }
        let found = all.compactMap { way -> Way? in
            let families = AddressFamily.allCases.filter { chosen[$0]?.contains(way) ?? false }
            guard let first = families.first else { return nil }
            let isWhole = families.count == AddressFamily.allCases.count { isPossible(way, number, $0) }
            return Way(source: way.source, target: way.target, family: isWhole ? nil : first)
        }
        // Why there is none, whoever decides about it says.
        return found.isEmpty ? Array(all.prefix(1)) : found
    }

    /// What to call an end's link by: its network, unless another link of the endpoint leads there too.
    func name(of end: ConnectionEnd) -> String? {
        guard case .workload(let place) = end, let link = link(of: end) else { return nil }
        let others = links[inventory.workloads[place].id] ?? []
        let isAlone = others.count { $0.network == link.network } == 1
        return isAlone ? link.network : link.addresses.first?.description ?? link.network
    }

    private func ways(among all: [Way], _ number: IPProtocol, _ family: AddressFamily) -> [Way] {
        let possible = all.filter { isPossible($0, number, family) }
        let direct = possible.filter { isDirect($0, family) }
        if !direct.isEmpty { return direct }
        let leading = possible.filter { link(of: $0.source)?.leads?.contains(family) ?? true }
        return leading.isEmpty ? possible : leading
    }

    /// Whether both ends have addresses of a family, and the protocol is of it.
    private func isPossible(_ way: Way, _ number: IPProtocol, _ family: AddressFamily) -> Bool {
        if number == .icmp && family != .ipv4 || number == .icmpv6 && family != .ipv6 { return false }
        return [way.source, way.target].allSatisfy { end in
            switch end {
            case .address(let address): address.family == family
            case .workload(let place):
                inventory.workloads[place].addresses.isEmpty
                    || inventory.workloads[place].addresses.contains { $0.family == family }
            }
        }
    }

    /// Whether one end has a link to where the other one is.
    private func isDirect(_ way: Way, _ family: AddressFamily) -> Bool {
        if let near = link(of: way.source), let far = link(of: way.target), near.network == far.network,
            far.addresses.contains(where: { $0.family == family })
        {
            return true
        }
        return reaches(way.source, way.target, family) || reaches(way.target, way.source, family)
    }

    private func reaches(_ near: ConnectionEnd, _ far: ConnectionEnd, _ family: AddressFamily) -> Bool {
        guard let link = link(of: near) else { return false }
        let addresses =
            switch far {
            case .address(let address): [address]
            case .workload(let place): inventory.workloads[place].addresses
            }
        return addresses.contains { address in
            address.family == family && link.blocks.contains { $0.contains(address) }
        }
    }

    private func link(of end: ConnectionEnd) -> EndpointLink? {
        guard case .workload(let place) = end else { return nil }
        let workload = inventory.workloads[place]
        return links[workload.id]?.first { $0.addresses == workload.addresses }
    }
}
