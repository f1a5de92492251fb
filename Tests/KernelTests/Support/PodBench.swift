// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

/// One policed endpoint of a ``PodBench``, used from its end of the wire.
struct Pod {
    let namespace: Namespace
    let socket: PacketSocket
    /// What the plan knows of it, without policies.
    let endpoint: HostEndpoint
    /// The hardware address that the endpoint sends to.
    let gatewayHardware: MACAddress

    /// Its address of a family.
    func address(_ family: AddressFamily) -> IPAddress {
        endpoint.addresses.first { $0.family == family } ?? endpoint.addresses[0]
    }
}

/// Endpoints behind a host, each in a namespace of its own, and everything else in front of it.
///
/// Routed endpoints have a link each; the others are ports of one bridge. Nothing there answers by itself: frames are
/// sent and seen at the wire.
final class PodBench {
    /// How endpoints are connected.
    enum Layout: String, CaseIterable {
        case routed
        case bridged
    }

    /// One end of a connection.
    enum End: Hashable {
        case pod(Int)
        case outside(IPAddress)
    }

    let bench: KernelBench
    let layout: Layout
    private(set) var pods: [Pod] = []
    var plan = HostPlan(logGroup: KernelBench.logGroup)
    /// How far the machine's clock is ahead of the one that the programs meet, in seconds.
    private var lead: Int64 = 0
    private let bridge: (index: UInt32, hardware: MACAddress)?

    /// Whether the endpoints' own kernels speak: they have addresses, and ask for their neighbours.
    let isAlive: Bool

    convenience init(_ layout: Layout, pods count: Int = 9, isAlive: Bool = false) throws {
        try self.init(layout, addresses: (0..<count).map { PodBench.addresses($0) }, isAlive: isAlive)
    }

