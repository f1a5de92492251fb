// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

extension Inventory {
    /// The inventory with an address of each family for every workload that has none, as manifests leave them.
    ///
    /// Nobody knows which families such a workload will speak, so it speaks both. The addresses are of 240.0.0.0/4 and
    /// e000::/4, which are reserved (RFC 1112 section 4, RFC 4291 section 2.4) and on no network: a block that is
    /// written out covers such a workload only if it covers everything there, as 0.0.0.0/0 and ::/0 do.
    ///
    /// - Returns: The inventory, and which addresses stand in, by the workload's place.
    public func withPlaceholders() -> (inventory: Inventory, placeholders: [Int: [IPAddress]]) {
        var next: UInt32 = 0xf000_0001
        var all = workloads
        var placeholders: [Int: [IPAddress]] = [:]
        for place in all.indices where all[place].addresses.isEmpty && next < UInt32.max {
            let addresses: [IPAddress] = [
                .v4(IPv4Address(rawValue: next)),
                IPAddress(family: .ipv6, rawValue: UInt128(0xe) << 124 | UInt128(next)),
            ]
            all[place].addresses = addresses
            placeholders[place] = addresses
            next += 1
        }
        return (Inventory(workloads: all, namespaces: namespaces, nodes: nodes), placeholders)
    }
}
