// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretPolicy

/// An endpoint whose questions are policed.
public struct NameEndpoint: Sendable {
    /// The caller's number for it.
    public var id: Int
    /// Its addresses. What comes to the proxy from an address of no endpoint is not answered.
    public var addresses: [IPAddress]
    /// What it may ask, in order.
    public var rules: [NameRule]
    /// The names whose addresses are noted also where no rule is about them.
    public var countedNames: [DomainPattern]
    /// How much it may ask and hold.
    public var limits: NameLimits
    /// How refused questions are answered.
    public var denial: NameTable.Denial
    /// Servers that it may ask: its questions to them go to them, on port 53.
    public var trustedServers: Swift.Set<IPAddress>
    /// Servers that are asked instead of any other, in this order; empty: questions to others are refused.
    public var servers: [NameServer]
    /// Servers among ``servers`` that the others of these are asked instead of when they fail, also where the endpoint has
    /// asked them itself. Any other server that it means is never replaced by another.
    public var replaceableServers: Swift.Set<IPAddress>
    /// Whether ``servers`` are asked instead of trusted servers too.
    public var overridesTrustedServers: Bool
    /// Whether a server may be asked for every name that no rule is about, because the endpoint may reach its port 53
    /// anyway, over TCP (`isStream`) or UDP. Such answers grant nothing.
    public var isOpen: @Sendable (_ server: IPAddress, _ isStream: Bool) -> Bool
    /// The same for a server at an address of this host's own, which ``isOpen`` is not asked about.
    public var isOpenHere: @Sendable (_ server: IPAddress, _ isStream: Bool) -> Bool

    /// Creates an endpoint.
    public init(
        id: Int,
        addresses: [IPAddress],
        rules: [NameRule],
        countedNames: [DomainPattern] = [],
        limits: NameLimits = NameLimits(),
        denial: NameTable.Denial = .refused,
        trustedServers: Swift.Set<IPAddress> = [],
        servers: [NameServer] = [],
        replaceableServers: Swift.Set<IPAddress> = [],
        overridesTrustedServers: Bool = false,
        isOpen: @escaping @Sendable (_ server: IPAddress, _ isStream: Bool) -> Bool = { _, _ in false },
        isOpenHere: @escaping @Sendable (_ server: IPAddress, _ isStream: Bool) -> Bool = { _, _ in false }
    ) {
        self.id = id
        self.addresses = addresses
        self.rules = rules
        self.countedNames = countedNames
        self.limits = limits
        self.denial = denial
        self.trustedServers = trustedServers
        self.servers = servers
        self.replaceableServers = replaceableServers
        self.overridesTrustedServers = overridesTrustedServers
        self.isOpen = isOpen
        self.isOpenHere = isOpenHere
    }

    /// Which servers a question goes to that was sent to an address, one after the other; none if it may not.
    func servers(for destination: IPAddress) -> [NameServer] {
        // Who is configured is asked as the configuration says, however the client would ask.
        var first = configured(at: destination)
        if first.isEmpty, trustedServers.contains(destination), !(overridesTrustedServers && !servers.isEmpty) {
            first = [NameServer(destination)]
        }
        if first.isEmpty { return servers }
        guard replaceableServers.contains(destination) else { return first }
        return first + servers.filter { !first.contains($0) }
    }

    /// The configured servers at an address that are asked in another way than a client would.
    func configured(at destination: IPAddress) -> [NameServer] {
        servers.filter { !$0.isPlain && $0.address.address == destination }
    }
}

extension SocketAddress {
    /// Creates a socket's address of an address and a port.
    public init(_ address: IPAddress, port: UInt16) {
        switch address {
        case .v4(let address): self.init(ipv4: address.rawValue, port: port)
        case .v6(let address): self.init(ipv6: address.rawValue, port: port)
        }
    }

    /// The address alone.
    public var address: IPAddress {
        isIPv6 ? .v6(IPv6Address(rawValue: ipv6)) : .v4(IPv4Address(rawValue: ipv4))
    }
}
