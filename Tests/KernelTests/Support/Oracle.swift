// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNetlinkWire
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// The programs of one endpoint under one policy, as values that a test may spoil before they are installed.
struct BenchPrograms {
    var base = BaseProgram.program
    var policy: PolicyProgram
    var endpoint: EndpointProgram

    init(
        _ policies: PolicySet,
        _ endpoint: BenchEndpoint,
        generation: UInt16,
        tableThreshold: Int = 1_024,
        horizon: ClosedRange<Int64> = 0...0
    ) throws {
        policy = PolicyCompiler.compile(
            policies,
            generation: try #require(Generation(rawValue: generation)),
            logGroup: KernelBench.logGroup,
            tableThreshold: tableThreshold,
            horizon: horizon
        )
        self.endpoint = EndpointProgram(endpoint.value, obeying: policy, logGroup: KernelBench.logGroup)
    }

    var all: [TableProgram] { [policy.program, endpoint.packets, endpoint.frames] }
}

/// What became of a packet that an endpoint sent.
enum Fate: Equatable {
    /// It was seen outside, or at the host's own door.
    case left
    case dropped
    case rejected

    init(_ verdict: Decision.Verdict) {
        switch verdict {
        case .allow: self = .left
        case .deny: self = .dropped
        case .reject: self = .rejected
        }
    }
}

/// What the kernel did with one flow's first packet.
struct Observed {
    var flow: Flow
    var fate: Fate
    /// The counters that moved, with their steps.
    var counted: [String: UInt64]
    /// The frame as it left.
    var frame: [UInt8]?
    /// What tells the packet from all others.
    var tag: [UInt8]
}

extension Observed {
    /// Whether the packet's fate is what was decided.
    fileprivate func isAs(_ decision: Decision) -> Bool {
        fate == Fate(decision.verdict) || decision.verdict == .reject && fate == .dropped && flow.isRefusedSilently
    }
}

extension KernelBench {
    /// Installs policies for the first endpoint.
    func install(_ programs: BenchPrograms) throws { try dataplane.install(programs.all, on: programs.base) }

    /// Takes Egret's tables away.
    func removeTables() throws { try dataplane.removeTables([BaseProgram.table, BaseProgram.frameTable]) }

