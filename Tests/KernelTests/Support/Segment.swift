// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretTesting

/// TCP segments with flags and numbers of the sender's choice (RFC 9293 section 3.1).
enum Segment {
    static let fin: UInt8 = 1
    static let syn: UInt8 = 2
    static let reset: UInt8 = 4
    static let push: UInt8 = 8
    static let acknowledgement: UInt8 = 16

    static func packet(
        from source: (address: IPAddress, port: UInt16),
        to destination: (address: IPAddress, port: UInt16),
        flags: UInt8,
        sequence: UInt32 = 1,
        acknowledging: UInt32 = 0,
        payload: [UInt8] = []
    ) -> [UInt8] {
        var body =
            PacketBuilder.bigEndian(source.port) + PacketBuilder.bigEndian(destination.port) + bytes(sequence)
            + bytes(acknowledging) + [0x50, flags, 0xff, 0xff, 0, 0, 0, 0] + payload
        let length = PacketBuilder.bigEndian(UInt16(body.count))
        let pseudo = PacketBuilder.octets(source.address) + PacketBuilder.octets(destination.address)
        let tail: [UInt8] =
            source.address.family == .ipv4 ? [0, 6] + length : [0, 0] + length + [0, 0, 0, 6]
        body.replaceSubrange(16..<18, with: PacketBuilder.bigEndian(PacketBuilder.checksum(pseudo + tail + body)))
        return PacketBuilder.header(source.address, destination.address, .tcp, length: body.count) + body
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * (3 - $0))) }
    }
}

extension [UInt8] {
    /// Whether the bytes hold others in a row.
    func holds(_ needle: [UInt8]) -> Bool { firstPlace(of: needle) != nil }

    /// Where the others begin.
    func firstPlace(of needle: [UInt8]) -> Int? {
        guard let first = needle.first, count >= needle.count else { return nil }
        return (0...(count - needle.count)).first { place in
            self[place] == first && Array(self[place..<place + needle.count]) == needle
        }
    }

    /// The tag of a ``KernelBench`` that the bytes hold.
    var tag: [UInt8]? {
        guard let place = firstPlace(of: Array("EgTg".utf8)), place + 8 <= count else { return nil }
        return Array(self[place..<place + 8])
    }

    /// The IP packet in a frame.
    var packet: [UInt8] { Array(dropFirst(14)) }

    /// What the IP packet in a frame says.
    var summary: PacketSummary? { PacketSummary.parse(packet) }

    /// Whether the frame holds a TCP reset, and if so, its destination port.
    var resetPort: UInt16? {
        guard let summary, summary.transport == .tcp else { return nil }
        let offset = 14 + (packet.first.map { $0 >> 4 } == 4 ? 20 : 40) + 13
        guard offset < count, self[offset] & Segment.reset != 0 else { return nil }
        return summary.destinationPort
    }

    /// Whether the frame holds ICMP or ICMPv6 "administratively prohibited" (RFC 1812 section 5.2.7.1, RFC 4443
    /// section 3.1).
    var isProhibition: Bool {
        guard let summary else { return false }
        return (summary.transport == .icmp && summary.icmpType == 3 && summary.icmpCode == 13)
            || (summary.transport == .icmpv6 && summary.icmpType == 1 && summary.icmpCode == 1)
    }
}
