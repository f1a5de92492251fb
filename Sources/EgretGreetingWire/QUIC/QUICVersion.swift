// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A version of QUIC whose Initial packets can be read: all of them are protected by keys that anybody can derive.
public enum QUICVersion: UInt32, Hashable, Sendable, CaseIterable {
    /// Version 1 (RFC 9000 and RFC 9001).
    case version1 = 0x0000_0001
    /// Version 2 (RFC 9369): the same with other numbers.
    case version2 = 0x6b33_43cf

    /// The bits that say the type of a packet with a long header.
    func kind(_ first: UInt8) -> LongPacketKind {
        let kinds: [LongPacketKind] = [.initial, .zeroRoundTrip, .handshake, .retry]
        let number = Int(first >> 4 & 3)
        // Version 2 counts from 1, and the last is 0.
        return kinds[self == .version1 ? number : (number + 3) & 3]
    }
}

/// The types of packets with a long header (RFC 9000, section 17.2).
enum LongPacketKind: Hashable, Sendable {
    case initial
    case zeroRoundTrip
    case handshake
    case retry
}
