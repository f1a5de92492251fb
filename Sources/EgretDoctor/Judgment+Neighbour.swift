// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables

extension Observation {
    /// The next hop's hardware address.
    func judgeNeighbour() -> Judgment {
        if isLocal { return .notNeeded("\(probe.destination) is the endpoint's own") }
        guard let hop = nextHop else { return .unknown("no next hop") }
        let neighbour = endpoint.neighbour(hop, on: interface?.index)
        if isAnswered || neighbour?.hardwareAddress != nil && neighbour?.isMissing == false {
            if !isAnswered, let finding = strayNeighbour(hop, neighbour) { return .bad(finding) }
            return .good("\(hop)\(neighbour?.hardwareAddress.map { " is at \($0)" } ?? "")")
        }
        guard missingNextHop != nil else { return .unknown("\(hop) was not asked for") }
        let asks = family == .ipv4 ? "ARP requests" : "neighbour solicitations"
        if let found = neighbourDrops.first {
            return .bad(
                Finding(
                    .neighbour, "\(hop) does not answer \(asks): \(found.drop.words) on \(found.place.words)",
                    "Without the next hop's hardware address no packet leaves the link.",
                    commands: found.drop.acceptance(found.place, family: family)))
        }
        if !host.owns(hop), let network, network.isAdopted, network.gateways.contains(hop) {
            return .bad(
                Finding(
                    .neighbour, "the gateway \(hop) does not answer \(asks)",
                    "It is the gateway of \(network.name), and no address of this host: the machine that has it is down, or "
                        + "gone."))
        }
        guard let gateway = hostAddress, let side = hostSide else {
            return .bad(Finding(.neighbour, "\(hop) does not answer \(asks)", "Nobody on the link seems to have it."))
        }
        if hop == gateway.address || host.owns(hop) {
            if isFilteredByReversePath(hostRoute, side.index, back: sourceRoute), let source {
                return .bad(reversePath(from: source, side.name, "the endpoint's ARP request", .neighbour))
            }
            // IFF_NOARP.
            let isMute = side.flags & 0x80 != 0
            return .bad(
                Finding(
                    .neighbour,
                    "\(hop) does not answer \(asks), though the host has it"
                        + (isMute ? ": \(side.name) has ARP off" : ""),
                    "Something between the endpoint and the host takes the questions or the answers"
                        + (isMute ? "." : "; the older arptables and ebtables are not to be seen here."),
                    commands: isMute ? [["ip", "link", "set", side.name, "arp", "on"]] : []))
        }
        guard route.usable?.gateway != nil else {
            return .bad(
                Finding(
                    .neighbour, "\(hop) does not answer \(asks)",
                    "It is in the endpoint's own network, and nobody there has it: it is down, or does not exist."))
        }
        return .bad(
            Finding(
                .neighbour, "the gateway \(hop) does not answer \(asks)",
                "Nobody on the link has that address. The host's own there is \(gateway.address).",
                commands: defaultRoute(verb: "replace")))
    }

    /// An entry that leads to another hardware address than the host's.
    private func strayNeighbour(_ hop: IPAddress, _ neighbour: NeighbourRecord?) -> Finding? {
        guard let side = hostSide, host.addresses.contains(where: { $0.address == hop && $0.linkIndex == side.index }),
            let meant = side.address, let found = neighbour?.hardwareAddress, found != meant, let interface,
            !outward.reached(.input), !isSentOn(from: side)
        else { return nil }
        return Finding(
            .neighbour, "\(hop) is said to be at \(found), but \(side.name) has \(meant)",
            "What the endpoint sends goes to somebody else, or to nobody.",
            commands: [inside("ip", "neighbour", "del", "\(hop)", "dev", interface.name)])
    }

    /// Whether the host's IP has sent the packet on. With `br_netfilter` what a bridge passes on from port to port meets the rules for
    /// IP as well, as if it came in and left by the bridge.
    private func isSentOn(from side: LinkRecord) -> Bool {
        outward.at(.forward).map { $0.outputInterface != side.index } ?? false
    }
}
