// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretAgent
import EgretAgentClient
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
public import EgretNetworks

/// The networks of this host, for container runtimes' plugins.
///
/// Each call takes the lock of networks, mends what somebody who was killed has left, and is all or nothing.
public enum ContainerNetworks {
    /// A network as a runtime's configuration describes it.
    public struct Network: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// What it is to be if it is not there yet; `nil` if it must be.
        public var spec: NetworkSpec?
        /// The file of its policies, on a host without an agent.
        public var policyFile: String?
        /// The path of the agent's socket; `nil` for the usual one.
        public var socketPath: String?

        /// Describes a network.
        public init(name: String, spec: NetworkSpec?, policyFile: String? = nil, socketPath: String? = nil) {
            self.name = name
            self.spec = spec
            self.policyFile = policyFile
            self.socketPath = socketPath
        }
    }

    /// What a runtime asks for.
    public struct Wish: Hashable, Sendable {
        /// What it calls the interface.
        public var attachment: ContainerAttachment
        /// The file of the container's network namespace.
        public var namespace: String
        /// Who the container is to policies.
        public var identity: EndpointIdentity
        /// Addresses that are asked for.
        public var addresses: [IPAddress] = []
        /// The hardware address that is asked for.
        public var hardwareAddress: MACAddress?
        /// How fast its traffic may be.
        public var rates: [EndpointRate] = []
        /// The ports of the host that are to lead to it.
        public var ports: [Port] = []

        /// Describes a container's interface.
        public init(attachment: ContainerAttachment, namespace: String, identity: EndpointIdentity) {
            self.attachment = attachment
            self.namespace = namespace
            self.identity = identity
        }
    }

    /// A port of the host that leads to a container.
    public struct Port: Hashable, Sendable {
        /// `tcp`, `udp` or `sctp`.
        public var transport: String
        /// The host's address; `nil` for all.
        public var hostAddress: IPAddress?
        /// The only family that is meant where the address is `nil`; `nil` for both.
        public var family: AddressFamily?
        /// The host's port.
        public var hostPort: UInt16
        /// The container's port.
        public var containerPort: UInt16

        /// Describes a port.
        public init(
            transport: String, hostAddress: IPAddress?, family: AddressFamily? = nil, hostPort: UInt16,
            containerPort: UInt16
        ) {
            self.transport = transport
            self.hostAddress = hostAddress
            self.family = family
            self.hostPort = hostPort
            self.containerPort = containerPort
        }
    }

    /// Why a call failed.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// Whether it is the container's policies that cannot be put in force.
        public var isAboutPolicies = false
        /// What is wrong.
        public var description: String
        /// What to do.
        public var advice: String?
    }

    /// A container's interface, as it is.
    public struct Connection: Hashable, Sendable {
        /// Its network.
        public var network: NetworkRecord
        /// The interface.
        public var endpoint: NetworkRecord.Endpoint
        /// The largest packet of its link, in bytes; `nil` if the link is gone.
        public var mtu: UInt32?
        /// Whether it was there before.
        public var wasPresent = false
    }

    /// What became of the containers that a runtime does not know any more.
    public struct Collected: Hashable, Sendable {
        /// Whether all of them were looked at. If not, nobody knows which are connected still.
        public var isComplete = false
        /// The interfaces that could not be taken away.
        public var remaining: Set<ContainerAttachment> = []
        /// What went wrong.
        public var failures: [Failure] = []

        /// Takes interfaces away, each of them whatever becomes of the others.
        mutating func take<Item>(
            _ items: [(attachment: ContainerAttachment, item: Item)], _ body: (Item) throws -> Void
        ) {
            for (attachment, item) in items {
                do {
                    try body(item)
                } catch {
                    var failure = ContainerNetworks.failure(error)
                    failure.description =
                        "\(attachment.container) keeps its interface \(attachment.interface): \(failure.description)"
                    remaining.insert(attachment)
                    failures.append(failure)
                }
            }
            isComplete = true
        }
    }

    /// Connects a container. On return it is an endpoint with its policies, its rates and its ports in force.
    ///
    /// A container that is connected already as it is wished is left so.
    ///
    /// - Parameters:
    ///   - wish: The container's interface.
    ///   - network: The network, which is made if need be.
    /// - Returns: The interface as it is.
    /// - Throws: ``Failure``; nothing is left then.
    public static func connect(_ wish: Wish, to network: Network) throws(Failure) -> Connection {
        try change(network) { host in
            let former = host.networks.first { $0.name == network.name }?.policyFile
            try prepare(network, host)
            do {
                return try connect(wish, to: network, on: host)
            } catch {
                // A file whose policies cannot be in force is nobody's.
                if let place = host.networks.firstIndex(where: { $0.name == network.name }),
                    host.networks[place].policyFile != former
                {
                    var record = host.networks[place]
                    record.policyFile = former
                    try host.keep(record)
                }
                throw error
            }
        }
    }

    private static func connect(_ wish: Wish, to network: Network, on host: NetworkHost) throws -> Connection {
        let wasPresent = try isPresent(wish, in: network, host)
        if wasPresent {
            try host.checkSound(network.name)
            // Whoever asked before may have been killed before it had everything.
            try host.enforcePolicies()
            try publish(wish, in: network, host)
        } else {
            var asked = EndpointWish(
                namespace: .path(wish.namespace), addresses: wish.addresses, interface: wish.attachment.interface,
                identity: wish.identity)
            asked.hardwareAddress = wish.hardwareAddress
            asked.attachment = wish.attachment
            asked.rates = wish.rates.isEmpty ? nil : wish.rates
            asked.ports = wish.distinctPorts.map { PortWish($0, wish, in: network) }
            try host.connect(asked, to: network.name)
        }
        var connection = try connection(wish.attachment, in: network.name, host)
        connection.wasPresent = wasPresent
        return connection
    }

    /// The addresses that a container's interface has, without waiting for anybody.
    ///
    /// - Parameters:
    ///   - attachment: What the runtime calls the interface.
    ///   - network: The name of its network.
    /// - Returns: The addresses; `nil` if there is no such interface, or it was never finished.
    /// - Throws: ``Failure`` if what is kept of networks cannot be read.
    public static func addresses(
        of attachment: ContainerAttachment, in network: String
    ) throws(Failure) -> [IPAddress]? {
        do {
            let bootID = try NetworkStore.currentBootID()
            let networks = try NetworkHost.read().networks(needing: network)
            let endpoints = networks.first { $0.name == network && $0.bootID == bootID }?.endpoints
            // Who waits for a link has its addresses as well.
            return endpoints?.first { $0.attachment == attachment && [.ready, .waiting].contains($0.stage) }?.addresses
        } catch {
            throw failure(error)
        }
    }

    /// The networks that have interfaces of containers, or parts of them, without waiting for anybody.
    ///
    /// - Parameter isMeant: Which interfaces.
    /// - Returns: Their names; networks that cannot be read are not among them.
    /// - Throws: ``Failure`` if what is kept of networks cannot be listed.
    public static func networks(
        with isMeant: (ContainerAttachment) -> Bool
    ) throws(Failure) -> [String] {
        do {
            return try NetworkHost.read().networks.filter { record in
                record.endpoints.contains { $0.attachment.map(isMeant) ?? false }
            }.map(\.name)
        } catch {
            throw failure(error)
        }
    }

    /// Disconnects a container. One that is not connected is left so.
    ///
    /// - Parameters:
    ///   - attachment: What the runtime calls the interface.
    ///   - network: Its network.
    /// - Throws: ``Failure``.
    public static func disconnect(_ attachment: ContainerAttachment, from network: Network) throws(Failure) {
        try change(network) { host in
            try remove(network, host) { $0 == attachment }
        }
    }

    /// Disconnects the containers that a runtime does not know any more. What keeps one of them keeps no other.
    ///
    /// - Parameters:
    ///   - known: The interfaces that it knows.
    ///   - network: Their network.
    ///   - configuration: The name of the runtime's configuration: others' containers stay.
    /// - Returns: What became of them.
    public static func collect(
        besides known: Set<ContainerAttachment>, in network: Network, of configuration: String
    ) -> Collected {
        var collected = Collected()
        do {
            try change(network) { host -> Void in
                guard let place = host.networks.firstIndex(where: { $0.name == network.name }) else {
                    return collected.isComplete = true
                }
                var record = host.networks[place]
                let gone = record.endpoints.compactMap { endpoint in
                    endpoint.attachment.map { (attachment: $0, item: endpoint) }
                }.filter { $0.attachment.network == configuration && !known.contains($0.attachment) }
                collected.take(gone) { try host.remove($0, from: &record) }
            }
        } catch {
            collected.failures.append(error)
        }
        return collected
    }

    /// A container's interface as the kernel has it, which must be as it is kept.
    ///
    /// - Parameters:
    ///   - attachment: What the runtime calls the interface.
    ///   - namespace: The file of the container's network namespace.
    ///   - network: Its network.
    /// - Returns: The interface; `nil` if there is none.
    /// - Throws: ``Failure`` that says what is otherwise.
    public static func check(
        _ attachment: ContainerAttachment, in namespace: String, of network: Network
    ) throws(Failure) -> Connection? {
        do {
            let networks = try NetworkHost.read().networks(needing: network.name)
            let record = networks.first { $0.name == network.name }
            guard let record, let endpoint = record.endpoints.first(where: { $0.attachment == attachment }),
                endpoint.stage == .ready
            else { return nil }
            let inside = try NamespaceReference.path(namespace).open()
            guard try NamespaceReference.cookie(of: inside) == endpoint.cookie else { return nil }
            let link = try NamespaceLink.all(in: inside).first { $0.name == endpoint.interface }
            guard let link, link.hostIndex == endpoint.hostIndex,
                link.hardwareAddress?.description == endpoint.hardwareAddress
            else { throw NetworkProblem("\(endpoint.interface) of the container is not the interface that was made") }
            if let address = endpoint.addresses.first(where: { !link.addresses.contains($0) }) {
                throw NetworkProblem("\(endpoint.interface) of the container has no address \(address) any more")
            }
            if let fault = try fault(of: endpoint, in: record, inside, networks) { throw NetworkProblem(fault.words) }
            return Connection(network: record, endpoint: endpoint)
        } catch {
            throw failure(error)
        }
    }

    /// What first keeps a container's packets from their way, there and back: an end of the link, the bridge, a gateway's
    /// address, or a route.
    private static func fault(
        of endpoint: NetworkRecord.Endpoint, in network: NetworkRecord, _ namespace: Namespace,
        _ networks: [NetworkRecord]
    ) throws -> NetworkFault? {
        let host = try NamespaceState(reading: NetlinkConnection.route())
        let inside = try NamespaceState(reading: namespace.visit { try NetlinkConnection.route() })
        let faults =
            network.bridgeFaults(host)
            + network.faults(of: endpoint, host: host, inside: inside, led: networks.families(leadingBefore: endpoint))
        return faults.first
    }

    // MARK: - Under the lock

    private static func change<Answer>(
        _ network: Network, _ body: (NetworkHost) throws -> Answer
    ) throws(Failure) -> Answer {
        do {
            var answer: Answer?
            // A power cut ends containers too, whose runtime then begins anew.
            let agent = network.socketPath.map { AgentAddress(chosen: $0) }
            try NetworkHost.change(agent: agent, isLasting: false) { host in
                // That it is not there is not known.
                if let problem = host.unreadable[network.name] { throw problem }
                answer = try body(host)
            }
            guard let answer else { throw NetworkProblem("nothing was done") }
            return answer
        } catch {
            throw failure(error)
        }
    }

    private static func failure(_ error: any Error) -> Failure {
        switch error {
        case let error as Failure: error
        case let error as NetworkProblem: Failure(description: error.message, advice: error.advice)
        case let error as RunFailure:
            Failure(isAboutPolicies: true, description: error.message, advice: error.advice)
        default: Failure(description: "\(error)")
        }
    }

    /// Sees to it that the network is there, and is what the configuration says.
    private static func prepare(_ network: Network, _ host: NetworkHost) throws {
        if let place = host.networks.firstIndex(where: { $0.name == network.name }) {
            var record = host.networks[place]
            if var spec = network.spec {
                spec.allowedThrough = record.spec.allowedThrough
                guard spec == record.spec else {
                    throw NetworkProblem(
                        "the network \(network.name) is otherwise than the configuration says",
                        advice: "egret network inspect \(network.name) shows it; egret network rm removes it")
                }
            }
            if record.policyFile != network.policyFile {
                let others = record.endpoints.contains { $0.attachment != nil }
                guard !others || record.policyFile == nil else {
                    throw NetworkProblem(
                        "the policies of \(network.name) are those of \(record.policyFile ?? "an agent")",
                        advice: "configurations of one network name the same file")
                }
                record.policyFile = network.policyFile
                try host.keep(record)
            }
            return
        }
        guard let spec = network.spec else { return _ = try host.place(of: network.name) }
        try host.create(spec)
        guard network.policyFile != nil else { return }
        var record = host.networks[try host.place(of: network.name)]
        record.policyFile = network.policyFile
        try host.keep(record)
    }

    /// Whether the container's interface is there already, which must be as it is wished.
    private static func isPresent(_ wish: Wish, in network: Network, _ host: NetworkHost) throws -> Bool {
        let record = host.networks[try host.place(of: network.name)]
        guard let endpoint = record.endpoints.first(where: { $0.attachment == wish.attachment }) else { return false }
        guard endpoint.stage == .ready else {
            throw NetworkProblem(
                "\(wish.attachment.container) has an interface \(wish.attachment.interface) in \(network.name) that is still to be "
                    + "made again", advice: "egret network restore says what is in its way; DEL takes it away")
        }
        let cookie = try NamespaceReference.cookie(of: NamespaceReference.path(wish.namespace).open())
        let isSame =
            endpoint.cookie == cookie && endpoint.identity == wish.identity && endpoint.rates ?? [] == wish.rates
            && wish.addresses.allSatisfy(endpoint.addresses.contains)
            && (wish.hardwareAddress.map { $0.description == endpoint.hardwareAddress } ?? true)
        guard isSame else {
            throw NetworkProblem(
                "\(wish.attachment.container) has an interface \(wish.attachment.interface) in \(network.name) already, "
                    + "which is otherwise",
                advice: "DEL takes it away")
        }
        return true
    }

    /// Publishes the ports that are not yet: all or none.
    private static func publish(_ wish: Wish, in network: Network, _ host: NetworkHost) throws {
        let former = Set(host.networks[try host.place(of: network.name)].ports.map(\.number))
        do {
            for port in wish.distinctPorts { try publish(port, wish, in: network, host) }
        } catch {
            var record = host.networks[try host.place(of: network.name)]
            let further = Set(record.ports.map(\.number)).subtracting(former)
            if !further.isEmpty { try? host.withdraw(further, of: &record) }
            throw error
        }
    }

    private static func publish(_ port: Port, _ wish: Wish, in network: Network, _ host: NetworkHost) throws {
        let record = host.networks[try host.place(of: network.name)]
        let endpoint = record.endpoints.first { $0.attachment == wish.attachment }
        let isThere = record.ports.contains { other in
            other.namespace == endpoint?.namespace && other.stage == .ready && other.transport == port.transport
                && other.hostAddress == port.hostAddress && other.hostPort == port.hostPort
                && other.targetPort == port.containerPort && other.count == 1 && other.sources == port.sources
        }
        if isThere { return }
        try host.publish(PortWish(port, wish, in: network))
    }

    private static func connection(
        _ attachment: ContainerAttachment, in name: String, _ host: NetworkHost
    ) throws -> Connection {
        let record = host.networks[try host.place(of: name)]
        guard let endpoint = record.endpoints.first(where: { $0.attachment == attachment }) else {
            throw NetworkProblem("the container is not connected to \(name)")
        }
        let mtu = try host.links.link(endpoint.hostIndex)?.mtu
        return Connection(network: record, endpoint: endpoint, mtu: mtu)
    }

    private static func remove(
        _ network: Network, _ host: NetworkHost, _ isMeant: (ContainerAttachment) -> Bool
    ) throws {
        guard let place = host.networks.firstIndex(where: { $0.name == network.name }) else { return }
        var record = host.networks[place]
        for endpoint in record.endpoints where endpoint.attachment.map(isMeant) ?? false {
            try host.remove(endpoint, from: &record)
        }
    }
}

