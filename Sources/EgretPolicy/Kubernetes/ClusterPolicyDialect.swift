// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How a kind of `policy.networking.k8s.io` says what they all say.
enum ClusterPolicyDialect: String, CaseIterable {
    case cluster = "ClusterNetworkPolicy"
    case admin = "AdminNetworkPolicy"
    case baselineAdmin = "BaselineAdminNetworkPolicy"

    /// The version of the API that has the kind.
    var version: String { self == .cluster ? "v1alpha2" : "v1alpha1" }

    /// The fields of `spec`.
    var specFields: [String] {
        switch self {
        case .cluster: ["tier", "priority", "subject", "ingress", "egress"]
        case .admin: ["priority", "subject", "ingress", "egress"]
        case .baselineAdmin: ["subject", "ingress", "egress"]
        }
    }

    /// The words for what a rule does.
    var actions: [(word: String, action: ClusterPolicy.Action)] {
        switch self {
        case .cluster: [("Accept", .accept), ("Deny", .deny), ("Pass", .pass)]
        case .admin: [("Allow", .accept), ("Deny", .deny), ("Pass", .pass)]
        case .baselineAdmin: [("Allow", .accept), ("Deny", .deny)]
        }
    }

    /// The field of a rule that holds its ports.
    var portsField: String { self == .cluster ? "protocols" : "ports" }

    /// The field of such an entry that names a port.
    var namedPortField: String { self == .cluster ? "destinationNamedPort" : "namedPort" }

    /// The most rules of a direction, and the most peers or ports of a rule.
    var limit: Int { self == .cluster ? 25 : 100 }

    /// The fields of a peer; those of egress are more.
    func peerFields(_ direction: TrafficDirection) -> [String] {
        let pods = ["namespaces", "pods"]
        if direction == .ingress { return pods }
        return pods + ["nodes", "networks"] + (self == .baselineAdmin ? [] : ["domainNames"])
    }
}
