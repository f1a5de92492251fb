// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Echo requests and replies of ICMP (RFC 792) and ICMPv6 (RFC 4443).
struct Echo {
    let family: AddressFamily
    /// Tells this program's echoes from others'.
    let identifier: UInt16

    /// A request.
    ///
    /// - Parameters:
    ///   - sequence: Its number.
    ///   - length: The size of the whole packet with its network header, in bytes.
    /// - Returns: The message without network header. The kernel fills in ICMPv6's checksum.
    func request(_ sequence: UInt16, length: Int) -> [UInt8] {
        let header = family == .ipv4 ? 20 : 40
        var bytes: [UInt8] = [family == .ipv4 ? 8 : 128, 0, 0, 0]
        for number in [identifier, sequence] {
            bytes += [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        }
        bytes += [UInt8](repeating: 0, count: max(0, length - header - bytes.count))
        guard family == .ipv4 else { return bytes }
        let sum = Echo.checksum(bytes)
        bytes[2] = UInt8(truncatingIfNeeded: sum >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: sum)
        return bytes
    }

    /// The number of the request that a packet answers; `nil` if it answers none of these.
    ///
    /// - Parameter packet: As a raw socket gives it: of IPv4 with the network header.
    /// - Returns: The number.
    func answered(by packet: [UInt8]) -> UInt16? {
        var bytes = packet[...]
        if family == .ipv4 {
            guard let first = bytes.first else { return nil }
            bytes = bytes.dropFirst(Int(first & 0xf) * 4)
        }
        let fields = Array(bytes.prefix(8))
        guard fields.count == 8, fields[0] == (family == .ipv4 ? 0 : 129), fields[1] == 0,
            UInt16(fields[4]) << 8 | UInt16(fields[5]) == identifier
        else { return nil }
        return UInt16(fields[6]) << 8 | UInt16(fields[7])
    }

    /// The Internet checksum (RFC 1071).
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in bytes.enumerated() { sum &+= UInt32(byte) << (index % 2 == 0 ? 8 : 0) }
        while sum >> 16 != 0 { sum = sum & 0xffff &+ sum >> 16 }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}
