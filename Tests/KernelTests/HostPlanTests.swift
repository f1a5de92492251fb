// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretResolution
import EgretTesting
import Foundation
import Testing

/// Many endpoints with many policies: what packets do between them, and from and to outside, is what both ends' policies
/// say.
@Suite(.serialized, .requiresRoot)
struct HostPlanTests {
    /// How many pairs of policies and flows each layout is asked about.
    private static let pairs = ProcessInfo.processInfo.environment["EGRET_HOST_PAIRS"].flatMap { Int($0) } ?? 2_500

    /// What was asked, and how it was decided.
    private struct Tally {
        var asked = 0
        var allowed = 0
        var audited = 0
        /// How many pairs were asked about at a time that matters.
        var timed = 0
        /// How many pairs a policy of a kind, or none, decided about at one of the ends.
        var kinds: [String: Int] = [:]

        mutating func count(_ decision: ConnectionDecision, isTimed: Bool) {
            asked += 1
            allowed += decision.isAllowed ? 1 : 0
            timed += isTimed ? 1 : 0
            audited += decision.egress?.auditRefusal == nil ? 0 : 1
            for kind in Swift.Set([decision.egress, decision.ingress].compactMap { $0.map { Tally.kind($0.clause) } }) {
                kinds[kind, default: 0] += 1
            }
        }

        private static func kind(_ clause: DecidingClause) -> String {
            switch clause {
            case .rule(let policy, _), .policyDefault(let policy):
                policy.contains("/") ? String(policy.prefix { $0 != "/" }) : "EgressPolicy"
            case .networkDefault: "none"
            }
        }
    }

    /// Policies, and the time for which they are asked; `nil` where none of them asks for one.
    private struct Case {
        var seed: UInt64
        var catalog: PolicyCatalog
        var inventory: Inventory
        var moment: Int64?
        var clock: MovedClock?
    }

    @Test(
        "random policies of every kind, at any time: the kernel does what both ends' evaluators say, and counts audits",
        arguments: PodBench.Layout.allCases)
    func oracle(layout: PodBench.Layout) throws {
        let pods = try PodBench(layout)
        var (tally, seed) = (Tally(), UInt64(layout == .routed ? 1 : 10_001))
        while tally.asked < HostPlanTests.pairs {
            try HostPlanTests.ask(pods, HostPlanTests.enforce(pods, seed), &tally)
            seed += 1
        }
        #expect(tally.allowed > tally.asked / 20, "some flows must be allowed")
        #expect(tally.timed > tally.asked / 20 && tally.audited > tally.asked / 100)
        for kind in ["EgressPolicy", "NetworkPolicy", "ClusterNetworkPolicy", "none"] {
            #expect(tally.kinds[kind, default: 0] > tally.asked / 20, "\(kind)")
        }
        try pods.clear()
        #expect(pods.plan.outlines.isEmpty)
        #expect(try pods.drift() == [])
        print("host plan, \(layout): \(tally)")
    }

    /// Random policies, in the kernel. Those of every other seed have times, and some are only audited.
    private static func enforce(_ pods: PodBench, _ seed: UInt64) throws -> Case {
        var random = RandomCatalogs(seed: seed)
        let inventory = inventory(&random, pods.pods.count)
        var asked = Case(seed: seed, catalog: PolicyCatalog(), inventory: inventory)
        if seed % 2 == 0 {
            let base = random.moment()
            asked.catalog = random.timedCatalog(around: base)
            let changes = RandomPolicies.changes(after: base, in: asked.catalog.egressPolicies)
            let change = changes.first { $0 < base + 13 * 86_400 }
            let moment = seed % 4 == 0 ? change ?? base : base
            asked.moment = moment
            // Programs that are there already met another clock.
            try pods.clear()
            asked.clock = MovedClock(to: moment, under: asked.catalog.egressPolicies)
            try pods.enforce(
                asked.catalog, inventory, horizon: base - 3_600...base + 14 * 86_400, clock: asked.clock)
        } else {
            asked.catalog = random.catalog()
            try pods.enforce(asked.catalog, inventory)
        }
        try pods.forgetConnections()
        #expect(try pods.drift() == [], "seed \(seed)")
        return asked
    }

