// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// The addresses of one run: a point-to-point link of each family between the host and the command.
public struct AddressPlan: Hashable, Sendable {
    /// The two ends of a link, in a block of two addresses (RFC 3021 for IPv4, RFC 6164 for IPv6).
    public struct Link: Hashable, Sendable {
        /// The host's end, and the command's default gateway.
        public var host: IPAddress
        /// The command's end.
        public var endpoint: IPAddress
        /// The block that holds both.
        public var block: IPPrefix
    }

    /// The IPv4 link.
    public var ipv4: Link
    /// The IPv6 link, or `nil` on a host without IPv6.
    public var ipv6: Link?
    /// Which of a pool's blocks this is.
    public var slot: Int

    /// The addresses of the command's end.
    public var endpointAddresses: [IPAddress] { [ipv4.endpoint] + (ipv6.map { [$0.endpoint] } ?? []) }

    /// The links of both families.
    public var links: [Link] { [ipv4] + (ipv6.map { [$0] } ?? []) }
}

/// Finds addresses for a run that collide with nothing.
public enum AddressPlanner {
    /// How many runs one host can hold at once.
    public static let slotCount = 16384

    /// Plans the addresses for a slot that no other run holds.
    ///
    /// The pool is the first private block that neither the host uses nor the policy speaks of; if the policy
    /// speaks of all of them, the first that the host does not use. Every run finds its pool by itself: two runs
    /// with different slots never share an address, whichever pools they find.
    ///
    /// - Parameters:
    ///   - slot: 0 up to ``slotCount``.
    ///   - occupied: The host's addresses and routes, those of other runs and default routes left out.
    ///   - mentioned: Blocks that the policy names, and resolvers. Blocks of more than a sixteenth of the
    ///     address space are not taken as naming anything in particular.
    ///   - withIPv6: Whether the link has IPv6 addresses, too.
    /// - Returns: `nil` if the slot is out of range or the host uses every pool.
    public static func plan(
        slot: Int,
        occupied: [IPPrefix],
        mentioned: [IPPrefix],
        withIPv6: Bool
    ) -> AddressPlan? {
        guard (0..<slotCount).contains(slot) else { return nil }
        let avoided = occupied + mentioned.filter { $0.length > 4 }
        func link(_ pools: [IPPrefix]) -> AddressPlan.Link? {
            let pool =
                pools.first { pool in !avoided.contains { $0.overlaps(pool) } }
                ?? pools.first { pool in !occupied.contains { $0.overlaps(pool) } }
            return pool.flatMap { block(of: $0, slot: slot) }
        }
        guard let ipv4 = link(ipv4Pools) else { return nil }
        guard withIPv6 else { return AddressPlan(ipv4: ipv4, ipv6: nil, slot: slot) }
        guard let ipv6 = link(ipv6Pools) else { return nil }
        return AddressPlan(ipv4: ipv4, ipv6: ipv6, slot: slot)
    }

    /// Blocks of 2 to the 15th addresses, out of the way of what other tools take by default: Docker (172.17 to
    /// 172.31, 192.168), Podman (10.88, 10.89), libvirt (192.168.122), Kubernetes (10.96, 10.244), k3s (10.42).
    ///
    /// The last is for benchmarks (RFC 2544) and for hosts whose VPN takes every private block.
    private static let ipv4Pools =
        ([213, 173, 61, 147, 199, 83, 231, 19].map { "10.\($0).128.0/17" }
        + ["172.16.128.0/17", "100.111.128.0/17", "192.168.128.0/17", "198.18.128.0/17"]).compactMap { IPPrefix($0) }

    /// Unique local blocks (RFC 4193); the first global identifier spells "egret".
    private static let ipv6Pools =
        ["fd65:6772:6574::/48", "fd65:6772:6575::/48", "fdc2:91b6:77e4::/48", "fd0b:35fa:c6d8::/48"]
        .compactMap { IPPrefix($0) }

    private static func block(of pool: IPPrefix, slot: Int) -> AddressPlan.Link? {
        let first = IPAddress(family: pool.family, rawValue: pool.lowerBound + UInt128(slot) * 2)
        let second = IPAddress(family: pool.family, rawValue: first.rawValue + 1)
        return IPPrefix(first, length: pool.family.bitWidth - 1).map {
            AddressPlan.Link(host: first, endpoint: second, block: $0)
        }
    }
}
