// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// The times of a run's rules: their end, and others in their place.
@Suite(.serialized, .requiresRoot)
struct RunRenewalTests {
    /// Always open, and in the kernel only as far as somebody has worked out.
    private static func always(_ onClose: Schedule.ClosingAction) -> Schedule {
        Schedule(from: Schedule.LocalTime(CivilDate(dayNumber: 0)), onClose: onClose)
    }

    @Test("an open connection ends with its rule's time or goes on, and a run's own renewals are nobody's change")
    func times() throws {
        let bench = try KernelBench()
        let now = WallTime.now.seconds
        let policies = PolicySet.rules(
            EgressRule(
                action: .allow, destinations: [.prefix("203.0.113.10/32")], schedule: RunRenewalTests.always(.cut)),
            EgressRule(
                action: .allow, destinations: [.prefix("203.0.113.66/32")], schedule: RunRenewalTests.always(.drain)))
        func compiled(at time: Int64) throws -> BenchPrograms {
            try BenchPrograms(policies, bench.endpoint, generation: 1, horizon: ScheduleHorizon.seconds(at: time))
        }
        var programs = try compiled(at: now)
        try bench.install(programs)
        let watch = try bench.host.onOwnThread { try TableWatch([BaseProgram.table], besides: bench.dataplane) }
        func conversations(_ text: String) -> [Conversation] {
            KernelBench.addresses(text).flatMap { address in
                [IPProtocol.tcp, .udp].map { Conversation(bench, $0, to: address) }
            }
        }
        let (cut, drained) = (conversations("203.0.113.10"), conversations("203.0.113.66"))
        for flow in cut + drained { #expect(try flow.open()) }
        func renew(_ time: Int64) throws {
            let next = try compiled(at: time)
            let steps = next.policy.program.renewal(ofTimesOf: programs.policy.program)
            #expect(!steps.isEmpty)
            try bench.dataplane.commit(Transaction(steps))
            programs = next
            #expect(try watch.pending().changes.isEmpty)
            #expect(try bench.dataplane.drift(of: [programs.base] + programs.all).isEmpty)
        }
        // As if nobody had renewed them for two weeks and an hour.
        try renew(now - 14 * 86_400 - 3_600)
        for flow in cut {
            #expect(try !flow.ask())
            #expect(try !flow.push())
        }
        for flow in drained {
            #expect(try flow.ask())
            #expect(try flow.push())
        }
        for flow in conversations("203.0.113.66") { #expect(try !flow.open()) }
        try renew(now)
        for flow in cut + drained {
            #expect(try flow.ask())
            #expect(try flow.push())
        }
        let set = try #require(programs.policy.program.sets.first { $0.keyType == .time })
        try bench.nft("flush set inet egret \(set.name)")
        #expect(try !watch.pending().changes.isEmpty, "what somebody else changes is one")
        #expect(try !bench.dataplane.drift(of: [programs.base] + programs.all).isEmpty)
    }
}
