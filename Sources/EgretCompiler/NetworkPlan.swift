// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A network as the compiler needs to know it: what it is called, by which interfaces its endpoints are reached,
/// and which source addresses their connections get.
public struct NetworkPlan: Hashable, Sendable {
    /// What becomes of the source addresses of connections that leave the network.
    public enum Translation: Hashable, Sendable {
        /// They stay: the rest of the world knows a way to the network's addresses.
        case none
        /// The address of the interface that the packet leaves by.
        case masquerade
        /// An address out of a pool, for each family. A family without a pool gets the address of the interface
        /// that the packet leaves by, so that nothing leaves untranslated.
        case sourceAddresses([SourcePool])
    }

    /// The name that its chains and counters carry.
    public var name: String
    /// The host's interfaces that lead to its endpoints: the bridge, or one link for each endpoint.
    public var interfaces: [UInt32]
    /// Whether each endpoint has a link of its own, so that a packet's source is known by where it comes in.
    public var isRouted: Bool
    /// The addresses of its endpoints.
    public var subnets: [IPPrefix]
    /// Whether its endpoints reach nobody but each other and the host.
    public var isIsolated: Bool
    /// What becomes of source addresses.
    public var translation: Translation
    /// Endpoints whose connections get source addresses of their own.
    public var endpointSources: [EndpointSource]

    /// Creates a plan.
    public init(
        name: String,
        interfaces: [UInt32],
        isRouted: Bool = false,
        subnets: [IPPrefix],
        isIsolated: Bool = false,
        translation: Translation = .masquerade,
        endpointSources: [EndpointSource] = []
    ) {
        self.name = name
        self.interfaces = interfaces
        self.isRouted = isRouted
        self.subnets = subnets
        self.isIsolated = isIsolated
        self.translation = translation
        self.endpointSources = endpointSources
    }

    /// Whether the world sees other addresses than the network's own.
    public var isTranslated: Bool { translation != .none }
}

/// A run of source addresses of one family, both ends included, that connections are given.
public struct SourcePool: Hashable, Sendable {
    /// The first address.
    public let first: IPAddress
    /// The last address; equal to the first for a pool of one.
    public let last: IPAddress
    /// Whether each connection gets one by chance. Otherwise an endpoint keeps to one.
    public let isPerConnection: Bool

    /// Creates a pool, or `nil` if the two ends are of different families or run backwards.
    public init?(_ first: IPAddress, _ last: IPAddress, isPerConnection: Bool = false) {
        guard first.family == last.family, first.rawValue <= last.rawValue else { return nil }
        self.first = first
        self.last = last
        self.isPerConnection = isPerConnection
    }

    /// Creates a pool of one address.
    public init(_ address: IPAddress) {
        first = address
        last = address
        isPerConnection = false
    }

    /// The family of its addresses.
    public var family: AddressFamily { first.family }
}

/// An endpoint whose connections get source addresses of their own, whatever its network's get.
public struct EndpointSource: Hashable, Sendable {
    /// The endpoint's address in the network.
    public let address: IPAddress
    /// What its connections get.
    public let pool: SourcePool

    /// Creates the pair, or `nil` if the two are of different families.
    public init?(_ address: IPAddress, _ pool: SourcePool) {
        guard address.family == pool.family else { return nil }
        self.address = address
        self.pool = pool
    }
}
