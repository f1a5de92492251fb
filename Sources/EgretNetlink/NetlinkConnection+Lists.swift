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

    /// The addresses of all those links, with their prefixes.
    public func addresses() throws -> [AddressRecord] {
        try dump("list addresses") { sequence throws(WireError) in
            try RouteWire.addressesRequest(sequence: sequence)
        }
        .compactMap { (message) throws(WireError) in try RouteWire.decodeAddress(message) }
    }
}
