// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire

extension Observation {
    /// An address of the destination's family, and its mask.
    func judgeAddress() -> Judgment {
        if isLocal { return .notNeeded("\(probe.destination) is the endpoint's own") }
        guard let interface else { return .unknown("no interface") }
        let own = ownAddresses
        if own.isEmpty, let source, endpoint.owns(source), !source.isLoopback,
            !source.isLinkLocal || probe.destination.isLinkLocal
        {
            return .good("\(source)")
        }
        guard let first = own.first else {
            return .bad(
                Finding(
                    .address, "\(interface.name) has no \(family.words) address",
                    "Nobody could answer a packet without a source address.", commands: addressCommands(interface)))
        }
        // IFA_F_DADFAILED.
        if let double = own.first(where: { $0.flags.rawValue & 0x08 != 0 }) {
            return .bad(
                Finding(
                    .address, "\(double.address) on \(interface.name) is another's as well (duplicate address)",
                    "The kernel does not use an address that another on the link has."))
        }
        if let finding = maskFinding(interface, own) { return .bad(finding) }
        return .good("\(source ?? first.address)/\(first.prefixLength)")
    }

    /// What gives the interface an address.
    private func addressCommands(_ interface: LinkRecord) -> [[String]] {
        guard let gateway = hostAddress, let address = freeAddress(beside: gateway) else { return [] }
        return [
            inside("ip", "address", "add", "\(address)/\(gateway.prefixLength)", "dev", interface.name)
                + (family == .ipv6 ? ["nodad"] : [])
        ]
    }

    /// The first address of the host's block that nobody is known to have.
    private func freeAddress(beside gateway: AddressRecord) -> IPAddress? {
        guard let network = gateway.network else { return nil }
        let taken = Set(host.neighbours.map(\.address) + host.addresses.map(\.address))
        return (1...1024).lazy.compactMap { offset -> IPAddress? in
            let (value, isOver) = network.lowerBound.addingReportingOverflow(UInt128(offset))
            guard !isOver, value < network.upperBound else { return nil }
            return IPAddress(family: network.family, rawValue: value)
        }.first { !taken.contains($0) }
    }

    /// A mask, or an address, that does not go with the host's.
    private func maskFinding(_ interface: LinkRecord, _ own: [AddressRecord]) -> Finding? {
        guard let gateway = hostAddress, let network = gateway.network, Int(gateway.prefixLength) < family.bitWidth,
            !own.contains(where: { $0.prefixLength == gateway.prefixLength && network.contains($0.address) }),
            let first = own.first
        else { return nil }
        let isRouteless = route == .refused(.networkUnreachable)
        let isMistakenForNeighbour =
            nextHop == probe.destination && !network.contains(probe.destination) && !isAnswered && outcome != nil
        let cannotReach = !own.contains { $0.network?.contains(gateway.address) == true }
        guard (isRouteless && cannotReach) || isMistakenForNeighbour else { return nil }
        var commands: [[String]] = []
        let isInNetwork = network.contains(first.address)
        if let address = isInNetwork ? first.address : freeAddress(beside: gateway) {
            let words = inside("ip", "address", "add", "\(address)/\(gateway.prefixLength)", "dev", interface.name)
            commands = [
                family == .ipv6 ? words + ["nodad"] : words,
                inside("ip", "address", "del", "\(first.address)/\(first.prefixLength)", "dev", interface.name),
                inside("ip", "route", "replace", "default", "via", "\(gateway.address)", "dev", interface.name),
            ]
        }
        let seen =
            "\(first.address)/\(first.prefixLength) on \(interface.name), but the host has "
            + "\(gateway.address)/\(gateway.prefixLength)"
        let reason =
            isMistakenForNeighbour
            ? "The endpoint takes \(probe.destination) for a neighbour and asks for it on its own link."
            : isInNetwork
                ? "The gateway is not in the endpoint's network, so that there can be no route through it."
                : "The address is not in the host's network."
        return Finding(.address, seen, reason, commands: commands)
    }
}

extension AddressFamily {
    /// The family in a sentence.
    var words: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
