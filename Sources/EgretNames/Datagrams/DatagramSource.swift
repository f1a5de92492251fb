// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// What brings flows' datagrams to whoever judges them.
protocol DatagramSource: AnyObject {
    /// What becomes readable when something has come.
    var descriptors: [Descriptor] { get }

    /// Hands over what has come, but not without end: what is left makes the descriptor readable still.
    ///
    /// - Parameters:
    ///   - place: At which of the descriptors.
    ///   - body: Takes a datagram.
    func receive(at place: Int, _ body: (_ bytes: [UInt8], _ flow: DatagramLoop.Flow) -> Void)
}

/// Datagrams that the kernel leads to sockets of this process (`tproxy`).
final class LedDatagrams: DatagramSource {
    /// The longest datagram there is.
    private static let longestDatagram = 65_536

    private let sockets: [InternetSocket]
    private let ownPort: UInt16
    private let receiver = DatagramReceiver(limit: 16, slot: LedDatagrams.longestDatagram)

    init(_ sockets: [InternetSocket], port: UInt16) {
        self.sockets = sockets
        ownPort = port
    }

    var descriptors: [Descriptor] { sockets.map(\.descriptor) }

    func receive(at place: Int, _ body: (_ bytes: [UInt8], _ flow: DatagramLoop.Flow) -> Void) {
        for _ in 0..<8 {
            guard let found = try? receiver.receive(from: sockets[place]) else { return }
            // What was sent to the proxy itself goes nowhere.
            for datagram in found.datagrams where datagram.own.port != ownPort {
                body(datagram.bytes, DatagramLoop.Flow(source: datagram.peer, destination: datagram.own))
            }
            if !found.mayBeMore { return }
        }
    }
}

/// Copies of datagrams that the kernel drops, by a group of nfnetlink_log.
///
/// No socket has them, and nothing was translated: connection tracking forgets what has been dropped, so that a
/// repetition is a flow's first packet again.
final class CopiedDatagrams: DatagramSource {
    /// 4 MiB: about a thousand copies of usual length. What does not fit is lost, and its client sends it again.
    private static let bufferBytes = 4 << 20
    /// How many are taken at a time, as each may take 64 KiB.
    private static let most = 64

    private let copies: NetlinkConnection

    /// Takes the group, in the thread's network namespace.
    ///
    /// - Throws: `NetlinkError` if the kernel refuses: `EBUSY` if somebody else has it.
    init(group: UInt16) throws(NetlinkError) {
        copies = try NetlinkConnection.packetLog(
            group: group, copyRange: UInt32(UInt16.max), receiveBuffer: CopiedDatagrams.bufferBytes)
    }

    var descriptors: [Descriptor] { [copies.descriptor] }

    func receive(at place: Int, _ body: (_ bytes: [UInt8], _ flow: DatagramLoop.Flow) -> Void) {
        // That some were lost is no error: see above.
        guard let found = try? copies.pendingEvents(upTo: CopiedDatagrams.most) else { return }
        for message in found.messages {
            guard let packet = try? PacketLogWire.decode(message),
                let datagram = CopiedDatagram(packet: packet.payload)
            else { continue }
            body(
                datagram.payload,
                DatagramLoop.Flow(
                    source: SocketAddress(datagram.source, port: datagram.sourcePort),
                    destination: SocketAddress(datagram.destination, port: datagram.destinationPort)))
        }
    }
}
