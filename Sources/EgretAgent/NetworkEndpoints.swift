// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretPolicy

/// Where the agent's endpoints come from.
protocol EndpointSource {
    /// The endpoints that are there now.
    func endpoints() throws -> [AgentEndpoint]
    /// Whether an endpoint's link is there, kept or not.
    func hasLink(_ endpoint: AgentEndpoint) -> Bool
    /// Notes that policies are about to be the agent's, whatever becomes of it meanwhile.
    func noteTakeOver() throws
    /// Notes for whoever connects endpoints whether there are policies that they must not be without.
    func note(hasPolicies: Bool) throws
    /// Those that others have connected, where there can be such.
    var attached: AttachedEndpoints? { get }
    /// The bridges, besides those that the agent was told of, that are closed to all but what endpoints send and are sent.
    func quarantine() throws -> Swift.Set<BridgePattern>
    /// Control groups that an operator has attached, where there can be such.
    var groups: AttachedGroups? { get }
}

extension EndpointSource {
    var attached: AttachedEndpoints? { nil }
    var groups: AttachedGroups? { nil }
    func quarantine() throws -> Swift.Set<BridgePattern> { [] }
    func noteTakeOver() throws {}
}

/// The endpoints of this host's networks, as they are kept.
struct NetworkEndpoints: EndpointSource {
    private let store: NetworkStore
    private let links: WatchedLinks
    private let bootID: String
    private let memory: Memory

    /// What of a link matters to its endpoint: ten thousand of them would be some megabytes whole.
    private struct Link: Hashable {
        var name: String
        var mtu: UInt32
    }

    /// What was found when it was last looked, for as long as nothing changes.
    private final class Memory {
        let kept: KeptNetworks
        var versions: (networks: Int, links: Int)?
        /// The links that the networks' endpoints have, as far as they are there.
        var links: [UInt32: Link] = [:]
        var endpoints: [AgentEndpoint] = []

        init(_ kept: KeptNetworks) { self.kept = kept }
    }

    /// Looks at the networks of the calling thread's network namespace.
    ///
    /// - Parameter links: The links of that namespace.
    /// - Throws: An error if the namespace cannot be told.
    init(links: WatchedLinks) throws {
        store = try NetworkStore(chosen: Environment.current[NetworkStore.variable])
        self.links = links
        bootID = try NetworkStore.currentBootID()
        memory = Memory(KeptNetworks(store))
    }

    func endpoints() throws -> [AgentEndpoint] {
        let networks = try memory.kept.networks()
        // After the networks: an endpoint that is kept has its link.
        let present = networks.isEmpty ? [:] : try links.current()
        let versions = (memory.kept.version, links.version)
        if let known = memory.versions, known == versions { return memory.endpoints }
        let ours = networks.filter { $0.bootID == bootID }
        var own: [UInt32: Link] = [:]
        for endpoint in ours.lazy.flatMap(\.endpoints) {
            own[endpoint.hostIndex] = present[endpoint.hostIndex].map { Link(name: $0.name, mtu: $0.mtu) }
        }
        // Others' links come and go as well.
        if memory.versions?.networks != versions.0 || memory.links != own {
            memory.endpoints = endpoints(of: ours, own)
            memory.links = own
        }
        memory.versions = versions
        return memory.endpoints
    }

    private func endpoints(of networks: [NetworkRecord], _ present: [UInt32: Link]) -> [AgentEndpoint] {
        let found: [Connection] = networks.flatMap { network -> [Connection] in
            // Once for all of them.
            let subnets = network.subnets.map(\.block)
            let families: Swift.Set<AddressFamily> = network.isIsolated ? [] : Swift.Set(subnets.map(\.family))
            return network.endpoints.compactMap { endpoint -> Connection? in
                // Until its link is gone it is an endpoint, whatever its stage, and whatever somebody calls the link.
                guard let link = present[endpoint.hostIndex],
                    let known = NetworkEndpoints.endpoint(endpoint, link, of: network, subnets)
                else { return nil }
                return Connection(endpoint: known, record: endpoint, families: families)
            }
        }
        return NetworkEndpoints.joined(found)
    }

    /// An endpoint, and what is kept of it.
    struct Connection {
        var endpoint: AgentEndpoint
        var record: NetworkRecord.Endpoint
        /// The families that its network leads out.
        var families: Swift.Set<AddressFamily>
    }

    /// A container of several networks is one workload, with the addresses and the labels of all its links. Of each family it
    /// leaves by the network that it was connected to first.
    static func joined(_ connections: [Connection]) -> [AgentEndpoint] {
        let byName = Dictionary(grouping: connections) { $0.endpoint.workload.id }
        if byName.count == connections.count { return connections.map(\.endpoint) }
        return connections.map { connection in
            var endpoint = connection.endpoint
            var leads = connection.families
            let others = (byName[endpoint.workload.id] ?? []).filter {
                $0.endpoint.interfaceIndex != endpoint.interfaceIndex
            }
            for other in others {
                endpoint.workload.addresses += other.endpoint.addresses
                endpoint.workload.labels.merge(other.endpoint.workload.labels) { own, _ in own }
                if other.record.leads(before: connection.record) { leads.subtract(other.families) }
            }
            if !others.isEmpty { endpoint.leads = leads }
            return endpoint
        }
    }

    func hasLink(_ endpoint: AgentEndpoint) -> Bool {
        do { return try links.current()[endpoint.interfaceIndex] != nil } catch { return true }
    }

    func note(hasPolicies: Bool) throws { try store.note(hasPolicies: hasPolicies) }

    func quarantine() throws -> Swift.Set<BridgePattern> {
        Swift.Set(try store.dockerNetworks().compactMap { BridgePattern($0) })
    }

    private static let transports: [String: IPProtocol] = ["tcp": .tcp, "udp": .udp, "sctp": .sctp]

    private static func endpoint(
        _ endpoint: NetworkRecord.Endpoint, _ link: Link, of network: NetworkRecord, _ subnets: [IPPrefix]
    ) -> AgentEndpoint? {
        guard let interface = InterfaceName(link.name),
            let hardware = MACAddress(text: endpoint.hardwareAddress)
        else { return nil }
        let who = endpoint.who
        let ports = who.ports.compactMap { port in
            transports[port.transport].map { Workload.NamedPort(port.name, $0, port.number) }
        }
        var bridge: AgentEndpoint.Bridge?
        if network.mode == .bridge {
            guard let index = network.bridgeIndex, let name = InterfaceName(network.name) else { return nil }
            bridge = AgentEndpoint.Bridge(name: name, index: index)
        }
        return AgentEndpoint(
            workload: Workload(
                Workload.ID(namespace: who.group, name: who.name, kind: "Endpoint"), labels: who.labels,
                addresses: endpoint.addresses, namedPorts: ports),
            network: network.name, namespace: endpoint.namespace, interface: interface,
            interfaceIndex: endpoint.hostIndex, bridge: bridge, hardwareAddress: hardware,
            addresses: endpoint.addresses, subnets: subnets, mtu: link.mtu,
            limits: (endpoint.rates ?? []).map { rate in
                TrafficLimit(
                    direction: rate.isEgress ? .egress : .ingress, rate: BitRate(bitsPerSecond: rate.bitsPerSecond),
                    burst: rate.burstBytes.map { ByteCount(bytes: $0) })
            })
    }
}
