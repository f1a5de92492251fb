// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgent
import EgretAgentAPI
import EgretCommands
import EgretDocuments
import EgretLinux
import EgretNetworks
import EgretPolicy

/// The plugin as one that makes interfaces: each container becomes an endpoint of one of Egret's networks.
///
/// What it makes is kept in the network's record, which outlives the process: whoever comes after one that was killed
/// takes away what that one had begun, and gives its addresses back.
struct CNIMainPlugin {
    private let request: CNIRequest
    private let configuration: CNINetworkConfiguration
    private var addressPlugin: CNIAddressPlugin? {
        configuration.addressPlugin.map { CNIAddressPlugin($0, request) }
    }
    private var attachment: ContainerAttachment { request.attachment }

    init(_ request: CNIRequest) throws(CNIError) {
        self.request = request
        configuration = try CNINetworkConfiguration(request)
    }

    /// Does what is asked for, but for what needs no configuration that is right.
    func run(_ agent: some CNIAgent) throws(CNIError) -> [UInt8] {
        switch request.command {
        case .add: return try add(agent)
        case .check: try check(agent)
        case .status: try checkStatus(agent)
        case .collect, .delete, .version: break
        }
        return []
    }

    // MARK: - ADD

    private func add(_ agent: some CNIAgent) throws(CNIError) -> [UInt8] {
        try request.validateOwnFields()
        if let previous = request.configuration["prevResult"], previous != .null {
            throw CNIError(
                .invalidConfiguration, "there is a prevResult",
                details: "egret-cni with subnets makes the interface: list it first, or leave its network out")
        }
        var wish = try wish()
        try checkStatus(agent, .tryAgainLater)
        guard let addressPlugin else { return try connect(wish, nil, agent) }
        // A container that is connected keeps its addresses, whatever becomes of this call.
        if let addresses = try presentAddresses() {
            wish.addresses = addresses
            return try connect(wish, nil, agent)
        }
        let grant = try addressPlugin.addAnew()
        do {
            wish.addresses = grant.addresses.map(\.address)
            return try connect(wish, grant, agent)
        } catch {
            // What was given must not stay with nobody, nor be given to another while the container has it: then `DEL` gives
            // it back. The first error is the one that counts.
            if (try? ContainerNetworks.networks { $0 == attachment }) == [] { try? addressPlugin.delete() }
            throw error
        }
    }

    private func presentAddresses() throws(CNIError) -> [IPAddress]? {
        do {
            return try ContainerNetworks.addresses(of: attachment, in: configuration.name)
        } catch {
            throw CNIMainPlugin.failure(error)
        }
    }

    /// What the runtime wishes, but for addresses that another plugin gives.
    private func wish() throws(CNIError) -> ContainerNetworks.Wish {
        let endpoint = try request.endpoint()
        for part in [endpoint.group, endpoint.name] where !AttachRequest.isName(part) {
            throw CNIError(.invalidConfiguration, "“\(part)” cannot be an endpoint's group or name")
        }
        var labels = endpoint.labels.filter { !$0.key.hasPrefix("egret.dev/") }
        for (key, value) in labels where !LabelSyntax.isKey(key) || !LabelSyntax.isValue(value) {
            throw CNIError(.invalidConfiguration, "“\(key)=\(value)” is no label")
        }
        labels["egret.dev/runtime"] = "cni"
        let identity = EndpointIdentity(group: endpoint.group, name: endpoint.name, labels: labels, ports: [])
        let asked = CNICapabilities(request)
        var wish = ContainerNetworks.Wish(attachment: attachment, namespace: endpoint.namespace, identity: identity)
        wish.hardwareAddress = try asked.hardwareAddress()
        wish.rates = try asked.rates()
        wish.ports = try asked.ports()
        wish.addresses = addressPlugin == nil ? try asked.addresses() : []
        return wish
    }

