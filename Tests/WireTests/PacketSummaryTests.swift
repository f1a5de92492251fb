// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@Suite("packets, from their first bytes")
struct PacketSummaryTests {
    private let six = "2001 0db8 0000 0000 0000 0000 0000 0001  2001 0db8 0000 0000 0000 0000 0000 0002"

    @Test("IPv4 options are stepped over")
    func options() throws {
        let packet = capture("46 00 0020 0000 0000 40 06 0000 c0000201 c6336407 01010101 1f90 01bb 00000000")
        let summary = try #require(PacketSummary.parse(packet))
        #expect(summary.source == IPAddress("192.0.2.1") && summary.destination == IPAddress("198.51.100.7"))
        #expect(summary.transport == .tcp && summary.sourcePort == 8080 && summary.destinationPort == 443)
        #expect(summary.length == 32 && !summary.isLaterFragment)
    }

    @Test("a later fragment has no ports")
    func fragment() throws {
        let packet = capture("45 00 0020 0000 0001 40 11 0000 c0000201 c6336407 1f90 01bb 00000000")
        let summary = try #require(PacketSummary.parse(packet))
        #expect(summary.isLaterFragment && summary.sourcePort == nil && summary.transport == .udp)
    }

    @Test("IPv6 extension headers are followed to the protocol behind them")
    func extensionHeaders() throws {
        let headers = "2b 00 0000 0000 0000  3c 00 0000 0000 0000  33 00 0000 0000 0000"
        // Hop-by-hop, routing, destination options, authentication (4-byte units, plus two), UDP.
        let packet = capture(
            "6000 0000 0038 00 40 \(six) \(headers) 11 04 0000 " + String(repeating: "00", count: 20)
                + " 1f90 0035 0008 0000"
        )
        let summary = try #require(PacketSummary.parse(packet))
        #expect(summary.transport == .udp && summary.sourcePort == 8080 && summary.destinationPort == 53)
        #expect(summary.length == 96)
    }

    @Test("the first fragment of an IPv6 packet has its ports, a later one has not")
    func ipv6Fragments() throws {
        let first = capture("6000 0000 0010 2c 40 \(six) 06 00 0001 0000 0001  1f90 01bb 0000 0000")
        let later = capture("6000 0000 0010 2c 40 \(six) 06 00 0009 0000 0001  1f90 01bb 0000 0000")
        #expect(PacketSummary.parse(first)?.destinationPort == 443)
        let summary = try #require(PacketSummary.parse(later))
        #expect(summary.isLaterFragment && summary.destinationPort == nil && summary.transport == .tcp)
    }

    @Test("a packet cut anywhere gives less, never a trap")
    func cut() throws {
        let packet = capture("6000 0000 0010 2c 40 \(six) 06 00 0001 0000 0001  1f90 01bb 0000 0000")
        for length in 0..<packet.count {
            let summary = PacketSummary.parse(Array(packet[..<length]))
            #expect((summary != nil) == (length >= 40))
            if length < 52 { #expect(summary?.destinationPort == nil) }
        }
    }

    @Test("a datagram is what its lengths say, in both families and behind options")
    func datagrams() throws {
        let four = capture("46 00 0026 0000 0000 40 11 0000 c0000201 c6336407 01010101 1f90 01bb 000a 0000 abcd ffff")
        let datagram = try #require(CopiedDatagram(packet: four))
        #expect(datagram.source == IPAddress("192.0.2.1") && datagram.destination == IPAddress("198.51.100.7"))
        #expect(datagram.sourcePort == 8080 && datagram.destinationPort == 443 && datagram.payload == [0xab, 0xcd])
        let six = capture("6000 0000 0012 00 40 \(six) 11 00 0000 0000 0000 1f90 01bb 000b 0000 ab cd ef")
        #expect(CopiedDatagram(packet: six)?.payload == [0xab, 0xcd, 0xef])
        // Another protocol, a later fragment, and a length that is none.
        for (place, protocolNumber, length) in [("0000", "06", "0008"), ("0001", "11", "0008"), ("0000", "11", "0007")]
        {
            let text = "45 00 001c 0000 \(place) 40 \(protocolNumber) 0000 c0000201 c6336407 1f90 01bb \(length) 0000"
            #expect(CopiedDatagram(packet: capture(text)) == nil)
        }
        for packet in [four, six] {
            for length in 0..<packet.count {
                let cut = CopiedDatagram(packet: Array(packet[..<length]))
                #expect((cut?.payload.count ?? 0) <= 3)
            }
        }
    }

    @Test("what is neither version has no summary")
    func neither() {
        #expect(PacketSummary.parse([]) == nil)
        #expect(PacketSummary.parse([0x50] + [UInt8](repeating: 0, count: 60)) == nil)
        #expect(PacketSummary.parse([0x41] + [UInt8](repeating: 0, count: 60)) == nil)
    }
}
