// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
public import EgretNetlink
import EgretNetlinkWire

/// The routing rules that have packets delivered on the host which are led to the proxies for names, wherever they go.
public struct NameDiversion {
    private let connection: NetlinkConnection

    /// Works through a connection made by `NetlinkConnection.route()`.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Makes them; what is there will do. A kernel without one of the families does without.
    public func make() throws(NetlinkError) {
        for family in AddressFamily.allCases {
            do throws(NetlinkError) {
                // The rule last: it must not lead to an empty table.
                try connection.add(NameDiversion.route(family))
                if try connection.routingRules(family).contains(NameDiversion.rule(family)) { continue }
                try connection.add(NameDiversion.rule(family))
            } catch {
                if family == .ipv4 || error.code != .unsupported { throw error }
            }
        }
    }

    /// Removes them, if they are there.
    public func remove() throws(NetlinkError) {
        for family in AddressFamily.allCases {
            for rule in try connection.routingRules(family) where rule.table == HostNames.routingTable {
                try connection.remove(rule)
                try connection.remove(NameDiversion.route(family))
            }
        }
    }

    /// What is not there of them, in ip's words.
    public func drift() throws(NetlinkError) -> [String] {
        try connection.routingRules(.ipv4).contains(NameDiversion.rule(.ipv4))
            ? [] : ["the routing rule of table \(HostNames.routingTable) is missing"]
    }

    private static func rule(_ family: AddressFamily) -> RoutingRuleRecord {
        RoutingRuleRecord.diverting(family, HostNames.mark, to: HostNames.routingTable)
    }

    private static func route(_ family: AddressFamily) -> RouteRecord {
        RouteRecord.delivery(in: HostNames.routingTable, family)
    }
}
