// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// Rules that hold at some times only, and policies that are only audited: the compiled program must agree with the
/// evaluator at every moment.
struct TimedEquivalenceTests {
    /// A set, its program, and a moment that the program was compiled for, or one that it was not.
    private struct World {
        var policies: PolicySet
        var evaluator: PolicyEvaluator
        var program: PolicyProgram
        var interpreter: Interpreter
        var horizon: ClosedRange<Int64>
        var base: Int64
        /// Moments at which a rule begins or ceases to hold, for each rule the first.
        var changes: [Int64]

        init(_ random: inout RandomPolicies, _ use: ProgramUse) throws {
            let base = random.moment()
            try self.init(random.timedPolicySet(around: base), base, use)
        }

        init(_ policies: PolicySet, _ base: Int64, _ use: ProgramUse) throws {
            self.policies = policies
            self.base = base
            evaluator = PolicyEvaluator(policies: policies)
            horizon = base - 3_600...base + 14 * 86_400
            program = PolicyCompiler.compile(
                policies, for: use, generation: try #require(Generation(rawValue: 12)), logGroup: 5, horizon: horizon)
            interpreter = Interpreter([program.program])
            changes = RandomPolicies.changes(after: base, in: policies.policies).filter(horizon.contains)
        }

        /// What the evaluator says of a time: of one that nobody has worked out, what it says of none.
        func decision(_ flow: Flow, at time: Int64) -> Decision {
            evaluator.decide(flow, at: horizon.contains(time) ? time : nil)
        }

        /// A moment at which something changes, or the second before, or any, or one after the horizon.
        func moment(_ turn: Int) -> Int64 {
            let change = changes.isEmpty ? base : changes[turn / 8 % changes.count]
            return switch turn % 8 {
            case 0: horizon.upperBound + 1
            case 1, 2: change
            case 3, 4: change - 1
            default: base
            }
        }
    }

    private static let hosts = ["10.1.2.3", "203.0.113.7", "2001:db8:113::7"].compactMap { IPAddress($0) }

    @Test("there are zones of every kind")
    func zones() {
        #expect(RandomPolicies.zones.map(\.name).count == 7)
        #expect(Swift.Set(RandomPolicies.zones.map { $0.offset(at: 1_784_000_000) }).count == 7)
    }

    @Test(
        "at every moment a program decides, counts and logs as the evaluator says, and what is audited with it",
        arguments: 0..<12)
    func moments(seed: UInt64) throws {
        var random = RandomPolicies(seed: seed &+ 7_000)
        var audited = 0
        for round in 0..<15 {
            let use: ProgramUse = round % 2 == 0 ? .run : .endpoint(.egress)
            let world = try World(&random, use)
            for turn in 0..<100 {
                let flow = random.flow(hostAddresses: TimedEquivalenceTests.hosts)
                let time = world.moment(turn)
                let decision = world.decision(flow, at: time)
                var packet = Packet(flow)
                packet.time = UInt64(time) * 1_000_000_000 + UInt64(turn) * 9_999_999
                let outcome = world.interpreter.run(packet, from: world.program.egressChain)
                let clauses = outcome.counters.compactMap { world.program.clause(named: $0) }
                let text = "seed \(seed), round \(round), at \(time): \(flow)"
                #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(text)")
                #expect(clauses.filter(\.isEnforced).map(\.clause) == [decision.clause], "\(text)")
                #expect(outcome.counters.count == (decision.auditRefusal == nil ? 1 : 2), "\(text)")
                let refusal = clauses.first { !$0.isEnforced }
                #expect(refusal?.clause == decision.auditRefusal?.clause, "\(text)")
                #expect((refusal?.effect).map(Fate.init) == decision.auditRefusal.map { Fate($0.verdict) }, "\(text)")
                let logged = clauses.filter { !$0.isEnforced || $0.effect != .allow }.map(\.name)
                #expect(Swift.Set(outcome.logs) == Swift.Set(logged), "\(text)")
                audited += decision.auditRefusal == nil ? 0 : 1
                if use == .run { try answer(flow, packet.time, decision, world) }
            }
        }
        #expect(audited > 0)
    }

