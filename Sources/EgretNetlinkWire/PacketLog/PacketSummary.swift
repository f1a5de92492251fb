// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What the first bytes of an IP packet say: who, to whom, by what protocol.
public struct PacketSummary: Hashable, Sendable {
    /// Where the packet comes from.
    public var source: IPAddress
    /// Where it goes.
    public var destination: IPAddress
    /// The upper-layer protocol, behind all extension headers that could be read.
    public var transport: IPProtocol
    /// The source port, if the protocol has ports and they are there.
    public var sourcePort: UInt16?
    /// The destination port, if the protocol has ports and they are there.
    public var destinationPort: UInt16?
    /// The ICMP or ICMPv6 type, if it is there.
    public var icmpType: UInt8?
    /// The ICMP or ICMPv6 code, if it is there.
    public var icmpCode: UInt8?
    /// The packet's length in bytes by its own header, network header included.
    public var length: Int
    /// Whether it is a fragment other than the first, which has no ports.
    public var isLaterFragment: Bool
    /// Where the upper-layer protocol's header begins in the bytes; `nil` if it is not there.
    public private(set) var transportOffset: Int?

    /// Reads a packet from its network header on. Never traps, whatever the bytes.
    ///
    /// Returns `nil` if it is neither IPv4 (RFC 791) nor IPv6 (RFC 8200) or ends before its fixed header does. Where
    /// it ends later, what could not be read is `nil`.
    public static func parse(_ packet: [UInt8]) -> PacketSummary? {
        switch packet.first.map({ $0 >> 4 }) {
        case 4: try? ipv4(packet)
        case 6: try? ipv6(packet)
        default: nil
        }
    }

    private static func ipv4(_ packet: [UInt8]) throws(WireError) -> PacketSummary? {
        var reader = ByteReader(packet)
        let headerLength = Int(try reader.readUInt8("IPv4 header") & 0xf) * 4
        _ = try reader.readUInt8("IPv4 header")
        let length = Int(try reader.readBigEndian(UInt16.self, "IPv4 header"))
        _ = try reader.readBytes(2, "IPv4 header")
        let fragment = try reader.readBigEndian(UInt16.self, "IPv4 header")
        _ = try reader.readUInt8("IPv4 header")
        let transport = try reader.readUInt8("IPv4 header")
        _ = try reader.readBytes(2, "IPv4 header")
        let source = try reader.readBigEndian(UInt32.self, "IPv4 header")
        let destination = try reader.readBigEndian(UInt32.self, "IPv4 header")
        guard headerLength >= 20 else { return nil }
        var summary = PacketSummary(
            source: .v4(IPv4Address(rawValue: source)),
            destination: .v4(IPv4Address(rawValue: destination)),
            transport: IPProtocol(rawValue: transport),
            length: length,
            isLaterFragment: fragment & 0x1fff != 0
        )
        summary.readTransport(packet.dropFirst(headerLength))
        return summary
    }

    private static func ipv6(_ packet: [UInt8]) throws(WireError) -> PacketSummary? {
        var reader = ByteReader(packet)
        _ = try reader.readBytes(4, "IPv6 header")
        let payloadLength = Int(try reader.readBigEndian(UInt16.self, "IPv6 header"))
        let next = try reader.readUInt8("IPv6 header")
        _ = try reader.readUInt8("IPv6 header")
        let source = try reader.readBigEndian(UInt128.self, "IPv6 header")
        let destination = try reader.readBigEndian(UInt128.self, "IPv6 header")
        var summary = PacketSummary(
            source: .v6(IPv6Address(rawValue: source)),
            destination: .v6(IPv6Address(rawValue: destination)),
            transport: IPProtocol(rawValue: next),
            length: payloadLength + 40,
            isLaterFragment: false
        )
        if let rest = summary.walkExtensionHeaders(reader.rest) { summary.readTransport(rest) }
        return summary
    }

    private init(
        source: IPAddress,
        destination: IPAddress,
        transport: IPProtocol,
        length: Int,
        isLaterFragment: Bool
    ) {
        self.source = source
        self.destination = destination
        self.transport = transport
        self.length = length
        self.isLaterFragment = isLaterFragment
    }

    /// Follows the chain of IPv6 extension headers, leaving the upper-layer protocol in ``transport``.
    ///
    /// Every header takes at least 8 bytes, so the walk ends. Returns what follows, or `nil` if it is not there.
    private mutating func walkExtensionHeaders(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var rest = bytes
        while true {
            let header = transport.rawValue
            let units: Int
            switch header {
            // Hop-by-hop, routing, destination, mobility, HIP, shim6, AH, fragment.
            case 0, 43, 60, 135, 139, 140, 51, 44:
                guard rest.count >= 8 else { return nil }
                let fields = Array(rest.prefix(8))
                transport = IPProtocol(rawValue: fields[0])
                if header == 44 {
                    isLaterFragment = fields[2] != 0 || fields[3] & 0xf8 != 0
                    units = 8
                } else {
                    units = header == 51 ? (Int(fields[1]) + 2) * 4 : (Int(fields[1]) + 1) * 8
                }
            default:
                return rest
            }
            guard units >= 8, rest.count >= units else { return nil }
            rest = rest.dropFirst(units)
            if isLaterFragment { return nil }
        }
    }

    private mutating func readTransport(_ bytes: ArraySlice<UInt8>) {
        guard !isLaterFragment else { return }
        var reader = ByteReader(bytes)
        transportOffset = bytes.isEmpty ? nil : bytes.startIndex
        if transport.hasPorts {
            sourcePort = try? reader.readBigEndian(UInt16.self, "ports")
            destinationPort = try? reader.readBigEndian(UInt16.self, "ports")
        } else if transport == .icmp || transport == .icmpv6 {
            icmpType = try? reader.readUInt8("ICMP type")
            icmpCode = try? reader.readUInt8("ICMP code")
        }
    }
}
