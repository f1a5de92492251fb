// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import EgretTesting
import Testing

@testable import EgretNames

@Suite("The name in QUIC's first packets")
struct InitialReaderTests {
    private let client = QUICInitial()
    private let hello = QUICInitial.hello("www.example.test")

    private func read(_ datagrams: [[UInt8]]) -> InitialHello.Step {
        var reader = InitialReader()
        for datagram in datagrams {
            let step = reader.read(datagram)
            if step != .needsMore { return step }
        }
        return .needsMore
    }

    private func frame(_ range: Range<Int>) -> [UInt8] { QUICInitial.crypto(hello[range], at: range.lowerBound) }

    @Test("keys are derived as in RFC 9001, section A.1, and RFC 9369, section A.1")
    func keys() {
        let first = InitialKeys(.version1, destination: InitialVectors.destination)
        #expect(
            first.secret
                == InitialVectors.bytes("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea"))
        #expect(first.key == InitialVectors.bytes("1f369613dd76d5467730efcbe3b1a22d"))
        #expect(first.vector == InitialVectors.bytes("fa044b2f42a3fd3b46fb255c"))
        #expect(first.headerKey == InitialVectors.bytes("9f50449e04a0e810283a1e9933adedd2"))
        let second = InitialKeys(.version2, destination: InitialVectors.destination)
        #expect(
            second.secret
                == InitialVectors.bytes("14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b"))
        #expect(second.key == InitialVectors.bytes("8b1a0bc121284290a29e0971b5cd045d"))
        #expect(second.vector == InitialVectors.bytes("91f73e2351d8fa91660e909f"))
        #expect(second.headerKey == InitialVectors.bytes("45b95e15235d6f45a6b19cbcb0294ba9"))
    }

    @Test("the clients' datagrams of the RFCs say example.com, and have the number 2")
    func vectors() throws {
        for (datagram, version) in [
            (InitialVectors.version1, QUICVersion.version1), (InitialVectors.version2, QUICVersion.version2),
        ] {
            #expect(datagram.count == 1_200)
            #expect(read([datagram]) == .name(SpokenName("example.com", .tls)))
            guard case .initials(let packets) = InitialDatagram.read(datagram) else {
                Issue.record("not an Initial packet")
                continue
            }
            #expect(packets.count == 1 && packets[0].version == version)
            #expect(packets[0].destination == InitialVectors.destination)
            let opened = InitialKeys(version, destination: InitialVectors.destination).open(packets[0], after: nil)
            #expect(opened?.number == 2)
        }
    }

    @Test("packets of both versions are read, padded or not, and a hello without a name has none")
    func versions() throws {
        for isVersion2 in [false, true] {
            let client = QUICInitial(isVersion2: isVersion2, destination: [1, 2, 3, 4, 5, 6, 7, 8, 9])
            #expect(
                try read([client.datagram(saying: "www.example.test")]) == .name(SpokenName("www.example.test", .tls)))
            #expect(try read([client.datagram(saying: nil)]) == .none(.nameless))
            #expect(try read([client.datagram(saying: "192.0.2.1")]) == .none(.address))
            let short = try client.packet(3, QUICInitial.crypto(hello[...], at: 0))
            #expect(read([short]) == .name(SpokenName("www.example.test", .tls)))
        }
    }

    @Test("pieces come in any order, in several frames, packets and datagrams, and more than once")
    func pieces() throws {
        let end = hello.count
        let name = InitialHello.Step.name(SpokenName("www.example.test", .tls))
        // Several frames of a packet, the last first, and padding and PING between them.
        let shuffled: [UInt8] = frame(40..<end) + [0, 0, 1, 0] + frame(0..<10) + frame(10..<40)
        #expect(try read([client.packet(0, shuffled)]) == name)
        // Packets in one datagram.
        let coalesced = try client.packet(1, frame(20..<end)) + client.packet(0, frame(0..<20))
        #expect(read([coalesced]) == name)
        // Datagrams, one of them twice, and pieces that overlap.
        let datagrams = try [
            client.packet(1, frame(30..<60)), client.packet(1, frame(30..<60)), client.packet(2, frame(50..<end)),
            client.packet(0, frame(0..<35)),
        ]
        #expect(read(datagrams) == name)
        #expect(read(Array(datagrams.dropLast())) == .needsMore)
        // An ACK, with and without counts.
        let acknowledged: [UInt8] = [2, 5, 0, 1, 0, 0, 1, 3, 5, 0, 0, 0, 1, 1, 1] + frame(0..<end)
        #expect(try read([client.packet(0, acknowledged)]) == name)
    }

    @Test("what is no QUIC of a version that is known is told at once")
    func others() throws {
        let datagrams: [[UInt8]] = [[], [0], [0x40, 1, 2, 3], Array("HELO".utf8)]
        for datagram in datagrams + [[UInt8](repeating: 0, count: 1_200)] {
            #expect(read([datagram]) == .none(.otherProtocol))
        }
        // Version negotiation, a version of tomorrow, and a draft.
        for version: [UInt8] in [[0, 0, 0, 0], [0x1a, 0x2a, 0x3a, 0x4a], [0xff, 0, 0, 29]] {
            var datagram = try client.datagram(saying: "www.example.test")
            datagram.replaceSubrange(1..<5, with: version)
            #expect(read([datagram]) == .none(.otherProtocol))
        }
    }

    @Test("lengths that lie, and packets of other keys, are malformed")
    func lies() throws {
        let sound = try client.datagram(saying: "www.example.test")
        // Each part cut off: nothing is read beyond what is there.
        for count in 1..<60 {
            let step = read([Array(sound.prefix(count))])
            #expect(step == .none(.malformed), "\(count) \(step)")
        }
        var long = sound
        // The length of the destination ID, of the token, and of the packet.
        long[5] = 21
        #expect(read([long]) == .none(.malformed))
        for place in [15, 16] {
            var wrong = sound
            wrong[place] = 0xff
            #expect(read([wrong]) == .none(.malformed), "\(place)")
        }
        for place in [10, 25, 600, 1_199] {
            var wrong = sound
            wrong[place] ^= 1
            #expect(read([wrong]) == .none(.malformed), "\(place)")
        }
        // Another connection's packet, in a datagram of its own or behind the first.
        let other = try QUICInitial(destination: [9, 9, 9, 9, 9, 9, 9, 9]).packet(0, frame(0..<20))
        let beginning = try client.packet(0, frame(0..<20))
        #expect(read([beginning, other]) == .none(.malformed))
        #expect(read([beginning + other]) == .none(.malformed))
    }

    @Test("frames that contradict each other, or are none of an Initial packet's, are refused")
    func hostileFrames() throws {
        func read(_ frames: [UInt8]) throws -> InitialHello.Step { try self.read([client.packet(0, frames)]) }
        var altered = hello
        altered[50] ^= 1
        let contradiction = frame(40..<60) + QUICInitial.crypto(altered[50...], at: 50)
        #expect(try read(contradiction) == .none(.malformed))
        // Nothing but padding says nothing, and an empty piece neither.
        #expect(try read([0, 0, 0, 0]) == .needsMore)
        #expect(try read(QUICInitial.crypto([], at: 0)) == .needsMore)
        // STREAM, HANDSHAKE_DONE and types that nobody knows; a connection that is closed.
        let foreign: [[UInt8]] = [[8, 0, 0, 0], [0x1e, 0, 0, 0], [0x40, 0xff, 0, 0]]
        // A piece, and an acknowledgement, that end before they are whole.
        for frames in foreign + [[6, 0, 9, 1], [2, 0, 0, 63, 0]] {
            #expect(try read(frames) == .none(.malformed), "\(frames)")
        }
        #expect(try read([0x1c, 0, 0, 0]) == .none(.silent))
        // Beyond what is read, and behind the message's end.
        #expect(try read(QUICInitial.crypto([1], at: InitialHello.longestMessage)) == .none(.tooLong))
        #expect(try read(frame(0..<hello.count) + QUICInitial.crypto([1], at: hello.count)) == .none(.malformed))
        #expect(try read(QUICInitial.crypto([2, 0, 0, 1], at: 0)) == .none(.malformed))
        #expect(try read(QUICInitial.crypto([1, 0xff, 0xff, 0xff], at: 0)) == .none(.tooLong))
    }

    @Test("fragments without end are given up, and what comes then is not read")
    func endless() throws {
        var reader = InitialReader()
        var step = InitialHello.Step.needsMore
        var count = 0
        while step == .needsMore, count < 1_000 {
            let place = 4 + count % 70
            step = reader.read(try client.packet(UInt8(truncatingIfNeeded: count), frame(place..<place + 1)))
            count += 1
        }
        #expect(step == .none(.tooLong) && count == InitialReader.mostPackets + 1)
        var hello = InitialHello()
        let pings = [UInt8](repeating: 1, count: 5_000)
        #expect(hello.append(pings[...]) == .none(.tooLong))
        #expect(hello.append(frame(0..<self.hello.count)[...]) == .none(.tooLong))
    }

    @Test("a number is the closest to the one before that ends so (RFC 9000, section A.3)")
    func numbers() {
        #expect(InitialKeys.number(0x9b32, byteCount: 2, after: 0xa82f_30ea) == 0xa82f_9b32)
        #expect(InitialKeys.number(3, byteCount: 1, after: nil) == 3)
        #expect(InitialKeys.number(0, byteCount: 1, after: 255) == 256)
        #expect(InitialKeys.number(255, byteCount: 1, after: 256) == 255)
    }

    @Test("what is changed anywhere neither traps nor says another name")
    func mutations() {
        var generator = SystemRandomNumberGenerator()
        let seeds = [InitialVectors.version1, InitialVectors.version2]
        for _ in 0..<2_000 {
            guard var bytes = seeds.randomElement(using: &generator) else { return }
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                guard let place = bytes.indices.prefix(40).randomElement(using: &generator) else { break }
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: place)
                }
            }
            if case .name(let spoken) = read([bytes]) { #expect(spoken.name == "example.com") }
        }
    }
}
