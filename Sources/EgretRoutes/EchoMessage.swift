// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// An echo request and its reply (RFC 792, RFC 4443).
struct EchoMessage {
    var family: AddressFamily
    var identifier: UInt16
    var sequence: UInt16

    /// The request. The kernel writes the checksum of ICMPv6.
    var request: [UInt8] {
        let isIPv4 = family == .ipv4
        var bytes: [UInt8] = [isIPv4 ? 8 : 128, 0, 0, 0]
        for number in [identifier, sequence] { bytes += [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
        guard isIPv4 else { return bytes }
        // Type and code are one word, and the sum of three words fits 32 bits (RFC 1071).
        var sum = UInt32(0x0800) + UInt32(identifier) + UInt32(sequence)
        sum = (sum & 0xffff) + sum >> 16
        sum = (sum & 0xffff) + sum >> 16
        let checksum = ~UInt16(truncatingIfNeeded: sum)
        bytes[2] = UInt8(checksum >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: checksum)
        return bytes
    }

    /// Whether a packet is the reply. IPv4 packets come with their header.
    func isReply(_ packet: [UInt8]) -> Bool {
        var message = packet[...]
        if family == .ipv4 {
            guard let first = message.first else { return false }
            message = message.dropFirst(4 * Int(first & 15))
        }
        let expected: [UInt8] = [
            UInt8(identifier >> 8), UInt8(truncatingIfNeeded: identifier), UInt8(sequence >> 8),
            UInt8(truncatingIfNeeded: sequence),
        ]
        return message.first == (family == .ipv4 ? 0 : 129) && message.dropFirst(4).prefix(4).elementsEqual(expected)
    }
}
