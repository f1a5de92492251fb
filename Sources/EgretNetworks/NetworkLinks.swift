// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlink
public import EgretNetlinkWire

/// The links, addresses and routes of networks, in the kernel.
public struct NetworkLinks {
    let connection: NetlinkConnection

    /// Works through a connection to the host's network namespace.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    // MARK: - What is there

    /// All links of the host.
    public func all() throws -> [LinkRecord] {
        try connection.links()
    }

    /// The ports of all bridges of the host, without their kind and the namespaces of their other ends: of all links, these
    /// cost the least. Others may be among them, and one may be missing that is there: see
    /// `NetlinkConnection.bridgePorts()`. Where a driver keeps the kernel from listing them, these are all links.
    ///
    /// - Returns: The ports.
    /// - Throws: An error that says what the kernel refused.
    public func bridgePorts() throws -> [LinkRecord] {
        try NetworkLinks.ports({ try connection.bridgePorts() }, orAll: { try connection.links() })
    }

    static func ports(
        _ ports: () throws -> [LinkRecord], orAll all: () throws -> [LinkRecord]
    ) throws -> [LinkRecord] {
        do {
            return try ports()
        } catch is NetlinkError {
            return try all()
        }
    }

    /// The link of an index; `nil` if there is none.
    ///
    /// Where one is meant, this is to be asked: each link that is listed costs the kernel a walk over all namespaces that it
    /// knows from here, so that all of them cost the square of their number.
    public func link(_ index: UInt32) throws -> LinkRecord? {
        try connection.link(index)
    }

    /// The link of a name; `nil` if there is none.
    public func link(named name: String) throws -> LinkRecord? {
        try InterfaceName(name).flatMap { try connection.link(named: $0) }
    }

    /// The addresses that machines beyond a link are known to have.
    public func neighbours(of index: UInt32) throws -> [IPAddress] {
        let failed: UInt16 = 0x20
        return try connection.dump("list neighbours") { sequence throws(WireError) in
            try RouteWire.neighboursRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeNeighbour(message) }
        .filter { $0.linkIndex == index && $0.hardwareAddress != nil && $0.state & failed == 0 }.map(\.address)
    }

    /// The addresses of a link, with their prefixes.
    public func addresses(of index: UInt32) throws -> [AddressRecord] {
        try addresses().filter { $0.linkIndex == index }
    }

    /// The addresses of all links, with their prefixes.
    public func addresses() throws -> [AddressRecord] {
        try connection.addresses()
    }

    // MARK: - Bridges

    /// Makes a network's bridge, with the gateways' addresses, and sets it up.
    ///
    /// - Parameters:
    ///   - name: The bridge's.
    ///   - hardware: Its hardware address.
    ///   - subnets: The network's.
    ///   - mtu: In bytes; `nil` for the kernel's choice.
    ///   - prepare: Called with the link's name when it is there and still down.
    /// - Returns: Its index.
    /// - Throws: An error that names the step. What was made so far is there.
    public func makeBridge(
        _ name: InterfaceName,
        _ hardware: String?,
        subnets: [Subnet],
        mtu: UInt32?,
        prepare: (String) throws -> Void
    ) throws -> UInt32 {
        try connection.request("create bridge \(name)") { sequence throws(WireError) in
            try RouteWire.createBridge(
                name, address: hardware.flatMap { MACAddress(text: $0) } ?? .random(), mtu: mtu, sequence: sequence)
        }
        let index = try connection.presentLink(name).index
        try prepare(name.rawValue)
        for subnet in subnets {
            try connection.add(subnet.gateway, length: subnet.block.length, to: index)
        }
        try connection.setUp(index)
        return index
    }

    /// Removes a link; one that is gone, or another one that has got its name, will do.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - isOwn: Whether the link by that name is the one that was meant.
    /// - Throws: An error that says what the kernel refused.
    public func remove(_ name: String, if isOwn: (LinkRecord) -> Bool) throws {
        guard let link = try link(named: name), isOwn(link) else { return }
        try connection.request("delete link \(name)", unless: .notFound) { sequence throws(WireError) in
            try RouteWire.deleteLink(link.index, sequence: sequence)
        }
    }

