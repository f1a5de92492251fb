// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Which addresses a name of the internet may have.
enum AddressClass {
    private static let publicAddresses = AddressRangeSet(BuiltInGroup.internet.blocks)

    /// Whether the address is a public one, and what stands for an IPv4 address in it is too.
    static func isPublic(_ address: IPAddress) -> Bool {
        if let embedded = address.embeddedIPv4 {
            // NAT64's own prefix is no place of the internet by itself, but leads to one.
            guard publicAddresses.contains(.v4(embedded)) else { return false }
            return address.rawValue >> 96 == 0x0064_ff9b
        }
        return publicAddresses.contains(address)
    }
}
