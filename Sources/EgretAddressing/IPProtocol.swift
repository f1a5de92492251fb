// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An IP protocol number (the "Protocol" field of IPv4, "Next Header" of IPv6; IANA protocol numbers).
public struct IPProtocol: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number, 0 to 255.
    public var rawValue: UInt8

    /// Creates a protocol from its number.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// ICMP for IPv4, 1.
    public static let icmp = IPProtocol(rawValue: 1)
    /// IGMP, 2.
    public static let igmp = IPProtocol(rawValue: 2)
    /// TCP, 6.
    public static let tcp = IPProtocol(rawValue: 6)
    /// UDP, 17.
    public static let udp = IPProtocol(rawValue: 17)
    /// DCCP, 33.
    public static let dccp = IPProtocol(rawValue: 33)
    /// ICMP for IPv6, 58.
    public static let icmpv6 = IPProtocol(rawValue: 58)
    /// SCTP, 132.
    public static let sctp = IPProtocol(rawValue: 132)
    /// UDP-Lite, 136.
    public static let udplite = IPProtocol(rawValue: 136)

    /// The names that policies may use, with their numbers.
    public static let names: [(name: String, protocol: IPProtocol)] = [
        ("icmp", .icmp), ("igmp", .igmp), ("ipip", IPProtocol(rawValue: 4)), ("tcp", .tcp), ("udp", .udp),
        ("dccp", .dccp), ("ipv6", IPProtocol(rawValue: 41)), ("gre", IPProtocol(rawValue: 47)),
        ("esp", IPProtocol(rawValue: 50)), ("ah", IPProtocol(rawValue: 51)), ("icmpv6", .icmpv6),
        ("sctp", .sctp), ("udplite", .udplite),
    ]

    /// The protocol with this name, in lower case.
    public init?(name: some StringProtocol) {
        guard let entry = IPProtocol.names.first(where: { $0.name == name }) else { return nil }
        self = entry.protocol
    }

    /// Whether the first four octets of the payload are a source and a destination port.
    public var hasPorts: Bool {
        switch self {
        case .tcp, .udp, .dccp, .sctp, .udplite: true
        default: false
        }
    }

    /// The name, or `protocol/N` where policies have none.
    public var description: String {
        IPProtocol.names.first { $0.protocol == self }?.name ?? "protocol/\(rawValue)"
    }

    /// By number.
    public static func < (left: IPProtocol, right: IPProtocol) -> Bool {
        left.rawValue < right.rawValue
    }
}
