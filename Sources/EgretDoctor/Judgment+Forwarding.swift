// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNetlinkWire
import EgretNftables

extension Observation {
    /// The switches by which the host passes packets on at all.
    func judgeForwarding() -> Judgment {
        if let drop = outward.drop, drop.isOfSources, let arrived = outward.at(.prerouting) {
            return .bad(unanswerable(arrived.source, host.linkName(arrived.inputInterface), drop))
        }
        guard isThroughHost, !isLocal else { return .notNeeded("nothing is forwarded") }
        if isAnswered || outward.drop != nil { return .good("on") }
        if outward.reached(.forward) { return .good("on") }
        if outward.reached(.input) { return .notNeeded("\(probe.destination) is the host's own") }
        guard let arrived = outward.at(.prerouting, isLast: true) else {
            return .unknown("the packet did not get so far")
        }
        let name = host.linkName(arrived.inputInterface)
        if !forwards(arrived.inputInterface) {
            return .bad(
                Finding(
                    .forwarding, "the host does not forward \(family.words) that comes in by \(name)",
                    "It drops what is not for itself, without a word.",
                    commands: forwardingCommands([arrived.inputInterface, uplink?.index])))
        }
        if isFilteredByReversePath(hostRoute, arrived.inputInterface, back: sourceRoute) {
            return .bad(reversePath(from: arrived.source, name, "the packet", .forwarding))
        }
        return .good("on for \(name)")
    }

    /// The host's interface towards the destination.
    var uplink: LinkRecord? {
        if let index = hostRoute?.usable?.outputIndices.first { return host.link(index) }
        let best = host.routes.filter { $0.kind == .unicast && $0.destination.contains(probe.destination) }
            .max { $0.destination.length < $1.destination.length }
        return host.link(best?.outputIndices.first)
    }

    /// Whether the host passes on what comes in by an interface.
    func forwards(_ index: UInt32?) -> Bool {
        let name = host.linkName(index)
        func isOn(_ path: String) -> Bool { host.switches[path].map { $0 != "0" } ?? false }
        guard family == .ipv6 else { return isOn("net/ipv4/conf/\(name)/forwarding") }
        return isOn("net/ipv6/conf/all/forwarding") || isOn("net/ipv6/conf/\(name)/force_forwarding")
    }

    /// What makes the host pass on what comes in by these interfaces; those that it does not.
    func forwardingCommands(_ indices: [UInt32?]) -> [[String]] {
        let closed = indices.filter { host.link($0) != nil && !forwards($0) }.map { host.linkName($0) }
        var names: [String] = []
        for name in closed where !names.contains(name) { names.append(name) }
        if family == .ipv4 { return names.map { ["sysctl", "-w", "net/ipv4/conf/\($0)/forwarding=1"] } }
        let hasForce = host.switches["net/ipv6/conf/all/force_forwarding"] != nil
        if hasForce { return names.map { ["sysctl", "-w", "net/ipv6/conf/\($0)/force_forwarding=1"] } }
        return [["sysctl", "-w", "net/ipv6/conf/all/forwarding=1"]]
    }

    /// Whether the host drops what comes in there because its own route to the source is another.
    ///
    /// The kernel tells `EXDEV`, newer ones `EINVAL` as of other refusals, such as those of a blackhole: that is the filter's only if
    /// the host's own route to the source does not lead where the packet came in.
    func isFilteredByReversePath(_ answer: RouteAnswer?, _ index: UInt32?, back: RouteAnswer?) -> Bool {
        guard family == .ipv4, let index, case .refused(let errno)? = answer else { return false }
        guard errno == .crossDevice || errno == .invalid else { return false }
        if errno == .invalid, back?.usable?.outputIndices.contains(index) == true { return false }
        let position = reversePathPosition(host.linkName(index))
        return position == "1" || position == "2" && isUnnumbered(index)
    }

    /// The position of the filter for an interface: the kernel goes by the higher of two.
    private func reversePathPosition(_ name: String) -> String {
        ["all", name].map { host.switches["net/ipv4/conf/\($0)/rp_filter"] ?? "0" }.max() ?? "0"
    }

