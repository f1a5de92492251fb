// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCommands
import EgretDocuments
import EgretNetworks

/// The network that a configuration describes, where the plugin makes the interfaces itself.
struct CNINetworkConfiguration {
    /// The fields that only such a configuration has.
    static let fields: Set<String> = [
        "network", "mode", "subnets", "gateways", "isolated", "mtu", "policy",
    ]

    /// The name of the network: `network`, or else that of the configuration.
    let name: String
    /// The plugin that gives addresses; `nil` for the network itself.
    let addressPlugin: String?
    private let mode: NetworkSpec.Mode
    private let blocks: [IPPrefix]
    private let gateways: [IPAddress]
    private let isIsolated: Bool
    private let isTranslated: Bool
    private let mtu: UInt32?
    private let policyFile: String?
    private let socketPath: String?

    /// Reads a configuration.
    ///
    /// - Throws: ``CNIError`` if it says what cannot be.
    init(_ request: CNIRequest) throws(CNIError) {
        let values = request.configuration
        _ = try values.text("network")
        name = CNINetworkConfiguration.name(of: request)
        switch try values.text("mode") {
        case nil, "bridge": mode = .bridge
        case "routed": mode = .routed
        case let other?: throw CNIError(.invalidConfiguration, "mode is \(other), and can be bridge or routed")
        }
        blocks = try values.texts("subnets").map { text throws(CNIError) in
            guard text.contains("/"), let block = IPPrefix(text) else {
                throw CNIError(.invalidConfiguration, "subnets: “\(text)” is no block of addresses")
            }
            return block
        }
        gateways = try values.texts("gateways").map { text throws(CNIError) in
            guard let address = IPAddress(text) else {
                throw CNIError(.invalidConfiguration, "gateways: “\(text)” is no address")
            }
            return address
        }
        isIsolated = try values.flag("isolated") ?? false
        isTranslated = try values.flag("ipMasq") ?? true
        mtu = try values.number("mtu").map { UInt32(clamping: $0) }
        policyFile = try values.text("policy")
        socketPath = request.socketPath
        addressPlugin = try CNINetworkConfiguration.addressPlugin(of: request)
    }

    /// The name of the network, whatever else the configuration says: `network`, or else that of the configuration.
    static func name(of request: CNIRequest) -> String {
        request.configuration["network"]?.text.flatMap { $0.isEmpty ? nil : $0 } ?? request.network
    }

    /// The plugin that gives addresses, whatever else the configuration says; `nil` for the network itself.
    ///
    /// - Throws: ``CNIError`` if it cannot be told.
    static func addressPlugin(of request: CNIRequest) throws(CNIError) -> String? {
        guard let addresses = request.configuration["ipam"], addresses != .null, addresses != .object([:]) else {
            return nil
        }
        guard let type = addresses["type"]?.text, !type.isEmpty, !type.contains("/") else {
            throw CNIError(.invalidConfiguration, "ipam has no type, which is to be the name of a plugin")
        }
        return type
    }

    /// Whether policies are those of a file, and no agent is asked.
    var hasPolicyFile: Bool { policyFile != nil }

    /// The network, as the host's networks know it.
    ///
    /// - Parameter given: The blocks and gateways that the plugin for addresses has told, where one is asked.
    /// - Returns: The network, with what it is to be if anything says so.
    /// - Throws: ``CNIError`` if the gateways do not go with the subnets.
    func network(given: [CNIAddress] = []) throws(CNIError) -> ContainerNetworks.Network {
        var gateways = gateways + given.compactMap(\.gateway)
        var subnets: [Subnet] = []
        for block in blocks.isEmpty ? given.map(\.block) : blocks {
            let gateway = gateways.first { block.contains($0) }
            gateways.removeAll { block.contains($0) }
            subnets.append(Subnet(block, gateway: gateway))
        }
        if let other = gateways.first, !subnets.isEmpty {
            throw CNIError(.invalidConfiguration, "the gateway \(other) is in none of the subnets")
        }
        let spec = NetworkSpec(
            name: name, mode: mode, subnets: subnets, mtu: mtu, isIsolated: isIsolated,
            translation: isTranslated ? .masquerade : .none)
        return ContainerNetworks.Network(
            name: name, spec: subnets.isEmpty ? nil : spec, policyFile: policyFile, socketPath: socketPath)
    }

    /// The file of policies, if the configuration names one.
    var policies: [String] { policyFile.map { [$0] } ?? [] }
}

/// An address that a plugin gives.
struct CNIAddress: Hashable, Sendable {
    /// The address.
    var address: IPAddress
    /// The block that it is in.
    var block: IPPrefix
    /// The block's gateway; `nil` if the plugin does not tell.
    var gateway: IPAddress?

    /// Reads `10.22.0.2/24`; `nil` for anything else.
    init?(_ text: String, gateway: IPAddress? = nil) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let block = IPPrefix(text) else { return nil }
        self.address = address
        self.block = block
        self.gateway = gateway
    }
}

extension DataValue {
    /// A member that is to be a string; `nil` if there is none.
    func text(_ key: String) throws(CNIError) -> String? {
        guard let value = self[key], value != .null else { return nil }
        guard let text = value.text, !text.isEmpty else {
            throw CNIError(.invalidConfiguration, "\(key) is to be a string")
        }
        return text
    }

    /// A member that is to be a list of strings; empty if there is none.
    func texts(_ key: String) throws(CNIError) -> [String] {
        guard let value = self[key], value != .null else { return [] }
        guard case .array(let items) = value else {
            throw CNIError(.invalidConfiguration, "\(key) is to be a list of strings")
        }
        return try items.map { item throws(CNIError) in
            guard let text = item.text else {
                throw CNIError(.invalidConfiguration, "\(key) is to be a list of strings")
            }
            return text
        }
    }

    /// A member that is to be true or false; `nil` if there is none.
    func flag(_ key: String) throws(CNIError) -> Bool? {
        switch self[key] {
        case nil, .null?: return nil
        case .bool(let flag)?: return flag
        default: throw CNIError(.invalidConfiguration, "\(key) is to be true or false")
        }
    }

    /// A member that is to be a whole number, 0 or more; `nil` if there is none.
    func number(_ key: String) throws(CNIError) -> UInt64? {
        switch self[key] {
        case nil, .null?: return nil
        case .integer(let number)? where number >= 0: return UInt64(number)
        case .natural(let number)?: return number
        default: throw CNIError(.invalidConfiguration, "\(key) is to be a number, 0 or more")
        }
    }
}
