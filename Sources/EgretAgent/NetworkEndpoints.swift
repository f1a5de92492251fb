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
    private let links: NetworkLinks
    private let bootID: String
    private let memory: Memory

    /// What was found when it was last looked, for as long as nothing changes.
    private final class Memory {
        /// Hears of links that come, go and change.
        let events: NetlinkConnection
        var files: [String: File.Status]?
        var endpoints: [AgentEndpoint] = []

        init() throws {
            events = try NetlinkConnection.routeEvents(groups: [RouteGroup.links], receiveBuffer: 1 << 20)
        }

        /// Whether a link may have changed since the last call.
        func linksHaveChanged() throws -> Bool {
            let pending = try events.pendingEvents()
            return pending.someWereLost || !pending.messages.isEmpty
        }
    }

    /// Looks at the networks of the calling thread's network namespace.
    init() throws {
        store = try NetworkStore(chosen: Environment.current[NetworkStore.variable])
        links = NetworkLinks(try NetlinkConnection.route())
        bootID = try NetworkStore.currentBootID()
        memory = try Memory()
    }

    func endpoints() throws -> [AgentEndpoint] {
        // In this order: what changes while it is read is read again.
        let haveChanged = try memory.linksHaveChanged()
        let files = try store.files()
        if !haveChanged, let files, files == memory.files { return memory.endpoints }
        memory.files = nil
        memory.endpoints = try read()
        memory.files = files
        return memory.endpoints
    }

    private func read() throws -> [AgentEndpoint] {
        let networks = try store.networks().filter { $0.bootID == bootID }
        if networks.isEmpty { return [] }
        let present = Dictionary(
            try links.all().map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
        let found: [Connection] = networks.flatMap { network in
            network.endpoints.compactMap { endpoint in
                // Until its link is gone it is an endpoint, whatever its stage, and whatever somebody calls the link.
                guard let link = present[endpoint.hostIndex],
                    let known = NetworkEndpoints.endpoint(endpoint, link, of: network)
                else { return nil }
                return Connection(
                    endpoint: known, record: endpoint,
                    families: network.isIsolated ? [] : Swift.Set(network.subnets.map(\.block.family)))
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
        let byName = Dictionary(grouping: connections, by: \.endpoint.workload.id)
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
        (try? links.all().contains { $0.index == endpoint.interfaceIndex }) ?? true
    }

    func note(hasPolicies: Bool) throws { try store.note(hasPolicies: hasPolicies) }

    func quarantine() throws -> Swift.Set<BridgePattern> {
        Swift.Set(try store.dockerNetworks().compactMap { BridgePattern($0) })
    }

    private static func endpoint(
        _ endpoint: NetworkRecord.Endpoint, _ link: LinkRecord, of network: NetworkRecord
    ) -> AgentEndpoint? {
        guard let interface = InterfaceName(link.name),
            let hardware = MACAddress(text: endpoint.hardwareAddress)
        else { return nil }
        let who = endpoint.who
        let protocols: [String: IPProtocol] = ["tcp": .tcp, "udp": .udp, "sctp": .sctp]
        let ports = who.ports.compactMap { port in
            protocols[port.transport].map { Workload.NamedPort(port.name, $0, port.number) }
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
            addresses: endpoint.addresses, subnets: network.subnets.map(\.block), mtu: link.mtu,
            limits: (endpoint.rates ?? []).map { rate in
                TrafficLimit(
                    direction: rate.isEgress ? .egress : .ingress, rate: BitRate(bitsPerSecond: rate.bitsPerSecond),
                    burst: rate.burstBytes.map { ByteCount(bytes: $0) })
            })
    }
}
