// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting
import Testing
import Yams

@Suite("Examples")
struct ExampleTests {
    @Test("every example is read without a diagnostic")
    func examples() throws {
        let directory = packageDirectory + "/examples"
        let names = try files(in: directory, endingIn: [".yaml", ".json"])
        #expect(names.count >= 5)
        for name in names {
            let result = PolicyFiles.read([(name, try contents(of: "\(directory)/\(name)"))])
            #expect(result.diagnostics.map(DiagnosticFormatter.format) == [], "\(name)")
            #expect(!result.policies.isEmpty)
        }
    }

    @Test("the example with manifests is read without a diagnostic")
    func manifests() throws {
        let directory = packageDirectory + "/examples/kubernetes"
        let names =
            try files(in: directory, endingIn: [".yaml"])
            + files(in: directory + "/policies", endingIn: [".yaml"])
            .map { "policies/\($0)" }
        let result = PolicyFiles.read(
            try names.map { ($0, try contents(of: "\(directory)/\($0)")) }, scope: .manifests)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        #expect(result.inventory.workloads.count == 3)
        #expect(result.networkPolicies.count == 3 && result.clusterPolicies.count == 2)
    }

    @Test("the example for Compose is what the documentation shows, and its policies select what it starts")
    func compose() throws {
        let directory = packageDirectory + "/examples/compose"
        let manual = String(decoding: try contents(of: packageDirectory + "/docs/containers.md"), as: UTF8.self)
        let text = String(decoding: try contents(of: directory + "/compose.yaml"), as: UTF8.self)
        let policies = try contents(of: directory + "/policies.yaml")
        #expect(manual.contains("```yaml\n\(text)```"))
        #expect(
            manual.contains("# examples/compose/policies.yaml\n" + String(decoding: policies, as: UTF8.self) + "```"))
        let result = PolicyFiles.read([("policies.yaml", policies)])
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        let file = try #require(try Yams.load(yaml: text) as? [String: Any])
        let services = try #require(file["services"] as? [String: [String: Any]])
        for (name, chosen) in [("web", ["shop"]), ("worker", ["shop", "worker"])] {
            // What Compose adds, and what the agent adds for the image.
            var labels = services[name]?["labels"] as? [String: String] ?? [:]
            labels["com.docker.compose.project"] = "shop"
            labels["egret.dev/image"] = name
            let workload = Workload(
                Workload.ID(namespace: "docker", name: "shop-\(name)-1", kind: "Container"), labels: labels,
                addresses: [])
            let selecting = result.policies.filter { $0.selects?.matches(workload, in: result.inventory) ?? true }
            #expect(selecting.map(\.name) == chosen, "\(name)")
            #expect(services[name]?["networks"] as? [String] == ["shop"])
        }
    }
}
