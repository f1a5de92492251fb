// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretLinux
import EgretNetlinkWire
import Synchronization

/// Flows of datagrams that the check of their names has let through.
extension NameSets {
    /// Puts a flow into sets, and has the kernel forget what it knows of the packets that were led away: the next packet of
    /// the flow is a new connection's first, which every rule and translation decides about.
    ///
    /// - Parameters:
    ///   - source: The client's address and port.
    ///   - destination: The server's.
    ///   - sets: The names of the sets, whose keys are both, one behind the other, and for how many milliseconds.
    /// - Throws: As ``commit(_:_:)`` does: the flow is then in none of the sets, or its packets are still led away.
    public func pass(
        from source: SocketAddress, to destination: SocketAddress, in sets: [String: UInt64]
    ) throws {
        let coming = sets.mapValues { milliseconds in
            [
                ElementBatch.Element(
                    own: source.address, address: destination.address,
                    ports: (own: source.port, far: destination.port), milliseconds: milliseconds)
            ]
        }
        try send(coming: coming, going: [:])
        try forget(
            ConnectionTuple(
                source: source.address, destination: destination.address, transport: .udp, sourcePort: source.port,
                destinationPort: destination.port))
    }

    /// Deletes an entry of connection tracking, if it is there.
    private func forget(_ connection: ConnectionTuple) throws {
        try questions.state.withLock { state in
            let sequence = state.sequence
            state.sequence &+= 1
            try state.socket.send(try ConntrackWire.deleteRequest(original: connection, sequence: sequence))
            while true {
                for message in try NetlinkMessage.parse(try state.socket.receive())
                where message.sequence == sequence && message.type == NetlinkControl.error {
                    let answer = try NetlinkAcknowledgement(message)
                    if answer.isSuccess || answer.errorNumber == Errno.noEntry.rawValue { return }
                    throw LinuxError(Errno(rawValue: answer.errorNumber), operation: "forget a flow that was led away")
                }
            }
        }
    }
}