    private func connect(
        _ wish: ContainerNetworks.Wish, _ grant: CNIAddressPlugin.Grant?, _ agent: some CNIAgent
    ) throws(CNIError) -> [UInt8] {
        let network = try configuration.network(given: grant?.addresses ?? [])
        let dns = try dns(grant)
        let connection: ContainerNetworks.Connection
        do {
            connection = try ContainerNetworks.connect(wish, to: network)
        } catch {
            throw CNIMainPlugin.failure(error)
        }
        do {
            try checkPolicies(of: wish.identity, agent)
        } catch {
            // Who was connected before stays, and so do the policies that hold.
            if !connection.wasPresent { try? ContainerNetworks.disconnect(wish.attachment, from: network) }
            throw error
        }
        let result = CNIResult(connection, namespace: wish.namespace, dns: dns, version: request.version)
        return try CNIPlugin.bytes(result.json)
    }

    /// What is said about name servers: by the runtime for the container, by the configuration, or by the plugin for
    /// addresses.
    private func dns(_ grant: CNIAddressPlugin.Grant?) throws(CNIError) -> DataValue {
        let said = [try CNICapabilities(request).dns(), request.configuration["dns"], grant?.dns]
        return said.lazy.compactMap { $0 }.first { $0 != .null && $0 != .object([:]) } ?? .object([:])
    }

    private static func failure(_ error: ContainerNetworks.Failure) -> CNIError {
        CNIError(
            error.isAboutPolicies ? .notEnforced : .notConnected, error.description, details: error.advice)
    }

    // MARK: - Policies

    private func checkStatus(
        _ agent: some CNIAgent, _ code: CNIError.Code = .notAvailable
    ) throws(CNIError) {
        if request.command == .status { try addressPlugin?.askIfKnown(.status) }
        if configuration.hasPolicyFile {
            try CNIPlugin.ask(code) { try FilePolicies.check(configuration.policies) }
            return
        }
        let status = try CNIPlugin.ask(code) { try agent.status() }
        if let problem = status.problem {
            throw CNIError(
                code == .notAvailable ? code : .notEnforced, "the agent is in trouble", details: problem)
        }
        guard try CNIPlugin.ask(code, { try NetworkNamespace.currentCookie() }) == status.networkNamespace else {
            throw CNIError(
                code, "the agent looks after another network namespace than this one",
                details: "say “socket”: the path of the socket of this one's")
        }
    }

    private func checkPolicies(of identity: EndpointIdentity, _ agent: some CNIAgent) throws(CNIError) {
        if configuration.hasPolicyFile { return }
        let name = "\(identity.group)/\(identity.name)"
        let found = try CNIPlugin.ask(.tryAgainLater) { try agent.endpoints(named: name) }.filter { $0.name == name }
        guard !found.isEmpty else {
            throw CNIError(.notEnforced, "the container's policies are not in force", details: "it is no endpoint")
        }
        if let problem = found.flatMap(\.conditions).first(where: { $0.kind == .enforced && !$0.status }) {
            throw CNIError(.notEnforced, "the container's policies are not in force", details: problem.reason)
        }
    }

    // MARK: - DEL, CHECK, GC

    /// Takes the interface away that was made for a container, whatever the configuration has become since: of what is wrong in
    /// it `ADD` tells.
    static func delete(_ request: CNIRequest) throws(CNIError) {
        do throws(ContainerNetworks.Failure) {
            var names = Set(try ContainerNetworks.networks { $0 == request.attachment })
            // There may be the beginnings of one that are in no record.
            if request.makesInterfaces { names.insert(CNINetworkConfiguration.name(of: request)) }
            for name in names.sorted() {
                let network = ContainerNetworks.Network(name: name, spec: nil, socketPath: request.socketPath)
                try ContainerNetworks.disconnect(request.attachment, from: network)
            }
        } catch {
            throw CNIMainPlugin.failure(error)
        }
        // In this order: whoever gets the address next finds nobody who has it.
        if let name = try CNINetworkConfiguration.addressPlugin(of: request) {
            try CNIAddressPlugin(name, request).delete()
        }
    }

