// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

extension RouteWire {
    /// `RTPROT_*` of the routes and rules that Egret makes beside the main table: none of the numbers that `rt_protos` of
    /// iproute2 names.
    public static let ownProtocolNumber: UInt8 = 101

    /// Adds a route. What exists is refused with `EEXIST`. Of several output links only the first is sent.
    public static func addRoute(_ route: RouteRecord, sequence: UInt32) throws(WireError) -> [UInt8] {
        try routeRequest(RouteMessage.newRoute, create, route, sequence)
    }

    /// Deletes a route: the one with this destination, table, metric and, where given, gateway and link.
    public static func deleteRoute(_ route: RouteRecord, sequence: UInt32) throws(WireError) -> [UInt8] {
        try routeRequest(RouteMessage.deleteRoute, change, route, sequence)
    }

    private static func routeRequest(
        _ type: UInt16,
        _ flags: UInt16,
        _ route: RouteRecord,
        _ sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let family = route.destination.family
        guard route.gateway?.family ?? family == family, route.preferredSource?.family ?? family == family else {
            throw WireError(.badValue, "route to \(route.destination) through another family")
        }
        return try request(type, flags, sequence) { (writer) throws(WireError) in
            writer.append([
                family.socketFamily, UInt8(route.destination.length), 0, 0,
                UInt8(exactly: route.table) ?? 0, route.protocolNumber, route.scope, route.kind.rawValue,
            ])
            writer.appendHost(UInt32(route.isOnLink ? 4 : 0))
            if route.destination.length > 0 {
                try writer.putBytes(Rta.destination, route.destination.address.networkBytes)
            }
            if let gateway = route.gateway { try writer.putBytes(Rta.gateway, gateway.networkBytes) }
            if let index = route.outputIndices.first { writer.putHost(Rta.outputIndex, index) }
            if let source = route.preferredSource { try writer.putBytes(Rta.preferredSource, source.networkBytes) }
            if let metric = route.metric { writer.putHost(Rta.priority, metric) }
            writer.putHost(Rta.table, route.table)
        }
    }

