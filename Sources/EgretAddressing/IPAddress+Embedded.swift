// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension IPAddress {
    /// The IPv4 address that an IPv6 address stands for in a transition mechanism, or `nil`.
    ///
    /// These forms are known: IPv4-mapped `::ffff:0:0/96` (RFC 4291, section 2.5.5.2), the well-known NAT64
    /// prefix `64:ff9b::/96` (RFC 6052, section 2.1) and 6to4 `2002::/16` (RFC 3056, section 2). Teredo
    /// obfuscates its address and is not one of them.
    public var embeddedIPv4: IPv4Address? {
        guard case .v6(let address) = self else { return nil }
        let low = UInt32(truncatingIfNeeded: address.rawValue)
        switch address.rawValue >> 32 {
        case 0xffff, 0x0064_ff9b_0000_0000_0000_0000: return IPv4Address(rawValue: low)
        default: break
        }
        guard address.rawValue >> 112 == 0x2002 else { return nil }
        return IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.rawValue >> 80))
    }
}
