// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import Testing

@Suite("The evaluator")
struct PolicyEvaluatorTests {
    private func block(_ text: String, except: String...) -> Destination {
        .block(
            AddressBlock(
                IPPrefix(text) ?? IPPrefix(.v4(IPv4Address(rawValue: 0))), except: except.compactMap { IPPrefix($0) }))
    }

    private func flow(
        _ address: String, _ proto: IPProtocol = .tcp, port: UInt16? = 443, isHost: Bool = false, type: UInt8? = nil
    ) -> Flow {
        Flow(
            to: IPAddress(address) ?? .v4(IPv4Address(rawValue: 0)), isHost: isHost, protocol: proto,
            port: proto.hasPorts ? port : nil, icmpType: type
        )
    }

    private func verdict(_ rule: EgressRule, _ flow: Flow, groups: [DestinationGroup] = []) -> Bool {
        let policy = EgressPolicy(name: "p", defaultAction: rule.action == .allow ? .deny : .allow, rules: [rule])
        let decision = PolicyEvaluator(policies: PolicySet(policies: [policy], groups: groups)).decide(flow)
        return decision.clause == .rule(policy: "p", index: 0)
    }

    @Test("the first rule that matches decides")
    func order() {
        let policy = EgressPolicy(
            name: "p", defaultAction: .reject,
            rules: [
                EgressRule(action: .deny, destinations: [block("198.51.100.66")]),
                EgressRule(
                    action: .allow, destinations: [block("198.51.100.0/24")], services: [.ports(.tcp, PortRange(443))]),
            ]
        )
        let evaluator = PolicyEvaluator(policies: PolicySet(policies: [policy]))
        #expect(evaluator.decide(flow("198.51.100.66")).verdict == .deny)
        #expect(evaluator.decide(flow("198.51.100.67")).verdict == .allow)
        #expect(
            evaluator.decide(flow("198.51.100.67", port: 80))
                == Decision(verdict: .reject, clause: .policyDefault(policy: "p")))
    }

    @Test("tiers are asked in order, and a tier by priority and name")
    func tiers() {
        func policy(_ name: String, _ tier: EgressPolicy.Tier, _ priority: Int, _ action: RuleAction) -> EgressPolicy {
            EgressPolicy(
                name: name, tier: tier, priority: priority, defaultAction: tier == .workload ? .deny : nil,
                rules: [EgressRule(action: action)]
            )
        }
        func clause(_ policies: EgressPolicy...) -> DecidingClause {
            PolicyEvaluator(policies: PolicySet(policies: policies)).decide(flow("203.0.113.1")).clause
        }
        #expect(
            clause(policy("b", .baseline, 0, .allow), policy("w", .workload, 9, .allow)) == .rule(policy: "w", index: 0)
        )
        #expect(
            clause(policy("w", .workload, 0, .allow), policy("a", .admin, 999, .deny)) == .rule(policy: "a", index: 0))
        #expect(
            clause(policy("x", .workload, 5, .allow), policy("y", .workload, 4, .deny)) == .rule(policy: "y", index: 0))
        #expect(
            clause(policy("y", .workload, 5, .allow), policy("x", .workload, 5, .deny)) == .rule(policy: "x", index: 0))
        #expect(clause() == .networkDefault)
    }

    @Test("a workload policy isolates: the baseline is asked only after pass, or without one")
    func isolation() {
        let baseline = EgressPolicy(name: "b", tier: .baseline, defaultAction: nil, rules: [EgressRule(action: .allow)])
        let silent = EgressPolicy(name: "w", defaultAction: .deny, rules: [])
        let passing = EgressPolicy(name: "w", defaultAction: .deny, rules: [EgressRule(action: .pass)])
        func decide(_ policies: EgressPolicy...) -> Decision {
            PolicyEvaluator(policies: PolicySet(policies: policies)).decide(flow("203.0.113.1"))
        }
        #expect(decide(baseline).clause == .rule(policy: "b", index: 0))
        #expect(decide(baseline, silent) == Decision(verdict: .deny, clause: .policyDefault(policy: "w")))
        #expect(
            decide(baseline, passing)
                == Decision(
                    verdict: .allow, clause: .rule(policy: "b", index: 0), passed: [.rule(policy: "w", index: 0)]))
        #expect(decide(passing).clause == .networkDefault)
    }

    @Test("pass in the admin tier skips the rest of that tier only")
    func adminPass() {
        let admin = EgressPolicy(
            name: "a", tier: .admin, defaultAction: nil, rules: [EgressRule(action: .pass), EgressRule(action: .deny)]
        )
        let late = EgressPolicy(
            name: "z", tier: .admin, priority: 500, defaultAction: nil, rules: [EgressRule(action: .deny)])
        let work = EgressPolicy(name: "w", rules: [EgressRule(action: .audit)])
        let decision = PolicyEvaluator(policies: PolicySet(policies: [admin, late, work])).decide(flow("203.0.113.1"))
        #expect(
            decision
                == Decision(
                    verdict: .allow, isAudited: true, clause: .rule(policy: "w", index: 0),
                    passed: [.rule(policy: "a", index: 0)]))
    }

    @Test("of differing defaults the strictest holds")
    func strictest() {
        let policies = [DefaultAction.allow, .audit, .reject, .deny].map {
            EgressPolicy(name: $0.rawValue, defaultAction: $0, rules: [])
        }
        for count in 1...4 {
            let set = PolicySet(policies: Array(policies.prefix(count)))
            #expect(
                PolicyEvaluator(policies: set).decide(flow("203.0.113.1")).clause
                    == .policyDefault(policy: policies[count - 1].name))
        }
    }

    @Test("an exception takes its addresses out of its own block only")
    func exceptions() {
        let holed = EgressRule(action: .allow, destinations: [block("10.0.0.0/8", except: "10.1.0.0/16")])
        #expect(verdict(holed, flow("10.0.255.255")))
        #expect(!verdict(holed, flow("10.1.0.0")))
        #expect(!verdict(holed, flow("10.1.255.255")))
        #expect(verdict(holed, flow("10.2.0.0")))
        let again = EgressRule(
            action: .allow, destinations: [block("10.0.0.0/8", except: "10.1.0.0/16"), block("10.1.2.0/24")])
        #expect(verdict(again, flow("10.1.2.3")))
        #expect(!verdict(again, flow("10.1.3.3")))
    }

    @Test("the host is in no built-in group but host; addresses match it all the same")
    func host() {
        func rule(_ destinations: Destination...) -> EgressRule {
            EgressRule(action: .allow, destinations: destinations)
        }
        #expect(verdict(rule(.builtIn(.host)), flow("10.0.0.1", isHost: true)))
        #expect(!verdict(rule(.builtIn(.host)), flow("10.0.0.1")))
        #expect(!verdict(rule(.builtIn(.private)), flow("10.0.0.1", isHost: true)))
        #expect(verdict(rule(.builtIn(.private)), flow("10.0.0.1")))
        #expect(verdict(rule(block("10.0.0.0/8")), flow("10.0.0.1", isHost: true)))
        #expect(verdict(EgressRule(action: .allow), flow("10.0.0.1", isHost: true)))
        let group = DestinationGroup(name: "g", blocks: [AddressBlock(IPPrefix(.v4(IPv4Address(10, 0, 0, 1))))])
        #expect(verdict(rule(.group("g")), flow("10.0.0.1", isHost: true), groups: [group]))
        #expect(!verdict(rule(.builtIn(.internet)), flow("169.254.169.254")))
        #expect(verdict(rule(.builtIn(.metadata)), flow("169.254.169.254")))
        #expect(!verdict(rule(.builtIn(.linkLocal)), flow("169.254.169.254")))
        #expect(verdict(rule(.builtIn(.linkLocal)), flow("169.254.169.253")))
    }

    @Test(
        "a rule that holds back also holds back an IPv6 address that stands for one of its own; others never match it",
        arguments: ["::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "2002:a01:203:ffff::"])
    func embedded(_ address: String) {
        let group = DestinationGroup(name: "g", blocks: [AddressBlock(IPPrefix(.v4(IPv4Address(10, 1, 2, 3))))])
        for destination in [block("10.0.0.0/8"), .builtIn(.private), .group("g")] {
            for action in RuleAction.allCases {
                let rule = EgressRule(action: action, destinations: [destination])
                let holdsBack = action == .deny || action == .reject
                let set = PolicySet(
                    policies: [EgressPolicy(name: "p", defaultAction: .audit, rules: [rule])], groups: [group]
                )
                let decision = PolicyEvaluator(policies: set).decide(flow(address))
                #expect((decision.clause == .rule(policy: "p", index: 0) || !decision.passed.isEmpty) == holdsBack)
            }
        }
        #expect(!verdict(EgressRule(action: .deny, destinations: [block("10.2.0.0/16")]), flow(address)))
    }

    @Test("other IPv6 addresses with the same low bits stand for nothing")
    func notEmbedded() {
        let rule = EgressRule(action: .deny, destinations: [block("10.0.0.0/8")])
        for address in ["2001:db8::10.1.2.3", "::10.1.2.3", "64:ff9b:1::10.1.2.3", "2003:a01:203::1"] {
            #expect(!verdict(rule, flow(address)), "\(address)")
        }
    }

    @Test("a group that is not there opens nothing and holds back everything")
    func unknownGroup() {
        for action in [RuleAction.allow, .audit] {
            #expect(!verdict(EgressRule(action: action, destinations: [.group("x")]), flow("203.0.113.1")))
        }
        for action in [RuleAction.deny, .reject] {
            #expect(verdict(EgressRule(action: action, destinations: [.group("x")]), flow("203.0.113.1")))
            #expect(
                verdict(
                    EgressRule(action: action, destinations: [.group("x"), block("10.0.0.0/8")]), flow("2001:db8::1")))
        }
        let mixed = EgressRule(action: .allow, destinations: [.group("x"), block("10.0.0.0/8")])
        #expect(verdict(mixed, flow("10.0.0.1")))
        #expect(!verdict(mixed, flow("11.0.0.1")))
    }

    @Test("services match their protocol, and their port or type")
    func services() throws {
        func matches(_ service: Service, _ flow: Flow) -> Bool {
            verdict(EgressRule(action: .allow, services: [service]), flow)
        }
        let range = try #require(PortRange(8000, 9000))
        #expect(matches(.ports(.udp, range), flow("203.0.113.1", .udp, port: 8000)))
        #expect(matches(.ports(.udp, range), flow("203.0.113.1", .udp, port: 9000)))
        #expect(!matches(.ports(.udp, range), flow("203.0.113.1", .udp, port: 9001)))
        #expect(!matches(.ports(.udp, range), flow("203.0.113.1", .tcp, port: 8000)))
        #expect(!matches(.ports(.udp, range), flow("203.0.113.1", .udp, port: nil)))
        #expect(matches(.any(.udp), flow("203.0.113.1", .udp, port: nil)))
        #expect(matches(.any(IPProtocol(rawValue: 47)), flow("203.0.113.1", IPProtocol(rawValue: 47))))
        #expect(!matches(.any(.tcp), flow("203.0.113.1", .udp)))
        #expect(matches(.icmp(.icmp, type: 8), flow("203.0.113.1", .icmp, type: 8)))
        #expect(!matches(.icmp(.icmp, type: 8), flow("203.0.113.1", .icmp, type: 0)))
        #expect(!matches(.icmp(.icmp, type: 8), flow("203.0.113.1", .icmp)))
        #expect(!matches(.icmp(.icmp, type: 8), flow("2001:db8::1", .icmpv6, type: 8)))
        #expect(matches(.icmp(.icmpv6, type: 128), flow("2001:db8::1", .icmpv6, type: 128)))
    }

    @Test("a decision tells its rule, tier and place, and the steps before it")
    func reasons() {
        let admin = EgressPolicy(
            name: "guard", tier: .admin, defaultAction: nil,
            rules: [EgressRule(action: .pass, location: SourceLocation(file: "a.yaml", line: 3, column: 5))]
        )
        let work = EgressPolicy(
            name: "work", rules: [EgressRule(name: "web", action: .allow, services: [.any(.tcp)])],
            location: SourceLocation(file: "w.yaml", line: 1, column: 1)
        )
        let set = PolicySet(policies: [admin, work])
        let evaluator = PolicyEvaluator(policies: set)
        #expect(
            evaluator.decide(flow("203.0.113.1")).reason(in: set)
                == "passed on by rule 1 of the policy guard (admin tier), a.yaml:3:5, then "
                + "allowed by rule 1 \"web\" of the policy work (workload tier)")
        #expect(
            evaluator.decide(flow("203.0.113.1", .udp)).reason(in: set).hasSuffix(
                "denied by the default of the policy work, w.yaml:1:1: no rule matched"))
        let empty = PolicySet(policies: [])
        #expect(
            PolicyEvaluator(policies: empty).decide(flow("203.0.113.1")).reason(in: empty)
                == "denied by the network's default: no rule matched and no workload policy is present")
    }

    @Test("ignoring the clause that decides gives the next one")
    func ignoring() {
        let work = EgressPolicy(name: "w", rules: [EgressRule(action: .allow), EgressRule(action: .deny)])
        let base = EgressPolicy(name: "b", tier: .baseline, defaultAction: nil, rules: [EgressRule(action: .reject)])
        let evaluator = PolicyEvaluator(policies: PolicySet(policies: [work, base]))
        var ignored: Set<DecidingClause> = []
        var seen: [DecidingClause] = []
        for _ in 0..<5 {
            let clause = evaluator.decide(flow("203.0.113.1"), ignoring: ignored).clause
            seen.append(clause)
            ignored.insert(clause)
        }
        #expect(
            seen == [
                .rule(policy: "w", index: 0), .rule(policy: "w", index: 1), .policyDefault(policy: "w"),
                .rule(policy: "b", index: 0), .networkDefault,
            ])
    }
}
