// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What somebody wants a network to be.
public struct NetworkSpec: Hashable, Sendable {
    /// How endpoints are joined.
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// The host's ends of their links are ports of a bridge, which has the network's name.
        case bridge
        /// Each has a link of its own to the host, which routes between them.
        case routed
    }

    /// What becomes of the source addresses of connections that leave the network.
    public enum Translation: Hashable, Sendable {
        /// They stay.
        case none
        /// The address of the interface that the packet leaves by.
        case masquerade
        /// Addresses from the first to the last of each pair; of a family without a pair, as in ``masquerade``.
        case sourceAddresses([AddressPair])
    }

    /// Its name, and its bridge's.
    public var name: String
    /// How endpoints are joined.
    public var mode: Mode
    /// Its addresses: one block of each family at most.
    public var subnets: [Subnet]
    /// The largest packet, in bytes; `nil` for the smallest of what the host's routes lead by.
    public var mtu: UInt32?
    /// Whether its endpoints reach nobody but each other and the host.
    public var isIsolated: Bool
    /// What becomes of source addresses.
    public var translation: Translation
    /// Whether its bridge is somebody else's: it is used as it is and stays when the network goes.
    public var isAdopted: Bool
    /// The tools of the host whose rules get one that accepts the network's packets.
    public var allowedThrough: Set<Passage.Tool>

    /// Creates a description.
    public init(
        name: String,
        mode: Mode = .bridge,
        subnets: [Subnet],
        mtu: UInt32? = nil,
        isIsolated: Bool = false,
        translation: Translation = .masquerade,
        isAdopted: Bool = false,
        allowedThrough: Set<Passage.Tool> = []
    ) {
        self.name = name
        self.mode = mode
        self.subnets = subnets
        self.mtu = mtu
        self.isIsolated = isIsolated
        self.translation = translation
        self.isAdopted = isAdopted
        self.allowedThrough = allowedThrough
    }

    /// The subnet of a family.
    public func subnet(_ family: AddressFamily) -> Subnet? {
        subnets.first { $0.block.family == family }
    }
}

/// A network's addresses of one family.
public struct Subnet: Hashable, Sendable {
    /// All of them.
    public var block: IPPrefix
    /// The host's own, by which endpoints reach the rest of the world.
    public var gateway: IPAddress

    /// Creates a subnet. Without a gateway, the first address that can be one.
    public init(_ block: IPPrefix, gateway: IPAddress? = nil) {
        self.block = block
        self.gateway = gateway ?? IPAddress(family: block.family, rawValue: Subnet.usable(block).lowerBound)
    }

    /// The first and the last address that an endpoint can have: in IPv4 neither the network's own nor the broadcast
    /// address (RFC 922), in IPv6 not the routers' anycast address (RFC 4291, 2.6.1).
    static func usable(_ block: IPPrefix) -> ClosedRange<UInt128> {
        guard block.length < block.family.bitWidth - 1 else { return block.lowerBound...block.upperBound }
        return block.lowerBound + 1...(block.family == .ipv4 ? block.upperBound - 1 : block.upperBound)
    }

    /// The first and the last address that an endpoint can have.
    public var usable: ClosedRange<UInt128> { Subnet.usable(block) }

    /// Whether an address can be an endpoint's or the gateway's.
    public func isUsable(_ address: IPAddress) -> Bool {
        address.family == block.family && usable.contains(address.rawValue)
    }
}

/// Two addresses of one family, in order.
public struct AddressPair: Hashable, Sendable {
    /// The first address.
    public var first: IPAddress
    /// The last address; equal to the first for one alone.
    public var last: IPAddress
    /// `true` if each connection gets one of them by chance; otherwise, as in records of before there was such a thing, `nil`:
    /// each endpoint keeps to one.
    public private(set) var isPerConnection: Bool?

    /// Creates a pair, or `nil` if the two are of different families or in the wrong order.
    public init?(_ first: IPAddress, _ last: IPAddress) {
        guard first.family == last.family, first.rawValue <= last.rawValue else { return nil }
        self.first = first
        self.last = last
    }

    /// The same addresses, one for each connection; one address alone stays as it is.
    public var perConnection: AddressPair {
        var pair = self
        if first != last { pair.isPerConnection = true }
        return pair
    }

    /// Reads `192.0.2.7` or `192.0.2.7-192.0.2.9`; `nil` for anything else.
    public init?(_ text: String) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = ends.first.flatMap({ IPAddress($0) }), let last = ends.last.flatMap({ IPAddress($0) }) else {
            return nil
        }
        self.init(first, last)
    }
}
