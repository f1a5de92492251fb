// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNetlink
import EgretNetlinkWire
import EgretPolicy

/// A way of the policy that this host does not have.
public struct RouteProblem: Error, CustomStringConvertible {
    /// What is wrong.
    public var description: String
}

/// A way with its interface and, for each family, its next hop.
struct ResolvedWay {
    var number: Int
    var way: RouteWay
    var link: LinkRecord?
    /// For an interface without a gateway: what the main table says is behind it.
    var gateways: [AddressFamily: IPAddress] = [:]

    var families: [AddressFamily] { AddressFamily.allCases.filter { way.carries($0) } }

    /// Finds out by which interface the way leads.
    init(number: Int, _ way: RouteWay, links: [LinkRecord], _ connection: NetlinkConnection) throws {
        self.number = number
        self.way = way
        if let gateway = way.gateway { gateways[gateway.family] = gateway }
        if let name = way.interface {
            guard let link = links.first(where: { $0.name == name.rawValue }) else {
                throw RouteProblem(description: "routes: there is no interface \(name)")
            }
            self.link = link
            if way.gateway == nil { gateways = try ResolvedWay.defaultGateways(by: link.index, connection) }
        } else if let gateway = way.gateway {
            let index = try ResolvedWay.interface(towards: gateway, connection)
            guard let index, let link = links.first(where: { $0.index == index }) else {
                throw RouteProblem(
                    description: "routes: the gateway \(gateway) is on none of the host's links; name its interface too"
                )
            }
            self.link = link
        }
    }

    /// The interface whose network an address is in.
    private static func interface(towards gateway: IPAddress, _ connection: NetlinkConnection) throws -> UInt32? {
        let message = try? connection.get("get the route to \(gateway)") { sequence throws(WireError) in
            try RouteWire.routeRequest(to: gateway, sequence: sequence)
        }
        guard let message, let route = try RouteWire.decodeRoute(message), route.gateway == nil,
            route.kind == .unicast
        else { return nil }
        return route.outputIndices.first
    }

    private static func defaultGateways(
        by index: UInt32, _ connection: NetlinkConnection
    ) throws -> [AddressFamily: IPAddress] {
        let messages = try connection.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(sequence: sequence)
        }
        var found: [AddressFamily: IPAddress] = [:]
        for message in messages {
            guard let route = try RouteWire.decodeRoute(message), route.isDefault, route.table == 254,
                route.outputIndices == [index], let gateway = route.gateway
            else { continue }
            if found[gateway.family] == nil { found[gateway.family] = gateway }
        }
        return found
    }
}
