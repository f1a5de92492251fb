// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("All policies together")
struct PolicyCatalogTests {
    private static let label = LabelSelector(matchLabels: ["job": "a"])

    private func selects(_ catalog: PolicyCatalog, _ namespace: String, _ labels: [String: String]) -> Bool {
        catalog.selects(Workload(Workload.ID(namespace: namespace, name: "w"), labels: labels), by: "job")
    }

    @Test("a policy of any kind selects by a label if it would not without")
    func selection() {
        let catalogs = [
            PolicyCatalog(egressPolicies: [
                EgressPolicy(name: "p", selects: WorkloadSelector(labels: Self.label), rules: [])
            ]),
            PolicyCatalog(networkPolicies: [
                NetworkPolicy(namespace: "shop", name: "p", podSelector: Self.label, directions: [.egress])
            ]),
            PolicyCatalog(clusterPolicies: [
                ClusterPolicy(name: "p", tier: .admin, priority: 1, subject: ClusterPolicy.Pods(pods: Self.label))
            ]),
        ]
        for catalog in catalogs {
            #expect(selects(catalog, "shop", ["job": "a", "app": "web"]))
            #expect(!selects(catalog, "shop", ["job": "b"]))
            #expect(!selects(catalog, "shop", ["app": "web"]))
        }
        #expect(!selects(catalogs[1], "other", ["job": "a"]))
    }

    @Test("a policy that selects without the label as well does not select by it")
    func others() {
        let everybody = EgressPolicy(name: "p", rules: [])
        let unlike = LabelSelector([LabelSelector.Requirement("job", .isNotIn, ["b"])])
        let others = EgressPolicy(name: "q", selects: WorkloadSelector(labels: unlike), rules: [])
        let elsewhere = EgressPolicy(
            name: "r", selects: WorkloadSelector(names: ["another"], labels: Self.label), rules: [])
        let catalog = PolicyCatalog(egressPolicies: [everybody, others, elsewhere])
        #expect(!selects(catalog, "shop", ["job": "a"]))
        #expect(!selects(PolicyCatalog(), "shop", ["job": "a"]))
    }
}
