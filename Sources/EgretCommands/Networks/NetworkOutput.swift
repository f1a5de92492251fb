// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetworks

/// A network as commands print it.
struct NetworkDocument: Encodable {
    struct Endpoint: Encodable {
        var namespace: String
        var interface: String
        var hostInterface: String
        var addresses: [String]
        var hardwareAddress: String
        var sourceAddresses: [String]?
        var isCreated: Bool
        var workload: String
        var labels: [String: String]?
        var ports: [String]?
    }

    struct Port: Encodable {
        var host: String
        var namespace: String
        var ports: String
        var from: [String]?
    }

    var name: String
    var mode: String
    var subnets: [String]
    var gateways: [String]
    var mtu: UInt32?
    var isolated: Bool
    var adopted: Bool
    var translation: String
    var allowedThrough: [String]?
    /// Of one network that is looked at closely.
    var bridgeFiltering: BridgeFiltering?
    var endpoints: [Endpoint]
    var published: [Port]

    init(_ network: NetworkRecord) {
        name = network.name
        mode = network.mode.rawValue
        subnets = network.subnets.map { "\($0.block)" }
        gateways = network.subnets.map { "\($0.gateway)" }
        mtu = network.mtu
        isolated = network.isIsolated
        adopted = network.isAdopted
        translation =
            network.isIsolated || !network.isTranslated
            ? "none"
            : network.sourceAddresses.isEmpty
                ? "masquerade" : network.sourceAddresses.map(\.text).joined(separator: ", ")
        allowedThrough = network.passages?.map(\.tool.rawValue)
        endpoints = network.endpoints.map { endpoint in
            Endpoint(
                namespace: endpoint.namespace,
                interface: endpoint.interface,
                hostInterface: endpoint.hostInterface,
                addresses: endpoint.addresses.map { "\($0)" },
                hardwareAddress: endpoint.hardwareAddress,
                sourceAddresses: endpoint.sourceAddresses.isEmpty ? nil : endpoint.sourceAddresses.map(\.text),
                isCreated: endpoint.isCreated,
                workload: "\(endpoint.who.group)/\(endpoint.who.name)",
                labels: endpoint.who.labels.isEmpty ? nil : endpoint.who.labels,
                ports: endpoint.who.ports.isEmpty
                    ? nil : endpoint.who.ports.map { "\($0.name)=\($0.number)/\($0.transport)" }
            )
        }
        published = network.ports.map { port in
            Port(
                host: port.text,
                namespace: port.namespace,
                ports: port.targetText,
                from: port.sources.isEmpty ? nil : port.sources.map { "\($0)" }
            )
        }
    }

    /// The networks of this host, and those that were made for Docker; and why others cannot be read.
    static func all() throws -> (documents: [NetworkDocument], kept: NetworkStoreContents) {
        let store = try NetworkStore(chosen: Environment.current[NetworkStore.variable])
        let dockers = try store.dockerRecords().map { record in
            var document = NetworkDocument(record)
            document.mode = "docker"
            return document
        }
        let kept = try store.contents()
        return ((kept.networks.map { NetworkDocument($0) } + dockers).sorted { $0.name < $1.name }, kept)
    }

    /// Whether Docker has it.
    var isDockers: Bool { mode == "docker" }

    /// Everything about the network, for people.
    var lines: [String] {
        var lines = ["\(name)  \(mode)\(isolated ? ", isolated" : "")\(adopted ? ", adopted" : "")"]
        for (subnet, gateway) in zip(subnets, gateways) { lines.append("  subnet \(subnet), gateway \(gateway)") }
        lines.append("  source addresses: \(translation)")
        if let allowedThrough { lines.append("  allowed through \(allowedThrough.joined(separator: ", "))") }
        if let mtu { lines.append("  mtu \(mtu)") }
        lines += bridgeFiltering?.lines ?? []
        if isDockers {
            lines.append("  nothing passes its bridge but what endpoints send that the agent knows")
        } else if endpoints.isEmpty {
            lines.append("  no endpoints")
        } else {
            lines += [""] + endpointTable.lines
        }
        if !published.isEmpty { lines += [""] + NetworkDocument.table(of: published).lines }
        return lines
    }

    private var endpointTable: TextTable {
        var table = TextTable(
            header: ["NAMESPACE", "INTERFACE", "ADDRESSES", "HOST END", "WORKLOAD", "LABELS"],
            alignments: [.left, .left, .left, .left, .left, .left])
        for endpoint in endpoints {
            let labels = (endpoint.labels ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            table.append([
                endpoint.namespace, endpoint.interface, endpoint.addresses.joined(separator: " "),
                endpoint.hostInterface, endpoint.workload, labels.joined(separator: ","),
            ])
        }
        return table
    }

    static func table(of ports: [Port]) -> TextTable {
        var table = TextTable(
            header: ["HOST", "NAMESPACE", "PORTS", "FROM"], alignments: [.left, .left, .left, .left])
        for port in ports {
            table.append([port.host, port.namespace, port.ports, port.from?.joined(separator: " ") ?? "everyone"])
        }
        return table
    }
}

extension NetworkStoreContents {
    /// What cannot be read, in words for the user.
    var warnings: [String] {
        unreadable.sorted { $0.key < $1.key }.map { _, problem in
            "egret: warning: " + problem.message + (problem.advice.map { "; \($0)" } ?? "")
        }
    }
}

extension AddressPair {
    /// `192.0.2.7`, `192.0.2.7-192.0.2.9`, or `192.0.2.7-192.0.2.9 per connection`.
    var text: String {
        first == last ? "\(first)" : "\(first)-\(last)" + (isPerConnection == true ? " per connection" : "")
    }
}
