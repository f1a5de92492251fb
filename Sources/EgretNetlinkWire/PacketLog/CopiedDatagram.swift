// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A datagram of UDP, as it is in the copy of its packet (RFC 768).
///
/// ```
///   network header | source port 2 | destination port 2 | length 2 | checksum 2 | payload
/// ```
///
/// A packet that the sender's kernel has not cut into datagrams yet (segmentation offload) is one datagram here: the
/// payloads of all of them, one behind the other, as its lengths say.
public struct CopiedDatagram: Hashable, Sendable {
    /// Where it comes from.
    public var source: IPAddress
    /// The source port.
    public var sourcePort: UInt16
    /// Where it goes.
    public var destination: IPAddress
    /// The destination port.
    public var destinationPort: UInt16
    /// What it says, or its first bytes if the copy is cut.
    public var payload: [UInt8]

    /// Reads a packet from its network header on. Never traps, whatever the bytes.
    ///
    /// It is `nil` if that is no packet of UDP, a fragment other than the first, or ends before UDP's header does.
    ///
    /// - Parameter packet: The packet, or its first bytes.
    public init?(packet: [UInt8]) {
        guard let summary = PacketSummary.parse(packet), summary.transport == .udp,
            let sourcePort = summary.sourcePort, let destinationPort = summary.destinationPort,
            let offset = summary.transportOffset, offset + 8 <= packet.count
        else { return nil }
        let length = Int(packet[offset + 4]) << 8 | Int(packet[offset + 5])
        guard length >= 8 else { return nil }
        source = summary.source
        self.sourcePort = sourcePort
        destination = summary.destination
        self.destinationPort = destinationPort
        payload = Array(packet[(offset + 8)..<min(offset + length, packet.count)])
    }
}
