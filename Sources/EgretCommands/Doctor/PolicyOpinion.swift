// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretAgentClient
import EgretDoctor
import EgretEvaluator
import EgretLinux
import EgretNetworks
import EgretPolicy
import EgretResolution

/// What the policies in force say of a packet, with the rule: those of the agent, or of the file that a network names.
struct PolicyOpinion {
    /// The verdict, the rule and where it stands, in words.
    var reason: String
    /// Whether the packet is let out.
    var isAllowed: Bool

    /// Asks whoever keeps the policies.
    ///
    /// - Parameters:
    ///   - probe: The packet.
    ///   - endpoint: Who sends it.
    /// - Returns: `nil` where nobody keeps policies for the endpoint, or cannot be asked.
    static func of(_ probe: Probe, from endpoint: KeptEndpoint) -> PolicyOpinion? {
        if let opinion = try? agents(probe, endpoint) { return opinion }
        return try? files(probe, endpoint)
    }

    private static func agents(_ probe: Probe, _ endpoint: KeptEndpoint) throws -> PolicyOpinion? {
        let address = AgentAddress(chosen: Environment.current[AgentAPI.socketVariable])
        guard File.exists(address.socketPath) else { return nil }
        let client = AgentClient(address)
        let status = try client.status()
        guard try status.networkNamespace == NetworkNamespace.currentCookie() else { return nil }
        let known = try client.endpoints()
        let names = endpoint.links.map { "\($0.endpoint.who.group)/\($0.endpoint.who.name)" }
        // One that somebody else has connected is known by its namespace.
        let found = known.first { names.contains($0.name) } ?? known.first { endpoint.isCalled($0.namespace) }
        guard let name = found?.name else { return nil }
        let files = try ManifestFiles([], or: client)
        return try opinion(
            probe, files, name, workloads: nil, files.links, source: "the agent's revision \(status.revision)")
    }

    private static func files(_ probe: Probe, _ endpoint: KeptEndpoint) throws -> PolicyOpinion? {
        guard let link = endpoint.links.first(where: { $0.network.policyFile != nil }),
            let path = link.network.policyFile
        else { return nil }
        let workloads = endpoint.networks.flatMap(\.endpoints).map { endpoint in
            Workload(
                Workload.ID(namespace: endpoint.who.group, name: endpoint.who.name, kind: "Endpoint"),
                labels: endpoint.who.labels, addresses: endpoint.addresses)
        }
        return try opinion(
            probe, ManifestFiles([path]), "\(link.endpoint.who.group)/\(link.endpoint.who.name)",
            workloads: workloads, endpoint.connections, source: "in force without an agent")
    }

    private static func opinion(
        _ probe: Probe, _ files: ManifestFiles, _ name: String, workloads: [Workload]?,
        _ links: [Workload.ID: [EndpointLink]], source: String
    ) throws -> PolicyOpinion? {
        var result = try files.result()
        if let workloads {
            result.inventory = Inventory(workloads: workloads, namespaces: result.inventory.namespaces)
        }
        var catalog = result.catalog
        catalog.networkDefault = files.networkDefault ?? .allow
        let inventory = result.inventory
        let own = inventory.workloads.indices.filter { place in
            let id = inventory.workloads[place].id
            return "\(id.namespace)/\(id.name)" == name
        }
        let target =
            inventory.workloads.firstIndex { $0.addresses.contains(probe.destination) }
            .map { ConnectionEnd.workload($0) } ?? .address(probe.destination)
        let echo: UInt8 = probe.destination.family == .ipv4 ? 8 : 128
        let service = ConnectionService(
            probe.transport, port: probe.port, icmpType: probe.service == .echo ? echo : nil)
        // Of an endpoint of several networks the link decides that the packet leaves by.
        let ways = EndpointLinks(inventory, links).ways(
            from: own.map { ConnectionEnd.workload($0) }, to: [target], probe.transport)
        guard let way = ways.first else { return nil }
        var explainer = ConnectionExplainer(catalog, inventory, at: WallTime.now.seconds)
        let answers = try explainer.answers(
            ConnectionQuestion(
                source: way.source, target: way.target, service: service, family: probe.destination.family))
        guard let answer = answers.first else { return nil }
        let sides = [answer.egress, answer.ingress].compactMap(\.self)
        let decisive = sides.first { $0.decision.verdict != .allow } ?? sides.first
        guard let decisive else { return nil }
        let reason = decisive.decision.reason(in: decisive.policies, at: decisive.time)
        return PolicyOpinion(reason: "\(reason); \(source)", isAllowed: answer.isAllowed)
    }
}

extension KeptEndpoint {
    /// The endpoint's links, by the workload that policies know it as.
    fileprivate var connections: [Workload.ID: [EndpointLink]] {
        var found: [Workload.ID: [EndpointLink]] = [:]
        for (network, endpoint) in links {
            let who = endpoint.who
            let families = network.isIsolated ? [] : Swift.Set(network.subnets.map(\.block.family))
            found[Workload.ID(namespace: who.group, name: who.name, kind: "Endpoint"), default: []].append(
                EndpointLink(
                    network: network.name, addresses: endpoint.addresses, blocks: network.subnets.map(\.block),
                    leads: families.subtracting(networks.families(leadingBefore: endpoint))))
        }
        return found
    }
}
