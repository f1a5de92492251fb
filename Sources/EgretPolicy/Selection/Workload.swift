// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// Something that sends and receives: a pod, what a Deployment makes, a container, a namespace, a run.
public struct Workload: Hashable, Sendable {
    /// Which workload: unique in an inventory.
    public struct ID: Hashable, Sendable, Comparable, CustomStringConvertible {
        /// The Kubernetes namespace, or the group that an operator gave an endpoint; `default` if nobody said.
        public var namespace: String
        /// The name in the namespace.
        public var name: String
        /// The kind of object: `Pod`, `Deployment`, `Endpoint`.
        public var kind: String

        /// Creates an identity.
        public init(namespace: String = "default", name: String, kind: String = "Pod") {
            self.namespace = namespace
            self.name = name
            self.kind = kind
        }

        /// By namespace, name and kind.
        public static func < (left: ID, right: ID) -> Bool {
            (left.namespace, left.name, left.kind) < (right.namespace, right.name, right.kind)
        }

        /// `namespace/name`.
        public var description: String { "\(namespace)/\(name)" }

        /// `kind/namespace/name`, the kind in lower case: what tells workloads of one name apart.
        public var withKind: String { "\(kind.lowercased())/\(namespace)/\(name)" }
    }

    /// A port that has a name.
    public struct NamedPort: Hashable, Sendable {
        /// The name, which may have several numbers within a workload.
        public var name: String
        /// The protocol.
        public var `protocol`: IPProtocol
        /// The number.
        public var number: UInt16

        /// Creates a named port.
        public init(_ name: String, _ protocol: IPProtocol, _ number: UInt16) {
            self.name = name
            self.protocol = `protocol`
            self.number = number
        }
    }

    /// Which workload.
    public var id: ID
    /// Its labels.
    public var labels: [String: String]
    /// Its addresses of both families; empty where a manifest alone tells of it.
    public var addresses: [IPAddress]
    /// Its ports that have names.
    public var namedPorts: [NamedPort]
    /// Whether it uses the host's network: no policy selects it, and no selector of peers matches it.
    public var usesHostNetwork: Bool
    /// Where it is written.
    public var location: SourceLocation?

    /// Creates a workload.
    public init(
        _ id: ID,
        labels: [String: String] = [:],
        addresses: [IPAddress] = [],
        namedPorts: [NamedPort] = [],
        usesHostNetwork: Bool = false,
        location: SourceLocation? = nil
    ) {
        self.id = id
        self.labels = labels
        self.addresses = addresses
        self.namedPorts = namedPorts
        self.usesHostNetwork = usesHostNetwork
        self.location = location
    }
}
