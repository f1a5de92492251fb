// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import Testing

@Suite("netlink framing")
struct FramingTests {
    @Test("a datagram is split into its messages")
    func split() throws {
        let messages = try NetlinkMessage.parse(RouteCapture.links)
        #expect(messages.map(\.type) == [16, 16, 16])
        #expect(messages.allSatisfy { $0.isMultipart && !$0.isInterrupted && $0.sequence != 0 })
    }

    @Test("an acknowledgement is an error with code 0")
    func acknowledgement() throws {
        let message = try #require(try NetlinkMessage.parse(RouteCapture.acknowledged).first)
        #expect(try NetlinkAcknowledgement(message).isSuccess)
    }

    @Test("an error carries its number and the kernel's words, behind the request it repeats")
    func extendedError() throws {
        let message = try #require(try NetlinkMessage.parse(RouteCapture.mtuRefused).first)
        let answer = try NetlinkAcknowledgement(message)
        #expect(answer.errorNumber == 22)
        #expect(answer.text == "mtu less than device minimum")
    }

    @Test("an nf_tables error says where in the request the fault lies")
    func offset() throws {
        let message = try #require(try NetlinkMessage.parse(NftablesCapture.refused).first)
        let answer = try NetlinkAcknowledgement(message)
        #expect(answer.errorNumber == 2)
        #expect(answer.offset != nil)
    }

    @Test("a capped error has its attributes right behind the header")
    func capped() throws {
        var writer = NetlinkWriter()
        try writer.message(type: 2, flags: 0x300, sequence: 7) { (writer) throws(WireError) in
            writer.appendHost(Int32(-17))
            writer.appendHost(UInt32(9000))
            writer.append([UInt8](repeating: 0, count: 12))
            try writer.putString(1, "no")
            writer.putHost(2, UInt32(44))
        }
        let message = try #require(try NetlinkMessage.parse(writer.bytes).first)
        let answer = try NetlinkAcknowledgement(message)
        #expect(answer.errorNumber == 17 && answer.text == "no" && answer.offset == 44)
    }

    @Test("a dump's end carries an error number")
    func done() throws {
        let message = try #require(try NetlinkMessage.parse(RouteCapture.done).first)
        #expect(message.type == NetlinkControl.done)
        #expect(try NetlinkAcknowledgement(message).isSuccess)
    }

    @Test("nests and messages are padded to four bytes and know their lengths")
    func writer() throws {
        var writer = NetlinkWriter()
        try writer.message(type: 0x1234, flags: 5, sequence: 6) { (writer) throws(WireError) in
            try writer.nest(9) { (writer) throws(WireError) in
                writer.putUInt8(1, 0xaa)
                writer.putBigEndian(2, UInt16(0x0102))
                try writer.putString(3, "hi")
            }
        }
        let expected = capture(
            """
            2c000000 3412 0500 06000000 00000000
            1c00 0980  0500 0100 aa000000  0600 0200 01020000  0700 0300 68690000
            """
        )
        #expect(writer.bytes == expected)
    }

    @Test("an attribute longer than 16 bits can say is refused")
    func tooLong() {
        var writer = NetlinkWriter()
        #expect(throws: WireError.self) { try writer.putBytes(1, [UInt8](repeating: 0, count: 70_000)) }
        #expect(throws: WireError.self) {
            try writer.nest(1) { (writer) throws(WireError) in
                writer.append([UInt8](repeating: 0, count: 70_000))
            }
        }
        #expect(throws: WireError.self) { try writer.putString(1, "a\0b") }
    }

    @Test("a request keeps everything but its sequence number and flags")
    func resequenced() throws {
        let request = try RouteWire.setLink(3, up: true, sequence: 0)
        let again = try NetlinkMessage.resequenced(request, sequence: 99, addingFlags: 4)
        #expect(try again == RouteWire.setLink(3, up: true, sequence: 99))
        #expect(throws: WireError.self) { try NetlinkMessage.resequenced(request + request, sequence: 1) }
    }
}