extension ContainerNetworks.Wish {
    /// The ports, each once: a runtime may say one twice, and one of both families as one for each.
    var distinctPorts: [ContainerNetworks.Port] {
        var known: Set<ContainerNetworks.Port> = []
        let isWhole = Set(ports.filter { $0.family == nil })
        return ports.compactMap { port in
            var (whole, other) = (port, port)
            whole.family = nil
            other.family = port.family == .ipv4 ? .ipv6 : .ipv4
            let isMeantWhole = port.family == nil || isWhole.contains(whole) || ports.contains(other)
            let meant = isMeantWhole ? whole : port
            return known.insert(meant).inserted ? meant : nil
        }
    }
}

extension ContainerNetworks.Port {
    /// The clients that are let through: the family's, or everyone.
    fileprivate var sources: [IPPrefix] { family.map { [IPPrefix(allOf: $0)] } ?? [] }
}

extension PortWish {
    fileprivate init(
        _ port: ContainerNetworks.Port, _ wish: ContainerNetworks.Wish, in network: ContainerNetworks.Network
    ) {
        self.init(
            ports: PortMapping(host: port.hostPort, target: port.containerPort, transport: port.transport),
            namespace: .path(wish.namespace), network: network.name, hostAddress: port.hostAddress,
            sources: port.sources)
    }
}
