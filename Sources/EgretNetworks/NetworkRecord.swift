// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A network as it is kept: what is wanted, and what was made of it.
public struct NetworkRecord: Hashable, Sendable {
    /// How far the making or unmaking of something has come. Whatever is not ready when nobody works on it was left by
    /// somebody who was killed, and is taken away.
    public enum Stage: String, Hashable, Sendable, CaseIterable {
        /// It is noted, and may be there in part.
        case making
        /// It is there.
        case ready
        /// It was there before the machine was restarted, and is to be made again.
        case waiting
        /// It is on its way out.
        case removing
    }

    /// An endpoint: an interface in a namespace.
    public struct Endpoint: Hashable, Sendable {
        /// How its namespace is called: a name, `pid:4711`, or a path.
        public var namespace: String
        /// The kernel's cookie of the namespace, unlike every other's since the machine has started.
        public var cookie: UInt64
        /// Whether Egret has made the namespace.
        public var isCreated: Bool
        /// The interface in the namespace.
        public var interface: String
        /// The host's end of its link.
        public var hostInterface: String
        /// The index of the host's end.
        public var hostIndex: UInt32
        /// The hardware address of the interface in the namespace.
        public var hardwareAddress: String
        /// The hardware address of the host's end.
        public var hostHardwareAddress: String
        /// Its addresses, one of each of the network's subnets.
        public var addresses: [IPAddress]
        /// Source addresses of its own.
        public var sourceAddresses: [AddressPair]
        /// Who it is to policies; `nil` if nobody has said, and in records of before anybody could.
        public var identity: EndpointIdentity?
        /// What the container runtime that asked for it calls it; `nil` for one that somebody else has connected.
        public var attachment: ContainerAttachment?
        /// How fast its traffic may be, whatever policies say; `nil` if that is theirs alone.
        public var rates: [EndpointRate]?
        /// Its place among all connections of this host, in the order in which they were asked for; `nil`, before all
        /// others, in records of before there was such a thing.
        public var order: Int?
        /// How far it has come.
        public var stage: Stage

        /// Notes an endpoint.
        public init(
            namespace: String,
            cookie: UInt64,
            isCreated: Bool,
            interface: String,
            hostInterface: String,
            hostIndex: UInt32,
            hardwareAddress: String,
            hostHardwareAddress: String,
            addresses: [IPAddress],
            sourceAddresses: [AddressPair],
            identity: EndpointIdentity? = nil,
            attachment: ContainerAttachment? = nil,
            rates: [EndpointRate]? = nil,
            order: Int? = nil,
            stage: Stage
        ) {
            self.identity = identity
            self.attachment = attachment
            self.rates = rates
            self.order = order
            self.namespace = namespace
            self.cookie = cookie
            self.isCreated = isCreated
            self.interface = interface
            self.hostInterface = hostInterface
            self.hostIndex = hostIndex
            self.hardwareAddress = hardwareAddress
            self.hostHardwareAddress = hostHardwareAddress
            self.addresses = addresses
            self.sourceAddresses = sourceAddresses
            self.stage = stage
        }
    }

    /// A published port.
    public struct Port: Hashable, Sendable {
        /// Its number, unlike every other's of this host.
        public var number: Int
        /// The namespace of its endpoint, as the endpoint has it.
        public var namespace: String
        /// `tcp`, `udp` or `sctp`.
        public var transport: String
        /// The host's address; `nil` for all.
        public var hostAddress: IPAddress?
        /// The host's first port.
        public var hostPort: UInt16
        /// The endpoint's first port.
        public var targetPort: UInt16
        /// How many ports.
        public var count: UInt16
        /// The clients that are let through; empty for everyone.
        public var sources: [IPPrefix]
        /// How far it has come.
        public var stage: Stage

        /// Notes a published port.
        public init(
            number: Int,
            namespace: String,
            transport: String,
            hostAddress: IPAddress?,
            hostPort: UInt16,
            targetPort: UInt16,
            count: UInt16,
            sources: [IPPrefix],
            stage: Stage
        ) {
            self.number = number
            self.namespace = namespace
            self.transport = transport
            self.hostAddress = hostAddress
            self.hostPort = hostPort
            self.targetPort = targetPort
            self.count = count
            self.sources = sources
            self.stage = stage
        }
    }

    /// The format of this record.
    public static let currentVersion = 1

    /// The format that it was written in.
    public var version: Int
    /// Its name.
    public var name: String
    /// How endpoints are joined.
    public var mode: NetworkSpec.Mode
    /// Its addresses.
    public var subnets: [Subnet]
    /// The largest packet that was asked for, in bytes.
    public var mtu: UInt32?
    /// Whether endpoints reach nobody but each other and the host.
    public var isIsolated: Bool
    /// Whether source addresses are translated.
    public var isTranslated: Bool
    /// The source addresses that were asked for.
    public var sourceAddresses: [AddressPair]
    /// Whether the bridge is somebody else's.
    public var isAdopted: Bool
    /// The bridge's index; `nil` in a routed network.
    public var bridgeIndex: UInt32?
    /// The hardware address of a bridge that Egret makes: by this it is known as Egret's.
    public var bridgeHardwareAddress: String?
    /// The machine's start in which all this was made (`/proc/sys/kernel/random/boot_id`).
    public var bootID: String
    /// How far it has come.
    public var stage: Stage
    /// Its endpoints, in the order in which they came.
    public var endpoints: [Endpoint]
    /// Its published ports.
    public var ports: [Port]
    /// What was added to other tools' rules so that they accept its packets; `nil` in records of before there was such
    /// a thing.
    public var passages: [Passage]?
    /// The file of policies that its container runtime's configuration names, for a host without an agent; `nil` for none.
    public var policyFile: String?

    /// Notes a network that is about to be made.
    public init(_ spec: NetworkSpec, bootID: String) {
        version = NetworkRecord.currentVersion
        name = spec.name
        mode = spec.mode
        subnets = spec.subnets
        mtu = spec.mtu
        isIsolated = spec.isIsolated
        isTranslated = spec.translation != .none
        if case .sourceAddresses(let pairs) = spec.translation { sourceAddresses = pairs } else { sourceAddresses = [] }
        isAdopted = spec.isAdopted
        bridgeHardwareAddress = mode == .bridge && !isAdopted ? MACAddress.random().description : nil
        self.bootID = bootID
        stage = .making
        endpoints = []
        ports = []
    }

    /// What was wanted.
    public var spec: NetworkSpec {
        NetworkSpec(
            name: name,
            mode: mode,
            subnets: subnets,
            mtu: mtu,
            isIsolated: isIsolated,
            translation: !isTranslated
                ? .none : sourceAddresses.isEmpty ? .masquerade : .sourceAddresses(sourceAddresses),
            isAdopted: isAdopted,
            allowedThrough: Set(passages?.map(\.tool) ?? [])
        )
    }

    /// Notes that ports are on their way out.
    ///
    /// - Parameter numbers: Their numbers.
    public mutating func noteLeaving(ports numbers: Set<Int>) {
        for place in ports.indices where numbers.contains(ports[place].number) { ports[place].stage = .removing }
    }

    /// Addresses that no further endpoint can have.
    public var takenAddresses: Set<IPAddress> { Set(endpoints.flatMap(\.addresses)) }
}
