// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretNames

@Suite("What an agent and the process that holds connections say to each other")
struct RelayMessageTests {
    private func messages() throws -> [RelayMessage] {
        let name = try #require(DomainName(ascii: "a.example.test"))
        let said = HeldConnection(
            number: 16,
            attempt: ConnectionAttempt(
                source: SocketAddress(ipv4: 0xc000_020a, port: 40_000),
                destination: SocketAddress(ipv4: 0xcb00_710a, port: 443),
                speech: .name(SpokenName("A.example.test", .tls, hasEncryptedName: true)), rules: [0, 3]),
            link: "veth1#4", moment: -5, until: 9, wayMark: 0x40_0001)
        let unsaid = HeldConnection(
            number: .max,
            attempt: ConnectionAttempt(
                source: SocketAddress(ipv6: 1 << 100 | 2, port: 1),
                destination: SocketAddress(ipv6: 3, port: 2, scope: 7),
                speech: .nothing(.otherProtocol), rules: [], names: [name]),
            link: "")
        var state = HandedState()
        (state.protocols, state.passed) = ([.tls, .http2], 2)
        (state.hasClientEnded, state.isServerTold) = (true, true)
        (state.fromClient, state.fromServer) = ([1, 2, 3], [4])
        let volume = InternetSocket.Volume(bytesReceived: 1, segmentsReceived: 2, bytesSent: 1 << 40, segmentsSent: 4)
        return [
            .greeting(version: RelayMessage.version, next: 18), .held(said), .held(unsaid), .listed, .ended(16, nil),
            .ended(16, volume), .asks(16, .name(SpokenName("b.example.test", .http1))), .asks(18, .nothing(.malformed)),
            .take(said, state), .take(unsaid, HandedState()), .end(16), .endAll,
            .judged(16, moment: 1_700_000_000, until: nil), .judged(16, moment: 0, until: 5),
            .answer(16, isAllowed: true), .answer(18, isAllowed: false),
        ]
    }

    @Test("each message is read as it was written")
    func roundTrip() throws {
        for message in try messages() { #expect(try RelayMessage(message.bytes[...]) == message) }
    }

    @Test("a message that is cut, or has more behind it, is none")
    func truncated() throws {
        for message in try messages() {
            let bytes = message.bytes
            for count in 0..<bytes.count {
                #expect(throws: RelayFormatError.self) { try RelayMessage(bytes[..<count]) }
            }
            #expect(throws: RelayFormatError.self) { try RelayMessage((bytes + [0])[...]) }
        }
    }

    @Test("no bytes make the reader trap")
    func hostile() throws {
        var random = SeededGenerator(seed: 4)
        for message in try messages() {
            for _ in 0..<500 {
                var bytes = message.bytes
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[place] = UInt8.random(in: 0...255, using: &random)
                }
                _ = try? RelayMessage(bytes[...])
            }
        }
    }

    @Test("an agent of another version understands the greeting, and that all is to end is the same in all")
    func otherVersions() throws {
        let later = RelayMessage.greeting(version: 7, next: 16).bytes + [1, 2, 3]
        #expect(try RelayMessage(later[...]) == .greeting(version: 7, next: 16))
        #expect(later.prefix(3) == [1, 7, 0])
        #expect(RelayMessage.endAll.bytes == [18])
    }

    @Test("messages come with their descriptors, and in their order; the end comes behind them")
    func sockets() throws {
        let (read, write) = try Descriptor.pipe()
        let other = try left(with: [read, write])
        var buffer = [UInt8](repeating: 0, count: 16)
        guard case .message(let count, let attached) = try other.receive(into: &buffer) else { throw Unexpected() }
        #expect(buffer.prefix(count) == [1, 2] && attached.count == 2)
        try attached[1].write("through")
        #expect(try read.read(upTo: 10) == Array("through".utf8))
        guard case .message(1, let none) = try other.receive(into: &buffer) else { throw Unexpected() }
        #expect(none.isEmpty)
        #expect(throws: LinuxError(.messageTooLong, operation: "receive a message")) {
            try other.receive(into: &buffer)
        }
        guard case .ended = try other.receive(into: &buffer) else { throw Unexpected() }
    }

    /// A socket to which three messages were sent, the first with descriptors, and whose other end has closed then with one
    /// unread.
    private func left(with attached: [Descriptor]) throws -> MessageSocket {
        let (one, other) = try MessageSocket.pair()
        var buffer = [UInt8](repeating: 0, count: 16)
        guard case .nothing = try other.receive(into: &buffer) else { throw Unexpected() }
        #expect(try one.send([1, 2], with: attached))
        #expect(try one.send([3]))
        #expect(try one.send([UInt8](repeating: 4, count: 17)))
        #expect(try other.send([9]))
        return other
    }

    private struct Unexpected: Error {}
}
