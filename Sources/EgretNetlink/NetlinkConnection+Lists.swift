// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlinkWire

extension NetlinkConnection {
    /// All links of the connection's network namespace.
    public func links() throws -> [LinkRecord] {
        try dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        .map { (message) throws(WireError) in try RouteWire.decodeLink(message) }
    }

    /// The link with an index in the connection's network namespace; `nil` if there is none.
    ///
    /// - Parameter index: The index.
    /// - Returns: The link.
    /// - Throws: ``NetlinkError`` if the kernel cannot be asked.
    public func link(_ index: UInt32) throws -> LinkRecord? {
        let message: NetlinkMessage
        do throws(NetlinkError) {
            message = try get("get link \(index)") { sequence throws(WireError) in
                try RouteWire.linkRequest(index: index, sequence: sequence)
            }
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        return try RouteWire.decodeLink(message)
    }

    /// The addresses of all those links, with their prefixes.
    public func addresses() throws -> [AddressRecord] {
        try dump("list addresses") { sequence throws(WireError) in
            try RouteWire.addressesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeAddress(message) }
    }
}
