// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNetlinkWire

/// What a network namespace holds, as far as a packet's way depends on it.
public struct Surroundings: Hashable, Sendable {
    /// Which namespace.
    public var place: Place
    /// Its links.
    public var links: [LinkRecord] = []
    /// Its addresses.
    public var addresses: [AddressRecord] = []
    /// Its routes, of all tables.
    public var routes: [RouteRecord] = []
    /// Its neighbours, after the probe.
    public var neighbours: [NeighbourRecord] = []
    /// The positions of its switches, by their path below `/proc/sys`.
    public var switches: [String: String] = [:]
    /// The tables of the older iptables (`iptables-legacy`), whose rules nothing tells of.
    public var legacyTables: [String] = []

    /// Creates an empty description.
    public init(_ place: Place) {
        self.place = place
    }

    /// The link with an index.
    func link(_ index: UInt32?) -> LinkRecord? {
        links.first { $0.index == index }
    }

    /// The name of the link with an index.
    func linkName(_ index: UInt32?) -> String {
        link(index)?.name ?? index.map { "interface \($0)" } ?? "no interface"
    }

    /// Whether an address is one of the namespace's own.
    func owns(_ address: IPAddress) -> Bool {
        addresses.contains { $0.address == address }
    }

    /// The addresses of a link that reach beyond it.
    func addresses(of index: UInt32, _ family: AddressFamily) -> [AddressRecord] {
        addresses.filter { $0.linkIndex == index && $0.address.family == family && !$0.address.isLinkLocal }
    }

    /// The neighbour with an address.
    func neighbour(_ address: IPAddress, on index: UInt32?) -> NeighbourRecord? {
        neighbours.first { $0.address == address && (index == nil || $0.linkIndex == index) }
    }

    /// The most particular route to a destination that refuses.
    func refusingRoute(to destination: IPAddress) -> RouteRecord? {
        let refusing: [RouteRecord.Kind] = [.unreachable, .blackhole, .prohibit]
        return routes.filter { refusing.contains($0.kind) && $0.destination.contains(destination) }
            // The ends of ways' tables are for packets on those ways only.
            .filter { !Observation.isWaysTable($0.table) }
            // The kernel's own last resort for IPv6 is no route that anybody could delete.
            .filter { !($0.destination.length == 0 && $0.metric == UInt32.max) }
            .max { $0.destination.length < $1.destination.length }
    }
}

extension AddressRecord {
    /// The block of addresses that the link's network shares.
    var network: IPPrefix? { IPPrefix(masking: address, length: Int(prefixLength)) }
}

extension IPPrefix {
    /// The block of this length that an address lies in.
    init?(masking address: IPAddress, length: Int) {
        let width = address.family.bitWidth
        guard (0...width).contains(length) else { return nil }
        let rest = UInt128(width - length)
        let first = rest >= 128 ? 0 : (address.rawValue >> rest) << rest
        self.init(IPAddress(family: address.family, rawValue: first), length: length)
    }
}

extension IPAddress {
    /// Whether it means something on one link only: 169.254.0.0/16, fe80::/10.
    var isLinkLocal: Bool { IPAddress.linkLocal.contains { $0.contains(self) } }

    /// Whether the world has no way to it: RFC 1918, RFC 6598, RFC 4193, and what is link-local.
    var isPrivate: Bool { isLinkLocal || IPAddress.privateBlocks.contains { $0.contains(self) } }

    /// Whether it never leaves a host: 127.0.0.0/8, ::1.
    var isLoopback: Bool { IPAddress.loopback.contains { $0.contains(self) } }

    private static let loopback = ["127.0.0.0/8", "::1/128"].compactMap { IPPrefix($0) }
    private static let linkLocal = ["169.254.0.0/16", "fe80::/10"].compactMap { IPPrefix($0) }
    private static let privateBlocks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
        .compactMap { IPPrefix($0) }
}

extension NeighbourRecord {
    /// Whether the kernel has asked for the hardware address and has got no answer (`NUD_INCOMPLETE`, `NUD_FAILED`).
    var isMissing: Bool { state & 0x21 != 0 }
}
