// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

extension Mutation {
    /// Mistakes about one endpoint's chains and its wire.
    static let ofEndpoints: [Mutation] = [
        packets("the generation not checked") { _, statements in
            statements.filter { if case .equal(.connectionMark, _) = $0 { false } else { true } }
        },
        packets("established connections accepted first") { _, statements in
            guard case .equal(.connectionMark, _) = statements.first else { return statements }
            return [.connectionState(in: .established), .verdict(.accept)]
        },
        packets("invalid packets let through") { _, statements in
            statements.first == .connectionState(in: [.invalid, .untracked]) ? nil : statements
        },
        packets("strangers let in") { chain, statements in
            chain == "to-egret0" && statements == [.verdict(.drop)] ? nil : statements
        },
        packets("connections by DCCP admitted as a whole") { _, statements in
            statements.filter { if case .notEqual(.transportProtocol, _) = $0 { false } else { true } }
        },
        frames("hardware addresses not checked") { statements in
            statements.compactMap { statement in
                switch statement {
                case .equal(.etherSourceAndType, let value): .equal(.etherType, value & 0xffff)
                case .equal(.etherSource, _): nil
                default: statement
                }
            }
        },
        frames("IPv4 sources not checked") { statements in
            statements.filter { if case .equal(.ipv4Source, _) = $0 { false } else { true } }
        },
        frames("IPv6 sources not checked") { statements in
            statements.filter { if case .equal(.ipv6Source, _) = $0 { false } else { true } }
        },
        frames("ARP senders not checked") { statements in
            statements.filter { if case .equal(.arpSenderIPv4, _) = $0 { false } else { true } }
        },
        frames("ARP hardware addresses not checked") { statements in
            statements.filter { if case .equal(.arpSenderEther, _) = $0 { false } else { true } }
        },
        frames("neighbour advertisements not checked") { statements in
            statements.contains { if case .notEqual(.neighbourTarget, _) = $0 { true } else { false } }
                ? nil : statements
        },
        frames("router advertisements let through") { statements in
            statements.contains(.equal(.icmpv6Type, 134)) ? nil : statements
        },
        frames("redirects let through") { statements in
            statements.contains(.equal(.icmpv6Type, 137)) ? nil : statements
        },
        Mutation("unknown frames let through") { programs in
            programs.endpoint.frames.rules.removeAll { $0.statements == [.verdict(.drop)] }
            programs.endpoint.frames.chains[0].base?.policy = .accept
        },
        Mutation("the host's own door left open") { programs in
            programs.base.rules.removeAll { $0.chain == "input" }
        },
        Mutation("the way out left open") { programs in
            programs.base.rules.removeAll {
                $0.chain == "forward" && $0.statements.contains(.verdictMap(.inputInterface, "from"))
            }
        },
        Mutation("the way in left open") { programs in
            programs.base.rules.removeAll { $0.statements.contains(.verdictMap(.outputInterface, "to")) }
        },
        Mutation("endpoints' addresses shown outside") { programs in
            programs.base.rules.removeAll { $0.statements.contains(.masquerade) }
        },
    ]

    private static func packets(
        _ description: String,
        _ body: @escaping @Sendable (String, [Statement]) -> [Statement]?
    ) -> Mutation {
        Mutation(description) { programs in
            programs.endpoint.packets.rules = programs.endpoint.packets.rules.compactMap { rule in
                body(rule.chain, rule.statements).map { Rule(in: rule.chain, $0) }
            }
        }
    }

    private static func frames(_ description: String, _ body: @escaping @Sendable ([Statement]) -> [Statement]?)
        -> Mutation
    {
        Mutation(description) { programs in
            programs.endpoint.frames.rules = programs.endpoint.frames.rules.compactMap { rule in
                body(rule.statements).map { Rule(in: rule.chain, $0) }
            }
        }
    }
}

extension KernelBench {
    /// What is wrong with the endpoint's own chains, under the policies of the touchstone.
    func suspicions(_ programs: BenchPrograms, spoiling mutation: Mutation?) throws -> [String] {
        var found: [String] = []
        let (web, door) = (address("203.0.113.10"), KernelBench.hostAddresses[0])
        let allowed = address("203.0.113.1")
        func expect(_ isRight: Bool, _ complaint: String) { if !isRight { found.append(complaint) } }
        expect(try passage(to: allowed, .tcp, port: 443) == .outside, "what is allowed does not leave")
        expect(try passage(to: web, .tcp, port: 443) == .none, "what is excepted leaves")
        expect(try passage(to: door, .tcp, port: 22) == .none, "the host's door is open")
        for (destination, stranger) in [(allowed, "198.51.100.7"), (address("2001:db8:113::1"), "2001:db8:51::7")] {
            let passage = try passage(
                to: destination, .tcp, port: destination.family == .ipv4 ? 443 : 80, source: address(stranger))
            expect(passage == .none, "\(stranger) is sent from")
        }
        expect(
            try passage(to: allowed, .tcp, port: 443, hardware: KernelBench.outsideHardware) == .none,
            "any hardware address")
        found += try frameSuspicions() + stateSuspicions(allowed) + revocationSuspicions(mutation)
        return found
    }

