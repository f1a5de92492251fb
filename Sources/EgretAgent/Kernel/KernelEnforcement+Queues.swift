// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import EgretShaping

/// Where the frames of endpoints whose rates are limited wait.
extension KernelEnforcement {
    /// Makes what packets wait in, before they are led there, and leads there what endpoints are sent.
    func prepareQueues(_ demands: EndpointDemands, among resolved: ResolvedState) throws {
        try pools.prepare(demands.pools)
        let present = TrafficDirection.allCases.compactMap { direction in
            pools.index(direction).map { (direction, $0) }
        }
        try shaper.prepare(demands.rates, before: Dictionary(present) { first, _ in first })
        try redirections.prepare(ways(demands), among: KernelEnforcement.links(resolved))
    }

    /// Where what endpoints are sent waits before their own queues, by their links.
    func ways(_ demands: EndpointDemands) -> [UInt32: UInt32] {
        demands.linksThatAreLed.reduce(into: [:]) { ways, link in
            ways[link] = queue(of: link, .ingress, demands)
        }
    }

    /// The interface in which an endpoint's traffic waits, its own or else a shared one.
    func queue(of link: UInt32, _ direction: TrafficDirection, _ demands: EndpointDemands) -> UInt32? {
        let isPooled = demands.pools[direction]?.links.contains(link) ?? false
        let known = demands.known(link)
        let hasOwn = direction == .egress ? demands.rates[known]?.egress != nil : demands.isGathered(link)
        let own = hasOwn ? shaper.queue(of: known, direction, isPooled: isPooled) : nil
        return own ?? (isPooled ? pools.index(direction) : nil)
    }

    /// The links of endpoints.
    static func links(_ resolved: ResolvedState) -> Swift.Set<UInt32> {
        Swift.Set(resolved.endpoints.lazy.filter { $0.control == nil }.map(\.interfaceIndex))
    }

    /// Where an endpoint's frames wait if its rate is limited.
    func queue(of endpoint: AgentEndpoint, _ demands: EndpointDemands) -> UInt32? {
        // Where packets wait in classes, they are led there by what knows the classes.
        let link = demands.known(endpoint.interfaceIndex)
        guard let rates = demands.rates[link], !rates.pooled.contains(.egress), case .bucket = rates.egress else {
            return nil
        }
        return shaper.queue(of: link)
    }
}
