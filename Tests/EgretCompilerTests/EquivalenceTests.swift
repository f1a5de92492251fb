// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// The evaluator is the specification; the compiled program must agree with it on every flow.
struct EquivalenceTests {
    @Test("a compiled policy decides every flow as the evaluator does, by the same clause", arguments: 0..<20)
    func egress(seed: UInt64) throws {
        try forEachCase(seed: seed) { policies, flow, program, interpreter in
            let decision = PolicyEvaluator(policies: policies).decide(flow)
            let outcome = interpreter.run(Packet(flow), from: program.egressChain)
            let clause = outcome.counters.compactMap { program.clause(named: $0) }.last
            #expect(outcome.counters.count == 1)
            #expect(clause?.clause == decision.clause, "\(flow)")
            #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(flow)")
            #expect(outcome.logs.isEmpty == (decision.verdict == .allow && !decision.isAudited))
            let stamp = decision.verdict == .allow ? program.generation.mark : 0
            #expect(outcome.mark == stamp | 0x77, "the lower half of the mark is other tools'")
        }
    }

    @Test("answers to a connection are judged as the connection is", arguments: 100..<110)
    func replies(seed: UInt64) throws {
        try forEachCase(seed: seed) { policies, flow, program, interpreter in
            if flow.destinationIsHost { return }
            guard let answer = Packet(answerTo: flow) else { return }
            let decision = PolicyEvaluator(policies: policies).decide(flow)
            let outcome = interpreter.run(answer, from: program.replyChain)
            #expect((outcome.verdict == .accept) == (decision.verdict == .allow), "\(flow)")
            #expect(outcome.verdict != .reject, "only the endpoint is answered, never the far side")
            if decision.verdict == .allow { #expect(outcome.mark == program.generation.mark | 0x77) }
        }
    }

    @Test("the number of look-ups for a packet does not depend on the number of rules")
    func constantCost() throws {
        let counts = try [10, 1000].map { size in
            let rules = (0..<size).map { index in
                EgressRule(
                    action: .allow,
                    destinations: [
                        .block(AddressBlock(IPPrefix(IPAddress(family: .ipv4, rawValue: UInt128(index) << 8))))
                    ],
                    services: [.ports(.tcp, PortRange(443)), .ports(.tcp, PortRange(UInt16(index + 1000)))]
                )
            }
            let policies = PolicySet(policies: [EgressPolicy(name: "many", rules: rules)])
            let generation = try #require(Generation(rawValue: 1))
            let program = PolicyCompiler.compile(policies, generation: generation, logGroup: 1)
            let interpreter = Interpreter([program.program])
            return (0..<size).map { index in
                let flow = Flow(to: IPAddress(family: .ipv4, rawValue: UInt128(index) << 8), protocol: .tcp, port: 443)
                return interpreter.run(Packet(flow), from: program.egressChain).lookups
            }.max()
        }
        #expect(counts[0] == counts[1])
        #expect(counts[0] ?? 0 <= 3)
    }

    @Test("a long list of blocks is in a table for each of its lengths, and few look-ups find any of them")
    func tables() throws {
        let generation = try #require(Generation(rawValue: 1))
        let blocks = try (0..<9_000).map { index in
            try #require(IPPrefix(IPAddress(family: .ipv4, rawValue: UInt128(index) << 10), length: 22 + index % 7))
        }
        let odd = try #require(IPPrefix("203.0.113.0/29"))
        let rule = EgressRule(action: .allow, destinations: (blocks + [odd]).map { .block(AddressBlock($0)) })
        let policies = PolicySet(policies: [EgressPolicy(name: "long", rules: [rule])])
        let program = PolicyCompiler.compile(policies, generation: generation, logGroup: 1)
        #expect(program.program.sets.map(\.name) == (22...28).reversed().map { "g1-ipv4-\($0)" } + ["g1-ipv4"])
        #expect(program.program.sets.map(\.contents.count).reduce(0, +) == 9_001)
        let interpreter = Interpreter([program.program])
        // The blocks begin 1024 addresses apart, and the largest has so many.
        for block in blocks + [odd] {
            for address in [block.lowerBound, block.upperBound, block.upperBound + 1] {
                let to = IPAddress(family: .ipv4, rawValue: address)
                let outcome = interpreter.run(Packet(Flow(to: to, protocol: .tcp, port: 1)), from: program.egressChain)
                let isInside = block.contains(to) || address & 1023 == 0 && address >> 10 < 9_000
                #expect((outcome.verdict == .accept) == isInside, "\(to)")
                #expect(outcome.lookups <= 8)
            }
        }
    }

    @Test("where tables hold all blocks of a family there is no further map that nothing is in")
    func tablesAlone() throws {
        let generation = try #require(Generation(rawValue: 1))
        let blocks = try (0..<1_100).map { index in
            try #require(IPPrefix(IPAddress(family: .ipv4, rawValue: UInt128(index) << 10), length: 24))
        }
        let rule = EgressRule(action: .allow, destinations: blocks.map { .block(AddressBlock($0)) })
        let policies = PolicySet(policies: [EgressPolicy(name: "long", rules: [rule])])
        let program = PolicyCompiler.compile(policies, generation: generation, logGroup: 1)
        #expect(program.program.sets.map(\.name) == ["g1-ipv4-24"])
        let outcome = Interpreter([program.program]).run(
            Packet(Flow(to: IPAddress(family: .ipv4, rawValue: 1 << 8), protocol: .tcp, port: 1)),
            from: program.egressChain)
        #expect(outcome.verdict == .drop)
        #expect(outcome.lookups == 1)
    }

    @Test(
        "an endpoint's program decides in either direction as the evaluator does", arguments: 200..<215,
        TrafficDirection.allCases)
    func endpoints(seed: UInt64, direction: TrafficDirection) throws {
        try forEachCase(seed: seed, for: .endpoint(direction)) { policies, flow, program, interpreter in
            if direction == .ingress && flow.destinationIsHost { return }
            let decision = PolicyEvaluator(policies: policies).decide(flow)
            let packet = direction == .egress ? Packet(flow) : Packet(flow).turned
            let outcome = interpreter.run(packet, from: program.egressChain)
            let clause = outcome.counters.compactMap { program.clause(named: $0) }.last
            #expect(outcome.counters.count == 1)
            #expect(clause?.clause == decision.clause, "\(flow)")
            #expect(outcome.verdict == Outcome.Verdict(decision.verdict), "\(flow)")
            #expect(outcome.mark == (decision.verdict == .allow ? program.generation.mark : 0) | 0x77)
            if flow.destinationIsHost { return }
            guard let answer = Packet(answerTo: flow) else { return }
            let reply = interpreter.run(direction == .egress ? answer : answer.turned, from: program.replyChain)
            #expect((reply.verdict == .accept) == (decision.verdict == .allow), "\(flow)")
            #expect(reply.verdict != .reject)
        }
    }

    private func forEachCase(
        seed: UInt64,
        for use: ProgramUse = .run,
        _ body: (PolicySet, Flow, PolicyProgram, Interpreter) throws -> Void
    ) throws {
        var random = RandomPolicies(seed: seed)
        let generation = try #require(Generation(rawValue: 12))
        let hosts = [IPAddress("10.1.2.3"), IPAddress("203.0.113.7"), IPAddress("2001:db8:113::7")].compactMap(\.self)
        for round in 0..<15 {
            let policies = random.policySet()
            let program = PolicyCompiler.compile(
                policies,
                for: use,
                generation: generation,
                logGroup: 5,
                // Small policies with the tables of large ones, now and then.
                tableThreshold: round % 3 == 0 ? 1 : 1_024
            )
            let interpreter = Interpreter([program.program])
            for _ in 0..<100 {
                try body(policies, random.flow(hostAddresses: hosts), program, interpreter)
            }
        }
    }
}

extension Outcome.Verdict {
    init(_ verdict: Decision.Verdict) {
        switch verdict {
        case .allow: self = .accept
        case .deny: self = .drop
        case .reject: self = .reject
        }
    }
}

extension Packet {
    static func endpoint(_ family: AddressFamily) -> IPAddress {
        IPAddress(family: family, rawValue: family == .ipv4 ? 0x0ad5_8001 : 0xfd65_6772 << 96 | 1)
    }

