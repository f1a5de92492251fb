// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@Suite("nfnetlink_log")
struct PacketLogTests {
    private func packet(_ bytes: [UInt8]) throws -> LoggedPacket {
        try PacketLogWire.decode(try #require(try NetlinkMessage.parse(bytes).first))
    }

    @Test("a packet on its way out")
    func outgoing() throws {
        let packet = try packet(PacketLogCapture.outgoing)
        #expect(packet.prefix == "pfx one" && packet.group == 7 && packet.family == 2 && packet.hook == 3)
        #expect(packet.outputInterface == 1 && packet.inputInterface == nil && packet.localSequence == 0)
        #expect(packet.hardwareProtocol == 0x0800)
        let summary = try #require(PacketSummary.parse(packet.payload))
        #expect(summary.transport == .icmp && summary.icmpType == 8 && summary.length == 36)
    }

    @Test("a packet on its way in has a time and its sender's address")
    func incoming() throws {
        let packet = try packet(PacketLogCapture.incoming)
        #expect(packet.prefix == "in" && packet.inputInterface == 1 && packet.localSequence == 1)
        #expect(packet.hardwareAddress == [0, 0, 0, 0, 0, 0])
        #expect((packet.timestampSeconds ?? 0) > 1_500_000_000 && packet.timestampMicroseconds != nil)
    }

    @Test("an IPv6 packet and a UDP packet")
    func others() throws {
        let six = try #require(PacketSummary.parse(try packet(PacketLogCapture.incoming6).payload))
        #expect(six.transport == .icmpv6 && six.icmpType == 128 && six.source == IPAddress("::1") && six.length == 56)
        let udp = try #require(PacketSummary.parse(try packet(PacketLogCapture.udp).payload))
        #expect(udp.transport == .udp && udp.sourcePort == 4000 && udp.destinationPort == 9 && udp.length == 31)
    }

    @Test("a group is bound and configured with the bytes that the kernel took for the captures")
    func requests() throws {
        let bind = try PacketLogWire.bindRequest(group: 7, sequence: 1)
        #expect(bind == capture("1c000000 0104 0500 01000000 00000000 00000007 0500 0100 01000000"))
        let unbind = try PacketLogWire.unbindRequest(group: 7, sequence: 1)
        #expect(unbind == capture("1c000000 0104 0500 01000000 00000000 00000007 0500 0100 02000000"))
        let configuration = try PacketLogWire.configureRequest(
            group: 7, copyRange: 128, queueThreshold: 1, sequence: 2
        )
        let expected = capture(
            """
            30000000 0104 0500 02000000 00000000 00000007
            0a00 0200 00000080 02 00 0000  0800 0500 00000001  0600 0600 0001 0000
            """
        )
        #expect(configuration == expected)
    }
}
