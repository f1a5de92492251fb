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
                let route = NameDiversion.route(family)
                // The rule last: it must not lead to an empty table.
                try connection.request("add a route to table \(route.table)", unless: .exists) {
                    sequence throws(WireError) in
                    try RouteWire.addRoute(route, sequence: sequence)
                }
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
        RoutingRuleRecord(
            family: family, priority: RouteMark.diversionRulePriority,
            mark: RoutingRuleRecord.Mark(value: HostNames.mark.value, mask: HostNames.mark.mask),
            table: HostNames.routingTable, protocolNumber: RouteWire.ownProtocolNumber)
    }

    private static func route(_ family: AddressFamily) -> RouteRecord {
        let none = IPAddress(family: family, rawValue: 0)
        var route = RouteRecord(to: IPPrefix(none, length: 0) ?? IPPrefix(none))
        route.table = HostNames.routingTable
        route.protocolNumber = RouteWire.ownProtocolNumber
        route.kind = .local
        route.scope = family == .ipv4 ? 254 : 0
        // The loopback interface is the first of every network namespace (`LOOPBACK_IFINDEX` in `net/flow.h`).
        route.outputIndices = [1]
        return route
    }
}
