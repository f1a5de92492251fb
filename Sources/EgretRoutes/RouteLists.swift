// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlink
import EgretNetlinkWire

/// What the kernel routes by; entries of kinds that are not known here are left out.
extension NetlinkConnection {
    /// The routing rules of a family.
    func routingRules(_ family: AddressFamily) throws(NetlinkError) -> [RoutingRuleRecord] {
        let messages = try dump("list routing rules") { sequence throws(WireError) in
            try RouteWire.rulesRequest(family: family, sequence: sequence)
        }
        return messages.compactMap { try? RouteWire.decodeRule($0) }
    }

    /// The routes of a family, of all tables.
    func routes(_ family: AddressFamily) throws(NetlinkError) -> [RouteRecord] {
        let messages = try dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(family: family, sequence: sequence)
        }
        return messages.compactMap { try? RouteWire.decodeRoute($0) }
    }
}
