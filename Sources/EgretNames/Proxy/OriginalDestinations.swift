// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire

/// Finds out where redirected datagrams were going: connection tracking has both addresses.
final class OriginalDestinations {
    private struct Key: Hashable {
        var peer: SocketAddress
        var own: SocketAddress
    }

    /// How long an answer is believed, in milliseconds: less than any entry lives in the kernel, so that the same two ends
    /// cannot have become another connection meanwhile.
    private static let memory: UInt64 = 1_000

    private let socket: NetlinkSocket
    private var sequence: UInt32 = 0
    private var known: [Key: (SocketAddress?, UInt64)] = [:]

    init() throws(LinuxError) {
        socket = try NetlinkSocket(.netfilter)
        try socket.setCappedAcknowledgements(true)
        try socket.setReceiveTimeout(.seconds(1))
    }

    /// Where a datagram was going that came to `own` from `peer`; `nil` if it was not redirected.
    func destination(of peer: SocketAddress, at own: SocketAddress, now: UInt64) -> SocketAddress? {
        let key = Key(peer: peer, own: own)
        if let (found, until) = known[key], until > now { return found }
        let found = try? ask(peer, own)
        if known.count >= 4_096 { known.removeAll(keepingCapacity: true) }
        known[key] = (found, now + OriginalDestinations.memory)
        return found
    }

    private func ask(_ peer: SocketAddress, _ own: SocketAddress) throws -> SocketAddress? {
        let reply = ConnectionTuple(
            source: own.address, destination: peer.address, transport: .udp, sourcePort: own.port,
            destinationPort: peer.port)
        sequence &+= 1
        try socket.send(try ConntrackWire.getRequest(reply, isReply: true, sequence: sequence))
        while true {
            for message in try NetlinkMessage.parse(try socket.receive()) where message.sequence == sequence {
                if message.type == NetlinkControl.error { return nil }
                let record = try ConntrackWire.decode(message)
                guard let port = record.original.destinationPort else { return nil }
                return SocketAddress(record.original.destination, port: port)
            }
        }
    }
}
