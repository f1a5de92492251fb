// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlinkWire
import EgretNetworks
import EgretRun

extension NetworkHost {
    /// Brings what is kept and what is in the kernel together: finishes what somebody who was killed has begun, gives
    /// back the addresses of endpoints whose namespace is gone, and makes anew what was there before the machine was
    /// restarted, or before somebody else removed it.
    func reconcile() throws {
        for network in networks where network.stage != .ready {
            try unmake(network)
            repairs.append("took away what was left of the network \(network.name)")
        }
        for name in networks.map(\.name) {
            var network = networks[try place(of: name)]
            if network.bootID != bootID {
                try restore(&network)
            } else {
                try mend(&network)
            }
        }
    }

    // MARK: - While the machine runs

    private func mend(_ network: inout NetworkRecord) throws {
        let present = try links.all()
        for port in network.ports where port.stage != .ready {
            try withdraw(port, of: network)
            network.ports.removeAll { $0.number == port.number }
            try keep(network)
        }
        for endpoint in network.endpoints {
            let isThere = present.contains { link in
                link.name == endpoint.hostInterface && link.address?.description == endpoint.hostHardwareAddress
            }
            if endpoint.stage == .ready && isThere { continue }
            try forget(endpoint, &network)
            let reason = isThere ? "was never finished" : "its namespace is gone"
            repairs.append("gave up \(endpoint.namespace) of \(network.name): \(reason)")
        }
        if network.mode == .bridge { try mendBridge(&network, present) }
        try host.state.note(network: network.name)
        if try !isInstalled(network) {
            try uninstall(network)
            try install(network)
            repairs.append("put the rules of \(network.name) back, which somebody had removed")
        }
        if network.mode == .bridge, !network.isIsolated, let name = InterfaceName(network.name) {
            try host.openForwarding(link: name, HostNetwork(host.route))
        }
    }

    private func mendBridge(_ network: inout NetworkRecord, _ present: [LinkRecord]) throws {
        if present.contains(where: { $0.name == network.name && $0.index == network.bridgeIndex }) { return }
        if network.isAdopted {
            guard let link = present.first(where: { $0.name == network.name && $0.kind == "bridge" }) else { return }
            try uninstall(network)
            network.bridgeIndex = link.index
        } else {
            guard let name = InterfaceName(network.name), !present.contains(where: { $0.name == network.name }) else {
                throw NetworkProblem(
                    "the interface \(network.name) is another one than Egret made",
                    advice: "rename or remove it; the network's bridge then comes back")
            }
            try uninstall(network)
            let mtu = try network.mtu ?? HostNetwork(host.route).mtu
            network.bridgeIndex = try links.makeBridge(name, subnets: network.subnets, mtu: mtu)
            try links.setMaster(of: network.endpoints.map(\.hostIndex), to: network.bridgeIndex ?? 0)
        }
        try keep(network)
        try install(network)
        repairs.append("made the bridge \(network.name) again, which somebody had removed")
    }

    private func isInstalled(_ network: NetworkRecord) throws -> Bool {
        let program = NetworkProgram(network.plan)
        return try host.dataplane.holds(
            [program.filter, program.translation] + network.readyPorts.map { PublishedPortProgram($0).program })
    }

    // MARK: - After the machine was restarted

    /// Makes a network anew, with the endpoints in namespaces that Egret had made. All others are gone.
    private func restore(_ network: inout NetworkRecord) throws {
        let endpoints = network.endpoints.filter { $0.isCreated && $0.stage == .ready }
        let names = Set(endpoints.map(\.namespace))
        let ports = network.ports.filter { $0.stage == .ready && names.contains($0.namespace) }
        network.endpoints = []
        network.ports = []
        network.bridgeIndex = nil
        try make(&network, HostNetwork(host.route))
        try keep(network)
        for endpoint in endpoints { try restore(endpoint, &network) }
        network.ports = ports
        try keep(network)
        if !ports.isEmpty { try install(ports, network) }
        repairs.append(
            "restored \(network.name) with \(endpoints.count) namespaces and \(ports.count) published ports")
    }

    private func restore(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        guard let reference = NamespaceReference(endpoint.namespace) else { return }
        var endpoint = endpoint
        endpoint.stage = .making
        network.endpoints.append(endpoint)
        try keep(network)
        // A file that is left from before the restart holds nothing.
        if (try? reference.open()) == nil {
            try NetworkNamespace.remove(at: reference.path)
            try NetworkNamespace.create(at: reference.path)
        }
        try attach(&endpoint, reference, &network)
    }
}
