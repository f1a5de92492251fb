// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// The veth pair between the host and a run's namespace.
public struct RunLink: Sendable {
    /// The index of the host's end.
    public let index: UInt32
    /// The name of the host's end.
    public let name: InterfaceName

    /// The name of the command's end.
    private static let endpointName = "eth0"

    /// Whether an interface's name is that of a run's.
    public static func isRunInterface(_ name: String) -> Bool {
        name.hasPrefix("egret") && name.count > 5 && name.dropFirst(5).allSatisfy { $0.isASCII && $0.isNumber }
    }

    /// The slots whose links are down: those of runs that have ended, or begin just now.
    ///
    /// - Parameter connection: To the host's network namespace.
    /// - Returns: The slots, in order.
    /// - Throws: An error that says what could not be read.
    public static func slotsDown(_ connection: NetlinkConnection) throws -> [Int] {
        try connection.links().filter { !$0.isUp && isRunInterface($0.name) }
            .compactMap { Int($0.name.dropFirst(5)) }
            .filter { (0..<AddressPlanner.slotCount).contains($0) }.sorted()
    }

    /// Makes the pair and configures both ends: addresses, routes, and permanent neighbour entries, so that neither
    /// end ever has to ask.
    ///
    /// - Parameters:
    ///   - record: The run's: it gives names and hardware addresses.
    ///   - plan: The run's addresses.
    ///   - mtu: The largest packet, in bytes; `nil` for Ethernet's 1500.
    ///   - namespace: The run's network namespace.
    ///   - connection: To the host's network namespace.
    /// - Returns: The host's end.
    /// - Throws: `NetlinkError` naming the step that failed. What was made so far is there.
    public static func create(
        _ record: RunRecord,
        _ plan: AddressPlan,
        mtu: UInt32?,
        in namespace: Namespace,
        _ connection: NetlinkConnection
    ) throws -> RunLink {
        guard let name = InterfaceName(record.interface), let endpointName = InterfaceName(endpointName) else {
            preconditionFailure("a slot's interface name is always valid")
        }
        try connection.request("create link \(name)") { sequence throws(WireError) in
            try RouteWire.createVeth(
                VethEnd(name: name, address: record.hostHardwareAddress),
                peer: VethEnd(name: endpointName, address: record.endpointHardwareAddress),
                peerNamespace: namespace.descriptor.number,
                mtu: mtu,
                sequence: sequence
            )
        }
        let link = RunLink(index: try index(of: name, connection), name: name)
        let host = plan.links.map { End(own: $0.host, far: $0.endpoint, block: $0.block) }
        try configure(link.index, host, far: record.endpointHardwareAddress, connection)
        let inside = try namespace.visit { try NetlinkConnection.route() }
        try configureEndpoint(record, plan, endpointName, inside)
        try awaitCarrier(of: name, connection)
        try awaitCarrier(of: endpointName, inside)
        return link
    }

    /// Sets the host's end down: from then on nothing passes. A link that is gone will do.
    ///
    /// - Parameters:
    ///   - record: The run.
    ///   - connection: To the host's network namespace.
    /// - Throws: An error that says what the kernel refused.
    public static func stop(_ record: RunRecord, _ connection: NetlinkConnection) throws {
        guard let index = try ownIndex(record, connection) else { return }
        try passingOverAbsence { () throws(NetlinkError) in
            try connection.request("set link \(record.interface) down") { sequence throws(WireError) in
                try RouteWire.setLink(index, up: false, sequence: sequence)
            }
        }
    }

    /// Removes the pair by the host's end; one that is gone already will do.
    ///
    /// - Parameters:
    ///   - record: The run.
    ///   - connection: To the host's network namespace.
    /// - Returns: Whether it was there.
    /// - Throws: An error that says what the kernel refused.
    @discardableResult
    public static func remove(_ record: RunRecord, _ connection: NetlinkConnection) throws -> Bool {
        guard let index = try ownIndex(record, connection) else { return false }
        try passingOverAbsence { () throws(NetlinkError) in
            try connection.request("delete link \(record.interface)") { sequence throws(WireError) in
                try RouteWire.deleteLink(index, sequence: sequence)
            }
        }
        return true
    }

