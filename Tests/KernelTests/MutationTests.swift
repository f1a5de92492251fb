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
        let found = try bench.firstDifference(Touchstone.flows, under: Touchstone.policies, programs.policy)
        #expect(found == nil)
        #expect(try bench.suspicions(programs, spoiling: nil) == [])
        let evaluator = PolicyEvaluator(policies: Touchstone.policies)
        let deciding = Swift.Set(Touchstone.flows.map { evaluator.decide($0).clause })
        #expect(
            programs.policy.clauses.allSatisfy { deciding.contains($0.clause) }, "the touchstone touches every clause")
    }

    @Test("a spoiled policy program is found out")
    func policies() throws {
        let bench = try KernelBench()
        for mutation in Mutation.ofPolicies {
            var programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1)
            let before = programs.policy
            try mutation.spoil(&programs)
            #expect(programs.policy != before, "\(mutation.testDescription) changes nothing")
            try bench.install(programs)
            let found = try bench.firstDifference(Touchstone.flows, under: Touchstone.policies, before)
            #expect(found != nil, "\(mutation.testDescription) has survived")
            try bench.removeTables()
            try bench.forgetConnections(of: 1)
        }
        print("mutations: \(Mutation.ofPolicies.count) of policy programs")
    }

    @Test("a spoiled endpoint program is found out")
    func endpoints() throws {
        let bench = try KernelBench()
        for mutation in Mutation.ofEndpoints {
            var programs = try BenchPrograms(Touchstone.policies, bench.endpoint, generation: 1)
            let before = programs
            try mutation.spoil(&programs)
            #expect(programs.endpoint != before.endpoint || programs.base != before.base)
            try bench.install(programs)
            let suspicions = try bench.suspicions(programs, spoiling: mutation)
            #expect(!suspicions.isEmpty, "\(mutation.testDescription) has survived")
            try bench.removeTables()
            for generation in [UInt16(1), 2] { try bench.forgetConnections(of: generation) }
        }
        print("mutations: \(Mutation.ofEndpoints.count) of endpoint programs")
    }

    @Test("every table of blocks matters, and so does the length of each one's blocks")
    func everyTable() throws {
        let bench = try KernelBench()
        func programs(_ generation: UInt16) throws -> BenchPrograms {
            try BenchPrograms(Touchstone.policies, bench.endpoint, generation: generation, tableThreshold: 1)
        }
        let sound = try programs(1)
        try bench.install(sound)
        #expect(try bench.firstDifference(Touchstone.flows, under: Touchstone.policies, sound.policy) == nil)
        try bench.removeTables()
        var survivors: [String] = []
        var count: UInt16 = 1
        for (place, rule) in sound.policy.program.rules.enumerated() where rule.chain == sound.policy.egressChain {
            guard case .blockVerdictMap(let selector, let length, _)? = rule.statements.last else { continue }
            // A larger block may be the same in effect: tables of smaller ones are asked first.
            for change in selector == .ipv4Destination ? [-1, 1] : [1] {
                count += 1
                var mutant = try programs(count)
                guard case .blockVerdictMap(_, _, let map)? = mutant.policy.program.rules[place].statements.last else {
                    continue
                }
                let wrong = Statement.blockVerdictMap(selector, prefixLength: length + change, map)
                mutant.policy.program.rules[place].statements[1] = wrong
                try bench.install(mutant)
                let edges = mutant.policy.program.sets.first { $0.name == map }?.edges(ofBlocks: length) ?? []
                let flows = Touchstone.flows(to: edges)
                let found = try bench.firstDifference(flows, under: Touchstone.policies, mutant.policy)
                if found == nil { survivors.append("\(map): blocks of \(length + change) bits") }
                try bench.removeTables()
            }
        }
        #expect(survivors.isEmpty, "\(survivors.joined(separator: "\n"))")
        #expect(count > 8)
        print("mutations: \(count - 1) of tables of blocks")
    }

    @Test("every block that is compared matters, and so does its length")
    func everyComparison() throws {
        let bench = try KernelBench()
        let policies = PolicySet(
            policies: [
                EgressPolicy(
                    name: "few", tier: .workload, defaultAction: .deny,
                    rules: [
                        EgressRule(
                            action: .allow, destinations: [.prefix("203.0.113.8/29")],
                            services: [.ports(.tcp, PortRange(443)), .ports(.udp, PortRange(53))]),
                        EgressRule(action: .allow, destinations: [.prefix("2001:db8:113::/64")]),
                        EgressRule(action: .deny, destinations: [.prefix("198.51.100.64/27")]),
                    ])
            ], networkDefault: .deny)
        func programs(_ generation: UInt16) throws -> BenchPrograms {
            try BenchPrograms(policies, bench.endpoint, generation: generation)
        }
        var survivors: [String] = []
        var count: UInt16 = 1
        for (place, rule) in try programs(1).policy.program.rules.enumerated() {
            guard rule.chain == "g1", let step = rule.statements.firstIndex(where: { $0.prefix != nil }),
                let prefix = rule.statements[step].prefix
            else { continue }
            let edges = [
                prefix.lowerBound &- 1, prefix.lowerBound, prefix.upperBound, prefix.upperBound &+ 1,
            ].map { IPAddress(family: prefix.family, rawValue: $0) }
            let wider = IPPrefix(prefix.address, length: prefix.length - 1)
            let narrower = IPPrefix(prefix.address, length: prefix.length + 1)
            for wrong in [wider, narrower].compactMap(\.self) {
                count += 1
                let sound = try programs(count)
                var mutant = sound
                mutant.policy.program.rules[place].statements[step].prefix = wrong
                try bench.install(mutant)
                let found = try bench.firstDifference(Touchstone.flows(to: edges), under: policies, sound.policy)
                if found == nil { survivors.append("\(prefix) as \(wrong)") }
                try bench.removeTables()
            }
        }
        #expect(survivors.isEmpty, "\(survivors.joined(separator: "\n"))")
        #expect(count > 8)
        print("mutations: \(count - 1) of comparisons")
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
                let spoiled = programs.policy.program.sets[index].spoiled[place]
                var mutant = programs
                mutant.policy.program.sets[index] = spoiled.set
                try bench.install(mutant)
                let flows = spoiled.edges.isEmpty ? Touchstone.flows : Touchstone.flows(to: spoiled.edges)
                let found = try bench.firstDifference(flows, under: Touchstone.policies, programs.policy)
                if found == nil { survivors.append("\(set.name): \(spoiled.description)") }
                try bench.dataplane.remove(mutant.all)
            }
        }
        #expect(survivors.isEmpty)
        #expect(count > 40)
        print("mutations: \(count) of elements")
    }
}

extension Statement {
    /// The block that an address is compared with.
    fileprivate var prefix: IPPrefix? {
        get { if case .inPrefix(_, let prefix) = self { prefix } else { nil } }
        set {
            guard case .inPrefix(let selector, _) = self, let newValue else { return }
            self = .inPrefix(selector, newValue)
        }
    }
}
