// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import EgretTesting
import Testing

/// A host with Egret's tables, endpoints behind it, and everything else in front of it: three kinds of namespace
/// with a wire between each two.
///
/// ```
///  endpoint eth0 ──── egretN  host  up0 ──── out0 outside
/// ```
///
/// Endpoints and outside have no addresses, so nothing there answers by itself: frames are sent and seen at the wire.
/// The namespaces have no names; they end with the bench.
final class KernelBench {
    static let uplinkHardware = MACAddress(locallyAdministered: 0x0101)
    static let outsideHardware = MACAddress(locallyAdministered: 0x0102)
    static let uplinkAddresses = addresses("192.0.2.2", "2001:db8:ffff::2")
    static let gatewayAddresses = addresses("192.0.2.1", "2001:db8:ffff::1")
    /// Addresses of the host that look like somebody else's.
    static let hostAddresses = addresses("10.1.2.3", "203.0.113.7", "2001:db8:113::7")
    static let logGroup: UInt16 = 5
    private static let probeGroup: UInt16 = 77

    let host: Namespace
    let outside: Namespace
    let netfilter: NetlinkConnection
    let dataplane: Dataplane
    let outsideSocket: PacketSocket
    let route: NetlinkConnection
    private let probes: NetlinkConnection
    private(set) var endpoints: [BenchEndpoint] = []
    /// The policy that the first endpoint obeys, once a test has changed it.
    var current: TableProgram?
    private var tagNumber: UInt32 = 0
    private var portNumber: UInt16 = 10_000

    /// Builds a bench.
    ///
    /// - Parameters:
    ///   - count: The number of endpoints.
    ///   - hostAddresses: More addresses of the host.
    /// - Throws: An error that names the step.
    init(endpoints count: Int = 1, hostAddresses: [IPAddress] = KernelBench.hostAddresses) throws {
        host = try KernelBench.newNamespace()
        outside = try KernelBench.newNamespace()
        (route, netfilter, probes) = try host.onOwnThread {
            (
                try NetlinkConnection.route(), try NetlinkConnection.netfilter(),
                try NetlinkConnection.netfilterEvents(receiveBuffer: 4 << 20)
            )
        }
        dataplane = Dataplane(netfilter)
        try KernelBench.setSwitches(host)
        outsideSocket = try KernelBench.connectUplink(host, route, outside, hostAddresses)
        for index in 0..<count { endpoints.append(try BenchEndpoint(index, host, route)) }
        try installProbe()
    }

    /// The first endpoint.
    var endpoint: BenchEndpoint { endpoints[0] }

    static func addresses(_ texts: String...) -> [IPAddress] { texts.compactMap { IPAddress($0) } }

    static func newNamespace() throws -> Namespace {
        try OwnThread.run {
            try Namespace.unshare(.network)
            return try Namespace.current(.network)
        }
    }

    private static func setSwitches(_ host: Namespace) throws {
        try host.onOwnThread {
            for (name, value) in [
                ("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1"), ("net/ipv4/icmp_ratemask", "0"),
                ("net/ipv6/icmp/ratelimit", "0"), ("net/ipv6/icmp/ratemask", "255"),
                ("net/ipv4/conf/all/rp_filter", "0"),
                ("net/ipv4/conf/default/rp_filter", "0"),
                // With this check on, Linux 6.18 takes every UDP-Lite packet for invalid, its own sockets' too.
                ("net/netfilter/nf_conntrack_checksum", "0"),
            ] { try Sysctl(name).write(value) }
        }
    }

    private static func connectUplink(
        _ host: Namespace,
        _ route: NetlinkConnection,
        _ outside: Namespace,
        _ hostAddresses: [IPAddress]
    ) throws -> PacketSocket {
        try route.createLink("up0", uplinkHardware, peer: "out0", outsideHardware, in: outside)
        let far = try outside.onOwnThread { try NetlinkConnection.route() }
        try far.raise("out0")
        let outsideIndex = try far.index(of: "out0")
        try route.raise("lo")
        for address in hostAddresses {
            try route.addAddress(address, length: address.family.bitWidth, to: try route.index(of: "lo"))
        }
        let index = try route.raise("up0")
        try far.awaitCarrier("out0")
        try route.awaitCarrier("up0")
        for (address, gateway) in zip(uplinkAddresses, gatewayAddresses) {
            try route.addAddress(address, length: address.family == .ipv4 ? 30 : 64, to: index)
            try route.addNeighbour(gateway, outsideHardware, on: index)
            try route.request("add route") { sequence throws(WireError) in
                let everywhere = IPPrefix(gateway, length: 0) ?? IPPrefix(gateway)
                return try RouteWire.addRoute(
                    RouteRecord(to: everywhere, gateway: gateway, link: index), sequence: sequence)
            }
        }
        return try outside.onOwnThread { try PacketSocket(interfaceIndex: Int32(outsideIndex), promiscuous: true) }
    }