    /// Whether an interface has no address: then the loose filter drops as much as the strict one.
    private func isUnnumbered(_ index: UInt32?) -> Bool {
        !host.addresses.contains { $0.linkIndex == index && $0.address.family == .ipv4 }
    }

    /// A packet whose source the host expects elsewhere.
    func reversePath(from source: IPAddress, _ name: String, _ what: String, _ step: Step) -> Finding {
        let seen =
            "rp_filter: \(what) from \(source) comes in by \(name), but the host's route to that address is another"
        if source == self.source, let stray = strayRoute {
            return Finding(
                step, "\(seen), \(stray.destination) dev \(host.linkName(stray.outputIndices.first))",
                "With this filter the kernel drops what comes in where answers would not go out.",
                commands: [stray.deletion(in: family)])
        }
        let link = host.links.first { $0.name == name }
        let position = isUnnumbered(link?.index) ? "0" : "2"
        let names = position == "0" && host.switches["net/ipv4/conf/all/rp_filter"] != "0" ? ["all", name] : [name]
        return Finding(
            step, seen,
            "With this filter the kernel drops what comes in where answers would not go out.",
            commands: names.map { ["sysctl", "-w", "net/ipv4/conf/\($0)/rp_filter=\(position)"] })
    }

    /// The same over IPv6, where a rule of Egret's does what the kernel has no filter for.
    private func unanswerable(_ source: IPAddress, _ name: String, _ drop: Passage.Drop) -> Finding {
        let stray = source == self.source ? strayRoute : nil
        let other = stray.map { ", \($0.destination) dev \(host.linkName($0.outputIndices.first))" } ?? ""
        return Finding(
            .forwarding,
            "the packet from \(source) comes in by \(name), and the host's route to that address is another\(other)",
            "\(drop.words): the host does not hear who speaks from an address that it would answer elsewhere.",
            commands: stray.map { [$0.deletion(in: family)] } ?? [])
    }

    /// A route of the host's to the endpoint that leads elsewhere than to the endpoint's link.
    var strayRoute: RouteRecord? {
        guard let source, let side = hostSide else { return nil }
        let fitting = host.routes.filter {
            $0.kind == .unicast && $0.table == 254 && $0.destination.length > 0 && $0.destination.contains(source)
        }
        let best = fitting.max { $0.destination.length < $1.destination.length }
        guard let best, !best.outputIndices.isEmpty, !best.outputIndices.contains(side.index) else { return nil }
        return best
    }

    /// The host's route to the destination.
    func judgeWayOut() -> Judgment {
        guard isThroughHost, !isLocal else { return .notNeeded("the packet does not pass through the host") }
        if isAnswered { return .good(hostRouteWords) }
        if outward.reached(.input) { return .notNeeded("\(probe.destination) is the host's own") }
        guard outward.reached(.prerouting, isLast: true) else { return .unknown("the packet did not get so far") }
        if !outward.reached(.forward), let finding = hostRefusal { return .bad(finding) }
        guard let left = outward.at(.postrouting, isLast: true) else {
            if hostEnd == nil { return .unknown(hostRouteWords) }
            return .bad(
                backIntoBridge
                    ?? Finding(
                        .wayOut, "the packet vanishes on the host before it leaves",
                        "It passed \(outward.sightings.last?.point.chain ?? "nothing"), and no rule of nftables dropped it."
                    ))
        }
        return judgeUplink(left)
    }

