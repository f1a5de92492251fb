// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import EgretRoutes
import EgretTesting
import Testing

/// One more way out of a ``KernelBench``'s host, with a namespace of its own at the other end.
struct BenchUplink {
    let name: InterfaceName
    /// The host's addresses on the wire, IPv4 first.
    let addresses: [IPAddress]
    /// The other end's.
    let gateways: [IPAddress]
    let socket: PacketSocket
    private let host: NetlinkConnection
    private let hardware: MACAddress
    private let farHardware: MACAddress
    private let far: NetlinkConnection
    private let farIndex: UInt32

    /// Connects an uplink whose number is 1 to 255.
    ///
    /// - Parameters:
    ///   - number: The number, which is in its names and addresses.
    ///   - bench: The bench.
    ///   - metric: Of default routes in the main table, behind that of `up0`; `nil` for none.
    /// - Throws: An error that names the step.
    init(_ number: Int, _ bench: KernelBench, metric: UInt32? = nil) throws {
        let outside = try KernelBench.newNamespace()
        host = bench.route
        name = try #require(InterfaceName("up\(number)"))
        addresses = KernelBench.addresses("198.18.\(number).2", "2001:db8:fff\(number)::2")
        gateways = KernelBench.addresses("198.18.\(number).1", "2001:db8:fff\(number)::1")
        hardware = MACAddress(locallyAdministered: 0x0400 + UInt64(number))
        farHardware = MACAddress(locallyAdministered: 0x0500 + UInt64(number))
        try host.createLink(name.rawValue, hardware, peer: "out0", farHardware, in: outside)
        far = try outside.onOwnThread { try NetlinkConnection.route() }
        farIndex = try far.raise("out0")
        let index = try host.raise(name.rawValue)
        try far.awaitCarrier("out0")
        try host.awaitCarrier(name.rawValue)
        for (address, gateway) in zip(addresses, gateways) {
            try host.addAddress(address, length: address.family == .ipv4 ? 30 : 64, to: index)
            try host.addNeighbour(gateway, farHardware, on: index)
            guard let metric else { continue }
            var route = RouteRecord(
                to: IPPrefix(gateway, length: 0) ?? IPPrefix(gateway), gateway: gateway, link: index)
            route.metric = metric
            try host.request("add route") { sequence throws(WireError) in
                try RouteWire.addRoute(route, sequence: sequence)
            }
        }
        let socketIndex = Int32(farIndex)
        socket = try outside.onOwnThread { try PacketSocket(interfaceIndex: socketIndex, promiscuous: true) }
    }

    /// Sends a packet from the other end to the host.
    func send(_ packet: [UInt8]) throws {
        try socket.send(PacketBuilder.frame(from: farHardware, to: hardware, packet: packet))
    }

    /// Gives the wire a carrier, or takes it away, and waits until the host has noticed.
    func setCarrier(_ isOn: Bool) throws {
        try far.request("set link") { [farIndex] sequence throws(WireError) in
            try RouteWire.setLink(farIndex, up: isOn, sequence: sequence)
        }
        // The socket tells of that once.
        if !isOn { _ = try? socket.drain() }
        var poll = Poll()
        for _ in 0..<5000 {
            let link = try RouteWire.decodeLink(
                host.get("get link") { [name] sequence throws(WireError) in
                    try RouteWire.linkRequest(named: name, sequence: sequence)
                })
            if (link.operationalState == 6) == isOn { return }
            _ = try poll.wait(timeout: .milliseconds(1))
        }
        Issue.record("\(name) does not change")
    }
}

/// nf_tables as routes need it.
struct BenchRouteRules: RouteRules {
    let dataplane: Dataplane

    func install(_ program: TableProgram) throws { try dataplane.install([], on: program) }

    func commit(_ transaction: Transaction) throws { try dataplane.commit(transaction) }

    func remove(_ table: Table) throws { try dataplane.removeTables([table]) }
}
