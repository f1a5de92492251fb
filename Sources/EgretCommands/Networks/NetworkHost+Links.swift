// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretNftables

extension NetworkHost {
    /// Puts back what is missing of a network's links, addresses and routes: of the bridge, of the host's ends, and in the
    /// endpoints' namespaces. What cannot be put back is among ``repairs``.
    func mendLinks(_ network: inout NetworkRecord) {
        do {
            try mendBridgeLink(network)
        } catch {
            repairs.append("\(network.name) is still to be put right: \(error)")
        }
        guard var state = try? NamespaceState(reading: host.route) else { return }
        for endpoint in network.endpoints where endpoint.stage == .ready {
            do {
                guard let namespace = try endpoint.openNamespace() else { continue }
                try mend(endpoint, in: namespace, &network, &state)
            } catch {
                repairs.append("\(endpoint.namespace) of \(network.name) is still to be put right: \(error)")
            }
        }
    }

    /// Puts back what is missing of a bridge that is there: that it is up, and its addresses.
    func mendBridgeLink(_ network: NetworkRecord) throws {
        for _ in 0..<NetworkHost.mostFaults {
            guard let fault = network.bridgeFaults(try NamespaceState(reading: host.route)).first else { return }
            try links.mend(fault, inside: host.route)
            repairs.append("put right: \(fault.words)")
        }
    }

    /// One thing after the other: what is put back may bring others back, or take them.
    private func mend(
        _ endpoint: NetworkRecord.Endpoint, in namespace: Namespace, _ network: inout NetworkRecord,
        _ state: inout NamespaceState
    ) throws {
        let inside = try namespace.visit { try NetlinkConnection.route() }
        for _ in 0..<NetworkHost.mostFaults {
            let present = try NamespaceState(reading: inside)
            let faults = network.faults(
                of: endpoint, host: state, inside: present, led: networks.families(leadingBefore: endpoint))
            guard let fault = faults.first else {
                repairs += network.lastingRules(of: endpoint, inside: present)
                return
            }
            if fault.needsNewLink {
                try unlink(endpoint, &network)
                repairs.append("\(endpoint.namespace) of \(network.name) gets another link: \(fault.words)")
                return
            }
            try links.mend(fault, inside: inside)
            repairs.append("put right for \(endpoint.namespace) of \(network.name): \(fault.words)")
            state = try NamespaceState(reading: host.route)
        }
        throw NetworkProblem("somebody else changes it as well", advice: nil)
    }

    /// More than an endpoint can have.
    private static let mostFaults = 32

    /// Removes an endpoint's end of a link, if it is there.
    static func removeInside(_ endpoint: NetworkRecord.Endpoint) throws {
        guard let namespace = try endpoint.openNamespace() else { return }
        let inside = NetworkLinks(try namespace.visit { try NetlinkConnection.route() })
        try inside.remove(endpoint.interface) {
            $0.kind == "veth" && $0.address?.description == endpoint.hardwareAddress
        }
    }
}

extension NetworkRecord {
    /// The numbers of the host's ends that are there.
    var readyIndices: [UInt32] { endpoints.filter { $0.stage == .ready }.map(\.hostIndex) }

    /// All that the kernel holds for the network, and what it stands on.
    var programs: [TableProgram] {
        let program = NetworkProgram(plan)
        return [program.filter, program.translation, BaseProgram.program, NetworkProgram.base]
            + readyPorts.map { PublishedPortProgram($0).program }
    }
}
