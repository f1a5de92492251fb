// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretPolicy

extension PolicyEvaluator {
    /// The clauses of `routes` that the first packet of a connection meets, in order: the first match, and behind each
    /// that falls back to the next, the next match. Empty for what goes by the host's main routing table.
    ///
    /// Packets to the host itself are on no route. Whether the flow may leave at all
    /// is ``decide(_:at:ignoring:)``'s to say.
    public func routes(of flow: Flow) -> [EgressRoute] {
        if flow.destinationIsHost { return [] }
        var found: [EgressRoute] = []
        for route in policies.routes where matches(route, flow) {
            found.append(route)
            if route.fallback != .next { break }
        }
        return found
    }

    func matches(_ route: EgressRoute, _ flow: Flow) -> Bool {
        let rule = EgressRule(action: .allow, destinations: route.destinations, services: route.services)
        return PreparedRule(rule, clause: .networkDefault, groups: policies.groups).matches(flow)
    }
}