    init(_ flow: Flow) {
        self.init(
            inputInterface: 7,
            outputInterface: flow.destinationIsHost ? 0 : 2,
            source: Packet.endpoint(flow.destination.family),
            destination: flow.destination,
            protocol: flow.protocol,
            sourcePort: flow.destinationPort.map { _ in 40000 },
            destinationPort: flow.destinationPort,
            icmpType: flow.icmpType,
            mark: 0x77,
            destinationIsLocal: flow.destinationIsHost
        )
    }

    /// The same packet as the other end of the connection sees it: between the other two addresses.
    var turned: Packet {
        var turned = self
        (turned.source, turned.destination) = (destination, source)
        (turned.inputInterface, turned.outputInterface) = (outputInterface, inputInterface)
        return turned
    }

    /// The packet that comes back; `nil` for messages that have no answer.
    init?(answerTo flow: Flow) {
        let answers: [UInt8: UInt8] = flow.protocol == .icmp ? [8: 0, 13: 14] : [128: 129]
        if flow.icmpType != nil && flow.icmpType.flatMap({ answers[$0] }) == nil { return nil }
        self.init(
            inputInterface: 2,
            outputInterface: 7,
            source: flow.destination,
            destination: Packet.endpoint(flow.destination.family),
            protocol: flow.protocol,
            sourcePort: flow.destinationPort,
            destinationPort: flow.destinationPort.map { _ in 40000 },
            icmpType: flow.icmpType.flatMap { answers[$0] },
            state: .established,
            isReply: true,
            mark: 0x77
        )
    }
}