    private func frameSuspicions() throws -> [String] {
        let own = endpoint
        let (hardware, other) = (own.value.hardwareAddress, KernelBench.outsideHardware)
        func arp(_ sender: MACAddress, _ claimed: IPAddress) -> [UInt8] {
            let head: [UInt8] = [0, 1, 8, 0, 6, 4, 0, 2] + sender.octets + PacketBuilder.octets(claimed)
            let payload = head + own.gatewayHardware.octets + PacketBuilder.octets(own.gateways[0])
            return PacketBuilder.frame(from: hardware, to: own.gatewayHardware, etherType: 0x0806, payload)
        }
        func neighbour(_ type: UInt8) throws -> [UInt8] {
            let body = PacketBuilder.octets(own.gateways[1]) + newTag()
            let packet = PacketBuilder.packet(
                from: own.address(.ipv6), to: own.gateways[1], protocol: .icmpv6, icmpType: type, tag: body)
            return PacketBuilder.frame(from: hardware, to: own.gatewayHardware, packet: try #require(packet))
        }
        let frames: [(String, [UInt8])] = [
            ("ARP for the gateway", arp(hardware, own.gateways[0])),
            ("ARP for another card", arp(other, own.address(.ipv4))),
            ("advertisement for the gateway", try neighbour(136)), ("router advertisement", try neighbour(134)),
            ("redirect", try neighbour(137)),
            (
                "unknown frame",
                PacketBuilder.frame(from: hardware, to: own.gatewayHardware, etherType: 0x88b5, newTag())
            ),
        ]
        // A frame that is stopped at the wire is counted there.
        return try frames.compactMap { name, frame in
            let stopped = try count("egret0-spoofed", in: BaseProgram.frameTable) { try own.socket.send(frame) }
            return stopped == 1 ? nil : "\(name) is not stopped"
        }
    }

    private func stateSuspicions(_ allowed: IPAddress) throws -> [String] {
        var found: [String] = []
        let stranger = PacketBuilder.packet(
            from: allowed, to: endpoint.address(.ipv4), protocol: .udp, destinationPort: 22, tag: newTag())
        _ = try endpoint.socket.drain()
        try sendFromOutside(try #require(stranger))
        try settle()
        if try endpoint.socket.drain().contains(where: { $0.tag != nil }) { found.append("a stranger came in") }
        let tag = newTag()
        let near = (address: endpoint.address(.ipv4), port: newPort())
        let nonsense = Segment.packet(from: near, to: (allowed, 443), flags: Segment.syn | Segment.fin, payload: tag)
        let counted = try count("egret0-invalid") { try endpoint.send(nonsense) }
        if try counted != 1 || passage(of: tag) != .none { found.append("nonsense is not called so") }
        let flow = Conversation(self, .udp, to: allowed, port: 8000)
        if try !flow.open() { found.append("an allowed flow does not open") }
        if flow.mapped.address == near.address { found.append("the endpoint's address is seen outside") }
        let dccp = address("203.0.113.2")
        if try passage(to: dccp, .dccp, port: 5000) != .outside { found.append("allowed DCCP does not leave") }
        if try passage(to: dccp, .dccp, port: 5001) != .none { found.append("DCCP leaves by another port") }
        return found
    }

    /// Opens a flow and moves the endpoint, by chains with the same mistake, to a policy that denies it.
    private func revocationSuspicions(_ mutation: Mutation?) throws -> [String] {
        let flows = [Conversation(self, .udp, to: address("198.51.100.1"), port: 53)]
        for flow in flows where try !flow.open() { return ["an audited flow does not open"] }
        var programs = try BenchPrograms(.denyAll, endpoint, generation: 2)
        try mutation?.spoil(&programs)
        let packets = programs.endpoint.packets
        try dataplane.commit(
            Transaction(programs.policy.program.installation.map { Transaction.Step($0, in: BaseProgram.table) }))
        let switching = packets.chains.map { Operation.flushChain($0.name) } + packets.rules.map { .addRule($0) }
        try dataplane.commit(Transaction(switching.map { Transaction.Step($0, in: BaseProgram.table) }))
        return try flows.flatMap { flow in
            (try flow.push() ? ["a revoked flow is answered"] : []) + (try flow.ask() ? ["a revoked flow goes on"] : [])
        }
    }
}
