// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlink
public import EgretNetlinkWire

/// The links, addresses and routes of a network namespace, as they were when it was asked.
public struct NamespaceState: Hashable, Sendable {
    /// Its links.
    public var links: [LinkRecord] = []
    /// Its addresses.
    public var addresses: [AddressRecord] = []
    /// Its routes of the main table.
    public var routes: [RouteRecord] = []
    /// Its routes of the tables by which endpoints of several networks answer.
    public var answerRoutes: [RouteRecord] = []
    /// Its routing rules, of the families that the kernel has rules for.
    public var rules: [AddressFamily: [RoutingRuleRecord]] = [:]

    /// Creates the state of a namespace that holds nothing.
    public init() {}

    /// Reads a namespace.
    ///
    /// - Parameter connection: A connection to it.
    /// - Throws: An error that says what the kernel refused.
    public init(reading connection: NetlinkConnection) throws {
        let reader = NetworkLinks(connection)
        links = try reader.all()
        addresses = try reader.addresses()
        let all = try connection.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeRoute(message) }
        routes = all.filter { $0.table == 254 }
        answerRoutes = all.filter { AnswerRouting.tables.contains($0.table) }
        rules = try connection.routingRules()
    }
}
