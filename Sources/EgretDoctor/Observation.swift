// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlinkWire
import EgretNftables

/// What the kernel answers when it is asked for a route.
public enum RouteAnswer: Hashable, Sendable {
    /// A route.
    case route(RouteRecord)
    /// None, or one that refuses.
    case refused(Errno)

    /// The route, if packets can take it.
    var usable: RouteRecord? {
        guard case .route(let route) = self, [.unicast, .local, .broadcast, .multicast].contains(route.kind) else {
            return nil
        }
        return route
    }
}

/// What came of a probe.
public enum ProbeOutcome: Hashable, Sendable {
    /// The far end answered; the time is from sending to hearing it.
    case answered(after: Duration)
    /// The far end answered that nobody listens on the port.
    case refused(after: Duration)
    /// An error came back: from this namespace itself, or by an ICMP message of a router.
    case failed(Errno, reporter: IPAddress?)
    /// Nothing came in that time.
    case silent(after: Duration)
}

/// What came of packets of full size.
public enum SizeOutcome: Hashable, Sendable {
    /// They pass.
    case passes(UInt32)
    /// They do not, and a router says what would.
    case reported(mtu: UInt32, reporter: IPAddress?)
    /// They vanish; the largest that do pass.
    case vanish(above: UInt32, of: UInt32)
    /// The far end answers no echoes, so that nothing can be said.
    case notKnown
}

/// All that was seen of one probe's way.
public struct Observation: Hashable, Sendable {
    /// The probe.
    public var probe: Probe
    /// The endpoint's namespace.
    public var endpoint: Surroundings
    /// The host's.
    public var host: Surroundings
    /// The endpoint's interface that the probe would leave by.
    public var interface: LinkRecord?
    /// The host's end of it.
    public var hostEnd: LinkRecord?
    /// The endpoint's route to the destination.
    public var route: RouteAnswer
    /// The networks that are kept on this host.
    public var networks: [KeptNetwork] = []
    /// The probe's source address.
    public var source: IPAddress?
    /// What came of the probe; `nil` if none was sent.
    public var outcome: ProbeOutcome?
    /// The probe in the endpoint's namespace.
    public var leaving = Passage()
    /// The answer in the endpoint's namespace.
    public var returning = Passage()
    /// The probe on the host.
    public var outward = Passage()
    /// The answer on the host.
    public var homeward = Passage()
    /// Rules that dropped questions for neighbours, or answers to them, and where.
    public var neighbourDrops: [NeighbourDrop] = []
    /// The host's route to the destination for a packet of the endpoint's.
    public var hostRoute: RouteAnswer?
    /// The host's own route to the endpoint.
    public var sourceRoute: RouteAnswer?
    /// The host's route back to the endpoint for a packet of the destination's.
    public var returnRoute: RouteAnswer?
    /// The host's own route to the destination.
    public var destinationRoute: RouteAnswer?
    /// Packets of full size.
    public var size: SizeOutcome?
    /// How many connections of the host's could not be entered while the probe was on its way.
    public var refusedInsertions = 0

    /// A rule that drops what neighbours ask or answer.
    public struct NeighbourDrop: Hashable, Sendable {
        /// Where.
        public var place: Place
        /// The rule.
        public var drop: Passage.Drop

        /// Creates a description.
        public init(_ place: Place, _ drop: Passage.Drop) {
            self.place = place
            self.drop = drop
        }
    }

    /// Creates an observation of which only the beginning is known.
    public init(_ probe: Probe, endpoint: Surroundings, host: Surroundings, route: RouteAnswer) {
        self.probe = probe
        self.endpoint = endpoint
        self.host = host
        self.route = route
    }

    /// The destination's family.
    var family: AddressFamily { probe.destination.family }

    /// Whether somebody beyond the host has answered, if only to refuse.
    var isAnswered: Bool {
        switch outcome {
        case .answered: true
        case .refused: leaving.drop == nil && outward.drop == nil
        case .failed, .silent, nil: false
        }
    }

    /// The address that the endpoint sends the probe to on its link: a gateway, or the destination itself.
    var nextHop: IPAddress? {
        guard let route = route.usable, route.kind == .unicast else { return nil }
        return route.gateway ?? probe.destination
    }

    /// Whether the packet goes to the host: the destination or the gateway is the host's own, or the host has answered for
    /// the gateway (`proxy_arp`, `proxy_ndp`). On a bridge, the gateway may be another machine.
    var isThroughHost: Bool {
        guard let route = route.usable else { return true }
        if host.owns(probe.destination) { return true }
        guard let gateway = route.gateway else { return false }
        // A bridge that has gone does not say whose link it is.
        let candidates = network.map { [$0] } ?? networks
        if candidates.contains(where: { !$0.isAdopted && $0.gateways.contains(gateway) }) { return true }
        return host.owns(gateway) || isHosts(endpoint.neighbour(gateway, on: interface?.index)?.hardwareAddress)
    }

    /// The gateway that the packet goes to, if that is not the host.
    var strangeGateway: IPAddress? { isThroughHost ? nil : route.usable?.gateway }

    /// Whether a hardware address is one that the host has on the endpoint's link.
    private func isHosts(_ hardware: MACAddress?) -> Bool {
        guard let hardware else { return false }
        return [hostEnd, hostSide].contains { $0?.address == hardware }
    }

    /// The link that has the host's addresses for the endpoint: the bridge, or the host's end itself.
    var hostSide: LinkRecord? {
        if let master = host.link(hostEnd?.masterIndex) { return master }
        if let end = hostEnd, !host.addresses(of: end.index, family).isEmpty { return end }
        return bridgeCandidate
    }

    /// A bridge that the endpoint seems to be meant for.
    var bridgeCandidate: LinkRecord? {
        let bridges = host.links.filter { $0.kind == "bridge" }
        func fits(_ bridge: LinkRecord) -> Bool {
            host.addresses(of: bridge.index, family).contains { record in
                if case .route(let route) = route, route.gateway == record.address { return true }
                return ownAddresses.contains { record.network?.contains($0.address) == true }
            }
        }
        return bridges.first(where: fits)
    }

    /// The network whose link the endpoint has.
    var network: KeptNetwork? {
        let names = [hostSide?.name, hostEnd?.name].compactMap(\.self)
        return networks.first { !$0.interfaces.isDisjoint(with: names) }
    }

    /// The endpoint's addresses of the destination's family.
    var ownAddresses: [AddressRecord] {
        interface.map { endpoint.addresses(of: $0.index, family) } ?? []
    }

    /// The host's address on the endpoint's link: what ought to be the gateway.
    var hostAddress: AddressRecord? {
        hostSide.flatMap { host.addresses(of: $0.index, family).first }
    }
}
