// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// Rules about names: the compiled program must agree with the evaluator, whatever addresses its sets hold.
struct NameEquivalenceTests {
    @Test(
        "a compiled policy with names decides every packet as the evaluator does, by the same clause",
        arguments: 300..<330)
    func egress(seed: UInt64) throws {
        try forEachCase(seed: seed, for: .run) { policies, flow, program, interpreter in
            let decision = PolicyEvaluator(policies: policies).decide(flow)
            let outcome = interpreter.run(Packet(flow), from: program.egressChain)
            let clause = outcome.counters.compactMap { program.clause(named: $0) }.last
            #expect(clause?.clause == decision.clause, "\(flow)")
            #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(flow)")
            let stamp = decision.verdict == .allow ? program.generation.mark : 0
            #expect(outcome.mark == stamp | 0x77, "what a name let out is noted on the connection")
            if flow.destinationIsHost { return }
            guard let answer = Packet(answerTo: flow) else { return }
            let reply = interpreter.run(answer, from: program.replyChain)
            #expect((reply.verdict == .accept) == (decision.verdict == .allow), "\(flow)")
        }
    }

    @Test("an endpoint's program with names decides as the evaluator does", arguments: 400..<415)
    func endpoints(seed: UInt64) throws {
        try forEachCase(seed: seed, for: .endpoint(.egress)) { policies, flow, program, interpreter in
            let decision = PolicyEvaluator(policies: policies).decide(flow)
            let outcome = interpreter.run(Packet(flow), from: program.egressChain)
            let clause = outcome.counters.compactMap { program.clause(named: $0) }.last
            #expect(clause?.clause == decision.clause, "\(flow)")
            #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(flow)")
            // Another endpoint has resolved nothing, though it obeys the same program.
            var packet = Packet(flow)
            packet.source = IPAddress(family: packet.source.family, rawValue: packet.source.rawValue ^ 1)
            var nameless = flow
            nameless.names = []
            let other = PolicyEvaluator(policies: policies).decide(nameless)
            let others = interpreter.run(packet, from: program.egressChain)
            #expect(others.verdict == Outcome.Verdict(other.verdict), "\(nameless)")
        }
    }

    @Test("datagrams whose name the evaluator allows pass by the flow sets that they are put into, and no others do")
    func flows() throws {
        let generation = try #require(Generation(rawValue: 12))
        var byFlow = 0
        for seed: UInt64 in 500..<530 {
            var random = RandomPolicies(seed: seed)
            for _ in 0..<10 {
                let policies = random.namingPolicySet()
                let evaluator = PolicyEvaluator(policies: policies)
                let program = PolicyCompiler.compile(policies, generation: generation, logGroup: 5)
                for _ in 0..<40 {
                    var flow = random.flow()
                    flow.protocol = .udp
                    flow.icmpType = nil
                    flow.destinationPort = flow.destinationPort ?? 443
                    flow.names = RandomPolicies.names(of: flow.destination)
                    guard let name = flow.names.min(by: { $0.text < $1.text }) else { continue }
                    var spoken = flow
                    spoken.speech = .name(name, .tls)
                    guard evaluator.decide(spoken).verdict == .allow else { continue }
                    let held = program.holding([flow], by: evaluator)
                    let packet = Packet(flow)
                    let passing = Interpreter([held.passing(packet, saying: name, by: evaluator).program])
                    #expect(passing.run(packet, from: program.egressChain).verdict == .accept, "\(seed) \(flow)")
                    var other = packet
                    other.sourcePort = 40_001
                    let unread = Outcome.Verdict(evaluator.decide(flow).verdict)
                    #expect(passing.run(other, from: program.egressChain).verdict == unread, "\(seed) \(flow)")
                    if unread != .accept { byFlow += 1 }
                }
            }
        }
        #expect(byFlow > 0, "flow sets must make a difference somewhere")
    }

    private func forEachCase(
        seed: UInt64,
        for use: ProgramUse,
        _ body: (PolicySet, Flow, PolicyProgram, Interpreter) throws -> Void
    ) throws {
        var random = RandomPolicies(seed: seed)
        let generation = try #require(Generation(rawValue: 12))
        let hosts = [IPAddress("10.1.2.3"), IPAddress("203.0.113.7"), IPAddress("2001:db8:113::7")].compactMap(\.self)
        var byName = 0
        for _ in 0..<15 {
            let policies = random.namingPolicySet()
            let evaluator = PolicyEvaluator(policies: policies)
            let flows = (0..<100).map { _ in
                var flow = random.flow(hostAddresses: hosts)
                flow.names = RandomPolicies.names(of: flow.destination)
                return flow
            }
            let program = PolicyCompiler.compile(policies, for: use, generation: generation, logGroup: 5)
            let interpreter = Interpreter([program.holding(flows, by: evaluator).program])
            for flow in flows {
                var nameless = flow
                nameless.names = []
                if evaluator.decide(flow) != evaluator.decide(nameless) { byName += 1 }
                try body(policies, flow, program, interpreter)
            }
        }
        #expect(byName > 0, "names must make a difference somewhere")
    }
}

extension PolicyProgram {
    /// The program after the check of names has let a packet's flow through.
    func passing(_ packet: Packet, saying name: DomainName, by evaluator: PolicyEvaluator) -> PolicyProgram {
        guard let own = packet.sourcePort, let port = packet.destinationPort,
            case .allowed(let clauses) = evaluator.decide(name: name)
        else { return self }
        let family = packet.destination.family
        let element = SetElement(
            packet.source.rawValue, [UInt128(own), packet.destination.rawValue, UInt128(port)])
        var loaded = self
        for rule in names where clauses.contains(rule.clause) && rule.traffic.checksDatagrams(port) {
            let set = CompiledNameRule.flowSet(rule.number, family, of: generation)
            for place in loaded.program.sets.indices where loaded.program.sets[place].name == set {
                loaded.program.sets[place].contents = .elements([element])
            }
        }
        return loaded
    }

    /// The program after the endpoint has resolved the names of some flows to their destinations.
    func holding(_ flows: [Flow], by evaluator: PolicyEvaluator) -> PolicyProgram {
        var elements: [String: Swift.Set<IPAddress>] = [:]
        for flow in flows {
            for name in flow.names {
                guard case .allowed(let clauses) = evaluator.decide(name: name) else { continue }
                for rule in names where clauses.contains(rule.clause) {
                    if let set = rule.set(flow.destination.family) {
                        elements[set, default: []].insert(flow.destination)
                    }
                }
            }
        }
        var loaded = self
        for place in loaded.program.sets.indices {
            guard let found = elements[loaded.program.sets[place].name] else { continue }
            let isShared = !loaded.program.sets[place].furtherKeyTypes.isEmpty
            loaded.program.sets[place].contents = .elements(
                found.map { address in
                    isShared
                        ? SetElement(Packet.endpoint(address.family).rawValue, [address.rawValue]) : SetElement(address)
                }.sorted())
        }
        return loaded
    }
}
