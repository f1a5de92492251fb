// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// Well-formed packets of every protocol that policies name, with correct checksums, so that connection tracking
/// takes them for the beginning of a connection.
public enum PacketBuilder {
    /// An IPv4 (RFC 791) or IPv6 (RFC 8200) packet.
    ///
    /// - Parameters:
    ///   - source: Where it comes from.
    ///   - destination: Where it goes.
    ///   - number: Its protocol.
    ///   - sourcePort: Ignored by protocols without ports.
    ///   - destinationPort: Ignored by protocols without ports.
    ///   - icmpType: Ignored by protocols other than ICMP and ICMPv6.
    ///   - tag: Carried as payload, to know the packet again.
    /// - Returns: `nil` if the addresses are of different families.
    public static func packet(
        from source: IPAddress,
        to destination: IPAddress,
        protocol number: IPProtocol,
        sourcePort: UInt16 = 40000,
        destinationPort: UInt16 = 0,
        icmpType: UInt8 = 8,
        tag: [UInt8]
    ) -> [UInt8]? {
        guard source.family == destination.family else { return nil }
        let pseudo = pseudoHeader(source, destination, number)
        let ports = bigEndian(sourcePort) + bigEndian(destinationPort)
        let body: [UInt8]
        switch number {
        case .tcp:
            // SYN, data offset 5, window 65535 (RFC 9293 section 3.1).
            let head = ports + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]
            body = withChecksum(head + tag, at: 16, pseudo)
        case .udp:
            body = withChecksum(ports + bigEndian(UInt16(8 + tag.count)) + [0, 0] + tag, at: 6, pseudo)
        case .udplite:
            // Coverage 0: the whole packet (RFC 3828 section 3.1).
            body = withChecksum(ports + [0, 0, 0, 0] + tag, at: 6, pseudo)
        case .dccp: body = dccpRequest(ports, tag, pseudo)
        case .sctp: body = sctpInit(ports, tag)
        case .icmp: body = withChecksum([icmpType, 0, 0, 0, 0x12, 0x34, 0, 1] + tag, at: 2, [])
        case .icmpv6: body = withChecksum([icmpType, 0, 0, 0, 0x12, 0x34, 0, 1] + tag, at: 2, pseudo)
        case IPProtocol(rawValue: 47): body = [0, 0, 0x08, 0x00] + tag
        case IPProtocol(rawValue: 50): body = tag
        // Before the kernel answers a refused packet of another protocol it verifies a checksum over all of it.
        default: body = withChecksum(tag + [0, 0], at: tag.count, source.family == .ipv4 ? { _ in [] } : pseudo)
        }
        return header(source, destination, number, length: body.count) + body
    }

    /// An Ethernet frame around a packet.
    public static func frame(
        from source: MACAddress,
        to destination: MACAddress,
        etherType: UInt16,
        _ payload: [UInt8]
    ) -> [UInt8] {
        destination.octets + source.octets + bigEndian(etherType) + payload
    }

    /// An Ethernet frame around an IP packet that this builder made.
    public static func frame(from source: MACAddress, to destination: MACAddress, packet: [UInt8]) -> [UInt8] {
        let isVersion6 = packet.first.map { $0 >> 4 == 6 } ?? false
        return frame(from: source, to: destination, etherType: isVersion6 ? 0x86dd : 0x0800, packet)
    }

    /// The IP header for a payload of `length` bytes.
    public static func header(
        _ source: IPAddress,
        _ destination: IPAddress,
        _ number: IPProtocol,
        length: Int,
        fragment: UInt16 = 0
    ) -> [UInt8] {
        switch source {
        case .v4:
            let head: [UInt8] =
                [0x45, 0] + bigEndian(UInt16(truncatingIfNeeded: 20 + length)) + [0x42, 0x42] + bigEndian(fragment)
                + [64, number.rawValue, 0, 0] + octets(source) + octets(destination)
            return withChecksum(head, at: 10, [])
        case .v6:
            return [0x60, 0, 0, 0] + bigEndian(UInt16(truncatingIfNeeded: length)) + [number.rawValue, 64]
                + octets(source) + octets(destination)
        }
    }

    /// The address's octets, first on the wire first.
    public static func octets(_ address: IPAddress) -> [UInt8] {
        let count = address.family.bitWidth / 8
        return (0..<count).map { UInt8(truncatingIfNeeded: address.rawValue >> UInt128(8 * (count - 1 - $0))) }
    }

    /// The number's octets, most significant first.
    public static func bigEndian(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
    }

    /// The internet checksum (RFC 1071).
    public static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in bytes.enumerated() {
            sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte)
            sum = (sum & 0xffff) + (sum >> 16)
        }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    private static func withChecksum(_ bytes: [UInt8], at offset: Int, _ pseudo: (Int) -> [UInt8]) -> [UInt8] {
        withChecksum(bytes, at: offset, pseudo(bytes.count))
    }

    private static func withChecksum(_ bytes: [UInt8], at offset: Int, _ pseudo: [UInt8]) -> [UInt8] {
        var result = bytes
        let sum = checksum(pseudo + bytes)
        result.replaceSubrange(offset..<offset + 2, with: bigEndian(sum == 0 && !pseudo.isEmpty ? 0xffff : sum))
        return result
    }

    /// What TCP, UDP and ICMPv6 checksum besides their own bytes (RFC 9293 section 3.1, RFC 8200 section 8.1).
    private static func pseudoHeader(
        _ source: IPAddress,
        _ destination: IPAddress,
        _ number: IPProtocol
    ) -> (Int) -> [UInt8] {
        { length in
            let length = UInt16(truncatingIfNeeded: length)
            let addresses = octets(source) + octets(destination)
            return source.family == .ipv4
                ? addresses + [0, number.rawValue] + bigEndian(length)
                : addresses + [0, 0] + bigEndian(length) + [0, 0, 0, number.rawValue]
        }
    }

    /// A REQUEST with a service code and the extended sequence number (RFC 4340 sections 5.1 and 5.2).
    private static func dccpRequest(_ ports: [UInt8], _ tag: [UInt8], _ pseudo: (Int) -> [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (4 - tag.count % 4) % 4)
        let head = ports + [5, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 42]
        return withChecksum(head + tag + padding, at: 6, pseudo)
    }

    /// An INIT chunk and, as an unknown parameter, the tag (RFC 9260 sections 3.1 and 3.3.2).
    private static func sctpInit(_ ports: [UInt8], _ tag: [UInt8]) -> [UInt8] {
        let parameter = [0xff, 0xfe] + bigEndian(UInt16(4 + tag.count)) + tag
        let chunk: [UInt8] =
            [1, 0] + bigEndian(UInt16(20 + parameter.count)) + [0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9]
            + parameter
        var bytes = ports + [0, 0, 0, 0, 0, 0, 0, 0] + chunk
        let sum = crc32c(bytes)
        for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
        return bytes
    }

    /// CRC32c, reflected (RFC 9260 appendix A).
    private static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
        }
        return ~crc
    }
}
