// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What Egret knows of Kubernetes' kinds: which it reads, and which it can tell from misspelled ones.
enum KubernetesKinds {
    /// The kinds that are read, with their `apiVersion`.
    static let read: [String: String] = {
        var kinds = [
            "NetworkPolicy": "networking.k8s.io/v1",
            "Namespace": "v1", "Pod": "v1", "Service": "v1", "Node": "v1", "ReplicationController": "v1",
            "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
            "Job": "batch/v1", "CronJob": "batch/v1",
        ]
        for dialect in ClusterPolicyDialect.allCases {
            kinds[dialect.rawValue] = "policy.networking.k8s.io/\(dialect.version)"
        }
        return kinds
    }()

    /// The kinds that are policies.
    static let policies = ["NetworkPolicy"] + ClusterPolicyDialect.allCases.map(\.rawValue)

    /// Kinds of the same groups that say nothing about traffic.
    static let others: Set<String> = [
        "Ingress", "IngressClass", "IPAddress", "ServiceCIDR", "ConfigMap", "Secret", "ServiceAccount", "Endpoints",
        "Event", "LimitRange", "PersistentVolume", "PersistentVolumeClaim", "PodTemplate", "ResourceQuota", "Binding",
        "ComponentStatus", "ControllerRevision", "Eviction", "Scale", "Status",
    ]

    /// The groups of the kinds that are read.
    static let groups: Set<String> = Set(read.values.map(group))

    /// The group of an `apiVersion`; empty for the core group, `v1`.
    static func group(_ apiVersion: String) -> String {
        apiVersion.contains("/") ? String(apiVersion.prefix { $0 != "/" }) : ""
    }

    /// The kinds that are read of a group, in the order of letters.
    static func kinds(ofGroup group: String) -> [String] {
        read.filter { KubernetesKinds.group($0.value) == group }.keys.sorted()
    }

    /// Whether a kind that is not read was probably meant to be one that is.
    static func isMistaken(_ kind: String, group: String) -> Bool {
        if group == "policy.networking.k8s.io" || group == "egret.dev" { return true }
        return !others.contains(kind) && Spelling.nearest(to: kind, among: kinds(ofGroup: group)) != nil
    }

    /// The kind whose list this is: `NetworkPolicy` for `NetworkPolicyList`.
    static func element(ofList kind: String) -> String? {
        guard kind.hasSuffix("List") else { return nil }
        let element = String(kind.dropLast(4))
        return read[element] != nil || others.contains(element) ? element : nil
    }
}
