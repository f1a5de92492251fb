// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgent
import EgretAgentAPI
import Synchronization

/// Answers as it is told, and remembers what it was asked.
final class ScriptedService: AgentService {
    struct Call: Equatable, Sendable {
        var name: String
        var request: ApplyRequest?
        var numbers: [Int?] = []
        var author: String?
    }

    private struct State {
        var calls: [Call] = []
        var refusal: (any Error & Sendable)?
        var delay: Duration?
        var running = 0
        var mostRunning = 0
        var documents = ScriptedService.documents
        var endpoints = ScriptedService.endpoints
        var status = ScriptedService.status
    }

    private let state = Mutex(State())

    var calls: [Call] { state.withLock { $0.calls } }
    /// How many requests were worked on at the same time.
    var mostRunning: Int { state.withLock { $0.mostRunning } }

    /// How many requests are worked on.
    var running: Int { state.withLock { $0.running } }

    /// Every call fails from now on.
    func refuse(with error: any Error & Sendable) { state.withLock { $0.refusal = error } }
    /// These are in force from now on.
    func hold(_ documents: [SourceFile], for endpoints: [EndpointInfo], networkDefault: String? = nil) {
        state.withLock { state in
            state.documents = documents
            state.endpoints = endpoints
            state.status.networkDefault = networkDefault
        }
    }
    /// Every call takes so long from now on.
    func take(_ time: Duration) { state.withLock { $0.delay = time } }

    private func note(_ call: Call) async throws {
        let (refusal, delay) = state.withLock { state in
            state.calls.append(call)
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return (state.refusal, state.delay)
        }
        defer { state.withLock { $0.running -= 1 } }
        if let delay { try await Task.sleep(for: delay) }
        if let refusal { throw refusal }
    }

    static let report = ChangeReport(
        revision: 7,
        objects: [
            .init(object: "EgressPolicy/web", change: "added"), .init(object: "EgressPolicy/db", change: "changed"),
            .init(object: "DestinationGroup/office", change: "removed"),
        ],
        endpoints: [
            .init(
                endpoint: "default/web", egress: true, ingress: true, generations: [12, 13],
                cut: ["10.9.0.2 → 203.0.113.10 443/tcp"])
        ],
        warnings: ["the policy db selects nothing"], confirmBy: 1_900_000_060)
    static let plan = ChangeReport(objects: report.objects, endpoints: report.endpoints)
    static let revisions = [
        RevisionInfo(
            number: 7, time: 1_900_000_000, author: "uid 0, pid 4711 (egret)", message: "open the office",
            state: "unconfirmed", objects: 3, confirmBy: 1_900_000_060),
        RevisionInfo(
            number: 6, time: 1_800_000_000, author: "uid 0, pid 4710 (egret)", state: "failed", reason: "no memory",
            objects: 1),
    ]
    static let difference = RevisionDifference(
        objects: [.init(object: "EgressPolicy/web", change: "changed")],
        text: "--- 6/web.yaml\n+++ 7/web.yaml\n@@ -1 +1 @@\n-old\n+\tnew \u{1b}[31m\n")
    static let policies = [
        PolicyInfo(
            object: "EgressPolicy/web", tier: "workload", mode: "enforce", source: "/etc/web.yaml:3", endpoints: 2,
            conditions: [Condition(.accepted, true), Condition(.enforced, true)]),
        PolicyInfo(
            object: "NetworkPolicy/default/db", tier: "workload", mode: "audit", source: "/etc/db.yaml:1", endpoints: 0,
            conditions: [
                Condition(.accepted, true), Condition(.enforced, false, reason: "the kernel has no memory"),
            ]),
        PolicyInfo(
            object: "DestinationGroup/office", source: "/etc/web.yaml:20", conditions: [Condition(.accepted, true)]),
    ]
    static let endpoints = [
        EndpointInfo(
            name: "default/web", network: "br0", namespace: "ns0", addresses: ["10.9.0.2", "fd00:9::2"],
            labels: ["app": "web", "tier": "front"], egress: ["web"], ingress: [], generations: [12, 13],
            conditions: [Condition(.enforced, true)]),
        EndpointInfo(
            name: "default/db", network: "br0", namespace: "ns1", addresses: [], labels: [:], egress: [], ingress: [],
            generations: [], conditions: []),
    ]
    static let status = AgentStatus(
        process: 4711, networkNamespace: 1, revision: 7, policies: 2, endpoints: 2, repairs: 1, problem: nil,
        heldConnections: 3)
    static let documents = [SourceFile(name: "/etc/web.yaml", text: "kind: EgressPolicy\n")]

    func plan(_ request: ApplyRequest) async throws -> ChangeReport {
        try await note(Call(name: "plan", request: request))
        return ScriptedService.plan
    }

    func apply(_ request: ApplyRequest, author: String) async throws -> ChangeReport {
        try await note(Call(name: "apply", request: request, author: author))
        return ScriptedService.report
    }

