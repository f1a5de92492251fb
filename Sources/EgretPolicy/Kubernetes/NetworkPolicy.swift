// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A `NetworkPolicy` of `networking.k8s.io/v1`: what may reach, and be reached by, some pods of one namespace.
///
/// Policies of this kind only add: what any of them allows is allowed, and a pod that none selects for a direction
/// is not isolated in it. Source: Kubernetes API reference, networking/v1.
public struct NetworkPolicy: Hashable, Sendable {
    /// What some traffic must match: any of the peers, and any of the ports.
    public struct Rule: Hashable, Sendable {
        /// The other ends. Empty means everybody.
        public var peers: [Peer]
        /// The ports of the connection's target. Empty, with no `portNames`, means every port and protocol.
        public var services: [Service]
        /// The ports by name.
        public var portNames: [PortName]
        /// Where the rule begins.
        public var location: SourceLocation?

        /// Creates a rule.
        public init(
            peers: [Peer] = [], services: [Service] = [], portNames: [PortName] = [], location: SourceLocation? = nil
        ) {
            self.peers = peers
            self.services = services
            self.portNames = portNames
            self.location = location
        }
    }

    /// One other end.
    public enum Peer: Hashable, Sendable {
        /// Pods: of this policy's namespace if `namespaces` is `nil`, every one of theirs if `pods` is `nil`.
        case pods(namespaces: LabelSelector?, pods: LabelSelector?)
        /// Addresses, those of pods included.
        case block(AddressBlock)

        /// The pods as a selector of workloads, for a policy of a namespace; `nil` for addresses.
        public func selector(in namespace: String) -> WorkloadSelector? {
            guard case .pods(let namespaces, let pods) = self else { return nil }
            return WorkloadSelector(
                namespaces: namespaces == nil ? [namespace] : [], namespaceLabels: namespaces ?? .everything,
                labels: pods ?? .everything)
        }
    }

    /// `metadata.namespace`.
    public var namespace: String
    /// `metadata.name`, unique in the namespace.
    public var name: String
    /// Which pods of the namespace.
    public var podSelector: LabelSelector
    /// The directions in which the pods are isolated.
    public var directions: Set<TrafficDirection>
    /// What may reach the pods.
    public var ingress: [Rule]
    /// What the pods may reach.
    public var egress: [Rule]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a policy.
    public init(
        namespace: String = "default", name: String, podSelector: LabelSelector = .everything,
        directions: Set<TrafficDirection>, ingress: [Rule] = [], egress: [Rule] = [], location: SourceLocation? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.podSelector = podSelector
        self.directions = directions
        self.ingress = ingress
        self.egress = egress
        self.location = location
    }

    /// The rules of one direction.
    public func rules(_ direction: TrafficDirection) -> [Rule] {
        direction == .egress ? egress : ingress
    }

    /// How decisions and messages name it: `NetworkPolicy/namespace/name`.
    public var reference: String { "NetworkPolicy/\(namespace)/\(name)" }
}