    /// Sends the first packet of each flow and watches.
    ///
    /// - Parameters:
    ///   - flows: The flows.
    ///   - countingEach: Whether to read the counters after each.
    /// - Returns: What became of each, in order.
    /// - Throws: An error of the kernel's.
    func observe(_ flows: [Flow], countingEach: Bool = true) throws -> [Observed] {
        _ = try (departures(), arrivals(), endpoint.socket.drain())
        var sent: [(tag: [UInt8], port: UInt16)] = []
        var observed: [Observed] = []
        observed.reserveCapacity(flows.count)
        var before = try countingEach ? dataplane.counters(in: BaseProgram.table) : [:]
        for flow in flows {
            let (tag, port) = (newTag(), newPort())
            let packet = try #require(
                PacketBuilder.packet(
                    from: endpoint.address(flow.destination.family),
                    to: flow.destination,
                    protocol: flow.protocol,
                    sourcePort: port,
                    destinationPort: flow.destinationPort ?? 0,
                    icmpType: flow.icmpType ?? 0,
                    tag: tag
                ))
            try endpoint.send(packet)
            sent.append((tag, port))
            observed.append(Observed(flow: flow, fate: .dropped, counted: [:], tag: tag))
            guard countingEach else { continue }
            try settle()
            let after = try dataplane.counters(in: BaseProgram.table)
            let counted = after.mapValues(\.packets).filter { $0.value != before[$0.key]?.packets ?? 0 }
            let steps = Dictionary(uniqueKeysWithValues: counted.map { ($0, $1 - (before[$0]?.packets ?? 0)) })
            before = after
            observed[observed.count - 1].counted = steps
        }
        try settle()
        var left: [[UInt8]: [UInt8]] = [:]
        for frame in try departures() { if let tag = frame.tag { left[tag] = frame } }
        for packet in try arrivals() { if let tag = packet.tag { left[tag] = [] } }
        let answers = try endpoint.socket.drain()
        let resets = Swift.Set(answers.compactMap(\.resetPort))
        let prohibited = Swift.Set(answers.filter(\.isProhibition).compactMap(\.tag))
        for (index, probe) in sent.enumerated() {
            if let frame = left[probe.tag] {
                observed[index].fate = .left
                observed[index].frame = frame.isEmpty ? nil : frame
            } else if prohibited.contains(probe.tag) || resets.contains(probe.port) {
                observed[index].fate = .rejected
            }
        }
        return observed
    }

    /// Sends the flows and says where kernel and evaluator differ.
    func differences(
        _ flows: [Flow],
        under policies: PolicySet,
        _ program: PolicyProgram,
        at unixTime: Int64? = nil
    ) throws -> (differences: [String], observed: [Observed]) {
        let evaluator = PolicyEvaluator(policies: policies)
        let observed = try observe(flows)
        let differences = observed.compactMap { item -> String? in
            let decision = evaluator.decide(item.flow, at: unixTime)
            let names = program.counters(of: decision)
            let steps = Dictionary(names.map { ($0 ?? "no chain", UInt64(1)) }, uniquingKeysWith: +)
            if item.isAs(decision) && item.counted == steps { return nil }
            return "\(item.flow): evaluator \(decision.verdict) by \(decision.clause), "
                + "in audit mode \(decision.auditRefusal.map { "\($0)" } ?? "the same"), (\(steps)), "
                + "kernel \(item.fate), counted \(item.counted)"
        }
        return (differences, observed)
    }

    /// The first flows about which kernel and evaluator differ, in verdicts or in what was counted together.
    func firstDifference(_ flows: [Flow], under policies: PolicySet, _ program: PolicyProgram) throws -> String? {
        let evaluator = PolicyEvaluator(policies: policies)
        let names = Dictionary(uniqueKeysWithValues: program.clauses.map { ($0.clause, $0.name) })
        for start in stride(from: 0, to: flows.count, by: 60) {
            let before = try dataplane.counters(in: BaseProgram.table)
            let observed = try observe(Array(flows[start..<min(start + 60, flows.count)]), countingEach: false)
            let after = try dataplane.counters(in: BaseProgram.table)
            var expected: [String: UInt64] = [:]
            for item in observed {
                let decision = evaluator.decide(item.flow)
                if !item.isAs(decision) { return "\(item.flow): \(decision.verdict), but \(item.fate)" }
                expected[names[decision.clause] ?? "", default: 0] += 1
            }
            let counted = after.mapValues(\.packets).filter { $0.value != before[$0.key]?.packets ?? 0 }
            let steps = Dictionary(uniqueKeysWithValues: counted.map { ($0, $1 - (before[$0]?.packets ?? 0)) })
            if steps != expected { return "counted \(steps), not \(expected)" }
            let lost = try unanswered(observed).lost
            if let first = lost.first { return "no answer came back for \(first)" }
        }
        return nil
    }

    /// Answers packets that left, as the far side would, and names the flows whose answer did not come back.
    func unanswered(_ observed: [Observed]) throws -> (lost: [String], answered: Int) {
        _ = try endpoint.socket.drain()
        var pending: [[UInt8]: Flow] = [:]
        for item in observed {
            guard let frame = item.frame, let summary = frame.summary, item.flow.isAnswered else { continue }
            let tag = newTag()
            let near = (address: summary.source, port: summary.sourcePort ?? 0)
            let far = (address: summary.destination, port: summary.destinationPort ?? 0)
            let answers: [UInt8: UInt8] = [8: 0, 13: 14, 128: 129]
            let packet =
                item.flow.protocol == .tcp
                ? Segment.packet(
                    from: far, to: near, flags: Segment.syn | Segment.acknowledgement, sequence: 77,
                    // The tag in the SYN counts.
                    acknowledging: 2 + 8, payload: tag)
                : PacketBuilder.packet(
                    from: far.address, to: near.address, protocol: item.flow.protocol, sourcePort: far.port,
                    destinationPort: near.port, icmpType: item.flow.icmpType.flatMap { answers[$0] } ?? 0, tag: tag)
            pending[tag] = item.flow
            try sendFromOutside(try #require(packet))
        }
        let count = pending.count
        try settle()
        for frame in try endpoint.socket.drain() { if let tag = frame.tag { pending[tag] = nil } }
        return (pending.values.map { "\($0)" }, count)
    }
}

extension PolicyProgram {
    /// The counters that the first packet of a flow moves: that of the clause that decides, and that of the clause that
    /// would refuse it if all policies decided. `nil` stands for one that there is not.
    func counters(of decision: Decision) -> [String?] {
        // A default whose refusal is answered has a counter for each way.
        func name(_ clause: DecidingClause, _ verdict: Decision.Verdict, isEnforced: Bool) -> String? {
            clauses.first { compiled in
                compiled.clause == clause && compiled.isEnforced == isEnforced
                    && (compiled.effect == .reject) == (verdict == .reject)
            }?.name
        }
        return [name(decision.clause, decision.verdict, isEnforced: true)]
            + (decision.auditRefusal.map { [name($0.clause, $0.verdict, isEnforced: false)] } ?? [])
    }
}

extension Flow {
    /// Whether the kernel drops what it is told to reject: before it answers it verifies a checksum, and over IPv4
    /// it takes that of DCCP for wrong, as it leaves out the pseudo header (`nf_ip_checksum`). And it sends nothing
    /// from an IPv4-mapped address.
    fileprivate var isRefusedSilently: Bool {
        self.protocol == .dccp && destination.family == .ipv4
            || destination.family == .ipv6 && destination.rawValue >> 32 == 0xffff
    }

    /// Whether the test knows how to answer it: not protocols whose handshake it does not speak.
    fileprivate var isAnswered: Bool { self.protocol != .sctp }
}
