// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlinkWire

extension NetworkRecord {
    /// What is missing of the network's bridge: that it is up, and has the gateways' addresses.
    ///
    /// An adopted bridge's addresses are its owner's.
    ///
    /// - Parameter host: The host's namespace.
    /// - Returns: What is missing; nothing if there is no such bridge at all.
    public func bridgeFaults(_ host: NamespaceState) -> [NetworkFault] {
        guard mode == .bridge, !isAdopted,
            let bridge = host.links.first(where: { $0.index == bridgeIndex && $0.name == name })
        else { return [] }
        var faults: [NetworkFault] = []
        if !bridge.isUp {
            faults.append(NetworkFault(.link, "the bridge \(name) is down", .setUp(.host, bridge.index)))
        }
        for subnet in subnets {
            let length = UInt8(clamping: subnet.block.length)
            faults += missing(subnet.gateway, length, .host, bridge, host, .gateway)
        }
        return faults
    }

    /// Whether a link is the bridge that Egret has made for the network, whatever somebody calls it by now.
    ///
    /// - Parameter link: A link of the host's.
    /// - Returns: Whether it is a bridge with the hardware address that Egret has given.
    public func isOwnBridge(_ link: LinkRecord) -> Bool {
        guard let bridgeHardwareAddress else { return false }
        return link.kind == "bridge" && link.address?.description == bridgeHardwareAddress
    }

    /// What is missing of an endpoint's link, addresses and routes, in the order of a packet's way.
    ///
    /// What there is besides is nobody's fault: further addresses, further routes, another default route.
    ///
    /// - Parameters:
    ///   - endpoint: One of the network's.
    ///   - host: The host's namespace.
    ///   - inside: The endpoint's.
    ///   - led: The families that an earlier connection of the endpoint's namespace leads out by.
    /// - Returns: What is missing.
    public func faults(
        of endpoint: Endpoint, host: NamespaceState, inside: NamespaceState, led: Set<AddressFamily> = []
    ) -> [NetworkFault] {
        guard let outer = host.links.first(where: { endpoint.isHostEnd($0) }) else {
            let words = "\(endpoint.hostInterface), the host's end of \(endpoint.interface), is gone"
            return [NetworkFault(.link, words, .remake)]
        }
        let peers = inside.links.filter { $0.kind == "veth" && $0.index == outer.peerIndex }
        guard let inner = peers.first(where: { $0.peerIndex == outer.index }) else {
            let words = "\(endpoint.interface), the other end of \(outer.name), is not in \(endpoint.namespace)"
            return [NetworkFault(.link, words, .remake)]
        }
        return linkFaults(endpoint, outer, inner, host) + addressFaults(endpoint, inner, inside)
            + routeFaults(endpoint, inner, inside, led) + answerFaults(endpoint, inner, inside, led)
            + hostFaults(endpoint, outer, host)
    }

    // MARK: - Links

    private func linkFaults(
        _ endpoint: Endpoint, _ outer: LinkRecord, _ inner: LinkRecord, _ host: NamespaceState
    ) -> [NetworkFault] {
        var faults: [NetworkFault] = []
        let ends: [(NetworkFault.End, LinkRecord, String, String)] = [
            (.endpoint, inner, endpoint.interface, endpoint.hardwareAddress),
            (.host, outer, endpoint.hostInterface, endpoint.hostHardwareAddress),
        ]
        for (end, link, name, hardware) in ends {
            let what = end == .host ? "\(name), the host's end of \(endpoint.interface)," : name
            if link.name != name {
                faults.append(
                    NetworkFault(.link, "\(what) is called \(link.name) now", .rename(end, link.index, name)))
            }
            if link.address?.description != hardware {
                let now = link.address.map { "\($0)" } ?? "none"
                faults.append(
                    NetworkFault(
                        .link, "\(what) has another hardware address: \(now) instead of \(hardware)",
                        .setAddress(end, link.index, hardware)))
            }
            if !link.isUp { faults.append(NetworkFault(.link, "\(what) is down", .setUp(end, link.index))) }
        }
        if mode == .bridge {
            guard let index = bridgeIndex, let bridge = host.links.first(where: { $0.index == index }) else {
                return faults + [NetworkFault(.link, "the bridge \(name) is gone", .bridge)]
            }
            if outer.masterIndex != index {
                faults.append(
                    NetworkFault(
                        .link, "\(outer.name) is no port of \(bridge.name)", .join(outer.index, bridge: index)))
            }
        }
        return faults
    }

    // MARK: - Addresses

    private func addressFaults(
        _ endpoint: Endpoint, _ inner: LinkRecord, _ inside: NamespaceState
    ) -> [NetworkFault] {
        zip(endpoint.addresses, subnets).flatMap { address, subnet in
            missing(address, innerLength(subnet), .endpoint, inner, inside, .address)
        }
    }

