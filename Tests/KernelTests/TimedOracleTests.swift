// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// Rules that hold at some times only, and policies that are only audited: the evaluator is the specification.
@Suite(.serialized, .requiresRoot)
struct TimedOracleTests {
    @Test("at every moment the kernel does, counts and logs what the evaluator says, and what is audited beside it")
    func packets() throws {
        let bench = try KernelBench()
        let log = try BenchLog(bench)
        var (pairs, audited, passed, late, seed) = (0, 0, 0, 0, UInt64(1))
        while pairs < 3_000 {
            var random = RandomPolicies(seed: seed &+ 50_000)
            let base = random.moment()
            let policies = random.timedPolicySet(around: base)
            let horizon = base - 3_600...base + 14 * 86_400
            let moment = TimedOracleTests.moment(seed, base, policies.policies, horizon)
            var programs = try BenchPrograms(
                policies, bench.endpoint, generation: UInt16(seed), horizon: horizon)
            let flows = OracleTests.flows(&random, count: 30)
            let clock = MovedClock(to: moment, under: policies.policies)
            programs.policy.program = programs.policy.program.moved(by: clock.lead)
            try bench.install(programs)
            // What a former policy has let through would not be new.
            try bench.forgetConnections()
            _ = try log.drain()
            let known = horizon.contains(moment) ? moment : nil
            let (differences, observed) = try bench.differences(flows, under: policies, programs.policy, at: known)
            let records = try log.drain()
            if clock.isCurrent || known == nil {
                #expect(differences.isEmpty, "seed \(seed), at \(moment): \(differences.joined(separator: "\n"))")
                let evaluator = PolicyEvaluator(policies: policies)
                for item in observed {
                    let decision = evaluator.decide(item.flow, at: known)
                    let counters = programs.policy.counters(of: decision).compactMap(\.self)
                    let isTold = decision.verdict != .allow || decision.isAudited
                    // Only what lets a packet through without a word logs nothing.
                    let expected = isTold ? counters : Array(counters.dropFirst())
                    #expect(
                        records[item.tag, default: []].sorted() == expected.sorted(), "seed \(seed): \(item.flow)")
                    audited += decision.auditRefusal == nil ? 0 : 1
                    passed += decision.verdict == .allow ? 1 : 0
                }
                pairs += flows.count
            } else {
                late += 1
            }
            try bench.dataplane.remove(programs.all)
            seed += 1
        }
        #expect(audited > 100, "something must be audited")
        #expect(passed > 500, "some flows must be allowed")
        print("timed oracle: \(pairs) pairs under \(seed - 1) policies, \(audited) audited, \(late) policies too late")
    }

    /// A moment at which some rule begins or ceases to hold, or some time before, or any, or one after the horizon.
    private static func moment(
        _ seed: UInt64, _ base: Int64, _ policies: [EgressPolicy], _ horizon: ClosedRange<Int64>
    ) -> Int64 {
        let changes = RandomPolicies.changes(after: base, in: policies).filter(horizon.contains)
        let change = changes.isEmpty ? base : changes[Int(seed / 8) % changes.count]
        return switch seed % 8 {
        case 0: horizon.upperBound + 600
        case 1, 2, 3: change
        // Half a minute is enough for the flows, most of the time.
        case 4, 5: change - 30
        default: base
        }
    }
}
