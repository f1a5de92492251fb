// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
import EgretNftables

/// Walks a packet's way from an endpoint to a destination and back, and says where it ends.
///
/// It belongs to the thread that made it: the thread's own network namespace is the host's. The kernel is changed only
/// while a probe is on its way, by tables of the doctor's own that mark that one packet.
public final class Doctor {
    private let endpoint: NamespaceView
    private let host: NamespaceView
    private let probe: Probe
    private let networks: [KeptNetwork]
    private let patience: Duration

    /// Opens what is needed in both namespaces.
    ///
    /// - Parameters:
    ///   - probe: What is to be sent.
    ///   - namespace: The endpoint's network namespace.
    ///   - place: How commands enter it.
    ///   - networks: The networks that are kept on this host.
    ///   - patience: How long an answer may take.
    ///   - makeRuleset: Makes the access to nf_tables.
    /// - Throws: An error that says what could not be opened.
    public init(
        _ probe: Probe, in namespace: Namespace, at place: Place, networks: [KeptNetwork] = [],
        patience: Duration = .milliseconds(800), makeRuleset: RulesetMaker
    )
        throws
    {
        self.probe = probe
        self.networks = networks
        self.patience = patience
        host = try NamespaceView(.host, nil, makeRuleset)
        endpoint = try NamespaceView(place, namespace, makeRuleset)
        try removeRemains()
    }

    /// Walks the way once.
    ///
    /// - Returns: The steps, up to the first that fails.
    /// - Throws: An error if the kernel could not be asked, or the probe not be made.
    public func examine() throws -> Diagnosis {
        var observation = try observe()
        let beginning = Diagnosis(observation, steps: [.link, .address, .route])
        if beginning.finding != nil { return Diagnosis(observation) }
        try send(&observation)
        return Diagnosis(observation)
    }

    /// What is there before anything is sent.
    private func observe() throws -> Observation {
        let family = probe.destination.family
        let inside = try endpoint.surroundings(family)
        var outside = try host.surroundings(family)
        let switches = (outside.links.map(\.name) + ["all"]).flatMap { name in
            family == .ipv4
                ? ["net/ipv4/conf/\(name)/forwarding", "net/ipv4/conf/\(name)/rp_filter"]
                : ["net/ipv6/conf/\(name)/forwarding", "net/ipv6/conf/\(name)/force_forwarding"]
        }
        outside.switches = try host.switches(switches + [family.bridgeSwitch])
        outside.legacyTables = try host.legacyTables(family)
        let route = try endpoint.answer(RouteQuery(to: probe.destination))
        var observation = Observation(probe, endpoint: inside, host: outside, route: route)
        observation.networks = networks
        observation.interface = interface(inside, route)
        observation.hostEnd = hostEnd(of: observation.interface, outside)
        observation.source = route.usable?.preferredSource
        return observation
    }

    /// The interface of the route; without one, the first that leads out.
    private func interface(_ inside: Surroundings, _ route: RouteAnswer) -> LinkRecord? {
        let loopback: UInt32 = 8
        if let link = inside.link(route.usable?.outputIndices.first), link.flags & loopback == 0 { return link }
        let others = inside.links.filter {
            $0.flags & loopback == 0 && !["sit", "ip6tnl", "gre", "ipip"].contains($0.kind)
        }
        return others.first { $0.kind == "veth" } ?? others.first
    }

    /// The other end of a veth, if it is in the host's namespace.
    private func hostEnd(of interface: LinkRecord?, _ outside: Surroundings) -> LinkRecord? {
        guard let interface, interface.kind == "veth", let peer = outside.link(interface.peerIndex),
            peer.kind == "veth", peer.peerIndex == interface.index
        else { return nil }
        return peer
    }

