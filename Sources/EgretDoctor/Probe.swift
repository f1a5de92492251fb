// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A real packet that is sent, and where to.
public struct Probe: Hashable, Sendable, CustomStringConvertible {
    /// What is sent.
    public enum Service: Hashable, Sendable {
        /// A TCP connection to a port.
        case tcp(UInt16)
        /// A UDP datagram to a port.
        case udp(UInt16)
        /// An echo request of ICMP or ICMPv6.
        case echo
    }

    /// Where it goes.
    public var destination: IPAddress
    /// What is sent.
    public var service: Service

    /// Creates a probe.
    public init(to destination: IPAddress, _ service: Service) {
        self.destination = destination
        self.service = service
    }

    /// The upper-layer protocol.
    public var transport: IPProtocol {
        switch service {
        case .tcp: .tcp
        case .udp: .udp
        case .echo: destination.family == .ipv4 ? .icmp : .icmpv6
        }
    }

    /// The far end's port.
    public var port: UInt16? {
        switch service {
        case .tcp(let port), .udp(let port): port
        case .echo: nil
        }
    }

    /// `8.8.8.8 443/tcp`.
    public var description: String {
        switch service {
        case .tcp(let port): "\(destination) \(port)/tcp"
        case .udp(let port): "\(destination) \(port)/udp"
        case .echo: "\(destination) \(destination.family == .ipv4 ? "icmp" : "icmpv6") echo"
        }
    }
}
