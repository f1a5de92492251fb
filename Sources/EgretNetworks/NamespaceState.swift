// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

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
        routes = try connection.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeRoute(message) }
        .filter { $0.table == 254 }
    }
}