    /// Removes the host's end of an endpoint's link, whatever it is called by now; one that goes meanwhile will do.
    ///
    /// - Parameter endpoint: The endpoint.
    /// - Throws: An error that says what the kernel refused.
    public func removeHostEnd(of endpoint: NetworkRecord.Endpoint) throws {
        let byIndex = endpoint.hostIndex == 0 ? nil : try link(endpoint.hostIndex)
        let byName = try link(named: endpoint.hostInterface)
        for link in Set([byIndex, byName].compactMap(\.self))
        where endpoint.isHostEnd(link) || endpoint.isFirstSeen(link) {
            try connection.request("delete link \(link.name)", unless: .notFound) { sequence throws(WireError) in
                try RouteWire.deleteLink(link.index, sequence: sequence)
            }
        }
    }

    /// Removes links that somebody has begun to make for endpoints, and that nothing tells of any more.
    ///
    /// - Parameter endpoints: The endpoints that are kept.
    /// - Returns: The names of the links that were there.
    /// - Throws: An error that says what the kernel refused.
    public func removeStrays(besides endpoints: [NetworkRecord.Endpoint]) throws -> [String] {
        let strays = NetworkLinks.strays(among: try all(), besides: endpoints)
        for stray in strays { try remove(stray.name) { $0.index == stray.index } }
        return strays.map(\.name)
    }

    /// The links that are as an endpoint's link is when it has just been made, down and no bridge's port, and are no endpoint's. One
    /// that is up may be of a network that another Egret keeps.
    static func strays(among links: [LinkRecord], besides endpoints: [NetworkRecord.Endpoint]) -> [LinkRecord] {
        links.filter { link in
            guard link.kind == "veth", !link.isUp, link.masterIndex == nil, NetworkLinks.isHostEndName(link.name),
                let address = link.address, address.isForPort
            else { return false }
            return !endpoints.contains { $0.isHostEnd(link) || $0.isFirstSeen(link) }
        }
    }

    /// Whether an interface's name is one that host's ends of endpoints' links get.
    private static func isHostEndName(_ name: String) -> Bool {
        name.hasPrefix("egn") && name.count > 3 && name.dropFirst(3).allSatisfy { $0.isASCII && $0.isNumber }
    }

    /// Makes links ports of a bridge.
    ///
    /// - Parameters:
    ///   - indices: The links.
    ///   - bridge: The bridge's index.
    /// - Throws: An error that says what the kernel refused.
    public func setMaster(of indices: [UInt32], to bridge: UInt32) throws {
        for index in indices {
            try connection.request("make link \(index) a port") { sequence throws(WireError) in
                try RouteWire.setLink(index, master: bridge, sequence: sequence)
            }
            try connection.request("set the hairpin mode of port \(index)") { sequence throws(WireError) in
                try RouteWire.setHairpin(port: index, sequence: sequence)
            }
        }
    }

    // MARK: - Endpoints

    /// Makes an endpoint's link and configures both ends.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint: names and addresses. Its host index is not looked at.
    ///   - network: Its network.
    ///   - namespace: Its namespace.
    ///   - mtu: In bytes; `nil` for the kernel's choice.
    ///   - led: The families that an earlier connection of the namespace leads out by.
    ///   - prepare: Called with the name and the index of the host's end when it is there and still down.
    /// - Returns: The index of the host's end.
    /// - Throws: An error that names the step. What was made so far is there.
    public func connect(
        _ endpoint: NetworkRecord.Endpoint,
        to network: NetworkRecord,
        in namespace: Namespace,
        mtu: UInt32?,
        led: Set<AddressFamily> = [],
        prepare: (String, UInt32) throws -> Void
    ) throws -> UInt32 {
        guard let outer = InterfaceName(endpoint.hostInterface), let inner = InterfaceName(endpoint.interface),
            let outerHardware = MACAddress(text: endpoint.hostHardwareAddress),
            let innerHardware = MACAddress(text: endpoint.hardwareAddress)
        else { throw NetworkProblem("the names of the link of \(endpoint.namespace) cannot be used") }
        let inside = try namespace.visit { try NetlinkConnection.route() }
        if try inside.link(named: inner) != nil {
            throw NetworkProblem(
                "\(endpoint.namespace) has an interface \(inner) already", advice: "name another: --interface eth1")
        }
        try connection.request("create link \(outer)") { sequence throws(WireError) in
            try RouteWire.createVeth(
                VethEnd(name: outer, address: outerHardware),
                peer: VethEnd(name: inner, address: innerHardware),
                peerNamespace: namespace.descriptor.number,
                mtu: mtu,
                sequence: sequence
            )
        }
        let index = try connection.presentLink(outer).index
        try prepare(outer.rawValue, index)
        switch network.mode {
        case .bridge: try joinBridge(index, network)
        case .routed: try routeTo(endpoint, index, network)
        }
        try configure(inside, endpoint, inner, network, led)
        return index
    }