    /// A refusal of either kind; anything else is none.
    private enum Fate {
        case denied
        case rejected
        case other

        init(_ effect: CompiledClause.Effect) {
            self = effect == .deny ? .denied : effect == .reject ? .rejected : .other
        }

        init(_ verdict: Decision.Verdict) {
            self = verdict == .deny ? .denied : verdict == .reject ? .rejected : .other
        }
    }

    private func answer(_ flow: Flow, _ time: UInt64, _ decision: Decision, _ world: World) throws {
        if flow.destinationIsHost { return }
        guard var answer = Packet(answerTo: flow) else { return }
        answer.time = time
        let outcome = world.interpreter.run(answer, from: world.program.replyChain)
        #expect((outcome.verdict == .accept) == (decision.verdict == .allow), "\(flow)")
        #expect(outcome.counters.allSatisfy { world.program.clause(named: $0)?.isEnforced ?? false })
    }

    @Test("names, times and audited policies together", arguments: 0..<10)
    func names(seed: UInt64) throws {
        var random = RandomPolicies(seed: seed &+ 6_000)
        for round in 0..<15 {
            let base = random.moment()
            let policies = random.timedNamingPolicySet(around: base)
            let use: ProgramUse = round % 2 == 0 ? .run : .endpoint(.egress)
            let world = try World(policies, base, use)
            let flows = (0..<60).map { _ in
                var flow = random.flow(hostAddresses: TimedEquivalenceTests.hosts)
                flow.names = RandomPolicies.names(of: flow.destination)
                return flow
            }
            let interpreter = Interpreter([world.program.holding(flows, by: world.evaluator).program])
            for (turn, flow) in flows.enumerated() {
                let time = world.moment(turn)
                let decision = world.decision(flow, at: time)
                var packet = Packet(flow)
                packet.time = UInt64(time) * 1_000_000_000
                let outcome = interpreter.run(packet, from: world.program.egressChain)
                let clauses = outcome.counters.compactMap { world.program.clause(named: $0) }
                let text = "seed \(seed), round \(round), at \(time): \(flow)"
                #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(text)")
                #expect(clauses.filter(\.isEnforced).map(\.clause) == [decision.clause], "\(text)")
                #expect(clauses.first { !$0.isEnforced }?.clause == decision.auditRefusal?.clause, "\(text)")
            }
        }
    }

    @Test("a policy in audit mode changes no verdict at any moment", arguments: 0..<10)
    func audits(seed: UInt64) throws {
        var random = RandomPolicies(seed: seed &+ 8_000)
        for _ in 0..<20 {
            let world = try World(&random, .run)
            let enforcing = PolicyEvaluator(policies: world.policies.enforcing)
            for turn in 0..<50 {
                let flow = random.flow(hostAddresses: TimedEquivalenceTests.hosts)
                let time = world.moment(turn)
                var decision = world.evaluator.decide(flow, at: time)
                decision.auditRefusal = nil
                #expect(decision == enforcing.decide(flow, at: time), "\(flow)")
            }
        }
    }

    @Test("a connection that a rule may cut one day is not noted as admitted", arguments: 0..<5)
    func stamps(seed: UInt64) throws {
        var random = RandomPolicies(seed: seed &+ 9_000)
        var stamped = 0
        for _ in 0..<20 {
            let world = try World(&random, .run)
            let schedules = world.policies.policies.flatMap(\.rules).compactMap(\.schedule)
            if schedules.contains(where: { $0.onClose == .drain }) { continue }
            for turn in 0..<60 {
                let flow = random.flow(hostAddresses: TimedEquivalenceTests.hosts)
                let time = world.moment(turn)
                var packet = Packet(flow)
                packet.time = UInt64(time) * 1_000_000_000
                let outcome = world.interpreter.run(packet, from: world.program.egressChain)
                guard outcome.mark == world.program.generation.mark | 0x77 else { continue }
                stamped += 1
                for later in 0..<24 {
                    let decision = world.decision(flow, at: world.moment(later))
                    #expect(decision.verdict == .allow, "seed \(seed): \(flow)")
                }
            }
        }
        #expect(stamped > 20)
    }
}
