// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Where the first packet of a connection is led.
public enum RouteChoice: Hashable, Sendable {
    /// By a way of a clause, both by their places: among the routes of all policies, and among the clause's ways.
    case way(clause: Int, way: Int)
    /// By the host's main routing table.
    case main
    /// Nowhere: no way is usable, and the clause has no other fallback.
    case dropped
}

extension PolicyEvaluator {
    /// Decides where a new connection is led.
    ///
    /// Whether it may leave at all is ``decide(_:at:ignoring:)``'s to say.
    ///
    /// - Parameters:
    ///   - flow: The connection's first packet. What goes to the host itself is on no route.
    ///   - isUsable: Whether a way can be taken now, by the places of its clause and its own.
    /// - Returns: The choice.
    public func routeChoice(for flow: Flow, isUsable: (_ clause: Int, _ way: Int) -> Bool) -> RouteChoice {
        if flow.destinationIsHost { return .main }
        for (index, route) in policies.routes.enumerated() where matches(route, flow) {
            let usable = route.ways.indices.first {
                route.ways[$0].carries(flow.destination.family) && isUsable(index, $0)
            }
            if let usable { return .way(clause: index, way: usable) }
            switch route.fallback {
            case .drop: return .dropped
            case .main: return .main
            case .next: continue
            }
        }
        return .main
    }
}
