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
    ///
    /// - Parameter isThorough: Whether rules are read also where the kernel says that none has changed since.
    func reconcile(isThorough: Bool = false) throws {
        let isUnchanged = try !isThorough && host.state.rulesetGeneration == host.dataplane.rulesetGeneration()
        for name in try host.state.notedNetworks() where !networks.contains(where: { $0.name == name }) {
            try host.state.forget(network: name)
        }
        if !store.outlivesRestart {
            for network in networks where network.bootID != bootID { try store.remove(network.name) }
            networks.removeAll { $0.bootID != bootID }
        }
        for network in networks where network.stage != .ready {
            try unmake(network)
            repairs.append("took away what was left of the network \(network.name)")
        }
        for name in networks.map(\.name) {
            var network = networks[try place(of: name)]
            if network.bootID != bootID {
                try restore(&network)
            } else {
                try mend(&network, rulesAreRight: isUnchanged)
            }
        }
    }

    // MARK: - While the machine runs

    private func mend(_ network: inout NetworkRecord, rulesAreRight: Bool) throws {
        let present = try links.all()
        for port in network.ports where port.stage != .ready && port.stage != .waiting {
            try withdraw(port, of: network)
            network.ports.removeAll { $0.number == port.number }
            try keep(network)
        }
        for endpoint in network.endpoints {
            let isThere = present.contains { link in
                link.name == endpoint.hostInterface && link.address?.description == endpoint.hostHardwareAddress
            }
            if endpoint.stage == .ready && isThere || endpoint.stage == .waiting { continue }
            try forget(endpoint, &network)
            let reason = isThere ? "was never finished" : "its namespace is gone"
            repairs.append("gave up \(endpoint.namespace) of \(network.name): \(reason)")
        }
        if network.mode == .bridge { try mendBridge(&network, present) }
        try host.state.note(network: network.name)
        if try !rulesAreRight && !isInstalled(network) {
            try uninstall(network)
            try install(network)
            repairs.append("put the rules of \(network.name) back, which somebody had removed")
        }
        try openForwarding(network)
        try resume(&network)
    }

    /// The host's uplinks may have come since.
    private func openForwarding(_ network: NetworkRecord) throws {
        if network.mode == .bridge && network.isIsolated { return }
        let links = network.mode == .bridge ? [network.name] : network.endpoints.map(\.hostInterface)
        let outside = try HostNetwork(host.route)
        for name in links.compactMap({ InterfaceName($0) }) where outside.links.values.contains(name.rawValue) {
            try host.openForwarding(link: name, outside)
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
            network.bridgeIndex = try links.makeBridge(
                name, network.bridgeHardwareAddress, subnets: network.subnets, mtu: mtu)
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

    /// Makes a network anew, with the endpoints in namespaces that Egret had made. All other namespaces are gone.
    ///
    /// The file says so until all of it is done: whoever is stopped in between begins again.
    private func restore(_ network: inout NetworkRecord) throws {
        network.endpoints = network.endpoints.filter { $0.isCreated && $0.stage != .removing }
        let names = Set(network.endpoints.map(\.namespace))
        network.ports = network.ports.filter { $0.stage != .removing && names.contains($0.namespace) }
        // What an attempt that was stopped has left.
        for endpoint in network.endpoints {
            try links.remove(endpoint.hostInterface) { $0.address?.description == endpoint.hostHardwareAddress }
        }
        // Numbers of interfaces are others' by now.
        network.bridgeIndex = nil
        for place in network.endpoints.indices {
            network.endpoints[place].stage = .waiting
            network.endpoints[place].hostIndex = 0
        }
        for place in network.ports.indices { network.ports[place].stage = .waiting }
        try uninstall(network)
        try removeBridge(of: network)
        try keep(network)
        try make(&network, HostNetwork(host.route))
        try resume(&network)
        network.bootID = bootID
        try keep(network)
        let endpoints = network.endpoints.filter { $0.stage == .ready }.count
        let ports = network.ports.filter { $0.stage == .ready }.count
        repairs.append("restored \(network.name) with \(endpoints) namespaces and \(ports) published ports")
    }

    /// Makes what waits to be made again. What cannot be made goes on waiting.
    private func resume(_ network: inout NetworkRecord) throws {
        for endpoint in network.endpoints where endpoint.stage == .waiting {
            do {
                try resume(endpoint, &network)
            } catch {
                try links.remove(endpoint.hostInterface) { $0.address?.description == endpoint.hostHardwareAddress }
                try note(endpoint, &network)
                repairs.append("\(endpoint.namespace) of \(network.name) is still to be restored: \(error)")
            }
        }
        let ready = Set(network.endpoints.filter { $0.stage == .ready }.map(\.namespace))
        for place in network.ports.indices where network.ports[place].stage == .waiting {
            guard ready.contains(network.ports[place].namespace) else { continue }
            try install([network.ports[place]], network)
            network.ports[place].stage = .ready
            try keep(network)
        }
    }

    private func resume(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        guard let reference = NamespaceReference(endpoint.namespace) else { return }
        var endpoint = endpoint
        if let namespace = try? reference.open() {
            // Somebody has made one by that name, if it was not Egret, for another network.
            let cookie = try NamespaceReference.cookie(of: namespace)
            endpoint.isCreated = networks.flatMap(\.endpoints).contains { other in
                other.stage == .ready && other.isCreated && other.namespace == endpoint.namespace
                    && other.cookie == cookie
            }
        } else {
            // A file that is left from before the restart holds nothing.
            try NetworkNamespace.remove(at: reference.path)
            try create(reference, for: &endpoint, &network)
        }
        try attach(&endpoint, reference, &network)
    }
}