    /// The index of the run's link; `nil` if there is none by its name, or one that somebody else has made: ours is
    /// known by its hardware address.
    private static func ownIndex(_ record: RunRecord, _ connection: NetlinkConnection) throws -> UInt32? {
        guard let name = InterfaceName(record.interface) else { return nil }
        var found: LinkRecord?
        do {
            found = try link(name, connection)
        } catch let error as NetlinkError {
            if error.code != .notFound { throw error }
        }
        return found.flatMap { $0.address == record.hostHardwareAddress ? $0.index : nil }
    }

    private static func passingOverAbsence(_ body: () throws(NetlinkError) -> Void) throws(NetlinkError) {
        do throws(NetlinkError) {
            try body()
        } catch {
            if error.code != .notFound { throw error }
        }
    }

    private struct End {
        var own: IPAddress
        var far: IPAddress
        var block: IPPrefix
    }

    private static func configureEndpoint(
        _ record: RunRecord,
        _ plan: AddressPlan,
        _ name: InterfaceName,
        _ connection: NetlinkConnection
    ) throws {
        let loopback = try index(of: InterfaceName.loopback, connection)
        try connection.request("set link lo up") { sequence throws(WireError) in
            try RouteWire.setLink(loopback, up: true, sequence: sequence)
        }
        let index = try index(of: name, connection)
        let ends = plan.links.map { End(own: $0.endpoint, far: $0.host, block: $0.block) }
        try configure(index, ends, far: record.hostHardwareAddress, connection)
        for link in plan.links {
            let everywhere = IPPrefix(allOf: link.host.family)
            try connection.request("add default route via \(link.host)") { sequence throws(WireError) in
                try RouteWire.addRoute(RouteRecord(to: everywhere, gateway: link.host, link: index), sequence: sequence)
            }
        }
    }

    private static func configure(
        _ index: UInt32,
        _ ends: [End],
        far hardware: MACAddress,
        _ connection: NetlinkConnection
    ) throws {
        if ends.contains(where: { $0.own.family == .ipv6 }) {
            try connection.request("configure link \(index)") { sequence throws(WireError) in
                try RouteWire.disableAddressGeneration(link: index, sequence: sequence)
            }
        }
        for end in ends {
            try connection.request("add address \(end.own)") { sequence throws(WireError) in
                try RouteWire.addAddress(
                    end.own,
                    prefixLength: UInt8(end.block.length),
                    flags: end.own.family == .ipv6 ? .noDuplicateDetection : [],
                    link: index,
                    sequence: sequence
                )
            }
        }
        try connection.request("set link \(index) up") { sequence throws(WireError) in
            try RouteWire.setLink(index, up: true, sequence: sequence)
        }
        for end in ends {
            try connection.request("add neighbour \(end.far)") { sequence throws(WireError) in
                try RouteWire.setPermanentNeighbour(end.far, hardwareAddress: hardware, link: index, sequence: sequence)
            }
        }
    }

    private static func index(of name: InterfaceName, _ connection: NetlinkConnection) throws -> UInt32 {
        try link(name, connection).index
    }

    private static func link(_ name: InterfaceName, _ connection: NetlinkConnection) throws -> LinkRecord {
        let message = try connection.get("get link \(name)") { sequence throws(WireError) in
            try RouteWire.linkRequest(named: name, sequence: sequence)
        }
        return try RouteWire.decodeLink(message)
    }

    /// Waits until the kernel has noticed that both ends are up: until then it drops what is sent, and a SYN lost
    /// costs the command a second. Recent kernels notice when asked.
    private static func awaitCarrier(of name: InterfaceName, _ connection: NetlinkConnection) throws {
        let isUp: UInt8 = 6
        var poll = Poll()
        for _ in 0..<200 {
            if try link(name, connection).operationalState == isUp { return }
            _ = try poll.wait(timeout: .milliseconds(1))
        }
    }
}

extension InterfaceName {
    fileprivate static var loopback: InterfaceName {
        guard let name = InterfaceName("lo") else { preconditionFailure("lo is a valid name") }
        return name
    }
}
