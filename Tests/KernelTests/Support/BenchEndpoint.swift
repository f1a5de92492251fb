// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretTesting
import Testing

/// A policed namespace of a ``KernelBench``, used from its end of the wire.
struct BenchEndpoint {
    let namespace: Namespace
    /// What the compiler knows of it.
    let value: Endpoint
    /// The host's hardware address on the wire.
    let gatewayHardware: MACAddress
    /// The host's addresses on the wire, IPv4 first.
    let gateways: [IPAddress]
    let socket: PacketSocket

    init(_ number: Int, _ host: Namespace, _ route: NetlinkConnection) throws {
        namespace = try KernelBench.newNamespace()
        let low = UInt64(number)
        gatewayHardware = MACAddress(locallyAdministered: 0x0200 + low)
        let hardware = MACAddress(locallyAdministered: 0x0300 + low)
        gateways = KernelBench.addresses("10.213.\(number).1", "fd65:6772:\(number)::1")
        let own = KernelBench.addresses("10.213.\(number).2", "fd65:6772:\(number)::2")
        let name = try #require(InterfaceName("egret\(number)"))
        try route.createLink(name.rawValue, gatewayHardware, peer: "eth0", hardware, in: namespace)
        let inside = try namespace.onOwnThread { try NetlinkConnection.route() }
        let insideIndex = try inside.raise("eth0")
        let index = try route.raise(name.rawValue)
        try inside.awaitCarrier("eth0")
        try route.awaitCarrier(name.rawValue)
        for (gateway, address) in zip(gateways, own) {
            try route.addAddress(gateway, length: gateway.family == .ipv4 ? 30 : 64, to: index)
            try route.addNeighbour(address, hardware, on: index)
        }
        value = Endpoint(interface: name, interfaceIndex: index, hardwareAddress: hardware, addresses: own)
        socket = try namespace.onOwnThread {
            try PacketSocket(interfaceIndex: Int32(insideIndex), promiscuous: true)
        }
    }

    /// Its address of a family.
    func address(_ family: AddressFamily) -> IPAddress {
        value.addresses.first { $0.family == family } ?? value.addresses[0]
    }

    /// Sends an IP packet to the host.
    func send(_ packet: [UInt8], from hardware: MACAddress? = nil) throws {
        try socket.send(
            PacketBuilder.frame(from: hardware ?? value.hardwareAddress, to: gatewayHardware, packet: packet))
    }
}

extension NetlinkConnection {
    func index(of name: String) throws -> UInt32 { try linkRecord(name).index }

    private func linkRecord(_ name: String) throws -> LinkRecord {
        let name = try #require(InterfaceName(name))
        return try RouteWire.decodeLink(
            get("get link") { sequence throws(WireError) in
                try RouteWire.linkRequest(named: name, sequence: sequence)
            })
    }

    func createLink(
        _ name: String,
        _ hardware: MACAddress,
        peer: String,
        _ peerHardware: MACAddress,
        in namespace: Namespace
    ) throws {
        let ends = (
            VethEnd(name: try #require(InterfaceName(name)), address: hardware),
            VethEnd(name: try #require(InterfaceName(peer)), address: peerHardware)
        )
        try request("create link \(name)") { sequence throws(WireError) in
            try RouteWire.createVeth(
                ends.0, peer: ends.1, peerNamespace: namespace.descriptor.number, sequence: sequence)
        }
    }

    /// Sets a link up, unless told otherwise without addresses of its own making.
    @discardableResult
    func raise(_ name: String, keepingAddresses: Bool = false) throws -> UInt32 {
        let index = try index(of: name)
        if name != "lo" && !keepingAddresses {
            try request("configure link") { sequence throws(WireError) in
                try RouteWire.disableAddressGeneration(link: index, sequence: sequence)
            }
        }
        try request("set link up") { sequence throws(WireError) in
            try RouteWire.setLink(index, up: true, sequence: sequence)
        }
        return index
    }

    /// Waits until the kernel has noticed that both ends of a link are up; until then it drops what is sent.
    func awaitCarrier(_ name: String) throws {
        var poll = Poll()
        for _ in 0..<5000 where try linkRecord(name).operationalState != 6 {
            _ = try poll.wait(timeout: .milliseconds(1))
        }
    }

    func addAddress(_ address: IPAddress, length: Int, to index: UInt32) throws {
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

    func addNeighbour(_ address: IPAddress, _ hardware: MACAddress, on index: UInt32) throws {
        try request("add neighbour \(address)") { sequence throws(WireError) in
            try RouteWire.setPermanentNeighbour(address, hardwareAddress: hardware, link: index, sequence: sequence)
        }
    }
}