    /// The length of the prefix that an endpoint has its address with.
    func innerLength(_ subnet: Subnet) -> UInt8 {
        UInt8(clamping: mode == .bridge ? subnet.block.length : subnet.block.family.bitWidth)
    }

    /// That a link has no such address, or has it with another mask.
    private func missing(
        _ address: IPAddress, _ length: UInt8, _ end: NetworkFault.End, _ link: LinkRecord, _ state: NamespaceState,
        _ part: NetworkFault.Part
    ) -> [NetworkFault] {
        let own = state.addresses.filter { $0.linkIndex == link.index && $0.address == address }
        if own.contains(where: { $0.prefixLength == length }) { return [] }
        let addition = NetworkFault(
            part, "\(link.name) has lost \(address)/\(length)", .add(end, address, length, link.index))
        return own.map { other in
            NetworkFault(
                part, "\(link.name) has \(address)/\(other.prefixLength) instead of \(address)/\(length)",
                .take(end, address, other.prefixLength, link.index))
        } + [addition]
    }

    // MARK: - Routes

    /// The routes that an endpoint has by its link.
    ///
    /// - Parameters:
    ///   - index: The link's index in its namespace.
    ///   - hasDefault: The families that another interface has a default route of already, or is to have.
    /// - Returns: The routes, each after those that it needs.
    func innerRoutes(link index: UInt32, hasDefault: Set<AddressFamily>) -> [RouteRecord] {
        subnets.flatMap { subnet -> [RouteRecord] in
            var routes: [RouteRecord] = []
            if mode == .routed {
                // The default route may be another network's: its members have ways of their own.
                routes.append(RouteRecord(to: IPPrefix(subnet.gateway), link: index))
                routes.append(RouteRecord(to: subnet.block, gateway: subnet.gateway, link: index))
            }
            let family = subnet.block.family
            if !isIsolated, !hasDefault.contains(family) {
                routes.append(RouteRecord(to: IPPrefix(allOf: family), gateway: subnet.gateway, link: index))
            }
            return routes
        }
    }

    /// The routes that the kernel itself makes of an endpoint's addresses.
    func linkRoutes(link index: UInt32) -> [RouteRecord] {
        mode == .bridge ? subnets.map { RouteRecord(to: $0.block, link: index) } : []
    }

    private func routeFaults(
        _ endpoint: Endpoint, _ inner: LinkRecord, _ inside: NamespaceState, _ led: Set<AddressFamily>
    ) -> [NetworkFault] {
        let hasDefault = led.union(inside.routes.filter(\.isDefault).map(\.destination.family))
        let routes = linkRoutes(link: inner.index) + innerRoutes(link: inner.index, hasDefault: hasDefault)
        return routes.filter { wanted in !inside.routes.contains { $0.leads(as: wanted) } }
            .map { wanted in
                let target = wanted.isDefault ? "default route" : "route to \(wanted.destination)"
                let family = wanted.destination.family == .ipv4 ? "IPv4" : "IPv6"
                return NetworkFault(
                    .route, "\(endpoint.namespace) has lost its \(family) \(target) by \(inner.name)",
                    .route(.endpoint, wanted, instead: []))
            }
    }

    /// The host's own addresses on a link by itself, and its route to the endpoint.
    private func hostFaults(_ endpoint: Endpoint, _ outer: LinkRecord, _ host: NamespaceState) -> [NetworkFault] {
        guard mode == .routed else { return [] }
        let gateways = subnets.flatMap { subnet in
            missing(subnet.gateway, UInt8(clamping: subnet.block.family.bitWidth), .host, outer, host, .gateway)
        }
        let routes = endpoint.addresses.compactMap { address -> NetworkFault? in
            let wanted = RouteRecord(to: IPPrefix(address), link: outer.index)
            let present = host.routes.filter { $0.destination == wanted.destination }
            if present.contains(where: { $0.leads(as: wanted) }) { return nil }
            let words =
                present.isEmpty
                ? "the host has lost its route to \(address) by \(outer.name)"
                : "the host's route to \(address) does not lead by \(outer.name)"
            return NetworkFault(.routeBack, words, .route(.host, wanted, instead: present))
        }
        return gateways + routes
    }
}

extension NetworkRecord.Endpoint {
    /// Whether a link of the host's is the host's end: whoever renames it, or gives it another address, has not taken it
    /// away.
    public func isHostEnd(_ link: LinkRecord) -> Bool {
        // By another number it is one that no rule and no policy is about.
        link.index == hostIndex
            && (link.name == hostInterface || link.address?.description == hostHardwareAddress)
    }

    /// Whether a link is the host's end as it was made, by whatever number.
    public func isFirstSeen(_ link: LinkRecord) -> Bool {
        link.name == hostInterface && link.address?.description == hostHardwareAddress
    }
}

extension RouteRecord {
    /// Whether it leads packets where another one would.
    func leads(as other: RouteRecord) -> Bool {
        destination == other.destination && gateway == other.gateway && outputIndices == other.outputIndices
            && kind == other.kind
    }
}
