// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import EgretRoutes

extension HostRouteChoice {
    /// `198.51.100.0/24 443/tcp: gateway 10.2.0.1 (given up: gateway 10.1.0.1)`.
    var words: String {
        let match = (route.destinations.map(\.description) + route.services.map(\.description)).joined(separator: ", ")
        var ways: [String] = []
        for family in AddressFamily.allCases {
            guard route.ways.contains(where: { $0.carries(family) }) else { continue }
            let words = chosen[family]?.words ?? "no way is usable: \(route.fallback.rawValue)"
            if !ways.contains(words) { ways.append(words) }
        }
        let lost = givenUp.map(\.words).filter { !ways.contains($0) }
        return (match.isEmpty ? "" : "\(match): ") + ways.joined(separator: " and ")
            + (lost.isEmpty ? "" : " (given up: \(lost.joined(separator: ", ")))")
    }
}

extension TrafficLimit {
    /// `egress 20Mbit`, `ingress 5Mbit`: what remains of rates that all hold, and every other limit; `nil` if there are
    /// none.
    static func words(_ limits: [TrafficLimit]) -> [String]? {
        let rates = [TrafficDirection.egress, .ingress].compactMap { direction in
            tightest(limits, direction).map { "\(direction.rawValue) \($0.0)" }
        }
        let others = limits.compactMap { limit -> String? in
            var rest = limit
            if limit.isTotal, limit.scope == .endpoint { rest.rate = nil }
            let isEmpty =
                rest.rate == nil && rest.guarantee == nil && rest.dscp == nil && rest.packets == nil
                && rest.connections == nil && rest.newConnections == nil
            if isEmpty { return nil }
            return (limit.direction.map { "\($0.rawValue) " } ?? "") + rest.summary
        }
        let words = rates + others
        return words.isEmpty ? nil : words
    }
}

extension EnforcedEndpoint {
    /// Whether its rates are those of another; of none, whether it has no rates.
    func isLimited(as other: EnforcedEndpoint?) -> Bool {
        TrafficLimit.words(limits) == TrafficLimit.words(other?.limits ?? [])
    }
    /// Whether its budgets say the same as another's, wherever they are written; of none, whether it has no budgets.
    func isBudgeted(as other: EnforcedEndpoint?) -> Bool {
        func plain(_ budgets: [EndpointBudget]) -> [EndpointBudget] {
            budgets.map { budget in
                var budget = budget
                budget.budget.location = nil
                return budget
            }
        }
        return plain(budgets) == plain(other?.budgets ?? [])
    }
}
