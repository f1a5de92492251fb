// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNetworks

extension NetworkHost {
    /// Finds addresses for an endpoint: those that were asked for, or the lowest that are free.
    ///
    /// A bridge that is somebody else's may have machines on it that Egret has not connected. The host knows those that
    /// it has talked to lately; the others are asked, for ``AddressProbe/patience``.
    func addresses(wanted: [IPAddress], in network: NetworkRecord) throws -> [IPAddress] {
        let taken = network.takenAddresses.union(try foreign(network))
        let candidates = try AddressAllocator.candidates(
            in: network.subnets, wanted: wanted, taken: taken, count: NetworkHost.candidateCount)
        let owners = try owners(of: candidates.flatMap(\.self), in: network)
        return try candidates.map { candidates in
            if let free = candidates.first(where: { owners[$0] == nil }) { return free }
            guard candidates.count > 1, let last = candidates.last else {
                let address = candidates[0]
                throw NetworkHost.inUse(address, owners[address], network, advice: "ask for another, or leave --ip out")
            }
            throw NetworkProblem(
                "the addresses of \(network.name) are in use as far as \(last)",
                advice: "ask for one that is free: --ip")
        }
    }

    /// So many addresses of each subnet are asked about at once.
    private static let candidateCount = 32

    /// Who has some addresses on a bridge that is somebody else's: asks for ``AddressProbe/patience``. Nobody is asked on
    /// Egret's own, nor while the bridge is down.
    func owners(of addresses: [IPAddress], in network: NetworkRecord) throws -> [IPAddress: MACAddress] {
        guard network.isAdopted, !addresses.isEmpty, let index = network.bridgeIndex,
            let bridge = try links.link(index), let hardware = bridge.address, bridge.isUp
        else { return [:] }
        return try AddressProbe(for: addresses, from: hardware).owners(on: index)
    }

    /// That somebody has an address that an endpoint is to have.
    static func inUse(
        _ address: IPAddress, _ owner: MACAddress?, _ network: NetworkRecord, advice: String
    ) -> NetworkProblem {
        NetworkProblem(
            "\(address) is in use on \(network.name), by \(owner.map { "\($0)" } ?? "somebody")", advice: advice)
    }

    /// Addresses of an adopted bridge itself, which need not be the gateways', and of the machines that the host knows
    /// beyond it.
    private func foreign(_ network: NetworkRecord) throws -> Set<IPAddress> {
        guard network.isAdopted, let index = network.bridgeIndex else { return [] }
        return Set(try links.addresses(of: index).map(\.address) + links.neighbours(of: index))
    }
}
