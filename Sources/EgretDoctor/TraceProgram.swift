// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// The doctor's own tables: they mark one probe, its answer and the questions for neighbours, and change nothing.
struct TraceProgram {
    /// What is to be traced.
    struct Subject: Hashable, Sendable {
        /// The probe.
        var probe: Probe
        /// The probe's own port, for protocols with ports.
        var port: UInt16?
        /// The addresses whose hardware addresses may be asked for.
        var neighbours: [IPAddress]
    }

    let name: String
    let subject: Subject

    /// The tables, each to be installed by itself: a kernel may lack bridges' or ARP's.
    ///
    /// - Parameter withBridge: Whether frames that a bridge passes on are to be seen.
    /// - Returns: The tables.
    func tables(withBridge: Bool) -> [TableProgram] {
        var tables = [packets(.inet, [.prerouting, .input, .forward, .output, .postrouting])]
        if subject.probe.destination.family == .ipv4 { tables.append(questions(.arp, [.input, .output])) }
        if withBridge {
            var bridge = packets(.bridge, [.prerouting, .input, .forward, .output, .postrouting])
            if subject.probe.destination.family == .ipv4 {
                bridge.rules += questions(.bridge, [.prerouting, .output]).rules
            }
            tables.append(bridge)
        }
        return tables
    }

    private func table(_ family: TableFamily, _ hooks: [Hook]) -> TableProgram {
        var program = TableProgram(table: Table(family: family, name: name))
        for hook in hooks {
            for isLast in [false, true] {
                let priority = isLast ? Int32.max : Int32.min + 1
                let base = BaseChain(kind: .filter, hook: hook, priority: priority)
                program.chains.append(Chain(Passage.Point(hook, isLast: isLast).chain, base: base))
            }
        }
        return program
    }

    /// Chains that see the probe, its answer and, in IPv6, questions for neighbours.
    private func packets(_ family: TableFamily, _ hooks: [Hook]) -> TableProgram {
        var program = table(family, hooks)
        for hook in [Hook.prerouting, .output] {
            let chain = Passage.Point(hook).chain
            for statements in [probe(isAnswer: false), probe(isAnswer: true)] + solicitations {
                program.rules.append(Rule(in: chain, guardian(family) + statements + [.trace]))
            }
        }
        return program
    }

    private var isIPv4: Bool { subject.probe.destination.family == .ipv4 }

    private func guardian(_ family: TableFamily) -> [Statement] {
        family == .bridge ? [.equal(.etherType, isIPv4 ? 0x0800 : 0x86dd)] : [.equal(.networkProtocol, isIPv4 ? 2 : 10)]
    }

    private func probe(isAnswer: Bool) -> [Statement] {
        let destination = subject.probe.destination
        let address: Selector =
            isIPv4 ? (isAnswer ? .ipv4Source : .ipv4Destination) : (isAnswer ? .ipv6Source : .ipv6Destination)
        var statements: [Statement] = [
            .equal(address, destination.rawValue),
            .equal(.transportProtocol, UInt128(subject.probe.transport.rawValue)),
        ]
        guard let remote = subject.probe.port else {
            let type: UInt128 = isIPv4 ? (isAnswer ? 0 : 8) : (isAnswer ? 129 : 128)
            return statements + [.equal(isIPv4 ? .icmpType : .icmpv6Type, type)]
        }
        statements.append(.equal(isAnswer ? .sourcePort : .destinationPort, UInt128(remote)))
        // The answer may come to a translated port.
        if !isAnswer, let own = subject.port { statements.append(.equal(.sourcePort, UInt128(own))) }
        return statements
    }

    /// Neighbour solicitations and advertisements about the addresses.
    private var solicitations: [[Statement]] {
        guard !isIPv4 else { return [] }
        return subject.neighbours.flatMap { address in
            [135, 136].map { type in
                [
                    .equal(.transportProtocol, 58), .equal(.icmpv6Type, type),
                    .equal(.neighbourTarget, address.rawValue),
                ]
            }
        }
    }

    /// Chains that see ARP requests and replies about the addresses.
    private func questions(_ family: TableFamily, _ hooks: [Hook]) -> TableProgram {
        var program = table(family, hooks)
        for hook in hooks {
            let chain = Passage.Point(hook).chain
            for address in subject.neighbours {
                let guardian: [Statement] = family == .bridge ? [.equal(.etherType, 0x0806)] : []
                program.rules.append(
                    Rule(in: chain, guardian + [.equal(.arpSenderIPv4, address.rawValue), .trace]))
            }
        }
        return program
    }
}