    /// The packet was translated to a neighbour on its own bridge, which handed it to that one's port without the host's IP.
    ///
    /// So the kernel does where bridges hand their frames to iptables (`br_nf_pre_routing_finish`). Ports of endpoints with
    /// policies are isolated, and exchange nothing.
    private var backIntoBridge: Finding? {
        guard let last = outward.sightings.last, last.destination != probe.destination, !host.owns(last.destination),
            let bridge = host.link(hostEnd?.masterIndex), last.inputInterface == bridge.index,
            host.switches[family.bridgeSwitch].map({ $0 != "0" }) == true,
            host.addresses(of: bridge.index, family).contains(where: { $0.network?.contains(last.destination) == true })
        else { return nil }
        return Finding(
            .wayOut,
            "\(probe.destination) is \(last.destination) here, whose port on \(bridge.name) it does not get to",
            "Bridges hand their frames to iptables (\(family.bridgeSwitch)=1): the kernel then sends such a packet straight from "
                + "port to port, and ports of endpoints with policies exchange nothing straight. Ask \(last.destination) "
                + "itself, at the port that is published; or, where no other tool needs it: sysctl -w \(family.bridgeSwitch)=0."
        )
    }

    private var hostRouteWords: String {
        guard let route = hostRoute?.usable else { return "through the host" }
        let name = host.linkName(route.outputIndices.first)
        let words = route.gateway.map { "via \($0) dev \(name)" } ?? "dev \(name)"
        return Observation.isWaysTable(route.table) ? "\(words), as the policy's routes say" : words
    }

    /// Whether a routing table is that of a way of routes, a run's or an endpoint's.
    static func isWaysTable(_ table: UInt32) -> Bool {
        (RouteMark.tables(slot: 0).lowerBound..<HostRouteMark.tables.upperBound).contains(table)
    }

    /// The number of the way that the policy's routes have chosen for the packet.
    private var way: Int? {
        outward.at(.prerouting, isLast: true).flatMap { arrived in
            HostRouteMark.ways.first { HostRouteMark.packet(way: $0) == arrived.mark & HostRouteMark.mask }
        }
    }

    /// The host's route refuses the packet.
    private var hostRefusal: Finding? {
        if let way, hostRoute?.usable == nil {
            return Finding(
                .wayOut, "the way that the policy's routes have chosen leads nowhere",
                "Its routing table, \(HostRouteMark.table(way: way)), has no route: the way's interface is down or gone. "
                    + "egret get endpoints -o wide shows the ways.")
        }
        if let refusing = host.refusingRoute(to: probe.destination), hostRoute?.usable == nil {
            let target = refusing.destination.length == 0 ? "default" : "\(refusing.destination)"
            return Finding(
                .wayOut, "a route of the host refuses: \(refusing.kind.words) \(target)",
                "Somebody has said that nothing is to go there.", commands: [refusing.deletion(in: family)])
        }
        guard case .refused(let errno)? = hostRoute else { return nil }
        return Finding(
            .wayOut, "the host has no route to \(probe.destination) (\(errno.name))",
            "It cannot send the packet on. Give it one: ip route add default via GATEWAY.")
    }

    /// The packet has left the host's IP: its interface and the next hop there.
    private func judgeUplink(_ left: Passage.Sighting) -> Judgment {
        let link = host.link(left.outputInterface)
        let name = host.linkName(left.outputInterface)
        if let link, !link.isUp || link.hasCarrier == false {
            return .bad(
                Finding(
                    .wayOut, "\(name), the host's way out, \(link.isUp ? "has no carrier" : "is down")",
                    "What is sent there is lost.", commands: link.isUp ? [] : [["ip", "link", "set", name, "up"]]))
        }
        let hop = hostRoute?.usable?.gateway ?? left.destination
        if let neighbour = host.neighbour(hop, on: left.outputInterface), neighbour.isMissing,
            !homeward.reached(.prerouting)
        {
            let asks = family == .ipv4 ? "ARP requests" : "neighbour solicitations"
            return .bad(
                Finding(
                    .wayOut, "\(hop), the host's next hop on \(name), does not answer \(asks)",
                    "Nobody on that link has the address, so that the packet cannot leave the host."))
        }
        return .good("\(hostRouteWords)")
    }
}

extension AddressFamily {
    /// The switch by which bridges hand frames of the family to iptables, below `/proc/sys` (`br_netfilter`).
    var bridgeSwitch: String {
        "net/bridge/bridge-nf-call-\(self == .ipv4 ? "iptables" : "ip6tables")"
    }
}