    /// A table that sees what Egret's lets in to the host itself.
    private func installProbe() throws {
        var program = TableProgram(table: Table(family: .inet, name: "probe"))
        program.chains = [Chain("input", base: BaseChain(kind: .filter, hook: .input, priority: 100))]
        program.rules = [
            Rule(
                in: "input",
                [
                    .notEqual(.inputInterface, 1),
                    .log(group: KernelBench.probeGroup, prefix: "probe", snapLength: 0, queueThreshold: 1),
                ]
            )
        ]
        try dataplane.install([program], on: TableProgram(table: program.table))
        try probes.request("take the probe's log group") { sequence throws(WireError) in
            try PacketLogWire.bindRequest(group: KernelBench.probeGroup, sequence: sequence)
        }
        try probes.request("configure the probe's log group") { sequence throws(WireError) in
            try PacketLogWire.configureRequest(
                group: KernelBench.probeGroup, copyRange: 2048, queueThreshold: 1, sequence: sequence)
        }
    }

    /// Eight bytes that no other packet of the bench carries.
    func newTag() -> [UInt8] {
        tagNumber += 1
        return Array("EgTg".utf8) + (0..<4).map { UInt8(truncatingIfNeeded: tagNumber >> (8 * (3 - $0))) }
    }

    /// A source port that was not used lately.
    func newPort() -> UInt16 {
        portNumber = portNumber >= 60_000 ? 10_000 : portNumber + 1
        return portNumber
    }

    /// Waits until no frame waits in the machine's queues between two ends of a wire.
    ///
    /// Most frames are through when `send` returns. On a busy machine the kernel puts them off: the twelfth number of
    /// a processor's line is how many.
    func settle() throws {
        var poll = Poll()
        for _ in 0..<200 {
            let lines = try File.readText("/proc/net/softnet_stat").split(separator: "\n")
            let waiting = lines.map { line in line.split(separator: " ").dropFirst(11).first.map(String.init) ?? "0" }
            if waiting.allSatisfy({ UInt32($0, radix: 16) == 0 }) { return }
            _ = try poll.wait(timeout: .milliseconds(1))
        }
    }

    /// What has left towards outside since the last call, as frames.
    func departures(within timeout: Duration = .zero) throws -> [[UInt8]] { try outsideSocket.drain(within: timeout) }

    /// What the host itself has received since the last call, as packets.
    func arrivals() throws -> [[UInt8]] {
        try probes.pendingEvents().messages.compactMap { try? PacketLogWire.decode($0).payload }
    }

    /// Gives the host's end of the first endpoint's wire one more address.
    func addHostAddress(_ address: IPAddress) throws {
        try route.addAddress(address, length: address.family.bitWidth, to: endpoint.value.interfaceIndex)
    }

    /// Sends a packet from outside towards the host.
    func sendFromOutside(_ packet: [UInt8]) throws {
        try outsideSocket.send(
            PacketBuilder.frame(from: KernelBench.outsideHardware, to: KernelBench.uplinkHardware, packet: packet))
    }

    /// Forgets the tracked connections that a generation admitted.
    func forgetConnections(of generation: UInt16) throws {
        let mark = ConntrackWire.MarkFilter(value: UInt32(generation) << 16, mask: Generation.mask)
        try netfilter.request("forget connections") { sequence throws(WireError) in
            try ConntrackWire.deleteRequest(mark: mark, sequence: sequence)
        }
    }

    /// Forgets every tracked connection.
    func forgetConnections() throws {
        for value: UInt32 in [0, 1 << 31] {
            try netfilter.request("forget connections") { sequence throws(WireError) in
                try ConntrackWire.deleteRequest(mark: .init(value: value, mask: 1 << 31), sequence: sequence)
            }
        }
    }

    /// Lets the host track connections before Egret's tables ask it to.
    func trackConnections() throws {
        var program = TableProgram(table: Table(family: .inet, name: "tracking"))
        program.chains = [Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: 0))]
        program.rules = [Rule(in: "forward", [.connectionState(in: .established), .verdict(.accept)])]
        try dataplane.install([program], on: TableProgram(table: program.table))
    }

    /// What is left of Egret's tables.
    func remainingTables() throws -> Swift.Set<Table> {
        let unwanted = [BaseProgram.table, BaseProgram.frameTable]
        let drift = try dataplane.drift(of: unwanted.map { TableProgram(table: $0) })
        return Swift.Set(unwanted).subtracting(
            unwanted.filter { table in drift.contains { $0.object.hasSuffix("\(table)") } })
    }
}

extension PacketSocket {
    /// All frames that wait; with a time, those too that come before it is over with nothing coming.
    func drain(within timeout: Duration = .zero) throws -> [[UInt8]] {
        var frames: [[UInt8]] = []
        while let frame = try receive(timeout: timeout) { frames.append(frame) }
        return frames
    }
}
