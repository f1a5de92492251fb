// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretTesting
import Testing

/// An open flow between an endpoint and the far side, spoken by hand on both ends.
final class Conversation {
    let bench: KernelBench
    let number: IPProtocol
    let far: (address: IPAddress, port: UInt16)
    let near: (address: IPAddress, port: UInt16)
    /// Where the far side sends to.
    private(set) var mapped: (address: IPAddress, port: UInt16)
    private var sent: UInt32 = 100
    private var received: UInt32 = 5000

    /// Prepares a flow; nothing is sent yet.
    init(_ bench: KernelBench, _ number: IPProtocol, to destination: IPAddress, port: UInt16 = 9001) {
        self.bench = bench
        self.number = number
        far = (destination, port)
        near = (bench.endpoint.address(destination.family), bench.newPort())
        mapped = near
    }

    /// Opens it in full: for TCP the handshake, for UDP a question and its answer.
    func open() throws -> Bool {
        guard number == .tcp else { return try ask() && push() }
        _ = try bench.departures()
        try bench.endpoint.send(Segment.packet(from: near, to: far, flags: Segment.syn, sequence: sent))
        sent += 1
        try bench.settle()
        guard let summary = try bench.departures().compactMap(\.summary).first(where: { $0.destination == far.address })
        else { return false }
        mapped = (summary.source, summary.sourcePort ?? 0)
        try bench.sendFromOutside(
            Segment.packet(
                from: far, to: mapped, flags: Segment.syn | Segment.acknowledgement, sequence: received,
                acknowledging: sent))
        received += 1
        try bench.endpoint.send(
            Segment.packet(from: near, to: far, flags: Segment.acknowledgement, sequence: sent, acknowledging: received)
        )
        return try ask() && push()
    }

    /// Sends data from the endpoint and says whether it left.
    func ask() throws -> Bool {
        let tag = bench.newTag()
        _ = try bench.departures()
        if number == .tcp {
            try bench.endpoint.send(
                Segment.packet(
                    from: near, to: far, flags: Segment.acknowledgement | Segment.push, sequence: sent,
                    acknowledging: received, payload: tag))
            sent += 8
        } else {
            let packet = PacketBuilder.packet(
                from: near.address, to: far.address, protocol: number, sourcePort: near.port,
                destinationPort: far.port, tag: tag)
            try bench.endpoint.send(try #require(packet))
        }
        try bench.settle()
        guard let frame = try bench.departures().first(where: { $0.holds(tag) }) else { return false }
        if let summary = frame.summary { mapped = (summary.source, summary.sourcePort ?? 0) }
        return true
    }

    /// Sends data from the far side and says whether it reached the endpoint.
    func push() throws -> Bool {
        let tag = bench.newTag()
        _ = try bench.endpoint.socket.drain()
        if number == .tcp {
            try bench.sendFromOutside(
                Segment.packet(
                    from: far, to: mapped, flags: Segment.acknowledgement | Segment.push, sequence: received,
                    acknowledging: sent, payload: tag))
            received += 8
        } else {
            let packet = PacketBuilder.packet(
                from: far.address, to: mapped.address, protocol: number, sourcePort: far.port,
                destinationPort: mapped.port, tag: tag)
            try bench.sendFromOutside(try #require(packet))
        }
        try bench.settle()
        return try bench.endpoint.socket.drain().contains { $0.holds(tag) }
    }
}
