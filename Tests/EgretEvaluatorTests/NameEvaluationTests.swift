// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import Testing

@Suite("The evaluator, about names")
struct NameEvaluationTests {
    private let name: DomainName
    private let other: DomainName

    init() throws {
        name = try DomainName.parse("www.example.org")
        other = try DomainName.parse("www.example.net")
    }

    private func evaluator(
        _ rules: EgressRule..., otherwise: DefaultAction = .deny, groups: [DestinationGroup] = []
    ) -> PolicyEvaluator {
        PolicyEvaluator(
            policies: PolicySet(
                policies: [EgressPolicy(name: "p", defaultAction: otherwise, rules: rules)], groups: groups))
    }

    private func rule(
        _ action: RuleAction, _ pattern: String, _ services: [Service] = [], _ options: NameOptions = NameOptions()
    )
        throws -> EgressRule
    {
        EgressRule(action: action, domains: [try DomainPattern.parse(pattern)], naming: options, services: services)
    }

    private func flow(
        _ port: UInt16 = 443, _ proto: IPProtocol = .tcp, names: Set<DomainName> = [],
        says speech: Flow.Speech = .unread,
        isHost: Bool = false
    ) -> Flow {
        Flow(
            to: .v4(IPv4Address(rawValue: 0xcb00_710a)), isHost: isHost, protocol: proto, port: port, names: names,
            speech: speech)
    }

    @Test("a rule about names matches nothing by address alone")
    func nothing() throws {
        let evaluator = evaluator(try rule(.allow, "*.example.org"))
        #expect(evaluator.decide(flow()).verdict == .deny)
        #expect(evaluator.decide(flow(says: .name(name, .tls))).verdict == .deny, "said, and never resolved")
        #expect(evaluator.decide(flow(names: [other], says: .name(other, .tls))).verdict == .deny)
    }

    @Test("of the rules that cover a name only those that hold the address by it let it pass")
    func holders() throws {
        let evaluator = evaluator(
            try rule(.allow, "www.example.org", [.ports(.tcp, PortRange(443))]), try rule(.allow, "*.example.org"))
        let first = DecidingClause.rule(policy: "p", index: 0)
        let second = DecidingClause.rule(policy: "p", index: 1)
        func verdict(_ port: UInt16, _ holders: [DecidingClause: Set<DomainName>]) -> Decision.Verdict {
            evaluator.decide(flow(port, says: .name(name, .tls)), heldBy: holders).verdict
        }
        #expect(verdict(443, [first: [name]]) == .allow)
        #expect(verdict(8443, [first: [name]]) == .deny)
        #expect(verdict(8443, [first: [name], second: [name]]) == .allow)
        #expect(verdict(443, [:]) == .deny)
        #expect(verdict(443, [first: [other]]) == .deny, "a rule holds by no name that it does not cover")
    }

