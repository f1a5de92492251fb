// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// Finds addresses for endpoints.
public enum AddressAllocator {
    /// An address for each of a network's subnets.
    ///
    /// - Parameters:
    ///   - subnets: The network's.
    ///   - wanted: Addresses that were asked for; each must lie in a subnet and be free.
    ///   - taken: Addresses that others have. Gateways need not be among them.
    /// - Returns: One address for each subnet, in their order: the one asked for, or the lowest that is free.
    /// - Throws: ``NetworkProblem`` if one that was asked for cannot be had, or a subnet is full.
    public static func addresses(
        in subnets: [Subnet],
        wanted: [IPAddress],
        taken: Set<IPAddress>
    ) throws(NetworkProblem) -> [IPAddress] {
        try candidates(in: subnets, wanted: wanted, taken: taken, count: 1).compactMap(\.first)
    }

    /// Addresses that could be given, for each of a network's subnets, the best first.
    ///
    /// - Parameters:
    ///   - subnets: The network's.
    ///   - wanted: Addresses that were asked for; each must lie in a subnet and be free.
    ///   - taken: Addresses that others have. Gateways need not be among them.
    ///   - count: How many for each subnet at most.
    /// - Returns: For each subnet, in their order, the one asked for alone, or the lowest that are free: one at least.
    /// - Throws: ``NetworkProblem`` if one that was asked for cannot be had, or a subnet is full.
    public static func candidates(
        in subnets: [Subnet],
        wanted: [IPAddress],
        taken: Set<IPAddress>,
        count: Int
    ) throws(NetworkProblem) -> [[IPAddress]] {
        for address in wanted where !subnets.contains(where: { $0.block.contains(address) }) {
            let blocks = subnets.map { "\($0.block)" }.joined(separator: " and ")
            throw NetworkProblem("\(address) is not in the network", advice: "its addresses are \(blocks)")
        }
        var found: [[IPAddress]] = []
        for subnet in subnets {
            let asked = wanted.filter { subnet.block.contains($0) }
            if asked.count > 1 {
                throw NetworkProblem("\(asked[0]) and \(asked[1]) are of one subnet", advice: "ask for one of them")
            }
            if let address = asked.first {
                try check(address, in: subnet, taken)
                found.append([address])
            } else {
                found.append(try lowest(in: subnet, taken, count: count))
            }
        }
        return found
    }

    private static func check(_ address: IPAddress, in subnet: Subnet, _ taken: Set<IPAddress>) throws(NetworkProblem) {
        guard subnet.isUsable(address) else {
            throw NetworkProblem("\(address) is not an address that a machine in \(subnet.block) can have")
        }
        if address == subnet.gateway { throw NetworkProblem("\(address) is the network's gateway") }
        if taken.contains(address) {
            throw NetworkProblem("\(address) is taken", advice: "egret network inspect shows by whom")
        }
    }

    private static func lowest(
        in subnet: Subnet,
        _ taken: Set<IPAddress>,
        count: Int
    ) throws(NetworkProblem) -> [IPAddress] {
        var found: [IPAddress] = []
        // At most so many more steps than there are addresses that are taken.
        var number = subnet.usable.lowerBound
        while number <= subnet.usable.upperBound {
            let address = IPAddress(family: subnet.block.family, rawValue: number)
            if address != subnet.gateway && !taken.contains(address) { found.append(address) }
            if found.count >= count || number == .max { break }
            number += 1
        }
        if !found.isEmpty { return found }
        throw NetworkProblem("\(subnet.block) is full", advice: "disconnect an endpoint, or make a larger network")
    }
}
