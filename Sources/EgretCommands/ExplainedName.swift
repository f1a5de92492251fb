// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy

/// What a policy does with a connection to a name: it is asked of the DNS, leads to some public address, and is said on the
/// connection where that is read.
struct ExplainedName {
    /// The connection's first packet, to an address that no narrower rule is about.
    let flow: Flow
    let decision: Decision
    let otherwise: Decision
    /// What else there is to know, each as a sentence without a full stop.
    private(set) var remarks: [String] = []

    /// More pieces of the address space than this are not looked at one by one.
    private static let pieceLimit = 4_096

    init(
        _ name: DomainName, _ service: Service, _ text: String, evaluator: PolicyEvaluator, at time: Int64
    ) throws(ExplainProblem) {
        let isVersion6 = if case .icmp(.icmpv6, _) = service { true } else { false }
        let space = HeaderSpace(evaluator, at: time)
        let address = space.typicalAddress(isVersion6 ? .ipv6 : .ipv4)
        let packet = try Flow.explained(to: address, isHost: false, service, text)
        flow = packet
        decision = ExplainedName.decide(name, packet, evaluator, time, [])
        otherwise = ExplainedName.decide(name, packet, evaluator, time, [decision.clause])
        remarks = [
            resolution(of: name, evaluator, time), passage(of: name, evaluator),
        ].compactMap(\.self)
        if case .denied = evaluator.decide(name: name) { return }
        remarks += exceptions(name, space, evaluator, time)
    }

    /// The decision about the name where it may not be asked, else about the connection.
    static func decide(
        _ name: DomainName, _ packet: Flow, _ evaluator: PolicyEvaluator, _ time: Int64,
        _ ignored: Set<DecidingClause>
    ) -> Decision {
        switch evaluator.decide(name: name, ignoring: ignored) {
        case .denied(let clause):
            let isRejected = evaluator.policies.rule(of: clause)?.action == .reject
            return Decision(verdict: isRejected ? .reject : .deny, clause: clause)
        case .allowed: return spoken(name, [name], packet, evaluator, time, ignored)
        case .unnamed: return spoken(name, [], packet, evaluator, time, ignored)
        }
    }

    /// The decision with the name said, in whichever protocol lets more pass.
    private static func spoken(
        _ name: DomainName, _ names: Set<DomainName>, _ packet: Flow, _ evaluator: PolicyEvaluator, _ time: Int64,
        _ ignored: Set<DecidingClause>
    ) -> Decision {
        var flow = packet
        flow.names = names
        guard packet.protocol == .tcp else {
            if isRead(name, packet, evaluator, ignored) { flow.speech = .name(name, .tls) }
            return evaluator.decide(flow, at: time, ignoring: ignored)
        }
        let decisions = [ApplicationProtocol.tls, .http].map { application in
            flow.speech = .name(name, application)
            return evaluator.decide(flow, at: time, ignoring: ignored)
        }
        return decisions.first { $0.verdict == .allow } ?? decisions[0]
    }

    /// Whether somebody reads what datagrams to the name's addresses say: for the sake of one rule, they are held to all.
    private static func isRead(
        _ name: DomainName, _ packet: Flow, _ evaluator: PolicyEvaluator, _ ignored: Set<DecidingClause>
    ) -> Bool {
        guard packet.protocol == .udp, let port = packet.destinationPort,
            case .allowed(let clauses) = evaluator.decide(name: name, ignoring: ignored)
        else { return false }
        return evaluator.nameClauses.contains { clauses.contains($0.clause) && $0.traffic.checksDatagrams(port) }
    }

    /// Whether the name is asked of the DNS.
    private func resolution(of name: DomainName, _ evaluator: PolicyEvaluator, _ time: Int64) -> String? {
        switch evaluator.decide(name: name) {
        case .allowed: return nil
        case .denied:
            let byAddress = evaluator.decide(flow, at: time)
            guard byAddress.verdict == .allow else { return "the name is not resolved" }
            return "the name is not resolved; packets to its addresses are "
                + byAddress.reason(in: evaluator.policies, at: time)
        case .unnamed:
            return "no rule is about the name: it is resolved only if packets to a name server's port 53 may leave"
        }
    }

