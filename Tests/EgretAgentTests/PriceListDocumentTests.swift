// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy
import Testing

@testable import EgretAgent

@Suite("price lists that an agent keeps")
struct PriceListDocumentTests {
    private func list(_ price: String, to entry: String = "{ cidr: 203.0.113.0/24 }") -> String {
        """
        apiVersion: egret.dev/v1
        kind: PriceList
        metadata: { name: cloud }
        spec: { prices: [{ name: near, to: [\(entry)], price: \(price) }] }

        """
    }

    private func group(_ spec: String) -> String {
        """
        apiVersion: egret.dev/v1
        kind: DestinationGroup
        metadata: { name: office }
        spec: { \(spec) }

        """
    }

    @Test("come, change and go as policies do, outlive the agent, and are no policies")
    func lifecycle() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let request = AgentBench.request(list("0.09 USD/GB"))
        #expect(try await agent.plan(request).objects == [.init(object: "PriceList/cloud", change: "added")])
        #expect(await agent.policies().isEmpty)
        #expect(try await agent.apply(request, author: "me").revision == 1)
        let info = try #require(await agent.policies().first)
        #expect(info.object == "PriceList/cloud" && info.source == "policy.yaml:1")
        #expect(info.mode == nil && info.tier == nil && info.endpoints == nil && info.traffic == nil)
        #expect(await agent.status().policies == 0)
        let next = try await bench.agent()
        #expect(await next.reading.catalog.priceLists.map(\.name) == ["cloud"])
        let report = try await next.apply(AgentBench.request(list("0.08 USD/GB")), author: "me")
        #expect(report.objects.map(\.change) == ["changed"])
        #expect(await next.reading.catalog.priceLists.first?.entries.first?.tiers.first?.price.micros == 80_000)
        _ = try await next.apply(ApplyRequest(delete: ["PriceList/cloud"]), author: "me")
        #expect(await next.policies().isEmpty)
        #expect(await next.reading.catalog.priceLists.isEmpty)
    }

    @Test("mistakes are refused with file and line, and nothing changes")
    func mistakes() async throws {
        let agent = try await AgentBench().agent()
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request("# Prices\n" + list("0.09")), author: "me")
        }
        #expect(error?.diagnostics?.first?.hasPrefix("policy.yaml:5:") ?? false, "\(error?.diagnostics ?? [])")
        #expect(error?.diagnostics?.first?.contains("EGR0030") ?? false)
        #expect(await agent.policies().isEmpty)
    }

    @Test("a group that prices name stays, and may get names, in whatever files the two are")
    func groups() async throws {
        let agent = try await AgentBench().agent()
        let blocks = AgentBench.request(group("cidrs: [198.51.100.0/24]"), file: "group.yaml")
        _ = try await agent.apply(blocks, author: "me")
        let prices = AgentBench.request(list("1 EUR/GB", to: "{ group: office }"), file: "prices.yaml")
        _ = try await agent.apply(prices, author: "me")
        let gone = await #expect(throws: APIError.self) {
            try await agent.apply(ApplyRequest(delete: ["DestinationGroup/office"]), author: "me")
        }
        #expect(gone?.diagnostics?.first?.contains("EGR0024") ?? false, "\(gone?.diagnostics ?? [])")
        let named = AgentBench.request(group("domains: [example.org]"), file: "group.yaml")
        let report = try await agent.apply(named, author: "me")
        #expect(report.objects.count == 1)
    }

    @Test(
        "routes, and audited rules and budgets, for a group with names are refused, in whatever documents the two are",
        arguments: [
            "mode: audit, budgets: [{ name: b, to: [{ group: office }] }]",
            "routes: [{ to: [{ group: office }], via: { gateway: 192.0.2.1 } }]",
            "mode: audit, egress: [{ action: deny, to: [{ group: office }] }]",
        ])
    func budgetsAndRoutes(_ spec: String) async throws {
        let agent = try await AgentBench().agent()
        _ = try await agent.apply(
            AgentBench.request(group("domains: [example.org]"), file: "group.yaml"), author: "me")
        let policy = """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { \(spec) }

            """
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(policy), author: "me")
        }
        #expect(error?.diagnostics?.contains { $0.contains("EGR0015") } ?? false, "\(error?.diagnostics ?? [])")
    }
}
