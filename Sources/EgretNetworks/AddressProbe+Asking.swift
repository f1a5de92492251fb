// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux

extension AddressProbe {
    /// How long somebody has to answer. RFC 5227 and RFC 4862 give seconds, for networks of any size and for the time
    /// after a cable was plugged in; this one is a bridge inside the machine, whose ports are up.
    public static let patience: Duration = .milliseconds(200)

    /// Each question is asked so often, for one may be lost.
    private static let repetitions = 3

    /// Asks, and waits for ``patience``.
    ///
    /// Needs `CAP_NET_RAW`, and a link that is up.
    ///
    /// - Parameter interface: The index of the interface whose hardware address the asker has.
    /// - Returns: The addresses that somebody has, and who.
    /// - Throws: `LinuxError` if frames can neither be sent nor received.
    public func owners(on interface: UInt32) throws(LinuxError) -> [IPAddress: MACAddress] {
        let questions = questions
        var sockets: [UInt16: PacketSocket] = [:]
        for type in Set(questions.map(\.etherType)) {
            sockets[type] = try PacketSocket(interfaceIndex: Int32(truncatingIfNeeded: interface), etherType: type)
        }
        var found: [IPAddress: MACAddress] = [:]
        let start = MonotonicInstant.now
        for turn in 1...AddressProbe.repetitions {
            for question in questions { try sockets[question.etherType]?.send(question.frame) }
            let end = AddressProbe.patience * turn / AddressProbe.repetitions
            while let frame = try AddressProbe.next(of: Array(sockets.values), until: end, since: start) {
                if let owner = owner(in: frame) { found[owner.address] = owner.hardware }
            }
        }
        return found
    }

    /// The next frame; `nil` when the time is over, however many there are.
    private static func next(
        of sockets: [PacketSocket],
        until end: Duration,
        since start: MonotonicInstant
    ) throws(LinuxError) -> [UInt8]? {
        while true {
            let left = end - start.duration(to: .now)
            guard left > .zero else { return nil }
            var poll = Poll()
            for socket in sockets { poll.add(socket.descriptor) }
            let ready = try poll.wait(timeout: left)
            for socket in sockets where !ready[socket.descriptor].isEmpty {
                if let frame = try socket.receive(timeout: .zero) { return frame }
            }
        }
    }
}