    /// How the connection passes by the rule that decides.
    private func passage(of name: DomainName, _ evaluator: PolicyEvaluator) -> String? {
        guard case .allowed(let clauses) = evaluator.decide(name: name) else { return nil }
        let deciding = evaluator.nameClauses.first { $0.clause == decision.clause }
        if let deciding, decision.verdict == .allow, clauses.contains(deciding.clause) {
            let traffic = deciding.traffic
            if flow.protocol == .udp, let port = flow.destinationPort, traffic.checksDatagrams(port) {
                let end = traffic.passesUnverified ? ", and passes by its address where it says none" : ""
                return "the first packets must say the name in QUIC\(end)"
            }
            if flow.protocol == .tcp, let port = flow.destinationPort, traffic.checks(port) {
                let spoken = traffic.spoken.map { $0.rawValue.uppercased() }.joined(separator: " or ")
                let end = traffic.passesUnverified ? ", and passes by its address where it says none" : ""
                return "the connection must say the name in \(spoken)\(end)"
            }
            return "by address alone: any address that the name was resolved to, whatever is said there"
        }
        guard decision.verdict != .allow, flow.protocol == .udp, let port = flow.destinationPort else { return nil }
        let answers = evaluator.nameClauses.contains { clause in
            clauses.contains(clause.clause) && clause.traffic.answered.contains { $0.contains(port) }
        }
        return answers
            ? "QUIC is refused, and clients fall back to TCP; quic: check lets it pass by the name it says, "
                + "quic: pin by its address" : nil
    }

    /// Public addresses at which something else is decided.
    private func exceptions(
        _ name: DomainName, _ space: HeaderSpace, _ evaluator: PolicyEvaluator, _ time: Int64
    ) -> [String] {
        let family = flow.destination.family
        guard space.pieceCount(family) <= ExplainedName.pieceLimit else {
            return ["at addresses that narrower rules are about, these may decide otherwise"]
        }
        var found: [(decision: Decision, ranges: [String])] = []
        space.forEachPublicRange(family) { range in
            var packet = flow
            packet.destination = IPAddress(family: family, rawValue: range.lowerBound)
            let other = ExplainedName.decide(name, packet, evaluator, time, [])
            guard other.verdict != decision.verdict else { return }
            let last = IPAddress(family: family, rawValue: range.upperBound)
            let text = range.count == 1 ? "\(last)" : "\(packet.destination)-\(last)"
            if let place = found.firstIndex(where: { $0.decision.clause == other.clause }) {
                found[place].ranges.append(text)
            } else {
                found.append((other, [text]))
            }
        }
        return found.map { decision, ranges in
            let shown = ranges.prefix(3).joined(separator: ", ")
            let more = ranges.count > 3 ? " and \(ranges.count - 3) more" : ""
            return "at \(shown)\(more): \(decision.reason(in: evaluator.policies, at: time))"
        }
    }
}

/// What `--to` of `egret explain` says without `--from`.
enum ExplainTarget {
    case address(IPAddress)
    /// A name, with the port that was written behind it.
    case name(DomainName, port: String?)

    init(_ text: String) throws(ExplainProblem) {
        if let address = IPAddress(text) {
            self = .address(address)
            return
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let head = parts[0]
        guard IPAddress(head) == nil, head.contains("."), !head.contains("/"), !head.hasPrefix("[") else {
            throw ExplainProblem(
                message: "\"\(text)\" is not an address or a domain name",
                suggestion: ExplainTarget.separated(text)
                    ?? "write for example 203.0.113.10 or wikipedia.org; names of workloads go with --from")
        }
        if head.hasPrefix("*") {
            throw ExplainProblem(
                message: "\"\(head)\" is many names, and explain answers for one of them",
                suggestion: "write for example www\(head.dropFirst())")
        }
        do throws(DomainProblem) {
            self = .name(try DomainName.parse(head), port: parts.count > 1 ? parts[1] : nil)
        } catch {
            throw ExplainProblem(
                message: error.message, suggestion: error.suggestion ?? "write for example wikipedia.org")
        }
    }

    /// How an address with a port behind it is asked about, `203.0.113.10:443` or `[2001:db8::1]:443`.
    private static func separated(_ text: String) -> String? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let port = text[text.index(after: colon)...]
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(host), !port.isEmpty else { return nil }
        return "an address has its port apart: --to \(address) --port \(port)"
    }
}
