// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

@Suite("Kubernetes' policies, case by case")
struct ConformanceTests {
    private static let directory = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))

    private func cases() throws -> [ConformanceCase] { try ConformanceFile.readAll(in: Self.directory) }

    @Test("the evaluator decides every connection of every case as it must")
    func evaluator() throws {
        let cases = try cases()
        var count: [AddressFamily: Int] = [:]
        for testCase in cases {
            for step in testCase.steps {
                var evaluator = ConnectionEvaluator(PolicyResolver(step.catalog, inventory: step.inventory))
                var wrong: [String] = []
                for probe in step.probes {
                    count[probe.family, default: 0] += 1
                    let decision = evaluator.decide(
                        from: probe.source, to: probe.target, probe.service, family: probe.family)
                    if decision?.isAllowed != probe.isAllowed { wrong.append(text(of: probe, in: step.inventory)) }
                }
                #expect(wrong == [], "\(testCase.name) (\(step.location))")
            }
        }
        #expect(count[.ipv4, default: 0] > 10_000)
        #expect(count[.ipv6, default: 0] > 10_000)
    }

    @Test("neither the order of documents nor a stranger's policies change an answer")
    func metamorphic() throws {
        let stranger = NetworkPolicy(
            namespace: "nobody-lives-here", name: "closed", directions: [.ingress, .egress], ingress: [], egress: [])
        for testCase in try cases() {
            guard let step = testCase.steps.last else { continue }
            var catalog = step.catalog
            catalog.networkPolicies = catalog.networkPolicies.reversed() + [stranger]
            catalog.clusterPolicies.reverse()
            let inventory = Inventory(
                workloads: step.inventory.workloads.reversed(), namespaces: step.inventory.namespaces,
                nodes: step.inventory.nodes.reversed())
            #expect(inventory == step.inventory)
            var evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: inventory))
            let wrong = step.probes.filter { probe in
                evaluator.decide(from: probe.source, to: probe.target, probe.service, family: probe.family)?.isAllowed
                    != probe.isAllowed
            }
            #expect(wrong.isEmpty, "\(testCase.name)")
        }
    }

    @Test("every case has a name of its own, a step, and something that is denied or allowed again")
    func wellFormed() throws {
        let cases = try cases()
        #expect(Set(cases.map(\.name)).count == cases.count)
        for testCase in cases {
            #expect(!testCase.steps.isEmpty && testCase.steps.allSatisfy { !$0.probes.isEmpty }, "\(testCase.name)")
        }
        #expect(cases.filter { $0.location.file.hasPrefix("network-policy") }.count >= 50)
        #expect(cases.filter { $0.location.file.hasPrefix("cluster-policy") }.count >= 60)
    }

    @Test("without the policies the cases would fail")
    func control() throws {
        var denials = 0
        for testCase in try cases() {
            for step in testCase.steps {
                let denied = step.probes.filter { !$0.isAllowed }
                denials += denied.isEmpty ? 0 : 1
                var nothing = PolicyCatalog()
                nothing.networkDefault = .allow
                var evaluator = ConnectionEvaluator(PolicyResolver(nothing, inventory: step.inventory))
                for probe in denied {
                    let decision = evaluator.decide(
                        from: probe.source, to: probe.target, probe.service, family: probe.family)
                    #expect(decision?.isAllowed == true, "\(testCase.name)")
                }
            }
        }
        #expect(denials > 100)
    }

    private func text(of probe: ConformanceCase.Probe, in inventory: Inventory) -> String {
        func name(_ end: ConnectionEnd) -> String {
            switch end {
            case .workload(let place): inventory.workloads[place].id.description
            case .address(let address): address.description
            }
        }
        let port = probe.service.port.map { "\($0)/" } ?? ""
        return "\(name(probe.source)) -> \(name(probe.target)) \(port)\(probe.service.protocol) \(probe.family) "
            + (probe.isAllowed ? "must be allowed" : "must be denied")
    }
}
