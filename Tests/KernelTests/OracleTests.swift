// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

/// The evaluator is the specification. These tests ask the kernel, packet by packet.
@Suite(.serialized, .requiresRoot)
struct OracleTests {
    @Test("the kernel does with each packet what the evaluator says, by the same clause")
    func packets() throws {
        let bench = try KernelBench()
        var pairs = 0
        var answered = 0
        var seed: UInt64 = 1
        while pairs < 6000 {
            var random = RandomPolicies(seed: seed)
            let policies = random.policySet()
            let programs = try BenchPrograms(
                policies,
                bench.endpoint,
                generation: UInt16(seed),
                // Small policies with the tables of large ones, now and then.
                tableThreshold: seed % 3 == 0 ? 1 : 1_024
            )
            let flows = OracleTests.flows(&random, count: 40)
            try bench.install(programs)
            let (differences, observed) = try bench.differences(flows, under: policies, programs.policy)
            #expect(differences.isEmpty, "seed \(seed): \(differences.joined(separator: "\n"))")
            let (lost, count) = try bench.unanswered(observed)
            #expect(lost.isEmpty, "seed \(seed): no answer came back for \(lost.joined(separator: "\n"))")
            try bench.dataplane.remove(programs.all)
            pairs += flows.count
            answered += count
            seed += 1
        }
        #expect(answered > 500, "some flows must be allowed")
        print("oracle: \(pairs) pairs under \(seed - 1) policies, \(answered) answers")
    }

    /// Flows that conntrack tells from each other: those without ports differ in destination or protocol.
    static func flows(_ random: inout RandomPolicies, count: Int) -> [Flow] {
        var portless: Swift.Set<Flow> = []
        return (0..<count).compactMap { _ in
            var flow = random.flow(hostAddresses: KernelBench.hostAddresses)
            flow.destinationIsHost = KernelBench.hostAddresses.contains(flow.destination)
            let hasOwnPort = [.tcp, .udp, .sctp, .udplite].contains(flow.protocol)
            var key = flow
            key.destinationPort = nil
            return hasOwnPort || portless.insert(key).inserted ? flow : nil
        }
    }
}
