// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A port of the host, or a range of them, that leads to an endpoint.
public struct PublishedPort: Hashable, Sendable {
    /// The protocols whose ports can be published.
    public enum Transport: String, Hashable, Sendable, CaseIterable {
        /// TCP.
        case tcp
        /// UDP.
        case udp
        /// SCTP.
        case sctp

        /// The protocol's number.
        public var number: IPProtocol {
            switch self {
            case .tcp: .tcp
            case .udp: .udp
            case .sctp: .sctp
            }
        }
    }

    /// ::1.
    static let unreachableHost = IPAddress(family: .ipv6, rawValue: 1)

    /// The name that its chains carry, unlike every other published port's.
    public let name: String
    /// The protocol.
    public let transport: Transport
    /// The host's address that it is published at; `nil` for all addresses of the target's family.
    public let hostAddress: IPAddress?
    /// The ports of the host.
    public let hostPorts: PortRange
    /// The endpoint's address.
    public let target: IPAddress
    /// The endpoint's ports, as many as the host's, in the same order.
    public let targetPorts: PortRange
    /// The clients that are let through; empty for everyone.
    public let sources: [IPPrefix]
    /// Whether one that is published at all addresses of the host is so at 127.0.0.0/8 too. Where the link to the
    /// endpoint does not let those addresses through (`route_localnet`), who asks there reaches the host's own
    /// programs.
    public let isAtLoopback: Bool

    /// Creates a published port.
    ///
    /// - Returns: `nil` if the two ranges differ in size or hold port 0, if not all addresses are of one family, or if
    ///   the host's address is ::1, from which the kernel sends nothing to anybody else.
    public init?(
        name: String,
        transport: Transport,
        hostAddress: IPAddress? = nil,
        hostPorts: PortRange,
        target: IPAddress,
        targetPorts: PortRange,
        sources: [IPPrefix] = [],
        isAtLoopback: Bool = true
    ) {
        let hostSize = hostPorts.upperBound - hostPorts.lowerBound
        guard hostSize == targetPorts.upperBound - targetPorts.lowerBound,
            hostPorts.lowerBound > 0, targetPorts.lowerBound > 0, hostAddress != PublishedPort.unreachableHost,
            hostAddress.map({ $0.family == target.family }) ?? true,
            sources.allSatisfy({ $0.family == target.family })
        else { return nil }
        self.name = name
        self.transport = transport
        self.hostAddress = hostAddress
        self.hostPorts = hostPorts
        self.target = target
        self.targetPorts = targetPorts
        self.sources = sources
        self.isAtLoopback = isAtLoopback
    }
}
