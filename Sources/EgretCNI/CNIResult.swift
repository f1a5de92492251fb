// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCommands
import EgretDocuments
import EgretNetworks

/// What `ADD` answers (CNI specification, section "ADD Success"), in the form of each version.
struct CNIResult {
    private let connection: ContainerNetworks.Connection
    private let namespace: String
    private let dns: DataValue
    private let version: String

    init(_ connection: ContainerNetworks.Connection, namespace: String, dns: DataValue, version: String) {
        self.connection = connection
        self.namespace = namespace
        self.dns = dns
        self.version = version
    }

    private var network: NetworkRecord { connection.network }
    private var endpoint: NetworkRecord.Endpoint { connection.endpoint }

    /// The answer.
    var json: DataValue {
        .object([
            "cniVersion": .string(version), "interfaces": .array(interfaces), "ips": .array(addresses),
            "routes": .array(routes), "dns": dns,
        ])
    }

    /// The bridge, if there is one, the host's end of the link, and the container's.
    private var interfaces: [DataValue] {
        var found: [DataValue] = []
        if network.mode == .bridge {
            found.append(interface(network.name, network.bridgeHardwareAddress))
        }
        found.append(interface(endpoint.hostInterface, endpoint.hostHardwareAddress))
        found.append(interface(endpoint.interface, endpoint.hardwareAddress, in: namespace))
        return found
    }

    private func interface(_ name: String, _ hardware: String?, in sandbox: String? = nil) -> DataValue {
        var members: [String: DataValue] = ["name": .string(name)]
        if let hardware { members["mac"] = .string(hardware) }
        if let sandbox { members["sandbox"] = .string(sandbox) }
        // Version 1.1.0 brought the field.
        if version == "1.1.0", sandbox != nil, let mtu = connection.mtu { members["mtu"] = .integer(Int64(mtu)) }
        return .object(members)
    }

    private var addresses: [DataValue] {
        endpoint.addresses.compactMap { address in
            guard let subnet = network.spec.subnet(address.family) else { return nil }
            let length = network.mode == .bridge ? subnet.block.length : address.family.bitWidth
            var members: [String: DataValue] = [
                "address": .string("\(address)/\(length)"), "gateway": .string("\(subnet.gateway)"),
                "interface": .integer(network.mode == .bridge ? 2 : 1),
            ]
            // Until version 1.0.0 the family was said.
            if version.hasPrefix("0.") { members["version"] = .string(address.family == .ipv4 ? "4" : "6") }
            return .object(members)
        }
    }

    private var routes: [DataValue] {
        if network.isIsolated { return [] }
        return endpoint.addresses.compactMap { address in
            guard let subnet = network.spec.subnet(address.family) else { return nil }
            let everywhere = address.family == .ipv4 ? "0.0.0.0/0" : "::/0"
            return .object(["dst": .string(everywhere), "gw": .string("\(subnet.gateway)")])
        }
    }
}
