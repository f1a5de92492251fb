// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretTesting

/// Packets taken apart, and with more in their headers than they need.
enum Fragments {
    /// Splits a packet's payload in two: `first` bytes, a multiple of 8, and the rest.
    static func split(_ packet: [UInt8], after first: Int, identification: UInt32) -> [[UInt8]] {
        let isVersion6 = packet[0] >> 4 == 6
        let header = Array(packet.prefix(isVersion6 ? 40 : 20))
        let payload = Array(packet.dropFirst(header.count))
        return [(0, Array(payload.prefix(first)), true), (first, Array(payload.dropFirst(first)), false)].map {
            offset, piece, isMore in
            isVersion6
                ? version6(header, piece, offset, isMore, identification)
                : version4(header, piece, offset, isMore, identification)
        }
    }

    private static func version4(_ header: [UInt8], _ piece: [UInt8], _ offset: Int, _ isMore: Bool, _ id: UInt32)
        -> [UInt8]
    {
        var header = header
        header.replaceSubrange(2..<4, with: PacketBuilder.bigEndian(UInt16(20 + piece.count)))
        header.replaceSubrange(4..<6, with: PacketBuilder.bigEndian(UInt16(truncatingIfNeeded: id ^ id >> 16)))
        header.replaceSubrange(6..<8, with: PacketBuilder.bigEndian(UInt16(offset / 8) | (isMore ? 0x2000 : 0)))
        return summed(header) + piece
    }

    /// RFC 8200 section 4.5.
    private static func version6(_ header: [UInt8], _ piece: [UInt8], _ offset: Int, _ isMore: Bool, _ id: UInt32)
        -> [UInt8]
    {
        var header = header
        let next = header[6]
        header[6] = 44
        header.replaceSubrange(4..<6, with: PacketBuilder.bigEndian(UInt16(8 + piece.count)))
        let identification = (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * (3 - $0))) }
        return header + [next, 0] + PacketBuilder.bigEndian(UInt16(offset) | (isMore ? 1 : 0)) + identification + piece
    }

    private static func summed(_ header: [UInt8]) -> [UInt8] {
        var header = header
        header.replaceSubrange(10..<12, with: [0, 0])
        header.replaceSubrange(10..<12, with: PacketBuilder.bigEndian(PacketBuilder.checksum(header)))
        return header
    }

    /// Puts extension headers of 8 bytes between the IPv6 header and the rest, by number: 0 hop-by-hop, 43 routing
    /// with no segments left, 60 destination options.
    static func insert(_ chain: [UInt8], into packet: [UInt8]) -> [UInt8] {
        var header = Array(packet.prefix(40))
        var extensions: [UInt8] = []
        let numbers = chain + [header[6]]
        for (place, number) in chain.enumerated() {
            // One PadN option of 6 bytes; in a routing header, type 4 and zero segments left.
            extensions += [numbers[place + 1], 0] + (number == 43 ? [4, 0, 0, 0, 0, 0] : [1, 4, 0, 0, 0, 0])
        }
        header[6] = numbers[0]
        header.replaceSubrange(
            4..<6, with: PacketBuilder.bigEndian(UInt16(packet.count - 40 + extensions.count)))
        return header + extensions + packet.dropFirst(40)
    }

    /// Puts options, a multiple of 4 bytes, into an IPv4 header.
    static func addOptions(_ options: [UInt8], to packet: [UInt8]) -> [UInt8] {
        var header = Array(packet.prefix(20)) + options
        header[0] = 0x40 | UInt8(header.count / 4)
        header.replaceSubrange(2..<4, with: PacketBuilder.bigEndian(UInt16(packet.count + options.count)))
        return summed(header) + packet.dropFirst(20)
    }
}
