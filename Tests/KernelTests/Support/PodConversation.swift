// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretTesting
import Testing

/// An open connection between two ends of a ``PodBench``, spoken by hand on both.
final class PodConversation {
    let pods: PodBench
    let number: IPProtocol
    let near: (end: PodBench.End, address: IPAddress, port: UInt16)
    let far: (end: PodBench.End, address: IPAddress, port: UInt16)
    private var sent: UInt32 = 100
    private var received: UInt32 = 5000

    /// Prepares a connection; nothing is sent yet.
    init(
        _ pods: PodBench, _ number: IPProtocol, from source: PodBench.End, to target: PodBench.End,
        _ family: AddressFamily, port: UInt16 = 9001
    ) {
        self.pods = pods
        self.number = number
        near = (source, pods.address(of: source, family), pods.bench.newPort())
        far = (target, pods.address(of: target, family), port)
    }

    /// Opens it in full: for TCP the handshake, for UDP a question and its answer.
    func open() throws -> Bool {
        guard number == .tcp else { return try ask() && push() }
        let tag = pods.bench.newTag()
        try send(Segment.syn, sent, 0, tag, forth: true)
        sent += 1 + UInt32(tag.count)
        guard try pods.hasArrived(tag, at: far.end) else { return false }
        let answer = pods.bench.newTag()
        try send(Segment.syn | Segment.acknowledgement, received, sent, answer, forth: false)
        received += 1 + UInt32(answer.count)
        guard try pods.hasArrived(answer, at: near.end) else { return false }
        try send(Segment.acknowledgement, sent, received, [], forth: true)
        return try ask() && push()
    }

    /// Sends data from the end that began, and says whether it arrived.
    func ask() throws -> Bool { try say(forth: true) }

    /// Sends data from the other end, and says whether it arrived.
    func push() throws -> Bool { try say(forth: false) }

    private func say(forth: Bool) throws -> Bool {
        let tag = pods.bench.newTag()
        if number == .tcp {
            let flags = Segment.acknowledgement | Segment.push
            try send(flags, forth ? sent : received, forth ? received : sent, tag, forth: forth)
            if forth { sent += UInt32(tag.count) } else { received += UInt32(tag.count) }
        } else {
            let (source, target) = forth ? (near, far) : (far, near)
            let packet = PacketBuilder.packet(
                from: source.address, to: target.address, protocol: number, sourcePort: source.port,
                destinationPort: target.port, tag: tag)
            try pods.send(try #require(packet), from: source.end)
        }
        return try pods.hasArrived(tag, at: forth ? far.end : near.end)
    }

    /// Sends an ICMP or ICMPv6 error "port unreachable" about the last packet of the other end's, and says whether it
    /// arrived (RFC 792, RFC 4443 section 3.1).
    func complain(forth: Bool) throws -> Bool {
        let (source, target) = forth ? (near, far) : (far, near)
        let tag = pods.bench.newTag()
        let quoted = PacketBuilder.packet(
            from: target.address, to: source.address, protocol: number, sourcePort: target.port,
            destinationPort: source.port, tag: tag)
        let packet = PodConversation.unreachable(
            from: source.address, to: target.address, about: try #require(quoted))
        try pods.send(packet, from: source.end)
        return try pods.hasArrived(tag, at: target.end)
    }

    private static func unreachable(
        from source: IPAddress, to target: IPAddress, about quoted: [UInt8]
    ) -> [UInt8] {
        let isIPv4 = source.family == .ipv4
        var body: [UInt8] = (isIPv4 ? [3, 3] : [1, 4]) + [0, 0, 0, 0, 0, 0] + quoted
        let pseudo =
            isIPv4
            ? []
            : PacketBuilder.octets(source) + PacketBuilder.octets(target) + [0, 0]
                + PacketBuilder.bigEndian(UInt16(body.count)) + [0, 0, 0, 58]
        body.replaceSubrange(2..<4, with: PacketBuilder.bigEndian(PacketBuilder.checksum(pseudo + body)))
        return PacketBuilder.header(source, target, isIPv4 ? .icmp : .icmpv6, length: body.count) + body
    }

    private func send(
        _ flags: UInt8, _ sequence: UInt32, _ acknowledging: UInt32, _ payload: [UInt8], forth: Bool
    ) throws {
        let (source, target) = forth ? (near, far) : (far, near)
        try pods.send(
            Segment.packet(
                from: (source.address, source.port), to: (target.address, target.port), flags: flags,
                sequence: sequence, acknowledging: acknowledging, payload: payload),
            from: source.end)
    }
}
