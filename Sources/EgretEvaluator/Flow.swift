// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What a policy is asked about: where a packet of a new connection goes, and as what.
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

    /// Creates a flow.
    public init(
        to destination: IPAddress,
        isHost destinationIsHost: Bool = false,
        protocol: IPProtocol,
        port destinationPort: UInt16? = nil,
        icmpType: UInt8? = nil
    ) {
        self.destination = destination
        self.destinationIsHost = destinationIsHost
        self.protocol = `protocol`
        self.destinationPort = destinationPort
        self.icmpType = icmpType
    }
}
