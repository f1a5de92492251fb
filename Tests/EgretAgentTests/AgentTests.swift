// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

@testable import EgretAgent

@Suite("The agent's changes")
struct AgentTests {
    private func policies(_ bench: AgentBench) -> [String] { bench.kernel.state.withLock { $0.policies } }

    @Test("what is applied is in force, kept, and in force again after a crash")
    func applying() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let report = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        #expect(report.revision == 1)
        #expect(report.objects == [.init(object: "EgressPolicy/one", change: "added")])
        #expect(policies(bench) == ["one"])
        bench.kernel.state.withLock { $0.policies = [] }
        let other = try await bench.agent()
        #expect(policies(bench) == ["one"])
        #expect(try await other.history().map(\.state) == ["current"])
    }

    @Test("the status says what becomes of what no policy is about", arguments: DefaultAction.allCases)
    func networkDefault(_ action: DefaultAction) async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent(defaultAction: action)
        #expect(await agent.status().networkDefault == action.rawValue)
        #expect(await agent.status().heldConnections == 0)
    }

    @Test("Nodes are kept for the policies that speak of them; without any, their author is told")
    func nodes() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let policy = """
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: nodes }
            spec:
              tier: Admin
              priority: 10
              subject: { namespaces: {} }
              egress: [{ name: nodes, action: Deny, to: [{ nodes: {} }] }]

            """
        let node = """
            apiVersion: v1
            kind: Node
            metadata: { name: n1, labels: { role: control } }
            status: { addresses: [{ type: InternalIP, address: 192.0.2.1 }, { type: Hostname, address: n1 }] }

            """
        var report = try await agent.apply(AgentBench.request(policy), author: "me")
        #expect(report.warnings.count == 1)
        #expect(report.warnings.first?.contains("ClusterNetworkPolicy/nodes") ?? false)
        report = try await agent.apply(AgentBench.request(node, file: "nodes.yaml"), author: "me")
        #expect(report.objects == [.init(object: "Node/n1", change: "added")])
        #expect(report.warnings.isEmpty)
        let address = try #require(IPAddress("192.0.2.1"))
        let known = Inventory.Node("n1", labels: ["role": "control"], addresses: [address])
        #expect(await agent.desired.nodes == [known])
        #expect(await agent.status().policies == 1)
        #expect(await agent.policies().first { $0.object == "Node/n1" }?.mode == nil)
        let other = try await bench.agent()
        #expect(await other.desired.nodes == [known])
    }

    @Test("a file with a mistake changes nothing, and every mistake is told with its line")
    func mistakes() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let text = AgentBench.policy("one") + "---\n" + AgentBench.policy("two", to: "nowhere")
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(text), author: "me")
        }
        #expect(error?.code == "invalid")
        let lines = try #require(error?.diagnostics)
        #expect(lines.contains { $0.hasPrefix("policy.yaml:9:") })
        #expect(policies(bench).isEmpty)
        #expect(try await agent.history().isEmpty)
    }

    @Test("if the kernel refuses, everything is as before and the history has the reason")
    func refusal() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        bench.kernel.state.withLock { $0.failures = [NotedKernel.Failure(description: "no memory")] }
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(AgentBench.policy("two")), author: "me")
        }
        #expect(error?.code == "failed")
        #expect(policies(bench) == ["one"])
        let history = try await agent.history()
        #expect(history.map(\.state) == ["failed", "current"])
        #expect(history.first?.reason == "no memory")
        #expect(await agent.policies().map(\.object) == ["EgressPolicy/one"])
    }

    @Test("a revision that a crash left half-way is put aside")
    func crash() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        let store = try PolicyStore(path: bench.storePath)
        _ = try store.begin(
            [StoredDocument(objects: ["EgressPolicy/two"], file: "b", line: 1, text: AgentBench.policy("two"))],
            time: 1, author: "me", message: nil, confirmBy: nil)
        let other = try await bench.agent()
        #expect(policies(bench) == ["one"])
        #expect(try await other.history().map(\.state) == ["failed", "current"])
    }

    @Test("what is not confirmed in time goes back by itself, also if the agent was dead at the time")
    func confirmation() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        var request = AgentBench.request(AgentBench.policy("two"))
        request.confirmWithin = 60
        #expect(try await agent.apply(request, author: "me").confirmBy == 1_800_000_060)
        #expect(policies(bench) == ["one", "two"])
        await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(AgentBench.policy("three")), author: "me")
        }
        bench.advance(59)
        await agent.tick()
        #expect(policies(bench) == ["one", "two"])
        bench.advance(1)
        await agent.tick()
        #expect(policies(bench) == ["one"])
        #expect(try await agent.history().map(\.state) == ["current", "rolled-back", "superseded"])

        _ = try await agent.apply(request, author: "me")
        bench.advance(3_600)
        _ = try await bench.agent()
        #expect(policies(bench) == ["one"])
    }

    @Test(
        "a clock that is set neither shortens the time for confirming nor makes it longer, over restarts of the agent too"
    )
    func steps() async throws {
        for (step, isRestarted) in [(Int64(86_400), false), (86_400, true), (-86_400, false), (-86_400, true)] {
            let bench = try AgentBench()
            var agent = try await bench.agent()
            _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
            var request = AgentBench.request(AgentBench.policy("two"))
            request.confirmWithin = 60
            _ = try await agent.apply(request, author: "me")
            bench.setClock(by: step)
            bench.advance(59)
            if isRestarted { agent = try await bench.agent() }
            await agent.tick()
            #expect(policies(bench) == ["one", "two"])
            #expect(try await agent.history().first?.confirmBy == Int(bench.clock.withLock { $0 }) + 1)
            bench.advance(1)
            if isRestarted { agent = try await bench.agent() }
            await agent.tick()
            #expect(policies(bench) == ["one"])
        }
    }

    @Test("a machine that was started again has no unconfirmed change, however short the time was")
    func machineRestart() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        var request = AgentBench.request(AgentBench.policy("two"))
        request.confirmWithin = 3_600
        _ = try await agent.apply(request, author: "me")
        bench.restart()
        let other = try await bench.agent()
        #expect(policies(bench) == ["one"])
        #expect(try await other.history().map(\.state) == ["current", "rolled-back", "superseded"])
    }

    /// Two policies whose limits do not go together for an endpoint with the labels of both.
    private static let overlappingLimits = """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: one }
        spec:
          selects: { matchLabels: { one: "yes" } }
          default: allow
          limits: [{ rate: 1Mbit, to: [{ cidr: 203.0.112.0/20 }], ports: [443] }]
        ---
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: two }
        spec:
          selects: { matchLabels: { two: "yes" } }
          default: allow
          limits: [{ rate: 2Mbit, to: [{ cidr: 203.0.113.0/24 }] }]

        """

    @Test("what is not confirmed goes back also if limits do not go together for an endpoint that has come since")
    func conflictingLimits() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let text = Self.overlappingLimits
        _ = try await agent.apply(AgentBench.request(text), author: "me")
        var request = ApplyRequest(delete: ["EgressPolicy/one", "EgressPolicy/two"])
        request.confirmWithin = 60
        _ = try await agent.apply(request, author: "me")
        let both = try bench.endpoint(2, labels: ["one": "yes", "two": "yes"])
        bench.present.withLock { $0 = [both] }
        bench.advance(30)
        await agent.tick()
        #expect(policies(bench).isEmpty)
        // Whoever applies the two is told.
        let other = try AgentBench()
        other.present.withLock { $0 = [both] }
        let strict = try await other.agent()
        await #expect(throws: APIError.self) { try await strict.apply(AgentBench.request(text), author: "me") }
        bench.advance(30)
        await agent.tick()
        #expect(policies(bench) == ["one", "two"])
        #expect(try await agent.history().map(\.state) == ["current", "rolled-back", "superseded"])
        #expect(await agent.status().problem == nil)
    }

    @Test("so does whoever goes back, and is told")
    func conflictingLimitsOfFormer() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(Self.overlappingLimits), author: "me")
        _ = try await agent.apply(ApplyRequest(delete: ["EgressPolicy/one", "EgressPolicy/two"]), author: "me")
        let both = try bench.endpoint(2, labels: ["one": "yes", "two": "yes"])
        bench.present.withLock { $0 = [both] }
        _ = try await agent.synchronize()
        let report = try await agent.rollback(to: nil, author: "me")
        #expect(policies(bench) == ["one", "two"])
        #expect(report.warnings.count { $0.contains("overlap") && $0.contains("slowest") } == 1, "\(report.warnings)")
        #expect(try await agent.history().map(\.state) == ["current", "rolled-back", "superseded"])
        #expect(await agent.status().problem == nil)
        // Without the endpoint nothing is to be told.
        bench.present.withLock { $0 = [] }
        _ = try await agent.synchronize()
        for revision in [2, 1] {
            let report = try await agent.rollback(to: revision, author: "me")
            #expect(!report.warnings.contains { $0.contains("overlap") }, "\(report.warnings)")
        }
    }

    @Test("who has endpoints read again is told how many transactions that has made, and nobody else is")
    func rulesetChanges() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(Self.overlappingLimits), author: "me")
        let endpoint = try bench.endpoint(2, labels: ["one": "yes"])
        bench.present.withLock { $0 = [endpoint] }
        let status = try await agent.synchronize()
        #expect(status.rulesetChanges == 1)
        bench.kernel.state.withLock { $0.failures = [NotedKernel.Failure(description: "refused"), nil] }
        // The second attempt counts as well.
        let other = try await agent.synchronize()
        #expect(other.rulesetChanges == 2)
        #expect(await agent.status().rulesetChanges == nil)
    }

    @Test("a revision that cannot be read any more is refused with what to do, and nothing changes")
    func unreadableFormer() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one", to: "198.51.100.0/24")), author: "me")
        try PolicyStore(path: bench.storePath).execute(
            "UPDATE text SET text = replace(text, 'allow', 'former') WHERE text LIKE '%203.0.113.0/24%'")
        let error = await #expect(throws: APIError.self) { try await agent.rollback(to: nil, author: "me") }
        #expect(error?.code == "invalid")
        #expect(error?.message.contains("revision 1 cannot be read any more") ?? false)
        #expect(error?.advice?.contains("egret rollback --to") ?? false)
        #expect(error?.diagnostics?.contains { $0.hasPrefix("policy.yaml:4:") } ?? false)
        #expect(try await agent.history().map(\.state) == ["current", "superseded"])
        #expect(await agent.status().problem == nil)
    }

    @Test("if what was in force before is not kept any more, an unconfirmed change stays and the reason is told")
    func lostPredecessor() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        var request = AgentBench.request(AgentBench.policy("two"))
        request.confirmWithin = 60
        _ = try await agent.apply(request, author: "me")
        try PolicyStore(path: bench.storePath).execute("DELETE FROM revision WHERE number = 1")
        bench.advance(60)
        await agent.tick()
        #expect(policies(bench) == ["one", "two"])
        #expect(await agent.status().problem?.contains("revision 1") ?? false)
        let other = try await bench.agent()
        #expect(policies(bench) == ["one", "two"])
        #expect(await other.status().problem?.contains("revision 1") ?? false)
    }

    @Test("times are worked out anew before they end, and if the clock goes back beyond them, but not in between")
    func times() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        let now = bench.clock.withLock { $0 }
        bench.kernel.state.withLock { $0.timesHoldUntil = now + ScheduleHorizon.aheadSeconds }
        for (step, expected) in [(-1_800, 0), (-1_801, 1), (3_601, 0), (8 * 86_400, 1)] {
            bench.setClock(by: Int64(step))
            let before = bench.kernel.state.withLock { $0.changes }
            await agent.tick()
            let after = bench.kernel.state.withLock { $0.changes }
            #expect(after - before == expected, "after \(step) s")
        }
    }

    @Test("what is confirmed stays")
    func confirmed() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        var request = AgentBench.request(AgentBench.policy("one"))
        request.confirmWithin = 60
        _ = try await agent.apply(request, author: "me")
        #expect(try await agent.confirm().state == "current")
        bench.advance(120)
        await agent.tick()
        #expect(policies(bench) == ["one"])
        await #expect(throws: APIError.self) { try await agent.confirm() }
    }

    @Test("going back puts an earlier revision in force, as a new one")
    func rollback() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one", to: "198.51.100.0/24")), author: "me")
        let report = try await agent.rollback(to: nil, author: "me")
        #expect(report.revision == 3)
        #expect(report.objects == [.init(object: "EgressPolicy/one", change: "changed")])
        let difference = try await agent.difference(from: 2, to: 3)
        #expect(difference.text.contains("-spec: { egress: [{ action: allow, to: [{ cidr: 198.51.100.0/24 }] }] }"))
        #expect(difference.text.contains("+spec: { egress: [{ action: allow, to: [{ cidr: 203.0.113.0/24 }] }] }"))
        await #expect(throws: APIError.self) { try await agent.rollback(to: 99, author: "me") }
    }

    @Test("going back several times goes further back each time, and forward only to a revision that is named")
    func severalRollbacks() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        for name in ["one", "two", "three"] {
            _ = try await agent.apply(AgentBench.request(AgentBench.policy(name)), author: "me")
        }
        #expect(try await agent.rollback(to: nil, author: "me").revision == 4)
        #expect(policies(bench) == ["one", "two"])
        #expect(try await agent.rollback(to: nil, author: "me").revision == 5)
        #expect(policies(bench) == ["one"])
        #expect(
            try await agent.history().map(\.state) == [
                "current", "rolled-back", "rolled-back", "superseded", "superseded",
            ])
        // A change and the way back from it lead to where it came, and on from there.
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("four")), author: "me")
        _ = try await agent.rollback(to: nil, author: "me")
        #expect(policies(bench) == ["one"])
        _ = try await agent.rollback(to: nil, author: "me")
        #expect(policies(bench) == [])
        #expect(try await agent.rollback(to: nil, author: "me").objects.isEmpty, "there is nothing before that")
        _ = try await agent.rollback(to: 3, author: "me")
        #expect(policies(bench) == ["one", "three", "two"])
        _ = try await agent.rollback(to: nil, author: "me")
        #expect(policies(bench) == ["one", "two"])
        // So it is behind a change that nobody has confirmed.
        var request = AgentBench.request(AgentBench.policy("five"))
        request.confirmWithin = 60
        _ = try await agent.apply(request, author: "me")
        bench.advance(60)
        await agent.tick()
        #expect(policies(bench) == ["one", "two"])
        _ = try await agent.rollback(to: nil, author: "me")
        #expect(policies(bench) == ["one"])
    }

    @Test("an endpoint with several links is told of once, and each link is compared with itself")
    func severalLinks() throws {
        let bench = try AgentBench()
        let first = try bench.endpoint(1)
        var second = try bench.endpoint(2)
        second.workload = first.workload
        let limit = TrafficLimit(rate: BitRate(bitsPerSecond: 1_000_000))
        func state(_ generation: UInt16) -> [EnforcedEndpoint] {
            [
                EnforcedEndpoint(endpoint: first, egress: ["one"], ingress: [], egressGeneration: generation),
                EnforcedEndpoint(
                    endpoint: second, egress: ["one"], ingress: [], egressGeneration: generation, limits: [limit]),
            ]
        }
        let changes = Agent.changes(from: state(40_000), to: state(40_001))
        #expect(changes.map(\.endpoint) == ["default/w1"])
        #expect(changes.first?.egress == true)
        #expect(changes.first?.limits == nil)
        #expect(Agent.changes(from: state(40_000), to: state(40_000)).isEmpty)
    }

    @Test("objects are replaced by name, deleted by name, and pruned by file")
    func objects() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let text = AgentBench.policy("one") + "---\n" + AgentBench.policy("two")
        _ = try await agent.apply(AgentBench.request(text, file: "dir/a.yaml"), author: "me")
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("two"), file: "b.yaml"), author: "me")
        #expect(policies(bench) == ["one", "two"])
        var request = AgentBench.request(AgentBench.policy("three"), file: "dir/c.yaml")
        request.prune = true
        request.directories = ["dir"]
        let report = try await agent.apply(request, author: "me")
        #expect(policies(bench) == ["three", "two"])
        #expect(report.objects.map(\.change).sorted() == ["added", "removed"])
        _ = try await agent.apply(ApplyRequest(delete: ["EgressPolicy/two"]), author: "me")
        #expect(policies(bench) == ["three"])
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(ApplyRequest(delete: ["EgressPolicy/thre"]), author: "me")
        }
        #expect(error?.advice == "did you mean EgressPolicy/three?")
    }

    @Test(
        "what is not there is offered by its kind, by its namespace, or as it is spelled",
        arguments: [
            ("policy/web", "EgressPolicy/web"), ("NetworkPolicy/web", "EgressPolicy/web"),
            ("NetworkPolicy/db", "NetworkPolicy/shop/db"), ("networkpolicy/shop/db", "NetworkPolicy/shop/db"),
            ("web", "EgressPolicy/web"), ("EgressPolicy/wbe", "EgressPolicy/web"), ("policy/nope", nil), ("", nil),
        ] as [(String, String?)])
    func meantObject(_ text: String, _ meant: String?) {
        #expect(Agent.object(meantBy: text, among: ["EgressPolicy/web", "NetworkPolicy/shop/db"]) == meant)
    }

    @Test("a damaged store is refused with what to do, and left as it is")
    func damage() async throws {
        let bench = try AgentBench()
        _ = try await bench.agent().apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        let takings = bench.kernel.state.withLock { $0.takings }
        var bytes = try File.read(bench.storePath)
        for place in bytes.indices where place > 200 { bytes[place] ^= 0x5a }
        for name in try Directory.names(in: bench.directory) where name != "agent.sqlite" {
            try File.remove("\(bench.directory)/\(name)")
        }
        try File.write(bench.storePath, bytes)
        let error = await #expect(throws: PolicyStore.Unusable.self) { _ = try await bench.agent() }
        let advice = "move \(bench.storePath) away, and \(bench.storePath)-wal and \(bench.storePath)-shm"
        #expect(error?.description.contains(advice) == true, "\(String(describing: error))")
        #expect(bench.kernel.state.withLock { $0.takings } == takings)
        #expect(try File.read(bench.storePath) == bytes)
    }

    @Test("a store that was lost leaves the kernel as it is until the first change")
    func lostStore() async throws {
        let bench = try AgentBench()
        bench.kernel.state.withLock { $0.policies = ["of a former store"] }
        let agent = try await bench.agent()
        bench.advance(120)
        await agent.tick()
        #expect(policies(bench) == ["of a former store"])
        let lost = "the store is empty, and the kernel holds the policies of a former one"
        #expect(await agent.status().problem == lost)
        await #expect(throws: APIError.self) { try await agent.synchronize() }
        #expect(await agent.status().problem == lost)
        let request = AgentBench.request(AgentBench.policy("one"))
        let warning = "\(lost): this change takes the place of all of them; apply at once all that is to hold"
        #expect(try await agent.plan(request).warnings.contains(warning))
        #expect(try await agent.apply(request, author: "me").warnings.contains(warning))
        #expect(policies(bench) == ["one"])
        #expect(await agent.status().problem == nil)
        #expect(try await agent.plan(request).warnings.contains(warning) == false)
        _ = try await agent.synchronize()
    }

    @Test("a feed that is gone stops neither other changes nor the start, and keeps its list")
    func feeds() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let feed = "\(bench.directory)/feed"
        try File.write(feed, Array("203.0.113.7\n".utf8))
        let group = """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: partners }
            spec: { feed: { file: \(feed) } }

            """
        _ = try await agent.apply(AgentBench.request(group, file: "group.yaml"), author: "me")
        try File.remove(feed)
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        #expect(policies(bench) == ["one"])
        _ = try await bench.agent()
        #expect(bench.lines.withLock { $0 }.contains { $0.contains("EGR0079") })
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(
                AgentBench.request(group.replacing("partners", with: "others"), file: "x.yaml"), author: "me")
        }
        #expect(error?.diagnostics?.contains { $0.contains("EGR0079") } ?? false)
    }

    @Test("going back needs no server for the lists that were in force, neither by itself nor by hand")
    func feedsOfFormer() async throws {
        let (bench, folder) = (try AgentBench(), try TemporaryDirectory())
        let archive = FeedArchive(directory: folder.path + "/feeds")
        let url = "https://lists.example/partners"
        let list = FeedArchive.Kept(bytes: Array("203.0.113.7\n".utf8), validators: FeedFetcher.Validators())
        try archive.keep(list, of: url)
        // A server that does not answer: what is forgotten does not come back.
        let agent = try await bench.agent(feeds: FeedKeeper(archive, nil, uptime: { 0 }, log: { _ in }))
        let group = """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: partners }
            spec: { feed: { url: "\(url)" } }

            """
        _ = try await agent.apply(AgentBench.request(group), author: "me")
        let request = ApplyRequest(delete: ["DestinationGroup/partners"], confirmWithin: 60)
        _ = try await agent.apply(request, author: "me")
        bench.advance(59)
        await agent.tick()
        bench.advance(1)
        await agent.tick()
        #expect(try await agent.history().map(\.state) == ["current", "rolled-back", "superseded"])
        #expect(try await agent.list(ofGroup: "partners").contains("203.0.113.7"))

        _ = try await agent.apply(request, author: "me")
        _ = try await agent.confirm()
        await agent.tick()
        let other = AgentBench.request(AgentBench.policy("one"))
        _ = try await agent.apply(other, author: "me")
        await agent.tick()
        _ = try await agent.rollback(to: 3, author: "me")
        #expect(try await agent.list(ofGroup: "partners").contains("203.0.113.7"))
        // What no revision that is kept may have needed goes.
        _ = try await agent.apply(ApplyRequest(delete: ["DestinationGroup/partners"]), author: "me")
        _ = try await agent.apply(other, author: "me")
        try PolicyStore(path: bench.storePath).execute("DELETE FROM revision WHERE state <> 'current'")
        let later = try await bench.agent(feeds: FeedKeeper(archive, nil, uptime: { 0 }, log: { _ in }))
        await later.tick()
        #expect(archive.read(url) == nil)
    }

    @Test("what is not confirmed goes back in the kernel even if the store cannot be written")
    func storeInTrouble() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        var request = AgentBench.request(AgentBench.policy("two"))
        request.confirmWithin = 60
        _ = try await agent.apply(request, author: "me")
        let store = try PolicyStore(path: bench.storePath)
        try store.execute("CREATE TRIGGER full BEFORE INSERT ON revision BEGIN SELECT raise(ABORT, 'full'); END")
        bench.advance(60)
        await agent.tick()
        #expect(policies(bench) == ["one"])
        #expect(await agent.status().problem?.contains("full") ?? false)
        _ = try await bench.agent()
        #expect(policies(bench) == ["one"])
        try store.execute("DROP TRIGGER full")
        await agent.tick()
        #expect(try await agent.history().map(\.state) == ["current", "rolled-back", "superseded"])
        #expect(await agent.status().problem == nil)
    }

    @Test("memory is given back after work, and not every time that there was nothing to compare")
    func memory() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        func isReturned() async -> Bool {
            let before = await agent.lastReturn
            for _ in 0..<3 {
                bench.advance(31)
                await agent.tick()
            }
            return await agent.lastReturn != before
        }
        let request = AgentBench.request(AgentBench.policy("one"))
        #expect(await isReturned(), "what the start has needed")
        #expect(await isReturned() == false, "three times there was nothing to compare")
        _ = try await agent.plan(request)
        #expect(await isReturned())
        _ = try await agent.apply(request, author: "me")
        #expect(await isReturned())
        bench.kernel.state.withLock { $0.drift = ["table inet egret-policy is missing"] }
        #expect(await isReturned())
        #expect(await isReturned() == false)
    }

    @Test("others' changes are mended, and who made them is told")
    func repair() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        bench.kernel.state.withLock { kernel in
            kernel.policies = []
            kernel.drift = ["table inet egret-policy is missing"]
        }
        await agent.kernelChanged(by: ["nft (process 7)"])
        #expect(policies(bench) == ["one"])
        #expect(await agent.status().repairs == 1)
        let lines = bench.lines.withLock { $0 }
        #expect(lines.contains("nft (process 7) has changed what the kernel holds: table inet egret-policy is missing"))
    }

    @Test("what others have changed while no agent ran is told, and counted")
    func alterations() async throws {
        let bench = try AgentBench()
        #expect(try await bench.agent().status().repairs == 0)
        #expect(bench.lines.withLock { $0.count { $0.contains("has changed what the kernel holds") } } == 0)
        bench.kernel.state.withLock { $0.alterations = (0..<5).map { "the rules of w\($0) are otherwise" } }
        let agent = try await bench.agent()
        #expect(await agent.status().repairs == 1)
        #expect(await agent.metrics().contains("\negret_agent_drifts_total 1\n"))
        let line =
            "somebody has changed what the kernel holds while no agent ran: the rules of w0 are otherwise, the rules of w1 "
            + "are otherwise, the rules of w2 are otherwise and 2 more; mended"
        #expect(bench.lines.withLock { $0.contains(line) })
    }

    @Test("if mending fails, the reason is in the conditions, and it is tried again")
    func failingRepair() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        bench.kernel.state.withLock { kernel in
            kernel.policies = []
            kernel.drift = ["table inet egret-policy is missing"]
            kernel.failures = [NotedKernel.Failure(description: "no memory")]
        }
        await agent.kernelChanged(by: [])
        #expect(
            await agent.policies().first?.conditions.contains(
                Condition(.enforced, false, reason: "comparing: no memory")) ?? false)
        #expect(await agent.metrics().contains("\negret_agent_enforced 0\n"))
        bench.advance(5)
        await agent.tick()
        #expect(policies(bench) == ["one"])
        #expect(await agent.status().problem == nil)
    }

    @Test("policies that the agent cannot hold endpoints to are refused, not ignored")
    func unsupported() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let text = """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: slow }
            spec: { egress: [{ action: allow }], limits: [{ rate: 1Mbit, applications: [tls] }] }
            """
        let error = await #expect(throws: APIError.self) {
            try await agent.apply(AgentBench.request(text), author: "me")
        }
        #expect(error?.diagnostics?.contains { $0.contains("EGR0015") } ?? false)
    }

    @Test("a policy may have rules about names and routes, also by way of a group")
    func namesWithRoutes() async throws {
        let group = """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: wiki }
            spec: { domains: [wikipedia.org] }
            """
        for to in ["domains: [example.org]", "group: wiki"] {
            let text = """
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: names }
                spec:
                  egress: [{ action: allow, to: [{ \(to) }] }]
                  routes: [{ via: { gateway: 192.0.2.1 } }]
                ---
                \(group)
                """
            let agent = try await AgentBench().agent()
            #expect(try await agent.apply(AgentBench.request(text), author: "me").revision == 1)
        }
    }

    @Test("a rule that wants the names in QUIC read is one like others", arguments: ["refuse", "check", "pin"])
    func readDatagrams(quic: String) async throws {
        let text = """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: names }
            spec: { egress: [{ action: allow, to: [{ domains: [example.org] }], quic: \(quic) }] }
            """
        let agent = try await AgentBench().agent()
        #expect(try await agent.apply(AgentBench.request(text), author: "me").revision == 1)
    }

    @Test("a policy may have limits for names, its own or a group's, with and without rules about names")
    func limitsForNames() async throws {
        func text(_ to: String) -> String {
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: video }
            spec: { domains: [video.example] }
            ---
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: slow }
            spec: { default: allow, limits: [{ to: [{ \(to) }], rate: 1Mbit }] }
            """
        }
        let agent = try await AgentBench().agent()
        for (revision, to) in ["domains: [example.org]", "group: video", "group: internet"].enumerated() {
            #expect(try await agent.apply(AgentBench.request(text(to)), author: "me").revision == revision + 1)
        }
    }

    @Test("an endpoint that is to have a policy which there is not is not attached, rather than let through")
    func namedPolicy() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        let text = AgentBench.policy("job").replacing("spec: {", with: "spec: { selects: { matchLabels: { job: a } },")
        _ = try await agent.apply(AgentBench.request(text + "---\n" + AgentBench.policy("all")), author: "me")
        for namespace in ["/run/netns/a", "unit:a.service"] {
            var request = AttachRequest(
                namespace: namespace, group: "g", name: "n", labels: ["job": "b"], selectedBy: "job")
            let mistyped = await refusal(of: request, by: agent)
            #expect(mistyped?.code == "conflict" && mistyped?.message == "no policy selects g/n by job=b")
            // This agent attaches nothing: these come so far that it says so.
            request.labels = ["job": "a"]
            let selected = await refusal(of: request, by: agent)
            #expect(selected?.code == "failed")
            (request.labels, request.selectedBy) = (["job": "b"], nil)
            let labelled = await refusal(of: request, by: agent)
            #expect(labelled?.code == "failed")
        }
    }

    private func refusal(of request: AttachRequest, by agent: Agent) async -> APIError? {
        do {
            _ = try await agent.attach(request)
            return nil
        } catch {
            return error as? APIError
        }
    }

    @Test("endpoints that come are held to the policies")
    func endpoints() async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        _ = try await agent.apply(AgentBench.request(AgentBench.policy("one")), author: "me")
        #expect(await agent.endpoints().isEmpty)
        let endpoint = try bench.endpoint(7)
        bench.present.withLock { $0 = [endpoint] }
        _ = try await agent.synchronize()
        let info = await agent.endpoints()
        #expect(info.map(\.name) == ["default/w7"])
        #expect(info.first?.egress == ["one"])
        #expect(await agent.policies().first?.endpoints == 1)
    }

    @Test(
        "what reading many counters takes is given back, as after other work", arguments: [(10, false), (1_000, true)])
    func manyCounters(count: Int, isWork: Bool) async throws {
        let bench = try AgentBench()
        let agent = try await bench.agent()
        for _ in 0..<3 {
            bench.advance(5)
            await agent.tick()
        }
        let before = await agent.hasWorked
        #expect(!before)
        bench.kernel.state.withLock { state in
            for number in 0..<count { state.counters["c\(number)"] = CounterValue(packets: 1, bytes: 60) }
        }
        try await agent.readCounters()
        let after = await agent.hasWorked
        #expect(after == isWork)
    }
}
