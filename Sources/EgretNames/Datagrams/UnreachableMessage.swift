// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux

/// What tells the sender of a datagram at once that it does not pass: ICMP, "administratively prohibited", as the kernel's
/// rules answer (RFC 792 and RFC 1812, section 5.2.7.1; RFC 4443, section 3.1).
///
/// ```
///   type 1 | code 1 | checksum 2 | unused 4 | the datagram's network header | its UDP header
/// ```
///
/// The headers are made up again of what sockets look at: addresses, ports and the protocol.
enum UnreachableMessage {
    /// The message, from its type on. The kernel fills in the checksum of an ICMPv6 one.
    ///
    /// - Parameters:
    ///   - source: Where the datagram came from: whom the message is for.
    ///   - destination: Where it went.
    /// - Returns: The bytes.
    static func bytes(_ source: SocketAddress, _ destination: SocketAddress) -> [UInt8] {
        var message: [UInt8] = source.isIPv6 ? [1, 1, 0, 0, 0, 0, 0, 0] : [3, 13, 0, 0, 0, 0, 0, 0]
        message +=
            source.isIPv6
            ? [0x60, 0, 0, 0, 0, 8, 17, 64] : [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0]
        message += networkOrder(source.address) + networkOrder(destination.address)
        for number in [source.port, destination.port, 8, 0] {
            message += [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        }
        if !source.isIPv6 {
            let sum = checksum(message)
            (message[2], message[3]) = (UInt8(truncatingIfNeeded: sum >> 8), UInt8(truncatingIfNeeded: sum))
        }
        return message
    }

    private static func networkOrder(_ address: IPAddress) -> [UInt8] {
        stride(from: address.family.bitWidth - 8, through: 0, by: -8).map { shift in
            UInt8(truncatingIfNeeded: address.rawValue >> UInt128(shift))
        }
    }

    /// RFC 1071, of an even number of bytes.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count - 1, by: 2) {
            sum += UInt32(bytes[place]) << 8 | UInt32(bytes[place + 1])
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// Sends the message. That it is lost makes clients wait, and nothing worse.
    static func send(_ source: SocketAddress, _ destination: SocketAddress) {
        guard let socket = try? ProbeSocket(.echo, isIPv6: source.isIPv6),
            (try? socket.connect(to: networkOrder(source.address), port: 0, scope: source.scope)) != nil
        else { return }
        try? socket.send(bytes(source, destination))
    }
}