    @Test("where a name is read, it must be said, and be the one that was resolved to the address")
    func checked() throws {
        let evaluator = evaluator(try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(443))]))
        let decision = evaluator.decide(flow(names: [name], says: .name(name, .tls)))
        #expect(decision == Decision(verdict: .allow, clause: .rule(policy: "p", index: 0)))
        #expect(evaluator.decide(flow(names: [name])).verdict == .deny, "the packet alone does not pass")
        #expect(evaluator.decide(flow(names: [name], says: .nothing)).verdict == .deny)
        #expect(evaluator.decide(flow(names: [name, other], says: .name(other, .tls))).verdict == .deny)
        let sibling = try DomainName.parse("cdn.example.org")
        #expect(evaluator.decide(flow(names: [name], says: .name(sibling, .tls))).verdict == .deny)
        #expect(evaluator.decide(flow(names: [name], says: .name(name, .http))).verdict == .allow)
        #expect(evaluator.decide(flow(names: [name], says: .name(name, .tls), isHost: true)).verdict == .deny)
    }

    @Test("what cannot be verified passes only where the rule pins it, and only as what the rule takes")
    func options() throws {
        let pinning = evaluator(try rule(.allow, "*.example.org", [], NameOptions(whenUnverified: .pin)))
        #expect(pinning.decide(flow(names: [name], says: .nothing)).verdict == .allow)
        #expect(pinning.decide(flow(names: [other], says: .nothing)).verdict == .deny)
        #expect(pinning.decide(flow(names: [name, other], says: .name(other, .tls))).verdict == .deny)
        let tls = evaluator(try rule(.allow, "*.example.org", [], NameOptions(applications: [.tls])))
        #expect(tls.decide(flow(80, names: [name], says: .name(name, .http))).verdict == .deny)
    }

    @Test("what says no name passes by its address where the rule says so")
    func pinned() throws {
        let evaluator = evaluator(
            try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(22)), .ports(.udp, PortRange(123))]))
        #expect(evaluator.decide(flow(22, names: [name])).verdict == .allow)
        #expect(evaluator.decide(flow(123, .udp, names: [name, other])).verdict == .allow)
        #expect(evaluator.decide(flow(22, names: [other])).verdict == .deny)
        #expect(evaluator.decide(flow(23, names: [name])).verdict == .deny)
    }

    @Test("QUIC to a name is refused with an answer by the default, and by nothing that has decided")
    func quic() throws {
        let allow = try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(443))])
        let refusing = evaluator(allow)
        let decision = refusing.decide(flow(443, .udp, names: [name]))
        #expect(decision == Decision(verdict: .reject, clause: .policyDefault(policy: "p")))
        #expect(refusing.decide(flow(443, .udp, names: [other])).verdict == .deny)
        #expect(refusing.decide(flow(444, .udp, names: [name])).verdict == .deny)
        let denied = evaluator(allow, EgressRule(action: .deny))
        #expect(denied.decide(flow(443, .udp, names: [name])).verdict == .deny)
        let open = evaluator(allow, EgressRule(action: .allow, destinations: [.builtIn(.internet)]))
        #expect(open.decide(flow(443, .udp, names: [name])).verdict == .allow, "an allowance takes nothing away")
        let pinned = evaluator(
            try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(443))], NameOptions(quic: .pin)))
        #expect(pinned.decide(flow(443, .udp, names: [name])).verdict == .allow)
    }

    @Test("QUIC whose name is read passes by the name it says, and by its address only if the rule says so")
    func readQUIC() throws {
        let services: [Service] = [.ports(.tcp, PortRange(443))]
        let checking = evaluator(try rule(.allow, "*.example.org", services, NameOptions(quic: .check)))
        func verdict(_ evaluator: PolicyEvaluator, _ speech: Flow.Speech) -> Decision.Verdict {
            var flow = flow(443, .udp, names: [name])
            flow.speech = speech
            return evaluator.decide(flow).verdict
        }
        #expect(verdict(checking, .name(name, .tls)) == .allow)
        #expect(verdict(checking, .name(other, .tls)) == .reject)
        #expect(verdict(checking, .name(name, .http)) == .reject)
        #expect(verdict(checking, .nothing) == .reject && verdict(checking, .unread) == .reject)
        let lenient = evaluator(
            try rule(.allow, "*.example.org", services, NameOptions(whenUnverified: .pin, quic: .check)))
        #expect(verdict(lenient, .nothing) == .allow && verdict(lenient, .name(other, .tls)) == .reject)
        let denying = evaluator(
            EgressRule(action: .deny, domains: [try DomainPattern.parse("www.example.org")]),
            try rule(.allow, "*.example.org", services, NameOptions(quic: .check)),
            EgressRule(action: .allow, destinations: [.builtIn(.internet)]))
        #expect(verdict(denying, .name(name, .tls)) == .deny, "also where its address is open")
    }

    @Test("a name that is denied may not be asked, whatever stands behind, and is refused where it is said")
    func denial() throws {
        let evaluator = evaluator(
            try rule(.reject, "www.example.org"), try rule(.allow, "*.example.org"),
            EgressRule(action: .allow, destinations: [.builtIn(.internet)]))
        let denied = DecidingClause.rule(policy: "p", index: 0)
        #expect(evaluator.decide(name: name) == .denied(denied))
        let sibling = try DomainName.parse("cdn.example.org")
        #expect(evaluator.decide(name: sibling) == .allowed([.rule(policy: "p", index: 1)]))
        #expect(evaluator.decide(name: other) == .unnamed)
        #expect(evaluator.decide(flow(says: .name(name, .tls))) == Decision(verdict: .reject, clause: denied))
        #expect(evaluator.decide(flow()).verdict == .allow, "an address has other names")
        // The answer for a name that was resolved before the rule was written: no rule behind the denial holds it.
        let behind = self.evaluator(
            try rule(.deny, "www.example.org"), try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(22))]))
        #expect(behind.decide(flow(22, names: [name])).verdict == .deny)
        #expect(behind.decide(flow(22, names: [name, sibling])).verdict == .allow)
        let before = self.evaluator(try rule(.allow, "*.example.org"), try rule(.deny, "www.example.org"))
        #expect(before.decide(name: name) == .allowed([denied]))
        #expect(before.decide(name: name, ignoring: [denied]) == .denied(.rule(policy: "p", index: 1)))
    }

    @Test("rules are asked in order, those about addresses among them")
    func order() throws {
        let block = Destination.block(AddressBlock(IPPrefix(.v4(IPv4Address(rawValue: 0xcb00_710a)))))
        let allow = try rule(.allow, "*.example.org", [.ports(.tcp, PortRange(22))])
        let deny = EgressRule(action: .deny, destinations: [block])
        #expect(evaluator(allow, deny).decide(flow(22, names: [name])).verdict == .allow)
        #expect(evaluator(deny, allow).decide(flow(22, names: [name])).verdict == .deny)
        let audit = evaluator(try rule(.audit, "*.example.org", [.ports(.tcp, PortRange(22))]))
        #expect(audit.decide(flow(22, names: [name])).isAudited)
    }

    @Test("a group's names are the rule's")
    func groups() throws {
        let group = DestinationGroup(name: "wiki", blocks: [], domains: [try DomainPattern.parse("*.example.org")])
        let evaluator = evaluator(
            EgressRule(action: .allow, destinations: [.group("wiki")], services: [.ports(.tcp, PortRange(22))]),
            groups: [group])
        #expect(evaluator.decide(flow(22, names: [name])).verdict == .allow)
        #expect(evaluator.decide(flow(22)).verdict == .deny)
    }
}
