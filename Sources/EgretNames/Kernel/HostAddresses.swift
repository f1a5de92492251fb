// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire

/// Which addresses are this host's own, as its routes see it.
///
/// What a proxy sends there would not pass the rules for what comes to the host.
final class HostAddresses {
    /// How long an answer is believed, in milliseconds.
    private static let memory: UInt64 = 1_000

    private let socket: NetlinkSocket
    private var sequence: UInt32 = 0
    private var known: [IPAddress: (isOwn: Bool, until: UInt64)] = [:]

    /// Opens a socket to the kernel, in the thread's network namespace.
    init() throws(LinuxError) {
        socket = try NetlinkSocket(.route)
        try socket.setCappedAcknowledgements(true)
        try socket.setReceiveTimeout(.seconds(1))
    }

    /// Whether packets to an address stay on this host; also if the kernel does not tell.
    func contains(_ address: IPAddress, now: UInt64) -> Bool {
        if let (isOwn, until) = known[address], until > now { return isOwn }
        let isOwn = (try? ask(address)) ?? true
        if known.count >= 4_096 { known.removeAll(keepingCapacity: true) }
        known[address] = (isOwn, now + HostAddresses.memory)
        return isOwn
    }

    private func ask(_ address: IPAddress) throws -> Bool {
        sequence &+= 1
        try socket.send(try RouteWire.routeRequest(to: address, sequence: sequence))
        var isOwn = false
        while true {
            for message in try NetlinkMessage.parse(try socket.receive()) where message.sequence == sequence {
                // Without a route it is somewhere else.
                if message.type == NetlinkControl.error { return isOwn }
                isOwn = try RouteWire.decodeRoute(message)?.kind == .local
            }
        }
    }
}
