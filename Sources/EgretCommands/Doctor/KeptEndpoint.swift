// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretDoctor
import EgretLinux
import EgretNetlink
import EgretNetworks

/// What Egret keeps of the endpoint that the doctor looks at; nothing, for a namespace that Egret has not connected.
struct KeptEndpoint {
    /// The networks that the endpoint's namespace is connected to, with its link to each.
    let links: [(network: NetworkRecord, endpoint: NetworkRecord.Endpoint)]
    /// All networks of the host that can be read.
    let networks: [NetworkRecord]
    /// Why others cannot be, in words for the user.
    let warnings: [String]
    private let namespace: Namespace
    private let cookie: UInt64

    /// Reads what is kept.
    init(_ namespace: Namespace) throws {
        self.namespace = namespace
        let cookie = try NamespaceReference.cookie(of: namespace)
        self.cookie = cookie
        let contents = try NetworkHost.read()
        warnings = contents.warnings
        networks = contents.networks
        links = networks.flatMap { network in
            network.endpoints.filter { $0.cookie == cookie }.map { (network: network, endpoint: $0) }
        }
    }

    /// Whether somebody's name of a namespace is one of the endpoint's, which may have several: `web`, `/run/netns/web` and
    /// `/proc/4711/ns/net`.
    func isCalled(_ name: String) -> Bool {
        NamespaceReference(name).flatMap { NetworkHost.cookie(of: $0) } == cookie
    }

    /// The networks, as the doctor needs to know them.
    var kept: [KeptNetwork] { networks.map { KeptNetwork($0) } }

    /// Where a packet goes that was given no destination: to a public resolver that answers echoes, of a family that the
    /// endpoint has addresses of; out of an isolated network to the host.
    func usualDestination() -> IPAddress {
        let open = links.map(\.network).filter { !$0.isIsolated }
        if let isolated = links.first?.network.subnets.first, open.isEmpty { return isolated.gateway }
        var families = open.flatMap(\.subnets).map(\.block.family)
        if families.isEmpty {
            families = ((try? NamespaceLink.all(in: namespace)) ?? []).flatMap(\.addresses).map(\.family)
        }
        return families.contains(.ipv4) || families.isEmpty ? KeptEndpoint.resolver4 : KeptEndpoint.resolver6
    }

    private static let resolver4 = IPAddress.v4(IPv4Address(rawValue: 0x0808_0808))
    private static let resolver6 = IPAddress("2001:4860:4860::8888") ?? resolver4

    /// What of the endpoint's networks is kept and not there.
    ///
    /// - Parameters:
    ///   - hostEnd: The host's end of the link that the packet's route leads by. If it is one of the endpoint's links
    ///     to networks, the others are not looked at, but for the destination's own: what they lack keeps no packet
    ///     from this way.
    ///   - destination: Where the packet was to go.
    /// - Returns: What is not as it is kept, in the order of the packet's way for each link.
    /// - Throws: An error that says what could not be read.
    func deviations(by hostEnd: UInt32?, to destination: IPAddress) throws -> [Deviation] {
        if links.isEmpty { return [] }
        func leads(_ endpoint: NetworkRecord.Endpoint) -> Bool {
            endpoint.stage == .ready && endpoint.hostIndex == hostEnd
        }
        let isKnown = links.contains { leads($0.endpoint) }
        let concerned = links.filter { network, endpoint in
            !isKnown || leads(endpoint) || network.subnets.contains { $0.block.contains(destination) }
        }
        let host = try NamespaceState(reading: NetlinkConnection.route())
        let inside = try NamespaceState(reading: namespace.visit { try NetlinkConnection.route() })
        let dataplane = Dataplane(try NetlinkConnection.netfilter())
        return try concerned.flatMap { network, endpoint -> [Deviation] in
            guard endpoint.stage == .ready else {
                return [
                    Deviation(.link, "the link of \(endpoint.namespace) to \(network.name) is still to be made again")
                ]
            }
            let faults =
                network.bridgeFaults(host)
                + network.faults(
                    of: endpoint, host: host, inside: inside, led: networks.families(leadingBefore: endpoint))
            var found = faults.map { fault in
                Deviation(Deviation.Kind(fault.part), fault.words, isEgrets: !(fault.needsBridge && network.isAdopted))
            }
            if try !dataplane.holds(network.programs) {
                found.append(Deviation(.rules, "the rules of \(network.name) are not as Egret has made them"))
            }
            return found
        }
    }
}

extension KeptNetwork {
    init(_ network: NetworkRecord) {
        self.init(
            name: network.name, blocks: network.subnets.map(\.block), gateways: Set(network.subnets.map(\.gateway)),
            isAdopted: network.isAdopted,
            interfaces: network.mode == .bridge ? [network.name] : Set(network.endpoints.map(\.hostInterface)),
            isIsolated: network.isIsolated, isTranslated: network.isTranslated && !network.isIsolated)
    }
}

extension Deviation.Kind {
    init(_ part: NetworkFault.Part) {
        self =
            switch part {
            case .link: .link
            case .address: .address
            case .route: .route
            case .gateway: .gateway
            case .routeBack: .routeBack
            }
    }
}
