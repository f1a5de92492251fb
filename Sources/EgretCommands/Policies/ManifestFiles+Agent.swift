// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretAgentClient
import EgretDocuments
import EgretPolicy

/// What the agent holds: its documents are read as files are, and its endpoints are the workloads.
struct PoliciesInForce {
    /// The documents in force.
    let files: [SourceFile]
    /// The endpoints.
    let endpoints: [EndpointInfo]
    /// What happens where no policy decides about what an endpoint begins.
    let networkDefault: DefaultAction
    private let client: AgentClient

    /// Asks the agent.
    init(_ client: AgentClient) throws {
        self.client = client
        files = try client.documents()
        endpoints = try client.endpoints()
        networkDefault = try client.status().networkDefault.flatMap { DefaultAction(rawValue: $0) } ?? .allow
    }

    /// The endpoints' links, by the workloads that they are.
    var links: [Workload.ID: [EndpointLink]] {
        Dictionary(grouping: endpoints, by: \.workload.id).mapValues { $0.map(\.link) }
    }

    /// Puts the agent's workloads and lists in the place of those of the documents.
    func complete(_ result: inout PolicyReader.Result) throws {
        result.inventory = Inventory(
            workloads: endpoints.map(\.workload), namespaces: result.inventory.namespaces,
            nodes: result.inventory.nodes)
        for place in result.groups.indices where result.groups[place].feed != nil {
            let list = FeedList(Array(try client.list(ofGroup: result.groups[place].name).utf8))
            result.groups[place].fetched = list.blocks.isEmpty ? nil : list.blocks
        }
    }
}

extension EndpointInfo {
    /// Where it is connected.
    fileprivate var link: EndpointLink {
        EndpointLink(
            network: network, addresses: addresses.compactMap { IPAddress($0) },
            blocks: (subnets ?? []).compactMap { IPPrefix($0) },
            leads: leads.map { Swift.Set($0.compactMap { AddressFamily(rawValue: $0) }) })
    }

    /// The endpoint as selectors see it.
    fileprivate var workload: Workload {
        let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
        let protocols: [String: IPProtocol] = ["tcp": .tcp, "udp": .udp, "sctp": .sctp]
        let ports = (self.ports ?? []).compactMap { text -> Workload.NamedPort? in
            // `http=8080/tcp`
            guard let equals = text.firstIndex(of: "="), let slash = text.lastIndex(of: "/"), equals < slash,
                let number = UInt16(text[text.index(after: equals)..<slash]),
                let transport = protocols[String(text[text.index(after: slash)...])]
            else { return nil }
            return Workload.NamedPort(String(text[..<equals]), transport, number)
        }
        return Workload(
            Workload.ID(namespace: parts.first ?? "", name: parts.last ?? "", kind: "Endpoint"), labels: labels,
            addresses: addresses.compactMap { IPAddress($0) }, namedPorts: ports)
    }
}