    func confirm() async throws -> RevisionInfo {
        try await note(Call(name: "confirm"))
        return ScriptedService.revisions[0]
    }

    func rollback(to number: Int?, author: String) async throws -> ChangeReport {
        try await note(Call(name: "rollback", numbers: [number], author: author))
        return ChangeReport(revision: 8)
    }

    func history() async throws -> [RevisionInfo] {
        try await note(Call(name: "history"))
        return ScriptedService.revisions
    }

    func difference(from old: Int, to new: Int) async throws -> RevisionDifference {
        try await note(Call(name: "difference", numbers: [old, new]))
        return ScriptedService.difference
    }

    func documents(of revision: Int?) async throws -> [SourceFile] {
        try await note(Call(name: "documents", numbers: [revision]))
        return state.withLock { $0.documents }
    }

    func policies() async throws -> [PolicyInfo] {
        try await note(Call(name: "policies"))
        return ScriptedService.policies
    }

    func endpoints(named name: String?) async throws -> [EndpointInfo] {
        try await note(Call(name: "endpoints"))
        return state.withLock { $0.endpoints.filter { name == nil || $0.name == name } }
    }

    static let flows = FlowList(
        cursor: 9,
        flows: [
            FlowInfo(
                endpoint: "default/web", direction: "egress", verdict: "would-deny", policy: "EgressPolicy/web",
                rule: "rule 1", peer: "10.9.0.3", peerEndpoint: "default/db", protocol: "tcp", port: 5432, packets: 3,
                bytes: 180, first: 1_900_000_000, last: 1_900_000_060)
        ], lost: 0, forgotten: 0)

    func list(ofGroup name: String) async throws -> String {
        try await note(Call(name: "list \(name)"))
        return "203.0.113.0/24\n"
    }

    func flows(_ query: FlowQuery) async throws -> FlowList {
        try await note(Call(name: "flows \(query.endpoint ?? "-") \(query.deniedOnly)", numbers: [Int(query.after)]))
        return ScriptedService.flows
    }

    static let budgets = [
        BudgetInfo(
            policy: "web", budget: "monthly", account: "default/web", endpoints: 1, used: 1_234_567_890,
            amount: 100_000_000_000, period: "month", ends: 1_900_000_000, forecast: 5_000_000_000,
            cost: 111_111, costForecast: 450_000, currency: "USD",
            onExhausted: "cut", isExhausted: false, refused: 0)
    ]
    static let usage = [
        UsageRow(
            endpoint: "default/web", policy: "web", destination: "monthly", packets: 7, bytes: 1_234_567_890,
            cost: ["USD": 111_111])
    ]
    static let priced = [
        UsageRow(
            endpoint: "default/web", priceList: "cloud", destination: "internet", packets: 7, bytes: 1_234_567_890,
            cost: ["USD": 45_000])
    ]
    static let costs = [
        CostInfo(
            priceList: "cloud", destination: "internet", used: 1_234_567_890, free: 2_000_000_000, cost: 0,
            currency: "USD", ends: 1_900_000_000, forecast: 5_000_000_000, costForecast: 270_000),
        CostInfo(
            priceList: "cloud", destination: "zone", used: 0, cost: 0, currency: "USD", ends: 1_900_000_000,
            forecast: 0, costForecast: 0),
    ]

    func budgetStates() async throws -> [BudgetInfo] {
        try await note(Call(name: "budgets"))
        return ScriptedService.budgets
    }

    func change(_ change: BudgetChange, author: String) async throws -> [BudgetInfo] {
        let unit = change.unit.map { " \($0)" } ?? ""
        let what = change.grant.map { "grant \($0)\(unit)" } ?? "reset"
        try await note(Call(name: "\(what) \(change.policy) \(change.budget) \(change.account ?? "-")", author: author))
        return ScriptedService.budgets
    }

    func usage(_ query: UsageQuery) async throws -> [UsageRow] {
        let prices = query.hasPriceLists ? " with prices" : ""
        try await note(Call(name: "usage \(query.keys.map(\.rawValue)) \(query.since ?? "-")\(prices)"))
        return ScriptedService.usage + (query.hasPriceLists ? ScriptedService.priced : [])
    }

    func costs() async throws -> [CostInfo] {
        try await note(Call(name: "costs"))
        return ScriptedService.costs
    }

    func status() async throws -> AgentStatus {
        try await note(Call(name: "status"))
        return state.withLock { $0.status }
    }

    func synchronize() async throws -> AgentStatus {
        try await note(Call(name: "synchronize"))
        return ScriptedService.status
    }

    func attach(_ request: AttachRequest) async throws -> [EndpointInfo] {
        try await note(Call(name: "attach \(request.group)/\(request.name)"))
        return []
    }

    func detach(_ name: String) async throws -> AgentStatus {
        try await note(Call(name: "detach \(name)"))
        return ScriptedService.status
    }

    func metrics() async throws -> String {
        try await note(Call(name: "metrics"))
        return "egret_revision 7\n"
    }
}