    /// Sends the probe and watches it.
    private func send(_ observation: inout Observation) throws {
        let isIPv6 = probe.destination.family == .ipv6
        let transport: ProbeSocket.Transport =
            switch probe.service {
            case .tcp: .tcp
            case .udp: .udp
            case .echo: .echo
            }
        let socket = try endpoint.visit { try ProbeSocket(transport, isIPv6: isIPv6) }
        let scope = probe.destination.isLinkLocal ? observation.interface?.index ?? 0 : 0
        let subject = TraceProgram.Subject(
            probe: probe,
            port: transport == .echo ? nil : try socket.port(),
            neighbours: [observation.nextHop, observation.source].compactMap { $0 }
        )
        let program = TraceProgram(name: Doctor.tablePrefix + "\(CurrentProcess.identifier)", subject: subject)
        defer {
            host.end()
            endpoint.end()
        }
        try host.begin(program, withBridge: observation.hostEnd?.masterIndex != nil)
        try endpoint.begin(program, withBridge: false)
        let refused = host.refusedInsertions()
        let prober = Prober(probe, socket, scope: scope, patience: patience)
        observation.outcome = try prober.run(watching: [host.descriptor, endpoint.descriptor]) {
            try host.collect()
            try endpoint.collect()
            return isLost()
        }
        if let refused, let now = host.refusedInsertions() { observation.refusedInsertions = max(0, now - refused) }
        try host.collect()
        try endpoint.collect()
        try explain(&observation)
        if observation.isAnswered, Diagnosis(observation).finding == nil {
            observation.size = try SizeProber(probe.destination, scope: scope).run(
                in: endpoint, mtu: observation.interface?.mtu ?? 1500)
        }
    }

    /// Whether the trace shows that waiting is in vain.
    private func isLost() -> Bool {
        let (out, back) = passages(host)
        let (leaving, returning) = passages(endpoint)
        return [out.drop, back.drop, leaving.drop, returning.drop].contains { $0 != nil }
    }

    private func passages(_ view: NamespaceView) -> (out: Passage, back: Passage) {
        Passage.assemble(view.events, to: probe.destination, isOwn: view.isOwn)
    }

    /// Adds what the trace and the tables say of the probe.
    private func explain(_ observation: inout Observation) throws {
        let family = probe.destination.family
        let outsideNames = Dictionary(observation.host.links.map { ($0.index, $0.name) }) { first, _ in first }
        let insideNames = Dictionary(observation.endpoint.links.map { ($0.index, $0.name) }) { first, _ in first }
        (observation.outward, observation.homeward) = passages(host)
        (observation.leaving, observation.returning) = passages(endpoint)
        observation.outward.drop = host.described(observation.outward.drop, outsideNames)
        observation.homeward.drop = host.described(observation.homeward.drop, outsideNames)
        observation.leaving.drop = endpoint.described(observation.leaving.drop, insideNames)
        observation.returning.drop = endpoint.described(observation.returning.drop, insideNames)
        for (view, names) in [(endpoint, insideNames), (host, outsideNames)] {
            observation.neighbourDrops += view.neighbourDrops(family).compactMap { drop in
                view.described(drop, names).map { Observation.NeighbourDrop(view.place, $0) }
            }
        }
        observation.endpoint.neighbours = try endpoint.neighbours(family)
        observation.host.neighbours = try host.neighbours(family)
        guard let source = observation.source else { return }
        let arrived = observation.outward.at(.prerouting)?.inputInterface ?? observation.hostSide?.index
        observation.hostRoute = try host.answer(
            RouteQuery(
                to: probe.destination, from: source, inputInterface: arrived,
                mark: observation.outward.at(.prerouting, isLast: true)?.mark ?? 0))
        observation.sourceRoute = try host.answer(RouteQuery(to: source))
        guard let back = observation.homeward.at(.prerouting) else { return }
        observation.returnRoute = try host.answer(
            RouteQuery(to: source, from: probe.destination, inputInterface: back.inputInterface))
        observation.destinationRoute = try host.answer(RouteQuery(to: probe.destination))
    }

    private static let tablePrefix = "egret-doctor-"

    /// Removes the tables of doctors that were killed.
    private func removeRemains() throws {
        for view in [host, endpoint] {
            let stale = try view.ruleset.allTables().filter { table in
                guard table.name.hasPrefix(Doctor.tablePrefix) else { return false }
                let number = table.name.dropFirst(Doctor.tablePrefix.count)
                return (try? Descriptor.open("/proc/\(number)/comm")) == nil
            }
            if !stale.isEmpty { try view.ruleset.remove(stale) }
        }
    }
}
