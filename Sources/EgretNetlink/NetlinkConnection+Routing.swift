// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlinkWire

extension NetlinkConnection {
    /// The routing rules of a family; those of kinds that are not known here are left out.
    public func routingRules(_ family: AddressFamily) throws(NetlinkError) -> [RoutingRuleRecord] {
        let messages = try dump("list routing rules") { sequence throws(WireError) in
            try RouteWire.rulesRequest(family: family, sequence: sequence)
        }
        return messages.compactMap { try? RouteWire.decodeRule($0) }
    }

    /// Adds a routing rule; one that is there will do.
    public func add(_ rule: RoutingRuleRecord) throws(NetlinkError) {
        try request("add a routing rule", unless: .exists) { sequence throws(WireError) in
            try RouteWire.addRule(rule, sequence: sequence)
        }
    }

    /// Removes a routing rule; one that is gone will do.
    public func remove(_ rule: RoutingRuleRecord) throws(NetlinkError) {
        try request("remove a routing rule", unless: .notFound) { sequence throws(WireError) in
            try RouteWire.deleteRule(rule, sequence: sequence)
        }
    }

    /// Removes a route; one that is gone will do.
    public func remove(_ route: RouteRecord) throws(NetlinkError) {
        try request("remove a route", unless: .notFound) { sequence throws(WireError) in
            try RouteWire.deleteRoute(route, sequence: sequence)
        }
    }
}
