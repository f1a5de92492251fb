// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// Limits the rate of what passes one interface of the host.
///
/// What the host sends by the interface waits in the interface's own queue. What comes in by it has no queue, so it is led
/// through an interface of its own that has (`ifb`), from where the kernel takes it on as if it had just come in, past the
/// hook that has led it away. Whoever leads it there has made every check on it before.
public struct LinkShaper {
    let connection: NetlinkConnection
    let kernel: KernelQueues

    /// Shapes in the namespace of a connection of `NetlinkConnection.route()`.
    ///
    /// - Parameters:
    ///   - connection: The connection.
    ///   - kernel: What is known of the kernel that it is to.
    public init(_ connection: NetlinkConnection, kernel: KernelQueues = .ofThisKernel) {
        self.connection = connection
        self.kernel = kernel
    }

    /// Makes the interface that incoming frames wait in.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - address: Its hardware address, by which it is known as Egret's.
    ///   - shape: The rate.
    ///   - lower: Another such interface, in which they wait next.
    /// - Returns: Its index, to which frames are forwarded.
    /// - Throws: `NetlinkError` naming the step. Nothing is left then.
    public func makeQueue(
        _ name: InterfaceName, _ address: MACAddress, _ shape: TrafficShape, before lower: UInt32? = nil
    ) throws(NetlinkError) -> UInt32 {
        try connection.request("create link \(name)") { sequence throws(WireError) in
            if let lower {
                return try RouteWire.createLinkAbove(
                    lower, name: name.rawValue, address: address, sequence: sequence)
            }
            return try RouteWire.createLink(name.rawValue, kind: "ifb", address: address, sequence: sequence)
        }
        do throws(NetlinkError) {
            let index = try link(name).index
            try limit(index, to: shape)
            // An address would bring a route, by which whoever reads the host's routes takes it for a way to somewhere. A
            // kernel without IPv6 refuses this, and gives none.
            try? connection.request("keep link \(name) without addresses") { sequence throws(WireError) in
                try RouteWire.disableAddressGeneration(link: index, sequence: sequence)
            }
            try connection.request("set link \(name) up") { sequence throws(WireError) in
                try RouteWire.setLink(index, up: true, sequence: sequence)
            }
            return index
        } catch {
            try? connection.request("delete link \(name)") { sequence throws(WireError) in
                try RouteWire.deleteLink(named: name, sequence: sequence)
            }
            throw error
        }
    }

    /// Removes the interface that incoming frames wait in, if it is there and has that hardware address.
    ///
    /// - Returns: Whether it was there.
    @discardableResult
    public func removeQueue(_ name: InterfaceName, _ address: MACAddress) throws(NetlinkError) -> Bool {
        do throws(NetlinkError) {
            let found = try link(name)
            guard found.address == address else { return false }
            try connection.request("delete link \(name)") { sequence throws(WireError) in
                try RouteWire.deleteLink(found.index, sequence: sequence)
            }
            return true
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }

    private func link(_ name: InterfaceName) throws(NetlinkError) -> LinkRecord {
        let message = try connection.get("find link \(name)") { sequence throws(WireError) in
            try RouteWire.linkRequest(named: name, sequence: sequence)
        }
        do throws(WireError) {
            return try RouteWire.decodeLink(message)
        } catch {
            throw NetlinkError(malformed: "\(error)", operation: "find link \(name)")
        }
    }
}
