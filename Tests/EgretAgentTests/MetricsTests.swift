// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretCompiler
import EgretPolicy
import EgretShaping
import EgretTesting
import Synchronization
import Testing

@testable import EgretAgent

@Suite("Figures for monitoring")
struct MetricsTests {
    /// The names of figures, each with its type.
    private func figures(_ text: String) -> [String: String] {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
        return Dictionary(
            lines.map { line in
                let words = line.split(separator: " ").map(String.init)
                return (words[2], words[3])
            }, uniquingKeysWith: { first, _ in first })
    }

    @Test("every figure that the agent gives is documented, and no other")
    func documented() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let group = """
            ---
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: list }
            spec: { feed: { url: "https://feeds.example/list" } }

            """
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one") + group), author: "me")
        let given = figures(await agent.metrics())
        let package = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/../.."
        let text = String(decoding: try contents(of: "\(package)/docs/agent.md"), as: UTF8.self)
        let rows = text.matches(of: #/\n\| `(egret_agent_\w+)` \| (\w+) \|/#)
        let described = Dictionary(
            rows.map { (String($0.1), String($0.2)) }, uniquingKeysWith: { first, _ in first })
        #expect(given == described)
    }

    @Test("figures follow what happens")
    func values() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request("kind: Nothing"), author: "me")
        }
        bench.kernel.state.withLock { $0.drift = ["a chain is missing"] }
        await agent.kernelChanged(by: ["nft"])
        let lines = Set(await agent.metrics().split(separator: "\n").map(String.init))
        for line in [
            "egret_agent_revision 1", "egret_agent_policies 1", "egret_agent_changes_total 1",
            "egret_agent_failed_changes_total 1", "egret_agent_drifts_total 1", "egret_agent_repairs_total 1",
            "egret_agent_enforced 1", "egret_agent_unconfirmed 0", "egret_agent_apply_duration_seconds_count 2",
            "egret_agent_apply_duration_seconds_bucket{le=\"+Inf\"} 2", "egret_agent_held_connections 0",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test("what endpoints' own rates drop is told by endpoint and direction, and nothing where there are none")
    func rates() async throws {
        let bench = try AgentBench()
        let endpoint = try bench.endpoint(1)
        bench.present.withLock { $0 = [endpoint] }
        let agent = try await bench.agent()
        #expect(await !agent.metrics().contains("egret_rate_"))
        #expect(await agent.endpoints().map { $0.rates } == [nil])
        bench.kernel.state.withLock { kernel in
            kernel.rates = [
                RateCounts(
                    link: endpoint.interfaceIndex, direction: .ingress, packets: 2, bytes: 300, dropped: 0,
                    waitingBytes: 0),
                RateCounts(
                    link: endpoint.interfaceIndex, direction: .egress, packets: 7, bytes: 9_000, dropped: 5,
                    waitingBytes: 1_514),
            ]
        }
        #expect(
            await agent.endpoints().first?.rates == [
                RateInfo(direction: "egress", packets: 7, bytes: 9_000, dropped: 5, waiting: 1_514),
                RateInfo(direction: "ingress", packets: 2, bytes: 300, dropped: 0, waiting: 0),
            ])
        let lines = Set(await agent.metrics().split(separator: "\n").map(String.init))
        let labels = "{endpoint=\"\(endpoint.workload.id)\",direction=\"egress\"}"
        for line in [
            "egret_rate_dropped_packets_total\(labels) 5", "egret_rate_passed_bytes_total\(labels) 9000",
            "egret_rate_waiting_bytes\(labels) 1514",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test("rates of several links of one endpoint are one series")
    func ratesOfLinks() async throws {
        let bench = try AgentBench()
        let first = try bench.endpoint(1)
        var second = try bench.endpoint(2)
        second.workload = first.workload
        bench.present.withLock { [second] in $0 = [first, second] }
        bench.kernel.state.withLock { kernel in
            kernel.rates = ([1, 2] as [UInt32]).map { link in
                RateCounts(
                    link: link, direction: .egress, packets: 7, bytes: 9_000, dropped: UInt64(link), waitingBytes: 10)
            }
        }
        let agent = try await bench.agent()
        let lines = await agent.metrics().split(separator: "\n").map(String.init)
        let labels = "{endpoint=\"\(first.workload.id)\",direction=\"egress\"}"
        #expect(
            lines.filter { $0.hasPrefix("egret_rate_") } == [
                "egret_rate_dropped_packets_total\(labels) 3", "egret_rate_passed_bytes_total\(labels) 18000",
                "egret_rate_waiting_bytes\(labels) 20",
            ])
    }

    @Test("what rates drop that endpoints share is told by policy, limit and network; limits that say the same are one")
    func sharedRates() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        #expect(await !agent.metrics().contains("egret_shared_rate_"))
        let limits = [
            TrafficLimit(name: "all", scope: .policy, rate: BitRate("1Mbit"), policy: "p"),
            TrafficLimit(scope: .network, rate: BitRate("2Mbit"), policy: "p"),
        ]
        let candidates = ["a", "b"].enumerated().map { number, network in
            PoolTree.Candidate(number: number, network: network, limits: limits, groups: [:])
        }
        let shares = try PoolTree(candidates, .egress).shares.sorted { $0.network ?? "" < $1.network ?? "" }
        #expect(shares.map(\.network) == [nil, "a", "b"])
        bench.kernel.state.withLock { kernel in
            kernel.sharedRates = (shares + shares.suffix(1)).enumerated().map { number, share in
                SharedRate(
                    share: share,
                    counts: SharedCounts(
                        direction: .egress, number: share.leaf, packets: 1, bytes: 100, dropped: UInt64(number + 1),
                        waitingBytes: 10))
            }
        }
        let lines = await agent.metrics().split(separator: "\n").filter { $0.hasPrefix("egret_shared_rate_dropped") }
        let name = "egret_shared_rate_dropped_packets_total"
        #expect(
            lines.map(String.init) == [
                #"\#(name){policy="p",limit="2Mbit per network",network="a",direction="egress"} 2"#,
                #"\#(name){policy="p",limit="2Mbit per network",network="b",direction="egress"} 7"#,
                #"\#(name){policy="p",limit="all",network="",direction="egress"} 1"#,
            ])
    }

    @Test("who attaches an endpoint does not have the queues of all links listed")
    func ratesOfOne() async throws {
        let bench = try AgentBench()
        let endpoint = try bench.endpoint(1)
        bench.present.withLock { $0 = [endpoint] }
        let agent = try await bench.agent()
        let before = bench.kernel.state.withLock { $0.rateReadings }
        #expect(await agent.endpoints(named: "\(endpoint.workload.id)").count == 1)
        #expect(bench.kernel.state.withLock { $0.rateReadings } == before)
        _ = await agent.endpoints()
        #expect(bench.kernel.state.withLock { $0.rateReadings } == before + 1)
    }

    @Test("labels cannot break out of their quotes")
    func escaping() {
        var text = MetricsText()
        text.add("a", [("b", "c\"d\\e\nf")], 1)
        #expect(text.text == "a{b=\"c\\\"d\\\\e\\nf\"} 1\n")
    }
}
