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

/// The tests tested: a compiler that made these mistakes would be found out by them.
@Suite(.serialized, .requiresRoot)
struct MutationTests {
    @Test("the touchstone passes the programs as they are compiled")
    func unspoiled() throws {
        let bench = try KernelBench()
        let programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1)
        try bench.install(programs)
        let (differences, observed) = try bench.differences(Touchstone.flows, under: Touchstone.policies, programs.policy)
        #expect(differences.isEmpty)
        #expect(try bench.unanswered(observed).lost.isEmpty)
        #expect(try bench.suspicions(programs, spoiling: nil) == [])
        let deciding = Swift.Set(observed.flatMap(\.counted.keys))
        let silent = programs.policy.clauses.filter { !deciding.contains($0.name) }
        #expect(silent.isEmpty, "every clause decides about some flow of the touchstone")
    }

    @Test("a spoiled policy program is found out", arguments: Mutation.ofPolicies)
    func policies(mutation: Mutation) throws {
        let bench = try KernelBench()
        var programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1)
        let before = programs
        try mutation.spoil(&programs)
        #expect(programs.policy != before.policy, "the mutation changes something")
        try bench.install(programs)
        let found = try bench.firstDifference(Touchstone.flows, under: Touchstone.policies, before.policy)
        #expect(found != nil, "it has survived")
    }

    @Test("every interval and every verdict of the address maps matters")
    func everyElement() throws {
        let bench = try KernelBench()
        var survivors: [String] = []
        var count: UInt16 = 0
        let sets = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1).policy.program.sets
        for (index, set) in sets.enumerated() where !set.name.hasSuffix("-answer") {
            for place in set.spoiled.indices {
                count += 1
                let programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: count)
                let (description, spoiled) = programs.policy.program.sets[index].spoiled[place]
                var mutant = programs
                mutant.policy.program.sets[index] = spoiled
                try bench.install(mutant)
                let found = try bench.firstDifference(Touchstone.flows, under: Touchstone.policies, programs.policy)
                if found == nil { survivors.append("\(set.name): \(description)") }
                try bench.dataplane.remove(mutant.all)
            }
        }
        #expect(survivors.isEmpty)
        #expect(count > 40)
        print("mutations: \(count) of elements")
    }

    @Test("a spoiled endpoint program is found out", arguments: Mutation.ofEndpoints)
    func endpoints(mutation: Mutation) throws {
        let bench = try KernelBench()
        var programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1)
        let before = programs.endpoint
        try mutation.spoil(&programs)
        #expect(programs.endpoint != before || programs.base != BenchPrograms.base, "the mutation changes something")
        try bench.install(programs)
        let suspicions = try bench.suspicions(programs, spoiling: mutation)
        #expect(!suspicions.isEmpty, "it has survived")
    }
}
