// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

extension Inventory {
    /// The inventory with an address of each family for every workload that has none, as manifests leave them.
    ///
    /// Nobody knows which families such a workload will speak, so it speaks both. The addresses are of 240.0.0.0/4 and
    /// e000::/4, which are reserved (RFC 1112 section 4, RFC 4291 section 2.4) and on no network. Blocks of a rule are about
    /// such a workload only if together they cover the whole family, as 0.0.0.0/0 and ::/0 do: whether the workload
    /// will have an address of a smaller one nobody knows.
    ///
    /// - Returns: The inventory, and which addresses stand in, by the workload's place.
    public func withPlaceholders() -> (inventory: Inventory, placeholders: [Int: [IPAddress]]) {
        let first: UInt32 = 0xf000_0001
        var next = first
        var all = workloads
        var placeholders: [Int: [IPAddress]] = [:]
        for place in all.indices where all[place].addresses.isEmpty && next < UInt32.max {
            let addresses: [IPAddress] = [
                .v4(IPv4Address(rawValue: next)),
                IPAddress(family: .ipv6, rawValue: Inventory.unknown6 | UInt128(next)),
            ]
            all[place].addresses = addresses
            placeholders[place] = addresses
            next += 1
        }
        let count = UInt128(next - first)
        let blocks =
            Inventory.blocks(.ipv4, from: UInt128(first), count: count)
            + Inventory.blocks(.ipv6, from: Inventory.unknown6 | UInt128(first), count: count)
        let inventory = Inventory(workloads: all, namespaces: namespaces, nodes: nodes, placeholders: blocks)
        return (inventory, placeholders)
    }

    /// e000::, the first of the addresses that stand in.
    private static let unknown6 = UInt128(0xe) << 124

    /// The fewest blocks for a run of addresses.
    static func blocks(_ family: AddressFamily, from first: UInt128, count: UInt128) -> [IPPrefix] {
        var blocks: [IPPrefix] = []
        var next = first
        var left = count
        while left > 0 {
            var size: UInt128 = 1
            var length = family.bitWidth
            while size * 2 <= left, next % (size * 2) == 0 {
                size *= 2
                length -= 1
            }
            if let block = IPPrefix(IPAddress(family: family, rawValue: next), length: length) { blocks.append(block) }
            next += size
            left -= size
        }
        return blocks
    }
}
