// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlinkWire

extension NetlinkConnection {
    /// All links of the connection's network namespace.
    public func links() throws -> [LinkRecord] {
        try dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        .map { (message) throws(WireError) in try RouteWire.decodeLink(message) }
    }

    /// The ports of all bridges of the connection's network namespace: without their kind, and without the namespaces of
    /// their other ends.
    ///
    /// For each link that ``links()`` lists, the kernel looks for its other end's namespace among all that it knows from
    /// here. For these it does not. It does ask the drivers of network cards that switch by themselves, which are listed, too;
    /// and if one of them fails, so does the list (`EPERM` of mlx5 without the right to its switch, in kernels of before 2025).
    /// Nor does the kernel mark a list of these as interrupted: while others' ports come and go, one may be missing that is
    /// there, or be listed twice.
    ///
    /// - Returns: The ports.
    /// - Throws: An error if the kernel cannot be asked.
    public func bridgePorts() throws -> [LinkRecord] {
        try dump("list ports of bridges") { sequence throws(WireError) in
            try RouteWire.bridgePortsRequest(sequence: sequence)
        }
        .map { (message) throws(WireError) in try RouteWire.decodeLink(message) }
    }

    /// The link with an index in the connection's network namespace; `nil` if there is none.
    ///
    /// - Parameter index: The index. 0, which stands for no link, and those beyond the kernel's are nobody's; asked for one, the
    ///   kernel would say that the question is wrong.
    /// - Returns: The link.
    /// - Throws: ``NetlinkError`` if the kernel cannot be asked.
    public func link(_ index: UInt32) throws(NetlinkError) -> LinkRecord? {
        guard (1...UInt32(Int32.max)).contains(index) else { return nil }
        return try present("\(index)") { sequence throws(WireError) in
            try RouteWire.linkRequest(index: index, sequence: sequence)
        }
    }

    /// The link of a name in the connection's network namespace; `nil` if there is none.
    ///
    /// - Parameter name: The name that rules know it by. Alternative names (`ip link property add altname`), by which the kernel
    ///   finds links as well, are none.
    /// - Returns: The link.
    /// - Throws: ``NetlinkError`` if the kernel cannot be asked.
    public func link(named name: InterfaceName) throws(NetlinkError) -> LinkRecord? {
        let found = try present("\(name)") { sequence throws(WireError) in
            try RouteWire.linkRequest(named: name, sequence: sequence)
        }
        return found?.name == name.rawValue ? found : nil
    }

    private func present(
        _ words: String, _ request: (UInt32) throws(WireError) -> [UInt8]
    ) throws(NetlinkError) -> LinkRecord? {
        let operation = "get link \(words)"
        let message: NetlinkMessage
        do throws(NetlinkError) {
            message = try get(operation, request)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        do throws(WireError) {
            return try RouteWire.decodeLink(message)
        } catch {
            throw NetlinkError(error, operation: operation)
        }
    }

    /// The addresses of all those links, with their prefixes.
    public func addresses() throws -> [AddressRecord] {
        try dump("list addresses") { sequence throws(WireError) in
            try RouteWire.addressesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeAddress(message) }
    }
}
