// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNetlink
import EgretNetlinkWire

extension NetworkLinks {
    /// Says which source addresses are none of this host's: answers to them come back only if somebody routes them here.
    ///
    /// - Parameter pairs: Single addresses, and runs of them.
    /// - Returns: A sentence for each pair that has such addresses.
    /// - Throws: An error that says what the kernel refused.
    public func absentSources(_ pairs: [AddressPair]) throws -> [String] {
        try pairs.compactMap { pair in
            let span = pair.last.rawValue - pair.first.rawValue
            // Of a long run the first ones tell.
            let addresses = (0...min(span, NetworkLinks.mostAsked)).map {
                IPAddress(family: pair.first.family, rawValue: pair.first.rawValue + $0)
            }
            let absent = try addresses.filter { try !isLocal($0) }
            guard let first = absent.first else { return nil }
            let words: String
            if span == 0 {
                words = "\(first) is no address of this host"
            } else if absent.count == addresses.count {
                words = "none of \(pair.first)-\(pair.last) is an address of this host"
            } else {
                let rest = absent.count > 1 ? " and \(absent.count - 1) more" : ""
                words = "\(first)\(rest) of \(pair.first)-\(pair.last) is no address of this host"
            }
            return "\(words): connections that leave with it get answers only if somebody routes them here; "
                + "ip address add \(first)/\(first.family.bitWidth) dev INTERFACE makes it the host's"
        }
    }

    /// The link by which a packet from an address of the namespace leaves to somewhere beyond all networks.
    ///
    /// - Parameter source: An address of the namespace.
    /// - Returns: The link's name; `nil` if no route leads there.
    /// - Throws: An error that says what the kernel refused.
    public func wayOut(from source: IPAddress) throws -> String? {
        // Blocks for documentation stand for anybody (RFC 5737, RFC 3849).
        guard let anybody = IPAddress(source.family == .ipv4 ? "198.51.100.1" : "2001:db8::1") else { return nil }
        do {
            let message = try connection.get("ask for the way out from \(source)") { sequence throws(WireError) in
                try RouteWire.routeRequest(RouteQuery(to: anybody, from: source), sequence: sequence)
            }
            let output = try RouteWire.decodeRoute(message)?.outputIndices.first
            return try all().first { $0.index == output }?.name
        } catch let error as NetlinkError {
            // No route at all.
            guard error.errno != nil else { throw error }
            return nil
        }
    }

    private static let mostAsked: UInt128 = 255

    /// Whether the host takes packets to an address for its own.
    ///
    /// - Parameter address: The address.
    /// - Returns: Whether the kernel's route to it is a local one.
    /// - Throws: An error that says what the kernel refused.
    public func isLocal(_ address: IPAddress) throws -> Bool {
        do {
            let message = try connection.get("ask for the route to \(address)") { sequence throws(WireError) in
                try RouteWire.routeRequest(to: address, sequence: sequence)
            }
            return try RouteWire.decodeRoute(message)?.kind == .local
        } catch let error as NetlinkError {
            // No route at all.
            guard error.errno != nil else { throw error }
            return false
        }
    }
}
