// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import Testing

/// Messages as bytes.
struct MessageTests {
    @Test("a message survives being written and read")
    func roundTrip() throws {
        let message = try Samples.everything()
        #expect(try DNSMessage(message.encoded()) == message)
    }

    @Test("names that repeat are written once")
    func compression() throws {
        let name = try #require(DNSName("www.example.test"))
        var message = DNSMessage(id: 1, questions: [DNSQuestion(name, .a)])
        for last in 1...10 {
            message.answers.append(DNSRecord(name, .v4(IPv4Address(192, 0, 2, UInt8(last))), timeToLive: 60))
        }
        // Header, question, and for each record a pointer, ten bytes and an address.
        #expect(try message.encoded().count == 12 + 18 + 4 + 10 * 16)
    }

    @Test("letter case is kept, and counts for nothing in comparisons")
    func letterCase() throws {
        let mixed = try #require(DNSName("wWw.eXample.TEST"))
        let message = DNSMessage(id: 1, questions: [DNSQuestion(mixed, .a)])
        let read = try #require(try DNSMessage(message.encoded()).questions.first)
        #expect(read.name.isIdentical(to: mixed))
        #expect(read.name == DNSName("www.example.test"))
        #expect(read.name.hashValue == DNSName("www.example.test")?.hashValue)
    }

