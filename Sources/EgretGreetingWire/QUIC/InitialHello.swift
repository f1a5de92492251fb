// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Puts the ClientHello of a QUIC connection together from the frames of its Initial packets (RFC 9000, sections 12.4 and
/// 19.6).
///
/// Pieces may come in any order and over any number of packets, and the same ones again. What overlaps must be the same: what
/// a server would make of anything else is not known here. It never traps, and holds no more than
/// ``longestMessage`` bytes twice.
public struct InitialHello: Sendable {
    /// The longest message that is read, with its type and length.
    public static let longestMessage = 65_540
    /// Frames that are read of a connection: padding is not counted.
    private static let mostFrames = 4_096

    /// What is known now.
    public enum Step: Hashable, Sendable {
        /// Something of the message is still to come.
        case needsMore
        /// The message is whole and says a name.
        case name(SpokenName)
        /// There is no name, and there will be none.
        case none(Greeting.Absence)
    }

    private var bytes: [UInt8] = []
    /// Which of `bytes` have come.
    private var isKnown: [Bool] = []
    /// How many have come from the first on without a gap.
    private var contiguous = 0
    private var frameCount = 0
    private var absence: Greeting.Absence?

    /// Starts with nothing.
    public init() {}

    /// Takes what an Initial packet says.
    ///
    /// - Parameter frames: The packet's payload without its protection.
    /// - Returns: What is known then.
    public mutating func append(_ frames: ArraySlice<UInt8>) -> Step {
        if let absence { return .none(absence) }
        do throws(GreetingFailure) {
            var reader = GreetingReader(frames)
            // A packet without frames is against the rules, and would be one to go on without end.
            guard reader.count > 0 else { throw GreetingFailure(.malformed) }
            while reader.count > 0 { try readFrame(&reader) }
            return try hello()
        } catch {
            absence = error.absence
            return .none(error.absence)
        }
    }

    private mutating func readFrame(_ reader: inout GreetingReader) throws(GreetingFailure) {
        let type = try reader.readVariable()
        // PADDING.
        if type == 0 { return }
        frameCount += 1
        guard frameCount <= InitialHello.mostFrames else { throw GreetingFailure(.tooLong) }
        switch type {
        // PING.
        case 1: break
        // ACK, without and with counts of ECN.
        case 2, 3: try skipAcknowledgement(&reader, hasCounts: type == 3)
        // CRYPTO.
        case 6:
            let offset = try reader.readVariable()
            let length = try reader.readVariable()
            try put(try reader.readBytes(length), at: offset)
        // CONNECTION_CLOSE of the transport: no hello follows.
        case 0x1c: throw GreetingFailure(.silent)
        // No other frame may be in an Initial packet.
        default: throw GreetingFailure(.malformed)
        }
    }

    private func skipAcknowledgement(_ reader: inout GreetingReader, hasCounts: Bool) throws(GreetingFailure) {
        _ = try reader.readVariable()
        _ = try reader.readVariable()
        let ranges = try reader.readVariable()
        _ = try reader.readVariable()
        // Each takes two bytes at least.
        guard ranges <= reader.count / 2 else { throw GreetingFailure(.malformed) }
        for _ in 0..<(2 * ranges) { _ = try reader.readVariable() }
        for _ in 0..<(hasCounts ? 3 : 0) { _ = try reader.readVariable() }
    }

    private mutating func put(_ data: ArraySlice<UInt8>, at offset: Int) throws(GreetingFailure) {
        guard offset <= InitialHello.longestMessage, data.count <= InitialHello.longestMessage - offset else {
            throw GreetingFailure(.tooLong)
        }
        let missing = offset + data.count - bytes.count
        if missing > 0 {
            bytes += [UInt8](repeating: 0, count: missing)
            isKnown += [Bool](repeating: false, count: missing)
        }
        for (place, byte) in zip(offset..., data) {
            if isKnown[place] {
                guard bytes[place] == byte else { throw GreetingFailure(.malformed) }
            } else {
                bytes[place] = byte
                isKnown[place] = true
            }
        }
        while contiguous < bytes.count, isKnown[contiguous] { contiguous += 1 }
    }

    private func hello() throws(GreetingFailure) -> Step {
        guard contiguous > 0 else { return .needsMore }
        // ClientHello.
        guard bytes[0] == 1 else { throw GreetingFailure(.malformed) }
        guard contiguous >= 4 else { return .needsMore }
        let end = 4 + (Int(bytes[1]) << 16 | Int(bytes[2]) << 8 | Int(bytes[3]))
        guard end <= InitialHello.longestMessage else { throw GreetingFailure(.tooLong) }
        // Before the server has answered there is nothing that a client could say behind its hello.
        guard bytes.count <= end else { throw GreetingFailure(.malformed) }
        guard contiguous == end else { return .needsMore }
        return .name(try ClientHello.read(bytes[4..<end]))
    }
}