    /// Asks for the routes of all tables, of one family or of all.
    public static func routesRequest(family: AddressFamily? = nil, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getRoute, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.append([family?.socketFamily ?? SocketFamily.unspecified, 0, 0, 0, 0, 0, 0, 0])
            writer.appendHost(UInt32(0))
        }
    }

    /// Asks for the route that a packet of the host's own would take: the route, then an acknowledgement.
    public static func routeRequest(to destination: IPAddress, sequence: UInt32) throws(WireError) -> [UInt8] {
        let family = destination.family
        return try request(RouteMessage.getRoute, NetlinkFlag.acknowledge, sequence) { (writer) throws(WireError) in
            writer.append([family.socketFamily, UInt8(family.bitWidth), 0, 0, 0, 0, 0, 0])
            writer.appendHost(UInt32(0))
            try writer.putBytes(Rta.destination, destination.networkBytes)
        }
    }

    /// Asks what the kernel would do with a packet, be it the host's own or one that comes in: one route, then an
    /// acknowledgement.
    ///
    /// The kernel answers with the error that the packet would meet: `ENETUNREACH` without a route, and of the routes
    /// that refuse `EHOSTUNREACH`, `EACCES` (prohibit) or `EINVAL` (blackhole), which in IPv6 may also come as a route
    /// of that kind. A packet that comes in meets `EXDEV` where its source is not expected there (`rp_filter`), and in
    /// IPv4 `EHOSTUNREACH` where the interface does not forward.
    public static func routeRequest(_ query: RouteQuery, sequence: UInt32) throws(WireError) -> [UInt8] {
        let family = query.destination.family
        guard query.source?.family ?? family == family else {
            throw WireError(.badValue, "route to \(query.destination) from another family")
        }
        let width = UInt8(family.bitWidth)
        return try request(RouteMessage.getRoute, NetlinkFlag.acknowledge, sequence) { (writer) throws(WireError) in
            writer.append([family.socketFamily, width, query.source == nil ? 0 : width, 0, 0, 0, 0, 0])
            // RTM_F_LOOKUP_TABLE, the table in which the route was found: IPv6 tells it unasked, and refuses the flag.
            writer.appendHost(UInt32(family == .ipv4 ? 0x1000 : 0))
            try writer.putBytes(Rta.destination, query.destination.networkBytes)
            if let source = query.source { try writer.putBytes(Rta.source, source.networkBytes) }
            if let index = query.inputInterface { writer.putHost(Rta.inputIndex, index) }
            if let index = query.outputInterface { writer.putHost(Rta.outputIndex, index) }
            if query.mark != 0 { writer.putHost(Rta.mark, query.mark) }
        }
    }

    /// Decodes `RTM_NEWROUTE` or `RTM_DELROUTE`. `nil` for routes of other families than the two.
    public static func decodeRoute(_ message: NetlinkMessage) throws(WireError) -> RouteRecord? {
        guard message.type == RouteMessage.newRoute || message.type == RouteMessage.deleteRoute else {
            throw WireError(.badValue, "message type \(message.type) is not a route")
        }
        let (reader, attributes) = try message.headerAndAttributes(12, "route header")
        let header = Array(reader.rest)
        guard header.count == 12 else { throw WireError(.truncated, "route header") }
        guard let family = AddressFamily(socketFamily: header[0]) else { return nil }
        guard
            var route = IPPrefix(IPAddress(family: family, rawValue: 0), length: Int(header[1])).map({
                RouteRecord(to: $0)
            })
        else { throw WireError(.badValue, "route prefix length \(header[1])") }
        route.table = UInt32(header[4])
        route.protocolNumber = header[5]
        route.scope = header[6]
        route.kind = RouteRecord.Kind(rawValue: header[7])
        route.isOnLink = ByteOrder.host(header[8...], as: UInt32.self) & 4 != 0
        for attribute in attributes { try decode(attribute, Int(header[1]), into: &route) }
        return route
    }

    private static func decode(
        _ attribute: NetlinkAttribute,
        _ length: Int,
        into route: inout RouteRecord
    ) throws(WireError) {
        switch attribute.type {
        case Rta.destination:
            let address = try IPAddress(networkBytes: attribute.payload)
            guard address.family == route.destination.family, let prefix = IPPrefix(address, length: length) else {
                throw WireError(.badLength, "route destination")
            }
            route.destination = prefix
        case Rta.gateway: route.gateway = try IPAddress(networkBytes: attribute.payload)
        case Rta.outputIndex: route.outputIndices.append(try attribute.host(UInt32.self))
        case Rta.priority: route.metric = try attribute.host(UInt32.self)
        case Rta.preferredSource: route.preferredSource = try IPAddress(networkBytes: attribute.payload)
        case Rta.table: route.table = try attribute.host(UInt32.self)
        case Rta.multipath: route.outputIndices += try nextHopIndices(attribute.payload)
        default: break
        }
    }

    /// The link indices in a list of `struct rtnexthop`: length, flags, hops, index, attributes.
    private static func nextHopIndices(_ payload: ArraySlice<UInt8>) throws(WireError) -> [UInt32] {
        var reader = ByteReader(payload)
        var indices: [UInt32] = []
        while reader.count > 0 {
            let length = Int(try reader.readHost(UInt16.self, "next hop"))
            _ = try reader.readHost(UInt16.self, "next hop")
            indices.append(try reader.readHost(UInt32.self, "next hop"))
            guard length >= 8 else { throw WireError(.badLength, "next hop") }
            _ = try reader.readBytes(length - 8, "next hop")
            reader.skipPadding(-length & 3)
        }
        return indices
    }
}

/// Attribute types of routes (`RTA_*`).
private enum Rta {
    static let destination: UInt16 = 1
    static let source: UInt16 = 2
    static let inputIndex: UInt16 = 3
    static let outputIndex: UInt16 = 4
    static let gateway: UInt16 = 5
    static let priority: UInt16 = 6
    static let preferredSource: UInt16 = 7
    static let multipath: UInt16 = 9
    static let table: UInt16 = 15
    static let mark: UInt16 = 16
}