    @Test(
        "mixing letters' case changes nothing else", arguments: ["www.example.test", "a1-_.b", "xn--bcher-kva.example"])
    func mixing(text: String) throws {
        let name = try #require(DNSName(text))
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let mixed = name.mixingCase { generator.next() }
            #expect(mixed == name)
            #expect(mixed.lowercased.isIdentical(to: name))
        }
        #expect(name.mixingCase { .max }.description == text.uppercased())
    }

    @Test("a name's limits are 63 bytes for a label and 255 for the whole")
    func limits() throws {
        let label = String(repeating: "a", count: 63)
        #expect(DNSName(label) != nil)
        #expect(DNSName(label + "a") == nil)
        let longest = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        #expect(DNSName(longest)?.wire.count == 255)
        #expect(DNSName(longest + "a") == nil)
        #expect(DNSName("a..b") == nil)
        #expect(DNSName("") == nil)
        #expect(DNSName(".") == .root)
    }

    @Test("a pointer must lead back, and then farther back")
    func pointers() throws {
        let header: [UInt8] = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        // To itself; forward; to a label before that leads into the pointer again.
        for name: [UInt8] in [[0xc0, 12], [0xc0, 14, 0], [1, 97, 0xc0, 12]] {
            #expect(throws: DNSWireError.badPointer) { try DNSMessage(header + name + [0, 1, 0, 1]) }
        }
        // Into the header, whose id is somebody else's on the other side.
        let intoHeader: [UInt8] = [1, 0x61, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 1, 0, 1]
        #expect(throws: DNSWireError.badPointer) { try DNSMessage(intoHeader) }
        // The two other label types.
        #expect(throws: DNSWireError.badLabel) { try DNSMessage(header + [0x40, 0, 0, 1, 0, 1]) }
        #expect(throws: DNSWireError.badLabel) { try DNSMessage(header + [0x80, 0, 0, 1, 0, 1]) }
    }

    @Test("a name has no more pointers than it could have labels")
    func pointerChains() {
        // A root, then pointers, each to the one before.
        func message(hops: Int) -> [UInt8] {
            var bytes: [UInt8] = [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1]
            // An answer of a type that is not read, with the chain as its data.
            bytes += [0, 0xff, 0, 0, 1, 0, 0, 0, 0] + HelloBuilder.number(2 * (hops - 1), 2)
            var target = 12
            for _ in 1..<hops {
                let place = bytes.count
                bytes += HelloBuilder.number(0xc000 | target, 2)
                target = place
            }
            bytes[7] = 2
            return bytes + HelloBuilder.number(0xc000 | target, 2) + [0, 16, 0, 1, 0, 0, 0, 0, 0, 0]
        }
        #expect(throws: Never.self) { try DNSMessage(message(hops: 127)) }
        #expect(throws: DNSWireError.badPointer) { try DNSMessage(message(hops: 128)) }
    }

    @Test("a name that pointers make too long is refused")
    func longByPointers() throws {
        var bytes: [UInt8] = [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
        for _ in 0..<3 { bytes += [63] + [UInt8](repeating: 97, count: 63) }
        bytes += [0, 0, 1, 0, 1]
        #expect(throws: DNSWireError.nameTooLong) {
            try DNSMessage(bytes + [63] + [UInt8](repeating: 97, count: 63) + [0xc0, 12, 0, 1, 0, 1])
        }
        #expect(throws: Never.self) {
            try DNSMessage(bytes + [61] + [UInt8](repeating: 97, count: 60) + [97, 0xc0, 12, 0, 1, 0, 1])
        }
    }

    @Test("extended errors are found among other options, and what is too short for one is none")
    func extendedErrors() {
        var extended = ExtendedDNS(payloadSize: 1_232, options: [ExtendedDNS.error(6), ExtendedDNS.error(0x1234)])
        extended.options.insert(.init(code: ExtendedDNS.padding, value: [0, 7]), at: 1)
        extended.options.append(.init(code: ExtendedDNS.extendedError, value: [9]))
        extended.options.append(.init(code: ExtendedDNS.extendedError, value: [0, 22] + Array("why".utf8)))
        #expect(extended.errors == [6, 0x1234, 22])
    }

    @Test("what follows a message, a second OPT, and one among the answers are refused")
    func trailing() throws {
        var message = DNSMessage(id: 1, questions: [DNSQuestion(.root, .ns)])
        message.extended = ExtendedDNS(payloadSize: 1_232)
        let bytes = try message.encoded()
        #expect(throws: DNSWireError.badLength) { try DNSMessage(bytes + [0]) }
        var twice = bytes + bytes.suffix(11)
        twice[11] = 2
        #expect(throws: DNSWireError.badLength) { try DNSMessage(twice) }
        var moved = bytes
        (moved[7], moved[11]) = (1, 0)
        #expect(throws: DNSWireError.badLength) { try DNSMessage(moved) }
    }

    @Test("bytes that are not printable are shown, not printed")
    func description() throws {
        let name = try DNSName(labels: [[0, 46, 92, 97, 0x1b], Array("b".utf8)])
        #expect(name.description == "\\000\\046\\092a\\027.b")
    }

    @Test("patches change just what they say")
    func patches() throws {
        let message = try Samples.everything()
        var bytes = try message.encoded()
        let (_, layout) = try DNSMessage.read(bytes)
        DNSPatch.setID(0xbeef, in: &bytes)
        DNSPatch.setQuestionName(try #require(DNSName("WWW.EXAMPLE.TEST")), in: &bytes)
        DNSPatch.limitLifetimes(30, layout, in: &bytes)
        DNSPatch.limitPayloadSize(1_232, layout, in: &bytes)
        var expected = message
        expected.id = 0xbeef
        expected.extended?.payloadSize = 1_232
        for path in [\DNSMessage.answers, \.authorities, \.additional] {
            for index in expected[keyPath: path].indices {
                let lifetime = expected[keyPath: path][index].timeToLive
                // The top bit set means zero.
                expected[keyPath: path][index].timeToLive = lifetime > 0x7fff_ffff ? 0 : min(30, lifetime)
            }
        }
        let patched = try DNSMessage(bytes)
        #expect(patched == expected)
        #expect(patched.questions.first?.name.description == "WWW.EXAMPLE.TEST")
    }

    @Test("ech goes from a binding, unwanted addresses too, and nothing else")
    func bindings() throws {
        let binding = Samples.binding
        #expect(binding.addressHints.map(\.description) == ["203.0.113.10", "10.0.0.1", "2001:db8:113::10"])
        let result = binding.removing(key: ServiceBinding.encryptedClientHello) { $0.description != "10.0.0.1" }
        #expect(result.parameters.map(\.key) == [0, 1, 4, 6])
        #expect(result.parameters.first?.value == [0, 1])
        #expect(result.addressHints.map(\.description) == ["203.0.113.10", "2001:db8:113::10"])
        let none = binding.removing(key: ServiceBinding.encryptedClientHello) { _ in false }
        #expect(none.parameters.map(\.key) == [0, 1])
        // `mandatory` names a hint that has gone, and then nothing else.
        var strict = binding
        strict.parameters[0].value = [0, 4, 0, 6]
        #expect(strict.removing(key: 5) { $0.description != "10.0.0.1" }.parameters.first?.value == [0, 4, 0, 6])
        #expect(strict.removing(key: 5) { $0.description != "2001:db8:113::10" }.parameters.first?.value == [0, 4])
        #expect(strict.removing(key: 5) { _ in false }.parameters.map(\.key) == [1])
    }

    @Test("a stream is cut into messages, however it comes", arguments: [1, 2, 3, 7, 100])
    func framing(step: Int) throws {
        let messages: [[UInt8]] = [[1, 2, 3], [], [UInt8](repeating: 9, count: 300)]
        let stream = messages.flatMap { DNSStreamFramer.framed($0) ?? [] }
        var framer = DNSStreamFramer()
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: stream.count, by: step) {
            framer.append(stream[start..<min(start + step, stream.count)])
            while let message = framer.next() { found.append(message) }
        }
        #expect(found == messages)
        #expect(framer.pendingCount == 0)
        #expect(DNSStreamFramer.framed([UInt8](repeating: 0, count: 65_536)) == nil)
    }
}
