// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// What a policy is asked about: where a packet of a new connection goes, and as what.
///
/// In a policy set for ingress the destination is the other end instead: where the connection comes from.
public struct Flow: Hashable, Sendable {
    /// Where to, after any translation by the host: the address that the packet is really delivered to.
    public var destination: IPAddress
    /// Whether the kernel delivers the packet on the host itself.
    public var destinationIsHost: Bool
    /// The IP protocol; for IPv6 the upper-layer protocol behind all extension headers.
    public var `protocol`: IPProtocol
    /// The destination port, for protocols that have ports.
    public var destinationPort: UInt16?
    /// The message type, for ICMP and ICMPv6.
    public var icmpType: UInt8?

    /// The names by which the endpoint holds the destination: it has resolved them to this address.
    public var names: Set<DomainName>
    /// What the client has said on the connection.
    public var speech: Speech

    /// What a client has said about the name that it asks for.
    public enum Speech: Hashable, Sendable {
        /// Nobody has looked: a packet as the kernel's rules meet it.
        case unread
        /// Nothing that can be read.
        case nothing
        /// A name, in TLS or HTTP.
        case name(DomainName, ApplicationProtocol)
    }

    /// Creates a flow.
    public init(
        to destination: IPAddress,
        isHost destinationIsHost: Bool = false,
        protocol: IPProtocol,
        port destinationPort: UInt16? = nil,
        icmpType: UInt8? = nil,
        names: Set<DomainName> = [],
        speech: Speech = .unread
    ) {
        self.destination = destination
        self.destinationIsHost = destinationIsHost
        self.protocol = `protocol`
        self.destinationPort = destinationPort
        self.icmpType = icmpType
        self.names = names
        self.speech = speech
    }
}
