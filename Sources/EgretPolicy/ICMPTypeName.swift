// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// The names of ICMP message types, as `nft(8)` spells them, and their numbers.
///
/// Numbers are from the IANA registries "ICMP Type Numbers" and "ICMPv6 type Numbers".
public enum ICMPTypeName {
    /// The names for ICMP (RFC 792, RFC 1256, RFC 950).
    public static let icmp: [(name: String, type: UInt8)] = [
        ("echo-reply", 0), ("destination-unreachable", 3), ("source-quench", 4), ("redirect", 5),
        ("echo-request", 8), ("router-advertisement", 9), ("router-solicitation", 10), ("time-exceeded", 11),
        ("parameter-problem", 12), ("timestamp-request", 13), ("timestamp-reply", 14), ("info-request", 15),
        ("info-reply", 16), ("address-mask-request", 17), ("address-mask-reply", 18),
    ]

    /// The names for ICMPv6 (RFC 4443, RFC 2710, RFC 4861, RFC 2894, RFC 3122, RFC 3810).
    public static let icmpv6: [(name: String, type: UInt8)] = [
        ("destination-unreachable", 1), ("packet-too-big", 2), ("time-exceeded", 3), ("parameter-problem", 4),
        ("echo-request", 128), ("echo-reply", 129), ("mld-listener-query", 130), ("mld-listener-report", 131),
        ("mld-listener-done", 132), ("nd-router-solicit", 133), ("nd-router-advert", 134),
        ("nd-neighbor-solicit", 135), ("nd-neighbor-advert", 136), ("nd-redirect", 137),
        ("router-renumbering", 138), ("ind-neighbor-solicit", 141), ("ind-neighbor-advert", 142),
        ("mld2-listener-report", 143),
    ]

    /// The names of one protocol; empty unless it is ICMP or ICMPv6.
    public static func names(for protocol: IPProtocol) -> [(name: String, type: UInt8)] {
        switch `protocol` {
        case .icmp: icmp
        case .icmpv6: icmpv6
        default: []
        }
    }

    /// The type with this name.
    public static func type(named name: some StringProtocol, for protocol: IPProtocol) -> UInt8? {
        names(for: `protocol`).first { $0.name == name }?.type
    }

    /// The name of this type, or `nil` if it has none.
    public static func name(of type: UInt8, for protocol: IPProtocol) -> String? {
        names(for: `protocol`).first { $0.type == type }?.name
    }

    /// The type of the messages that answer those of a type, as connection tracking knows them.
    ///
    /// Connection tracking takes no other messages for a connection's. ICMPv6 139 and 140 are node information (RFC 4620).
    ///
    /// - Parameters:
    ///   - type: The type of what was sent.
    ///   - protocol: ICMP or ICMPv6.
    /// - Returns: The answers' type; `nil` where nothing answers, or the protocol is another.
    package static func answer(to type: UInt8, for protocol: IPProtocol) -> UInt8? {
        switch (`protocol`, type) {
        case (.icmp, 8): 0
        case (.icmp, 13), (.icmp, 15), (.icmp, 17), (.icmpv6, 128), (.icmpv6, 139): type + 1
        default: nil
        }
    }
}
