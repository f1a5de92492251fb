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

/// Rules about names, asked of the kernel: what their sets hold passes as the evaluator says, and nothing else.
@Suite(.serialized, .requiresRoot)
struct NameOracleTests {
    @Test("the kernel does with each packet what the evaluator says of the names that its sets hold")
    func packets() throws {
        let bench = try KernelBench()
        var pairs = 0
        var byName = 0
        var seed: UInt64 = 9000
        while pairs < 2000 {
            var random = RandomPolicies(seed: seed)
            let policies = random.namingPolicySet()
            let evaluator = PolicyEvaluator(policies: policies)
            let flows = OracleTests.flows(&random, count: 40).map { flow in
                var flow = flow
                flow.names = RandomPolicies.names(of: flow.destination)
                return flow
            }
            var programs = try BenchPrograms(policies, bench.endpoint, generation: UInt16(seed))
            programs.policy.fillSets(with: flows, evaluator)
            try bench.install(programs)
            #expect(try bench.dataplane.drift(of: programs.all) == [])
            let (differences, _) = try bench.differences(flows, under: policies, programs.policy)
            #expect(differences.isEmpty, "seed \(seed): \(differences.joined(separator: "\n"))")
            try bench.dataplane.remove(programs.all)
            pairs += flows.count
            byName += flows.count { flow in
                var nameless = flow
                nameless.names = []
                return evaluator.decide(flow) != evaluator.decide(nameless)
            }
            seed += 1
        }
        #expect(byName > 50, "names must decide some flows")
    }

    @Test(
        "an element that ends stops new connections and cuts none that is open",
        arguments: ["203.0.113.10", "2001:db8:113::10"])
    func expiry(_ text: String) throws {
        let bench = try KernelBench()
        let target = address(text)
        let pattern = try DomainPattern.parse("git.example.org")
        let policies = PolicySet.rules(
            EgressRule(
                action: .allow, domains: [pattern],
                services: [.ports(.tcp, PortRange(22)), .ports(.udp, PortRange(123))]))
        let programs = try BenchPrograms(policies, bench.endpoint, generation: 7)
        try bench.install(programs)
        let set = try #require(programs.policy.names.first?.set(target.family))
        let refused = Conversation(bench, .tcp, to: target, port: 22)
        #expect(try !refused.open(), "nothing has been resolved")
        try bench.addElement(target, to: set, lifetime: "5s")
        let open = [Conversation(bench, .tcp, to: target, port: 22), Conversation(bench, .udp, to: target, port: 123)]
        for conversation in open { #expect(try conversation.open()) }
        #expect(try !Conversation(bench, .tcp, to: target, port: 443).open(), "the rule is about two ports")
        try bench.waitUntilEmpty(set)
        for conversation in open {
            #expect(try conversation.ask(), "an expiry cuts nothing")
            #expect(try conversation.push())
        }
        #expect(try !Conversation(bench, .tcp, to: target, port: 22).open(), "the element has ended")
        try bench.addElement(target, to: set, lifetime: "60s")
        #expect(try Conversation(bench, .tcp, to: target, port: 22).open(), "and is put back")
    }
}

extension PolicyProgram {
    /// Puts the destinations of flows into the sets of the rules that hold their names.
    fileprivate mutating func fillSets(with flows: [Flow], _ evaluator: PolicyEvaluator) {
        var elements: [String: Swift.Set<IPAddress>] = [:]
        for flow in flows {
            for name in flow.names {
                guard case .allowed(let clauses) = evaluator.decide(name: name) else { continue }
                for rule in names where clauses.contains(rule.clause) {
                    guard let set = rule.set(flow.destination.family) else { continue }
                    elements[set, default: []].insert(flow.destination)
                }
            }
        }
        for place in program.sets.indices {
            guard let found = elements[program.sets[place].name] else { continue }
            program.sets[place].contents = .elements(found.map { SetElement($0) }.sorted())
        }
    }
}

extension KernelBench {
    /// Puts an address into a set for some time, as whoever resolves names does.
    fileprivate func addElement(_ address: IPAddress, to set: String, lifetime: String) throws {
        let output = try host.onOwnThread {
            try runProgram(
                ["nft", "add", "element", "inet", "egret", set, "{", "\(address)", "timeout", lifetime, "}"])
        }
        #expect(output.succeeded, "\(output.standardError)")
    }

    /// Waits until a set's last element has ended.
    fileprivate func waitUntilEmpty(_ set: String) throws {
        for _ in 0..<100 {
            let output = try host.onOwnThread { try runProgram(["nft", "list", "set", "inet", "egret", set]) }
            if !output.standardOutput.contains("elements") { return }
            _ = try departures(within: .milliseconds(100))
        }
        Issue.record("the element of \(set) does not end")
    }
}
