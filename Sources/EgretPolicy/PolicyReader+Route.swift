// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let routeSchema = DocumentFields.Schema(
        name: "a route", fields: ["to", "ports", "via"],
        foreign: [
            "gateway": "write it under via", "fallback": "write it under via", "action": "routes have none: write via",
        ]
    )

    private static let viaSchema = DocumentFields.Schema(
        name: "via", fields: ["gateway", "interface", "sourceAddress", "sourceAddressPer", "check", "fallback"]
    )

    private static let waySchema = DocumentFields.Schema(
        name: "a way of via", fields: ["gateway", "interface", "sourceAddress", "sourceAddressPer", "check"],
        foreign: ["fallback": "with several ways, write fallback beside via"]
    )

    private static let listedRouteSchema = DocumentFields.Schema(
        name: "a route", fields: ["to", "ports", "via", "fallback"]
    )

    /// Reads the list of routes.
    mutating func readRoutes(_ node: DocumentNode) -> [EgressRoute] {
        if node.content == .null { return [] }
        guard case .sequence(let items) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "routes is a list, and here is \(node.found)",
                "begin each route with a hyphen: - via: { gateway: 192.0.2.1 }"
            )
            return []
        }
        let routes = items.compactMap { readRoute($0) }
        if routes.reduce(0, { $0 + $1.ways.count }) > RouteWay.limit {
            error(
                DiagnosticCode.outOfRange, at: node.location, "routes has more than \(RouteWay.limit) ways",
                "write fewer: the ways of all routes count together"
            )
        }
        return routes
    }

    private mutating func readRoute(_ node: DocumentNode) -> EgressRoute? {
        var isList = false
        if case .mapping(let entries) = node.content, let via = entries.first(where: { $0.key == "via" }),
            case .sequence = via.value.content
        {
            isList = true
        }
        let schema = isList ? PolicyReader.listedRouteSchema : PolicyReader.routeSchema
        guard let fields = fields(node, schema) else { return nil }
        let destinations = fields["to"].map { readRouteDestinations($0) } ?? []
        let services = fields["ports"].map { readServices($0) } ?? []
        let via = required(
            "via", in: fields, of: "the route", suggestion: "write for example via: { gateway: 192.0.2.1 }"
        )
        guard let via else { return nil }
        let (ways, inner) = isList ? (readWays(via), nil) : readVia(via)
        let outer = isList ? fields["fallback"] : inner
        let fallback = outer.map { readFallback($0) } ?? .drop
        guard !ways.isEmpty, let fallback else { return nil }
        return EgressRoute(
            destinations: destinations, services: services, ways: ways, fallback: fallback, location: node.location
        )
    }

    private mutating func readRouteDestinations(_ node: DocumentNode) -> [Destination] {
        let peers = readPeers(node)
        if !peers.workloads.isEmpty {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "a route to workloads is not supported yet",
                "write cidr or group: workloads of this host are reached without a way out"
            )
        }
        if !peers.domains.isEmpty {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "a route to domains is not supported yet",
                "write cidr or group"
            )
        }
        return peers.destinations
    }

    private mutating func readFallback(_ node: DocumentNode) -> EgressRoute.Fallback? {
        word(
            node, "fallback", as: EgressRoute.Fallback.self,
            others: ["deny": "drop", "block": "drop", "default": "main", "pass": "next"]
        )
    }

    private mutating func readWays(_ node: DocumentNode) -> [RouteWay] {
        let items = items(
            node, "via", emptyMessage: "via is empty, and leads nowhere",
            emptySuggestion: "write for example via: [{ gateway: 192.0.2.1 }]"
        )
        return (items ?? []).compactMap { item in
            fields(item, PolicyReader.waySchema).flatMap { readWay($0) }
        }
    }

    private mutating func readVia(_ node: DocumentNode) -> (ways: [RouteWay], fallback: DocumentNode?) {
        guard let fields = fields(node, PolicyReader.viaSchema) else { return ([], nil) }
        return (readWay(fields).map { [$0] } ?? [], fields["fallback"])
    }

    private mutating func readWay(_ fields: DocumentFields) -> RouteWay? {
        guard fields.has("gateway") || fields.has("interface") || fields.has("sourceAddress") else {
            error(
                DiagnosticCode.missingField, at: fields.node.location,
                "the way has no gateway, interface or sourceAddress",
                "write at least one of them"
            )
            return nil
        }
        let gateway = fields["gateway"].flatMap { readAddress($0, "gateway") }
        let interface = fields["interface"].flatMap { readInterface($0) }
        let source = fields["sourceAddress"].flatMap { readSources($0) }
        let use = readSourceUse(fields)
        let check = fields["check"].flatMap { readCheck($0) }
        if fields.has("gateway") && gateway == nil || fields.has("interface") && interface == nil
            || fields.has("sourceAddress") && source == nil || fields.has("check") && check == nil
            || fields.has("sourceAddressPer") && use == nil
        {
            return nil
        }
        let families = Set([gateway?.family, source?.first.family, check?.address.family].compactMap(\.self))
        guard families.count <= 1 else {
            error(
                DiagnosticCode.contradiction, at: fields.node.location, "the way mixes IPv4 and IPv6 addresses",
                "write a way of its own for each family"
            )
            return nil
        }
        return RouteWay(
            gateway: gateway, interface: interface, sourceAddress: source?.first, lastSourceAddress: source?.last,
            isSourcePerConnection: use == .connection, check: check)
    }

    private mutating func readSourceUse(_ fields: DocumentFields) -> RouteWay.SourceUse? {
        guard let node = fields["sourceAddressPer"] else { return nil }
        if !fields.has("sourceAddress") {
            error(
                DiagnosticCode.missingField, at: node.location,
                "sourceAddressPer says who gets one of several source addresses, and the way has none",
                "write sourceAddress, for example 192.0.2.1-192.0.2.4"
            )
            return nil
        }
        return word(
            node, "sourceAddressPer", as: RouteWay.SourceUse.self, others: ["client": "endpoint", "flow": "connection"]
        )
    }

    private mutating func readSources(_ node: DocumentNode) -> (first: IPAddress, last: IPAddress?)? {
        guard let sources = readAddresses(node) else { return nil }
        guard let block = IPPrefix.neverSource(from: sources.first, through: sources.last ?? sources.first) else {
            return sources
        }
        error(
            DiagnosticCode.address, at: node.location,
            "an address of \(block) cannot be a source address: nobody could answer it",
            "write an address of the host, for example 192.0.2.1"
        )
        return nil
    }

    private mutating func readAddresses(_ node: DocumentNode) -> (first: IPAddress, last: IPAddress?)? {
        guard let text = string(node, "sourceAddress", expected: "an address") else { return nil }
        if !text.contains("-") { return readAddress(node, "sourceAddress").map { ($0, nil) } }
        if let sources = RouteWay.sources(text) { return sources }
        error(
            DiagnosticCode.address, at: node.location, "\(quoted(text)) is no run of IP addresses",
            "write the first and the last, for example 192.0.2.1-192.0.2.4"
        )
        return nil
    }

    private mutating func readAddress(_ node: DocumentNode, _ field: String) -> IPAddress? {
        guard let text = string(node, field, expected: "an address") else { return nil }
        if let address = IPAddress(text) { return address }
        error(
            DiagnosticCode.address, at: node.location, "\(quoted(text)) is not an IP address",
            "write one address, for example 192.0.2.1 or 2001:db8::1"
        )
        return nil
    }

    private mutating func readInterface(_ node: DocumentNode) -> InterfaceName? {
        guard let text = string(node, "interface", expected: "the name of an interface") else { return nil }
        if let name = InterfaceName(text) { return name }
        error(
            DiagnosticCode.invalidName, at: node.location, "\(quoted(text)) cannot be the name of an interface",
            "write 1 to 15 characters, without spaces and slashes"
        )
        return nil
    }
}