    private func joinBridge(_ index: UInt32, _ network: NetworkRecord) throws {
        guard let bridge = network.bridgeIndex else {
            throw NetworkProblem("the network \(network.name) has no bridge")
        }
        try connection.request("configure link \(index)") { sequence throws(WireError) in
            try RouteWire.disableAddressGeneration(link: index, sequence: sequence)
        }
        try setMaster(of: [index], to: bridge)
        try connection.setUp(index)
    }

    /// The host's end has the gateways' addresses, alone in their blocks, and a route to the endpoint.
    private func routeTo(_ endpoint: NetworkRecord.Endpoint, _ index: UInt32, _ network: NetworkRecord) throws {
        for subnet in network.subnets {
            try connection.add(subnet.gateway, length: subnet.block.family.bitWidth, to: index)
        }
        try connection.setUp(index)
        for address in endpoint.addresses {
            try connection.add(RouteRecord(to: IPPrefix(address), link: index))
        }
    }

    private func configure(
        _ inside: NetlinkConnection,
        _ endpoint: NetworkRecord.Endpoint,
        _ name: InterfaceName,
        _ network: NetworkRecord,
        _ led: Set<AddressFamily>
    ) throws {
        if let loopback = InterfaceName("lo") { try inside.setUp(try inside.presentLink(loopback).index) }
        let index = try inside.presentLink(name).index
        for (address, subnet) in zip(endpoint.addresses, network.subnets) {
            try inside.add(address, length: Int(network.innerLength(subnet)), to: index)
        }
        try inside.setUp(index)
        let present = try inside.routes().filter { $0.isDefault && $0.table == 254 }
        let hasDefault = led.union(present.map(\.destination.family))
        for route in network.innerRoutes(link: index, hasDefault: hasDefault) { try inside.add(route) }
        let families = network.answeringFamilies(link: index, led: led, routes: present)
        try inside.leadAnswers(of: endpoint, in: network, link: index, families)
    }
}

extension NetlinkConnection {
    fileprivate func presentLink(_ name: InterfaceName) throws -> LinkRecord {
        let message = try get("get link \(name)") { sequence throws(WireError) in
            try RouteWire.linkRequest(named: name, sequence: sequence)
        }
        return try RouteWire.decodeLink(message)
    }

    fileprivate func routes() throws -> [RouteRecord] {
        try dump("list routes") { sequence throws(WireError) in try RouteWire.routesRequest(sequence: sequence) }
            .compactMap { (message) throws(WireError) in try RouteWire.decodeRoute(message) }
    }

    func setUp(_ index: UInt32) throws {
        try request("set link \(index) up") { sequence throws(WireError) in
            try RouteWire.setLink(index, up: true, sequence: sequence)
        }
    }

    func add(_ address: IPAddress, length: Int, to index: UInt32) throws {
        try request("add address \(address)") { sequence throws(WireError) in
            try RouteWire.addAddress(
                address,
                prefixLength: UInt8(length),
                flags: address.family == .ipv6 ? .noDuplicateDetection : [],
                link: index,
                sequence: sequence
            )
        }
    }

    func add(_ route: RouteRecord) throws {
        try request("add route to \(route.destination)") { sequence throws(WireError) in
            try RouteWire.addRoute(route, sequence: sequence)
        }
    }
}

extension MACAddress {
    /// A locally administered address that nobody else is likely to have.
    public static func random() -> MACAddress {
        MACAddress(locallyAdministered: UInt64.random(in: 0...0xff_ffff_ffff))
    }

    /// A locally administered address for a bridge's port, higher than others have.
    ///
    /// A bridge whose address nobody has set takes the lowest of its ports' (`br_stp_recalculate_bridge_id`), and with a
    /// lower one somebody else's bridge would change its own when we come and when we go: whoever had asked for it
    /// meanwhile would talk to nobody.
    public static func randomForPort() -> MACAddress {
        MACAddress(rawValue: 0xfeff_0000_0000 | UInt64.random(in: 0...0xffff_ffff))
    }

    /// Whether it may be one that `randomForPort()` has made.
    var isForPort: Bool { rawValue >> 32 == 0xfeff }

    /// Reads six pairs of hexadecimal digits; `nil` for anything else.
    public init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt8($0, radix: 16) }
        guard parts.count == 6, !parts.contains(nil) else { return nil }
        self.init(rawValue: parts.compactMap(\.self).reduce(0) { $0 << 8 | UInt64($1) })
    }
}