    /// The random workloads, with the addresses of the bench's endpoints.
    private static func inventory(_ random: inout RandomCatalogs, _ count: Int) -> Inventory {
        let inventory = random.inventory(workloads: count)
        let workloads = inventory.workloads.map { workload in
            var workload = workload
            if let number = Int(workload.id.name.dropFirst()) { workload.addresses = PodBench.addresses(number) }
            return workload
        }
        return Inventory(workloads: workloads, namespaces: inventory.namespaces, nodes: inventory.nodes)
    }

    private static func ask(_ pods: PodBench, _ asked: Case, _ tally: inout Tally) throws {
        let inventory = asked.inventory
        var evaluator = ConnectionEvaluator(PolicyResolver(asked.catalog, inventory: inventory))
        var flows = RandomPolicies(seed: asked.seed &+ 77)
        var generator = SeededGenerator(seed: asked.seed)
        var portless: Swift.Set<[String]> = []
        let isTimed = asked.catalog.egressPolicies.contains(where: \.hasSchedules)
        let members = inventory.workloads.indices.filter { !inventory.workloads[$0].usesHostNetwork }
        guard members.count > 1 else { return }
        for _ in 0..<30 {
            let flow = flows.flow()
            let family = flow.destination.family
            let outside = IPAddress(family == .ipv4 ? "198.51.100.77" : "2001:db8:99::7") ?? flow.destination
            var ends: [(ConnectionEnd, PodBench.End)] = []
            for place in members.shuffled(using: &generator).prefix(2) {
                let number = try #require(Int(inventory.workloads[place].id.name.dropFirst()))
                ends.append((.workload(place), .pod(number)))
            }
            let turn = Int.random(in: 0..<6, using: &generator)
            if turn < 2 { ends[turn] = (.address(outside), .outside(outside)) }
            let service = ConnectionService(flow.protocol, port: flow.destinationPort, icmpType: flow.icmpType)
            if ![.tcp, .udp, .sctp, .icmp, .icmpv6].contains(flow.protocol) {
                // Tracking knows these by their two addresses: whoever speaks first has begun.
                let pair = [ends[0].1, ends[1].1].map { "\($0)" }.sorted()
                guard portless.insert(pair + ["\(flow.protocol) \(family)"]).inserted else { continue }
            }
            guard
                let decision = evaluator.decide(
                    from: ends[0].0, to: ends[1].0, service, family: family, at: asked.moment)
            else { continue }
            let before = try audits(pods, asked)
            let (arrives, isAnswered) = try pods.attempt(from: ends[0].1, to: ends[1].1, service, family)
            let after = try audits(pods, asked)
            if let clock = asked.clock, !clock.isCurrent { return }
            let text = "seed \(asked.seed): \(ends[0].1) to \(ends[1].1), \(service), \(family): \(decision)"
            #expect(arrives == decision.isAllowed, "\(text)")
            if arrives { #expect(isAnswered != false, "no answer: \(text)") }
            var expected = before
            for name in try audit(pods, of: ends[0].1, decision.egress) { expected[name, default: 0] += 1 }
            #expect(after == expected, "\(text)")
            tally.count(decision, isTimed: isTimed)
        }
    }

    /// What policies in audit mode have counted.
    private static func audits(_ pods: PodBench, _ asked: Case) throws -> [String: UInt64] {
        guard asked.catalog.egressPolicies.contains(where: { $0.mode == .audit }) else { return [:] }
        return try pods.bench.dataplane.counters(in: HostBase.table).filter { $0.key.contains("-a") }
            .mapValues(\.packets)
    }

    /// The counters of what a policy in audit mode would have refused of what an endpoint sends.
    private static func audit(_ pods: PodBench, of end: PodBench.End, _ decision: Decision?) throws -> [String] {
        guard case .pod(let number) = end, let decision, decision.auditRefusal != nil else { return [] }
        let key = try #require(pods.plan.endpoints[number]?.egress)
        let program = try #require(pods.plan.program(of: key))
        return try program.counters(of: decision).dropFirst().map { try #require($0) }
    }
}
