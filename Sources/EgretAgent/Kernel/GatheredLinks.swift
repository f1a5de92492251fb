// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// The links of endpoints that have several: what is said for each endpoint, such an endpoint has for all of them together.
///
/// One that brings limits with it, as containers do, has those for each link, and all others with them. Links whose labels
/// differ, so that other policies select them, have each their own.
struct GatheredLinks {
    /// The links of one endpoint.
    struct Group {
        /// The one that the endpoint is known by: the one with the lowest index.
        var first: UInt32
        /// The number of that one's endpoint.
        var slot: Int
        /// Their largest packet, in bytes.
        var mtu: UInt32
    }

    private var groups: [UInt32: Group] = [:]

    /// The links.
    var links: Dictionary<UInt32, Group>.Keys { groups.keys }

    init() {}

    init(_ resolved: ResolvedState) {
        var members: [Workload.ID: [(endpoint: AgentEndpoint, slot: Int)]] = [:]
        for (endpoint, slot) in zip(resolved.endpoints, resolved.slots) where endpoint.control == nil {
            members[endpoint.workload.id, default: []].append((endpoint, slot))
        }
        for links in members.values
        where links.count > 1 && links.allSatisfy({ $0.endpoint.limits.isEmpty })
            && Swift.Set(links.map { resolved.policyNames($0.slot, .egress) }).count == 1
        {
            guard let first = links.min(by: { $0.endpoint.interfaceIndex < $1.endpoint.interfaceIndex }) else {
                continue
            }
            let mtu = links.map { $0.endpoint.mtu }.max() ?? first.endpoint.mtu
            for link in links {
                groups[link.endpoint.interfaceIndex] = Group(
                    first: first.endpoint.interfaceIndex, slot: first.slot, mtu: mtu)
            }
        }
    }

    func group(of link: UInt32) -> Group? { groups[link] }
}
