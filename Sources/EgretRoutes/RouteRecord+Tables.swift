// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlink
import EgretNetlinkWire

/// The routes of tables of Egret's own.
extension RouteRecord {
    /// What ends the search in a way's table: without a route of its own, nothing falls through to others.
    static func end(of table: UInt32, _ family: AddressFamily) -> RouteRecord {
        var end = RouteRecord(everythingOf: family, in: table)
        end.kind = .unreachable
        end.scope = 0
        end.metric = 0xffff_fffe
        return end
    }

    /// A way's default route.
    static func wayOut(
        in table: UInt32, _ family: AddressFamily, gateway: IPAddress?, link: UInt32
    ) -> RouteRecord {
        var way = RouteRecord(everythingOf: family, in: table)
        way.gateway = gateway
        way.outputIndices = [link]
        way.scope = family == .ipv4 && gateway == nil ? 253 : 0
        way.isOnLink = gateway != nil
        return way
    }

    /// Has packets that a rule leads to a table delivered on the host, wherever they go.
    static func delivery(in table: UInt32, _ family: AddressFamily) -> RouteRecord {
        var local = RouteRecord(everythingOf: family, in: table)
        local.kind = .local
        local.scope = family == .ipv4 ? 254 : 0
        // The loopback interface is the first of every network namespace (`LOOPBACK_IFINDEX` in `net/flow.h`).
        local.outputIndices = [1]
        return local
    }

    private init(everythingOf family: AddressFamily, in table: UInt32) {
        self.init(to: IPPrefix(allOf: family))
        self.table = table
        protocolNumber = RouteWire.ownProtocolNumber
    }
}

extension NetlinkConnection {
    /// Adds a route; one that is there will do.
    func add(_ route: RouteRecord) throws(NetlinkError) {
        try request("add a route to table \(route.table)", unless: .exists) { sequence throws(WireError) in
            try RouteWire.addRoute(route, sequence: sequence)
        }
    }
}
