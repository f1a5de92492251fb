// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

@Suite("asking whether somebody has an address")
struct AddressProbeTests {
    private let asker = MACAddress(rawValue: 0x0200_0000_0001)
    private let other = MACAddress(rawValue: 0x0200_0000_0002)
    private let four = IPAddress("10.7.0.2") ?? .v4(IPv4Address(rawValue: 0))
    private let six = IPAddress("fd00:7::a:b:c") ?? .v4(IPv4Address(rawValue: 0))

    private func bytes(_ text: String) -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private var probe: AddressProbe { AddressProbe(for: [four, six], from: asker) }

    @Test("IPv4 is asked about by an ARP probe: a request to all, from no address")
    func arpProbe() throws {
        let question = try #require(probe.questions.first { $0.etherType == AddressProbe.arp })
        #expect(
            question.frame
                == bytes(
                    "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 0a070002"))
    }

    @Test("IPv6 is asked about as by duplicate address detection: to the solicited node's group, from no address")
    func solicitation() throws {
        let question = try #require(probe.questions.first { $0.etherType == AddressProbe.ipv6 })
        let frame = question.frame
        #expect(Array(frame.prefix(14)) == bytes("3333ff 0b000c 020000000001 86dd"))
        #expect(Array(frame[14..<22]) == bytes("60000000 0018 3a ff") && frame.count == 78)
        #expect(frame[22..<38].allSatisfy { $0 == 0 })
        #expect(Array(frame[38..<54]) == bytes("ff02 0000 0000 0000 0000 0001 ff0b 000c"))
        #expect(frame[54] == 135 && Array(frame[62...]) == bytes("fd00 0007 0000 0000 0000 000a 000b 000c"))
        // RFC 1071: with its checksum in place, the pseudo header and the message add up to all ones.
        let summed = Array(frame[22..<54]) + [0, 0, 0, 24, 0, 0, 0, 58] + Array(frame[54...])
        var sum = stride(from: 0, to: summed.count, by: 2).reduce(0) { $0 + Int(summed[$1]) << 8 + Int(summed[$1 + 1]) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        #expect(sum == 0xffff)
    }

    /// ARP from `other` with an operation, a sender's and a target's address.
    private func arp(_ operation: UInt8, _ sender: String, _ target: String) -> [UInt8] {
        bytes("020000000001 020000000002 0806 0001 0800 06 04") + [0, operation]
            + bytes("020000000002 \(sender) 020000000001 \(target)")
    }

    @Test("whoever names an address as its own in ARP has it, and who probes for it is about to")
    func arpOwners() {
        #expect(probe.owner(in: arp(2, "0a070002", "00000000"))?.hardware == other)
        #expect(probe.owner(in: arp(1, "0a070002", "0a070001"))?.address == four)
        #expect(probe.owner(in: arp(1, "00000000", "0a070002"))?.address == four)
        #expect(probe.owner(in: arp(2, "00000000", "0a070002")) == nil)
        #expect(probe.owner(in: arp(1, "0a070009", "0a070002")) == nil)
        #expect(probe.owner(in: arp(2, "0a070003", "00000000")) == nil)
    }

    /// Neighbour discovery from `other`: a type, a source and a target.
    private func discovery(_ type: UInt8, from source: IPAddress?, _ target: IPAddress, hops: UInt8 = 255) -> [UInt8] {
        func octets(_ address: IPAddress) -> [UInt8] {
            (0..<16).map { UInt8(truncatingIfNeeded: address.rawValue >> UInt128(8 * (15 - $0))) }
        }
        return bytes("333300000001 020000000002 86dd 60000000 0018 3a") + [hops]
            + (source.map(octets) ?? Array(repeating: 0, count: 16)) + bytes("ff02000000000000 0000000000000001")
            + [type, 0, 0, 0, 0, 0, 0, 0] + octets(target)
    }

    @Test("whoever advertises an address has it, and who detects duplicates of it is about to")
    func neighbourOwners() throws {
        let third = try #require(IPAddress("fd00:7::3"))
        #expect(probe.owner(in: discovery(136, from: six, six))?.hardware == other)
        #expect(probe.owner(in: discovery(135, from: nil, six))?.address == six)
        #expect(probe.owner(in: discovery(135, from: third, six)) == nil)
        #expect(probe.owner(in: discovery(136, from: third, third)) == nil)
        // A router would have counted it down (RFC 4861, 7.1): it is not from this link.
        #expect(probe.owner(in: discovery(136, from: six, six, hops: 254)) == nil)
    }

    @Test("the asker's own questions are no answers, and frames cut short or of noise trap nothing")
    func noise() {
        for question in probe.questions { #expect(probe.owner(in: question.frame) == nil) }
        for frame in [arp(2, "0a070002", "00000000"), discovery(136, from: six, six)] {
            for length in 0..<frame.count { #expect(probe.owner(in: Array(frame.prefix(length))) == nil) }
            for place in frame.indices {
                var changed = frame
                changed[place] ^= 0xff
                _ = probe.owner(in: changed)
            }
        }
    }

    @Test("nobody waits longer than a quarter of a second")
    func patience() {
        #expect(AddressProbe.patience <= .milliseconds(250))
    }
}