    private func check(_ agent: some CNIAgent) throws(CNIError) {
        guard let previous = request.configuration["prevResult"], case .object = previous else {
            throw CNIError(.invalidConfiguration, "there is no prevResult")
        }
        try addressPlugin?.check()
        guard let namespace = request.namespace else { throw CNIError(.invalidEnvironment, "CNI_NETNS is not set") }
        let connection: ContainerNetworks.Connection?
        do {
            connection = try ContainerNetworks.check(attachment, in: namespace, of: configuration.network())
        } catch let error as ContainerNetworks.Failure {
            throw CNIMainPlugin.failure(error)
        } catch {
            throw error as? CNIError ?? CNIError(.notConnected, "\(error)")
        }
        guard let connection else {
            throw CNIError(
                .notConnected, "\(request.container) is not connected to \(configuration.name)")
        }
        let told = (previous["ips"]?.items ?? []).compactMap { $0["address"]?.text.flatMap { CNIAddress($0)?.address } }
        if let other = told.first(where: { !connection.endpoint.addresses.contains($0) }) {
            throw CNIError(.notConnected, "prevResult has \(other), which is not the container's")
        }
        if let identity = connection.endpoint.identity { try checkPolicies(of: identity, agent) }
    }

    /// Takes away what was made for containers that the runtime does not know any more, in whichever networks it is, and
    /// whatever the configuration has become since.
    static func collect(_ request: CNIRequest) throws(CNIError) {
        // A list that is empty comes as null from runtimes written in Go.
        let valid = request.configuration["cni.dev/valid-attachments"]
        let items: [DataValue]
        switch valid {
        case .array(let list): items = list
        case .null: items = []
        // A runtime that has just disconnected all it knew of (libcni without arguments, as cnitool asks) leaves the
        // list out. That says of nobody that it is gone.
        case nil: return
        default: throw CNIError(.invalidConfiguration, "cni.dev/valid-attachments is to be a list")
        }
        let known = try items.map { item throws(CNIError) in
            guard let container = item["containerID"]?.text, let interface = item["ifname"]?.text else {
                throw CNIError(.invalidConfiguration, "cni.dev/valid-attachments has what is none")
            }
            return ContainerAttachment(network: request.network, container: container, interface: interface)
        }
        var networks: Set<String>
        do throws(ContainerNetworks.Failure) {
            networks = Set(try ContainerNetworks.networks { $0.network == request.network })
        } catch {
            throw CNIMainPlugin.failure(error)
        }
        // One that cannot be read is to be told of.
        if request.makesInterfaces { networks.insert(CNINetworkConfiguration.name(of: request)) }
        var errors: [CNIError] = []
        var remaining: Set<ContainerAttachment> = []
        var isComplete = true
        for name in networks.sorted() {
            let network = ContainerNetworks.Network(name: name, spec: nil, socketPath: request.socketPath)
            let collected = ContainerNetworks.collect(besides: Set(known), in: network, of: request.network)
            errors += collected.failures.map(CNIMainPlugin.failure)
            remaining.formUnion(collected.remaining)
            isComplete = isComplete && collected.isComplete
        }
        // Where nobody knows who is still connected, nobody's address is free.
        if isComplete, let name = try CNINetworkConfiguration.addressPlugin(of: request) {
            do {
                let asked = CNIMainPlugin.asking(request, toKeep: remaining, besides: items)
                try CNIAddressPlugin(name, asked).askIfKnown(.collect)
            } catch {
                errors.append(error)
            }
        }
        if let error = CNIError.joining(errors) { throw error }
    }

    /// A request to collect that has further containers among those that keep their addresses.
    static func asking(
        _ request: CNIRequest, toKeep remaining: Set<ContainerAttachment>, besides known: [DataValue]
    ) -> CNIRequest {
        guard !remaining.isEmpty, case .object(var members) = request.configuration else { return request }
        let kept = remaining.sorted { ($0.container, $0.interface) < ($1.container, $1.interface) }
        let further = kept.map { attachment in
            DataValue.object(["containerID": .string(attachment.container), "ifname": .string(attachment.interface)])
        }
        members["cni.dev/valid-attachments"] = .array(known + further)
        var request = request
        request.configuration = .object(members)
        return request
    }
}
