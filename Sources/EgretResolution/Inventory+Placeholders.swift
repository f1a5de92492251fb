// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

extension Inventory {
    /// The inventory with an address for every workload that has none, as manifests leave them.
    ///
    /// The addresses are of 240.0.0.0/4, which is reserved (RFC 1112 section 4) and on no network: a block that is
    /// written out covers such a workload only if it covers everything there, as 0.0.0.0/0 does.
    ///
    /// - Returns: The inventory, and which addresses stand in, by the workload's place.
    public func withPlaceholders() -> (inventory: Inventory, placeholders: [Int: IPAddress]) {
        var next: UInt32 = 0xf000_0001
        var all = workloads
        var placeholders: [Int: IPAddress] = [:]
        for place in all.indices where all[place].addresses.isEmpty && next < UInt32.max {
            let address = IPAddress.v4(IPv4Address(rawValue: next))
            all[place].addresses = [address]
            placeholders[place] = address
            next += 1
        }
        return (Inventory(workloads: all, namespaces: namespaces, nodes: nodes), placeholders)
    }
}
