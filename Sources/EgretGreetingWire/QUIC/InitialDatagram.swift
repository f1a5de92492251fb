// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An Initial packet as it came, protection and all (RFC 9000, section 17.2.2; RFC 9001, section 5).
public struct ProtectedInitial: Hashable, Sendable {
    /// Its version.
    public var version: QUICVersion
    /// The client's choice of a connection ID for the server, from which the keys of Initial packets come: 0 to 20 bytes.
    public var destination: [UInt8]
    /// The packet from its first byte to its last.
    public var bytes: [UInt8]
    /// Where the packet number is, whose length is protected: there are at least 20 bytes from there on.
    public var numberOffset: Int

    /// How many bytes, from the fourth behind ``numberOffset`` on, are the sample for the protection of the header.
    public static let sampleSize = 16
}

/// The Initial packets of a datagram.
///
/// ```
///   long header:  1 1 T T x x x x | version 4 | length 1, destination ID | length 1, source ID
///   Initial:      … | token: length as a varint, bytes | length as a varint | number 1 to 4 | payload
///   0-RTT, Handshake:                                  … | length as a varint | number 1 to 4 | payload
/// ```
///
/// Packets of one connection may stand behind each other; what comes behind them is not read.
public enum InitialDatagram: Hashable, Sendable {
    /// The Initial packets, in their order: none if there are only others of a version that is known.
    case initials([ProtectedInitial])
    /// It is of no version that is known, or not well formed.
    case unreadable(Greeting.Absence)

    /// How many packets of a datagram are looked at.
    static let mostPackets = 16

    /// Reads a datagram.
    ///
    /// - Parameter bytes: The payload of UDP.
    /// - Returns: What is in it. It never traps.
    public static func read(_ bytes: [UInt8]) -> InitialDatagram {
        do throws(GreetingFailure) {
            return .initials(try packets(bytes))
        } catch {
            return .unreadable(error.absence)
        }
    }

    private static func packets(_ bytes: [UInt8]) throws(GreetingFailure) -> [ProtectedInitial] {
        var found: [ProtectedInitial] = []
        var rest = bytes[...]
        var connection: [UInt8]?
        for _ in 0..<mostPackets {
            // A short header, or what fills the datagram up: it ends what can be told apart.
            guard let first = rest.first, first & 0x80 != 0 else { break }
            guard let packet = try LongPacket(rest) else { break }
            // A server reads only what is of the first packet's connection (RFC 9000, section 12.2).
            guard connection == nil || connection == packet.destination else { throw GreetingFailure(.malformed) }
            connection = packet.destination
            if packet.kind == .initial {
                found.append(
                    ProtectedInitial(
                        version: packet.version, destination: packet.destination,
                        bytes: Array(rest.prefix(packet.count)), numberOffset: packet.numberOffset))
            }
            rest = rest.dropFirst(packet.count)
        }
        // Nothing of QUIC that could begin a connection.
        guard connection != nil else { throw GreetingFailure(.otherProtocol) }
        return found
    }
}

/// Where the parts of a packet with a long header are.
private struct LongPacket {
    let version: QUICVersion
    let kind: LongPacketKind
    let destination: [UInt8]
    /// From the packet's beginning.
    let numberOffset: Int
    /// The whole packet's bytes.
    let count: Int

    /// - Returns: `nil` for a packet of a version that is not known, or whose end cannot be told.
    init?(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) {
        var reader = GreetingReader(bytes)
        let first = try reader.readUInt8()
        guard let version = QUICVersion(rawValue: try reader.readUInt32()) else { return nil }
        self.version = version
        kind = version.kind(first)
        // Only servers send those, and they have no length.
        if kind == .retry { return nil }
        destination = Array(try reader.readConnectionID())
        _ = try reader.readConnectionID()
        if kind == .initial { _ = try reader.readBytes(try reader.readVariable()) }
        let length = try reader.readVariable()
        numberOffset = bytes.count - reader.count
        // A number of up to four bytes, and the sample behind it (RFC 9001, section 5.4.2).
        guard length >= 4 + ProtectedInitial.sampleSize, length <= reader.count else {
            throw GreetingFailure(.malformed)
        }
        count = numberOffset + length
    }
}

extension GreetingReader {
    /// Reads a number of four bytes, most significant first.
    mutating func readUInt32() throws(GreetingFailure) -> UInt32 {
        UInt32(truncatingIfNeeded: try readUInt16()) << 16 | UInt32(truncatingIfNeeded: try readUInt16())
    }

    /// Reads an integer of variable length, of at most eight bytes (RFC 9000, section 16).
    mutating func readVariable() throws(GreetingFailure) -> Int {
        let first = try readUInt8()
        var value = Int(first & 0x3f)
        for _ in 1..<(1 << Int(first >> 6)) { value = value << 8 | Int(try readUInt8()) }
        return value
    }

    /// Reads a connection ID behind its length: 20 bytes at most in the versions that are known.
    mutating func readConnectionID() throws(GreetingFailure) -> ArraySlice<UInt8> {
        let bytes = try readVector8()
        guard bytes.count <= 20 else { throw GreetingFailure(.malformed) }
        return bytes
    }
}
