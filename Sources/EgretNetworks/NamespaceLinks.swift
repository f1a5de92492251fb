// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// A link of a network namespace, seen from inside.
public struct NamespaceLink: Hashable, Sendable {
    /// Its name in the namespace.
    public var name: String
    /// Its hardware address; `nil` for a link without.
    public var hardwareAddress: MACAddress?
    /// Its addresses, but those of IPv6 that are link-local.
    public var addresses: [IPAddress]
    /// What kind of device it is: `veth`, `macvlan`; `nil` for one of the machine's own.
    public var kind: String?
    /// The index of its other end, if that is in the host's namespace.
    public var hostIndex: UInt32?
    /// Whether its other end, or what it stands on, is in another namespace.
    public var leadsOut: Bool

    /// Notes a link.
    public init(
        name: String, hardwareAddress: MACAddress?, addresses: [IPAddress], kind: String?, hostIndex: UInt32?,
        leadsOut: Bool
    ) {
        self.leadsOut = leadsOut
        self.name = name
        self.hardwareAddress = hardwareAddress
        self.addresses = addresses
        self.kind = kind
        self.hostIndex = hostIndex
    }

    /// Reads the links of a namespace that can lead out of it: all but the loopback.
    ///
    /// The calling thread is in the host's namespace, and comes back to it.
    ///
    /// - Parameter namespace: Another network namespace.
    /// - Returns: Its links.
    /// - Throws: An error of the kernel's.
    public static func all(in namespace: Namespace) throws -> [NamespaceLink] {
        let home = try Namespace.current(.network)
        let inside = try namespace.visit { try NetlinkConnection.route() }
        let answer = try inside.get("ask for the host's number") { sequence throws(WireError) in
            try RouteWire.namespaceIDRequest(of: home.descriptor.number, sequence: sequence)
        }
        let host = try RouteWire.decodeNamespaceID(answer)
        let links = NetworkLinks(inside)
        let addresses = Dictionary(grouping: try links.addresses(), by: \.linkIndex)
        return try links.all().filter { $0.flags & loopback == 0 }.map { link in
            let isPair = link.kind == "veth" && link.peerNamespaceID != nil && link.peerNamespaceID == host
            return NamespaceLink(
                name: link.name, hardwareAddress: link.address,
                addresses: (addresses[link.index] ?? []).map(\.address).filter { !(linkLocal?.contains($0) ?? false) },
                kind: link.kind, hostIndex: isPair ? link.peerIndex : nil, leadsOut: link.peerNamespaceID != nil)
        }
    }

    /// `IFF_LOOPBACK` (`linux/if.h`).
    private static let loopback: UInt32 = 8
    private static let linkLocal = IPPrefix("fe80::/10")
}
