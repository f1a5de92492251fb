// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlink
import EgretNetlinkWire
import EgretPolicy

/// What the kernel routes by; entries of kinds that are not known here are left out.
extension NetlinkConnection {
    /// The routes of a family, of all tables.
    func routes(_ family: AddressFamily) throws(NetlinkError) -> [RouteRecord] {
        let messages = try dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(family: family, sequence: sequence)
        }
        return messages.compactMap { try? RouteWire.decodeRoute($0) }
    }
}

extension [AddressRecord] {
    /// Those that the host has by each way, by the way's number. An address that several ways share is the first one's.
    func byWay(_ ways: [(number: Int, way: RouteWay, link: LinkRecord?)]) -> [Int: [IPAddress]] {
        var known: Swift.Set<IPAddress> = []
        var found: [Int: [IPAddress]] = [:]
        for (number, way, link) in ways {
            let own = filter { $0.linkIndex == link?.index && $0.scope == 0 }.map(\.address)
            for address in own + [way.sourceAddress].compactMap(\.self)
            where way.carries(address.family) && known.insert(address).inserted {
                found[number, default: []].append(address)
            }
        }
        return found
    }
}