    /// Builds endpoints with these addresses each.
    init(
        _ layout: Layout, addresses: [[IPAddress]], hostAddresses: [IPAddress] = KernelBench.hostAddresses,
        isAlive: Bool = false
    ) throws {
        bench = try KernelBench(endpoints: 0, hostAddresses: hostAddresses)
        self.layout = layout
        self.isAlive = isAlive
        bridge = try layout == .bridged ? PodBench.makeBridge(bench.route, isAlive: isAlive) : nil
        if isAlive, let bridge {
            for gateway in PodBench.gateways {
                try bench.route.addAddress(gateway, length: gateway.family == .ipv4 ? 24 : 64, to: bridge.index)
            }
        }
        for (number, own) in addresses.enumerated() { pods.append(try makePod(number, own)) }
        // The kernel tells of carriers once a second: wait for all of them together.
        for pod in pods {
            let inside = try pod.namespace.onOwnThread { try NetlinkConnection.route() }
            try inside.awaitCarrier("eth0")
            try bench.route.awaitCarrier(#require(pod.endpoint.interface).rawValue)
        }
    }

    private static func makeBridge(_ route: NetlinkConnection, isAlive: Bool) throws -> (UInt32, MACAddress) {
        let name = try #require(InterfaceName("pods"))
        let hardware = MACAddress(locallyAdministered: 0x0400)
        try route.request("create bridge") { sequence throws(WireError) in
            try RouteWire.createBridge(name, address: hardware, sequence: sequence)
        }
        // A kernel without a link-local address asks nobody for the hardware address of others' traffic.
        return (try route.raise("pods", keepingAddresses: isAlive), hardware)
    }

    private func makePod(_ number: Int, _ own: [IPAddress]) throws -> Pod {
        let route = bench.route
        let namespace = try KernelBench.newNamespace()
        let hardware = MACAddress(locallyAdministered: 0x0500 + UInt64(number))
        let name = "pod\(number)"
        try route.createLink(
            name, MACAddress(locallyAdministered: 0x0600 + UInt64(number)), peer: "eth0", hardware, in: namespace)
        let inside = try namespace.onOwnThread { try NetlinkConnection.route() }
        let insideIndex = try inside.raise("eth0", keepingAddresses: isAlive)
        if let bridge {
            let port = try route.index(of: name)
            try route.request("connect to bridge") { sequence throws(WireError) in
                try RouteWire.setLink(port, master: bridge.index, sequence: sequence)
            }
        }
        let index = try route.raise(name, keepingAddresses: isAlive)
        for address in own {
            let link = bridge?.index ?? index
            try route.request("add route") { sequence throws(WireError) in
                try RouteWire.addRoute(RouteRecord(to: IPPrefix(address), link: link), sequence: sequence)
            }
            if isAlive {
                try liven(inside, insideIndex, address, hostEnd: index)
            } else {
                try route.addNeighbour(address, hardware, on: link)
            }
        }
        let interface = try #require(InterfaceName(name))
        let endpoint = HostEndpoint(
            slot: number,
            attachment: bridge.map { .port(interface, index: index, bridgeIndex: $0.index) }
                ?? .link(interface, index: index),
            hardwareAddress: hardware, addresses: own)
        let socket = try namespace.onOwnThread {
            try PacketSocket(interfaceIndex: Int32(insideIndex), promiscuous: true)
        }
        return Pod(
            namespace: namespace, socket: socket, endpoint: endpoint,
            gatewayHardware: bridge?.hardware ?? MACAddress(locallyAdministered: 0x0600 + UInt64(number)))
    }

    /// Gives an endpoint's kernel its address and its way out.
    private func liven(
        _ inside: NetlinkConnection, _ index: UInt32, _ address: IPAddress, hostEnd: UInt32
    ) throws {
        let family = address.family
        let gateway = PodBench.gateways[family == .ipv4 ? 0 : 1]
        let length = layout == .routed ? family.bitWidth : family == .ipv4 ? 24 : 64
        try inside.addAddress(address, length: length, to: index)
        if layout == .routed { try bench.route.addAddress(gateway, length: family.bitWidth, to: hostEnd) }
        let everywhere = IPPrefix(gateway, length: 0) ?? IPPrefix(gateway)
        try inside.request("add route") { sequence throws(WireError) in
            try RouteWire.addRoute(
                RouteRecord(to: everywhere, gateway: gateway, link: index, isOnLink: true), sequence: sequence)
        }
    }

    /// The host's addresses towards endpoints.
    static let gateways = KernelBench.addresses("203.0.113.254", "2001:db8:113::fe")

    /// 203.0.113.17 and 2001:db8:113::11 and so on: what random policies speak of.
    static func addresses(_ number: Int) -> [IPAddress] {
        [
            IPAddress(family: .ipv4, rawValue: 0xcb00_7111 + UInt128(number)),
            IPAddress(family: .ipv6, rawValue: 0x2001_0db8_0113 << 80 | 0x11 + UInt128(number)),
        ]
    }

    // MARK: - Policies

    /// Brings plan and kernel to what a catalog says about the endpoints, which are the inventory's workloads by the
    /// numbers in their names.
    func enforce(
        _ catalog: PolicyCatalog, _ inventory: Inventory, horizon: ClosedRange<Int64>? = nil, clock: MovedClock? = nil
    ) throws {
        try enforce(catalog, inventory, horizon: horizon, clock: clock) { workload in
            let number = try #require(Int(workload.id.name.dropFirst()))
            return workload.usesHostNetwork ? nil : number
        }
    }

    /// Brings plan and kernel to what a catalog says about the endpoints that stand for workloads; the others leave the
    /// plan.
    func enforce(
        _ catalog: PolicyCatalog, _ inventory: Inventory, horizon: ClosedRange<Int64>? = nil,
        clock: MovedClock? = nil, _ number: (Workload) throws -> Int?
    ) throws {
        var resolver = PolicyResolver(catalog, inventory: inventory)
        var change = HostPlan.Change()
        change.horizon = horizon
        for (place, workload) in inventory.workloads.enumerated() {
            guard let number = try number(workload) else { continue }
            var endpoint = pods[number].endpoint
            let keys = TrafficDirection.allCases.map { direction -> ProgramKey? in
                let names = resolver.policyNames(of: place, direction)
                if names.isEmpty && (direction == .ingress || catalog.networkDefault == .allow) { return nil }
                let key = ProgramKey(
                    direction, policies: names, namedPorts: direction == .ingress ? workload.namedPorts : [])
                change.policies[key] = resolver.policies(of: place, direction)
                return key
            }
            (endpoint.egress, endpoint.ingress) = (keys[0], keys[1])
            change.endpoints.append(endpoint)
        }
        let present = Swift.Set(change.endpoints.map(\.slot))
        change.removed = pods.map(\.endpoint.slot).filter { !present.contains($0) }
        try apply(change, clock: clock)
    }

    /// Brings plan and kernel to a change.
    ///
    /// - Parameters:
    ///   - change: The change.
    ///   - clock: The clock that new programs are to meet. Those with times that are there go first (`clear()`).
    /// - Throws: An error of the plan's or the kernel's.
    func apply(_ change: HostPlan.Change, clock: MovedClock? = nil) throws {
        let difference = try plan.apply(change)
        lead = clock?.lead ?? lead
        try bench.dataplane.apply(
            arrival: difference.arrival.map { $0.moved(by: lead) }, switching: difference.switching,
            departure: difference.departure)
    }

    /// Takes every endpoint out of the plan.
    func clear() throws {
        var change = HostPlan.Change()
        change.removed = pods.map(\.endpoint.slot)
        try apply(change)
    }

    /// The objects that are not as the plan says.
    func drift() throws -> [String] {
        try bench.dataplane.drift(of: plan.tablePrograms.map { $0.moved(by: lead) }, areAll: true).map(\.description)
    }

    // MARK: - Packets

    func address(of end: End, _ family: AddressFamily) -> IPAddress {
        switch end {
        case .pod(let number): pods[number].address(family)
        case .outside(let address): address
        }
    }

    func send(_ packet: [UInt8], from end: End) throws {
        switch end {
        case .pod(let number):
            let pod = pods[number]
            try pod.socket.send(
                PacketBuilder.frame(from: pod.endpoint.hardwareAddress, to: pod.gatewayHardware, packet: packet))
        case .outside: try bench.sendFromOutside(packet)
        }
    }

    /// Whether a tagged packet has come to an end since somebody looked last.
    func hasArrived(_ tag: [UInt8], at end: End) throws -> Bool {
        try bench.settle()
        switch end {
        case .pod(let number): return try pods[number].socket.drain().contains { $0.holds(tag) }
        case .outside: return try bench.departures().contains { $0.holds(tag) }
        }
    }

    /// Sends the first packet of a connection, and if it arrives an answer.
    ///
    /// - Returns: Whether the first packet arrived, and whether the answer did; `nil` if nobody knows how to answer.
    func attempt(
        from source: End, to target: End, _ service: ConnectionService, _ family: AddressFamily
    ) throws -> (arrives: Bool, isAnswered: Bool?) {
        let (tag, port) = (bench.newTag(), bench.newPort())
        let (near, far) = (address(of: source, family), address(of: target, family))
        let targetPort = service.port ?? 0
        let packet = PacketBuilder.packet(
            from: near, to: far, protocol: service.protocol, sourcePort: port, destinationPort: targetPort,
            icmpType: service.icmpType ?? 0, tag: tag)
        try send(try #require(packet), from: source)
        guard try hasArrived(tag, at: target) else { return (false, nil) }
        let answers: [UInt8: UInt8] = [8: 0, 13: 14, 128: 129]
        let type = service.icmpType.flatMap { answers[$0] }
        if service.protocol == .sctp || service.icmpType != nil && type == nil { return (true, nil) }
        let back = bench.newTag()
        let answer =
            service.protocol == .tcp
            ? Segment.packet(
                from: (far, targetPort), to: (near, port), flags: Segment.syn | Segment.acknowledgement, sequence: 77,
                acknowledging: 2 + 8, payload: back)
            : PacketBuilder.packet(
                from: far, to: near, protocol: service.protocol, sourcePort: targetPort, destinationPort: port,
                icmpType: type ?? 0, tag: back)
        try send(try #require(answer), from: target)
        return (true, try hasArrived(back, at: source))
    }

    /// Forgets every tracked connection.
    func forgetConnections() throws { try bench.forgetConnections() }
}
