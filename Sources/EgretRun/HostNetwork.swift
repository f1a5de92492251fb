// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// What the host's network looks like, as far as a run must know it.
public struct HostNetwork: Sendable {
    /// The host's own addresses, those of runs left out.
    public private(set) var addresses: [IPAddress] = []
    /// What addresses and routes of the host cover: nothing there may be given to a run.
    public private(set) var occupied: [IPPrefix] = []
    /// The interfaces that the host's routes lead to, by index: answers to runs arrive there. A bridge's ports have routes of
    /// their own, to link-local addresses, and what comes in by them comes in by the bridge: they are not among these.
    public private(set) var routedInterfaces: [UInt32: InterfaceName] = [:]
    /// The names of those that routes to the rest of the world lead to.
    public private(set) var uplinks: Set<String> = []
    /// The smallest packet size of those interfaces, in bytes; `nil` if they have no limit below Ethernet's 1500.
    public private(set) var mtu: UInt32?
    /// The names of all interfaces, runs' included, by index; of those that were asked for, if that was not all.
    public private(set) var links: [UInt32: String] = [:]
    /// Whether the host has an IPv6 address, and new interfaces may have one.
    public private(set) var hasIPv6 = false

    /// Routes to a sixteenth of all addresses or more stand for all: a VPN's two halves of the internet, or 2000::/3.
    private static let widestParticular = 4
    private static let smallestMTU: UInt32 = 1280
    private static let localTable: UInt32 = 255

    /// Asks the kernel.
    ///
    /// - Parameters:
    ///   - connection: To the host's network namespace.
    ///   - endpoints: The host's ends of endpoints' links, which see to themselves: they are not among the
    ///     ``routedInterfaces``.
    /// - Throws: An error that says what could not be read.
    public init(_ connection: NetlinkConnection, besides endpoints: Set<String> = []) throws {
        let present = try connection.links()
        let addresses = try connection.addresses()
        self.init(present, addresses: addresses, routes: try HostNetwork.routes(connection), besides: endpoints)
    }

    /// Asks the kernel for what addresses and routes are about, and for no other link: where most links are endpoints', this
    /// does not cost more with each of them. ``links`` has only those that were asked for.
    ///
    /// - Parameters:
    ///   - connection: To the host's network namespace.
    ///   - known: The indices of links that are endpoints' for sure: nobody is asked about them.
    ///   - endpoints: The names of endpoints' links, which are not among the ``routedInterfaces``.
    /// - Returns: The host's network.
    /// - Throws: An error that says what could not be read.
    public static func asking(
        _ connection: NetlinkConnection, besides known: Set<UInt32>, named endpoints: Set<String>
    ) throws -> HostNetwork {
        let addresses = try connection.addresses()
        let routes = try HostNetwork.routes(connection)
        let meant = Set(addresses.map(\.linkIndex)).union(routes.filter(leadsOn).flatMap(\.outputIndices))
        var present = try meant.subtracting(known).sorted().compactMap { try connection.link($0) }
        // Whether a link is a bridge's port is told by its master's kind.
        let masters = Set(present.compactMap(\.masterIndex)).subtracting(present.map(\.index))
        present += try masters.sorted().compactMap { try connection.link($0) }
        return HostNetwork(present, addresses: addresses, routes: routes, besides: endpoints)
    }

    private init(
        _ links: [LinkRecord], addresses: [AddressRecord], routes: [RouteRecord], besides endpoints: Set<String>
    ) {
        self.links = HostNetwork.names(links)
        let own = Set(links.filter { RunLink.isRunInterface($0.name) }.map(\.index))
        read(addresses, without: own)
        let bridges = Set(links.filter { $0.kind == "bridge" }.map(\.index))
        let arriving = links.filter { link in
            !endpoints.contains(link.name) && !(link.masterIndex.map(bridges.contains) ?? false)
        }
        read(routes, without: own, arriving)
        if (try? Sysctl("net/ipv6/conf/default/disable_ipv6").read()) == "1" { hasIPv6 = false }
    }

    /// Asks the kernel for the names of all interfaces, runs' included, by index, and for nothing else.
    ///
    /// - Parameter connection: To the host's network namespace.
    /// - Returns: The names.
    /// - Throws: An error that says what could not be read.
    public static func links(_ connection: NetlinkConnection) throws -> [UInt32: String] {
        names(try connection.links())
    }

    private static func names(_ links: [LinkRecord]) -> [UInt32: String] {
        Dictionary(links.map { ($0.index, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    private mutating func read(_ records: [AddressRecord], without own: Set<UInt32>) {
        for record in records where !own.contains(record.linkIndex) {
            hasIPv6 = hasIPv6 || record.address.family == .ipv6
            addresses.append(record.address)
            if let prefix = IPPrefix(record.address, length: Int(record.prefixLength)) { occupied.append(prefix) }
            if let peer = record.peer { occupied.append(IPPrefix(peer)) }
        }
    }

    private static func routes(_ connection: NetlinkConnection) throws -> [RouteRecord] {
        try connection.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeRoute(message) }
    }

    /// Whether a route passes packets on, to others than the host itself.
    private static func leadsOn(_ route: RouteRecord) -> Bool {
        route.kind == .unicast && route.table != localTable
    }

    private mutating func read(_ routes: [RouteRecord], without own: Set<UInt32>, _ links: [LinkRecord]) {
        var outputs: Set<UInt32> = []
        var uplinks: Set<UInt32> = []
        for route in routes where !route.outputIndices.contains(where: own.contains) {
            if route.destination.length > HostNetwork.widestParticular { occupied.append(route.destination) }
            if HostNetwork.leadsOn(route) {
                outputs.formUnion(route.outputIndices)
                if route.destination.length <= HostNetwork.widestParticular { uplinks.formUnion(route.outputIndices) }
            }
        }
        self.uplinks = Set(uplinks.compactMap { self.links[$0] })
        let routed = links.filter { outputs.contains($0.index) && $0.name != "lo" }
        // IPv6 needs 1280 (RFC 8200); what claims less cannot be meant.
        mtu = routed.map(\.mtu).filter { (HostNetwork.smallestMTU..<1500).contains($0) }.min()
        for link in routed { routedInterfaces[link.index] = InterfaceName(link.name) }
    }
}
