// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire

/// What the host's network looks like, as far as a run must know it.
public struct HostNetwork: Sendable {
    /// The host's own addresses, those of runs left out.
    public private(set) var addresses: [IPAddress] = []
    /// What addresses and routes of the host cover: nothing there may be given to a run.
    public private(set) var occupied: [IPPrefix] = []
    /// The interfaces that the host's routes lead to, by index: answers to runs arrive there.
    public private(set) var routedInterfaces: [UInt32: InterfaceName] = [:]
    /// Whether the kernel has IPv6 at all.
    public private(set) var hasIPv6 = false

    private static let mainTable: UInt32 = 254
    private static let localTable: UInt32 = 255

    /// Asks the kernel.
    public init(_ connection: NetlinkConnection) throws {
        let links = try connection.dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        .map { (message) throws(WireError) in try RouteWire.decodeLink(message) }
        let own = Set(links.filter { RunLink.isRunInterface($0.name) }.map(\.index))
        try readAddresses(connection, without: own)
        try readRoutes(connection, without: own, links)
    }

    private mutating func readAddresses(_ connection: NetlinkConnection, without own: Set<UInt32>) throws {
        let messages = try connection.dump("list addresses") { sequence throws(WireError) in
            try RouteWire.addressesRequest(sequence: sequence)
        }
        for message in messages {
            guard let record = try RouteWire.decodeAddress(message), !own.contains(record.linkIndex) else { continue }
            hasIPv6 = hasIPv6 || record.address.family == .ipv6
            addresses.append(record.address)
            if let prefix = IPPrefix(record.address, length: Int(record.prefixLength)) { occupied.append(prefix) }
            if let peer = record.peer { occupied.append(IPPrefix(peer)) }
        }
    }

    private mutating func readRoutes(
        _ connection: NetlinkConnection,
        without own: Set<UInt32>,
        _ links: [LinkRecord]
    ) throws {
        var outputs: Set<UInt32> = []
        let messages = try connection.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(sequence: sequence)
        }
        for message in messages {
            guard let route = try RouteWire.decodeRoute(message), !route.outputIndices.contains(where: own.contains)
            else { continue }
            if !route.isDefault { occupied.append(route.destination) }
            if route.kind == .unicast && route.table != HostNetwork.localTable { outputs.formUnion(route.outputIndices) }
        }
        for link in links where outputs.contains(link.index) && link.name != "lo" {
            routedInterfaces[link.index] = InterfaceName(link.name)
        }
    }
}
