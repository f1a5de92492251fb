// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretGreetingWire

/// Reads the name that a client says in the first datagrams of a QUIC connection: a state machine without I/O.
///
/// As long as no server has answered, all Initial packets of a connection have the connection ID that the keys come of
/// (RFC 9000, section 7.2). Packets with another one, or with none of these keys, end the reading.
public struct InitialReader: Sendable {
    /// Packets that are opened for one name.
    static let mostPackets = 256

    private struct Connection: Sendable {
        var version: QUICVersion
        var destination: [UInt8]
        var keys: InitialKeys
        var largest: UInt64?
    }

    private var connection: Connection?
    private var hello = InitialHello()
    private var packetCount = 0

    /// Starts with nothing.
    public init() {}

    /// Takes a datagram.
    ///
    /// - Parameter datagram: The payload of UDP.
    /// - Returns: What is known then. After a name or its absence no other datagram is to be taken.
    public mutating func read(_ datagram: [UInt8]) -> InitialHello.Step {
        switch InitialDatagram.read(datagram) {
        case .unreadable(let absence): return .none(absence)
        case .initials(let packets):
            for packet in packets {
                let step = take(packet)
                if step != .needsMore { return step }
            }
            return .needsMore
        }
    }

    private mutating func take(_ packet: ProtectedInitial) -> InitialHello.Step {
        packetCount += 1
        guard packetCount <= InitialReader.mostPackets else { return .none(.tooLong) }
        var known =
            connection
            ?? Connection(
                version: packet.version, destination: packet.destination,
                keys: InitialKeys(packet.version, destination: packet.destination))
        guard known.version == packet.version, known.destination == packet.destination,
            let (number, frames) = known.keys.open(packet, after: known.largest)
        else { return .none(.malformed) }
        known.largest = max(number, known.largest ?? 0)
        connection = known
        return hello.append(frames[...])
    }
}
