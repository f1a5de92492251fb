// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A cluster's policy of `policy.networking.k8s.io`: a ClusterNetworkPolicy (v1alpha2), or an AdminNetworkPolicy or
/// BaselineAdminNetworkPolicy (v1alpha1), which say the same in older words.
///
/// Its rules are asked in order; the first that matches decides. It isolates nobody: without a match the next policy
/// is asked. Source: network-policy-api, apis/v1alpha2 and v1alpha1.
public struct ClusterPolicy: Hashable, Sendable {
    /// What a rule does.
    public enum Action: String, Hashable, Sendable, CaseIterable {
        /// The traffic passes (v1alpha1: Allow).
        case accept = "Accept"
        /// The traffic is dropped.
        case deny = "Deny"
        /// The rest of the tier is skipped.
        case pass = "Pass"
    }

    /// One clause.
    public struct Rule: Hashable, Sendable {
        /// The name its author gave it.
        public var name: String?
        /// What happens to matching traffic.
        public var action: Action
        /// The other ends: any one suffices, and none matches nothing.
        public var peers: [Peer]
        /// The ports of the connection's target. Empty, with no `portNames`, means every port and protocol.
        public var services: [Service]
        /// The ports by name.
        public var portNames: [PortName]
        /// Where the rule begins.
        public var location: SourceLocation?

        /// Creates a rule.
        public init(
            name: String? = nil, action: Action, peers: [Peer], services: [Service] = [], portNames: [PortName] = [],
            location: SourceLocation? = nil
        ) {
            self.name = name
            self.action = action
            self.peers = peers
            self.services = services
            self.portNames = portNames
            self.location = location
        }
    }

    /// Which pods: those of some namespaces that the pods' selector matches.
    public struct Pods: Hashable, Sendable {
        /// What must hold of the namespace.
        public var namespaces: LabelSelector
        /// What must hold of the pod.
        public var pods: LabelSelector

        /// Creates a selection; without `pods` it is every pod of the namespaces.
        public init(namespaces: LabelSelector = .everything, pods: LabelSelector = .everything) {
            self.namespaces = namespaces
            self.pods = pods
        }

        /// The same as a selector of workloads.
        public var selector: WorkloadSelector { WorkloadSelector(namespaceLabels: namespaces, labels: pods) }
    }

    /// One other end.
    public enum Peer: Hashable, Sendable {
        /// Pods that do not use the host's network.
        case pods(Pods)
        /// Machines of the cluster (egress only).
        case nodes(LabelSelector)
        /// Addresses, those of pods and nodes included (egress only).
        case networks([IPPrefix])
        /// Names (egress, of the admin tier). Another action than `accept` makes the rule a denial of everything; in
        /// the baseline tier it is a peer that nobody can read.
        case domainNames([DomainPattern])
        /// A peer of a newer API, which nobody here can read: an `accept` matches nothing, and `deny` and `pass`
        /// become a denial of everything.
        case unknown
    }

    /// The kind of the document, which decisions and messages name.
    public var kind: String
    /// `metadata.name`, unique for the kind.
    public var name: String
    /// `admin` or `baseline`.
    public var tier: EgressPolicy.Tier
    /// 0 to 1000; the lower number is asked first, then the name decides.
    public var priority: Int
    /// Which pods it is about.
    public var subject: Pods
    /// What may reach the pods.
    public var ingress: [Rule]
    /// What the pods may reach.
    public var egress: [Rule]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a policy.
    public init(
        kind: String = "ClusterNetworkPolicy", name: String, tier: EgressPolicy.Tier, priority: Int = 0,
        subject: Pods = Pods(), ingress: [Rule] = [], egress: [Rule] = [], location: SourceLocation? = nil
    ) {
        self.kind = kind
        self.name = name
        self.tier = tier
        self.priority = priority
        self.subject = subject
        self.ingress = ingress
        self.egress = egress
        self.location = location
    }

    /// The rules of one direction.
    public func rules(_ direction: TrafficDirection) -> [Rule] {
        direction == .egress ? egress : ingress
    }

    /// Whether a rule names machines of the cluster.
    public var namesNodes: Bool {
        (egress + ingress).contains { rule in
            rule.peers.contains { peer in
                if case .nodes = peer { return true }
                return false
            }
        }
    }

    /// How decisions and messages name it: `ClusterNetworkPolicy/name`.
    public var reference: String { "\(kind)/\(name)" }
}
