// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretSources
import Testing

@Suite("Rules with times, audit mode and selectors")
struct ScheduleReadingTests {
    private func read(_ egress: String, spec: String = "") -> PolicyReader.Result {
        readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec:
              egress: [\(egress)]
            \(spec)
            """)
    }

    private func codes(_ egress: String) -> [String] {
        read(egress).diagnostics.map(\.code.rawValue)
    }

    private func flow(_ address: String) throws -> Flow {
        Flow(to: try #require(IPAddress(address)), protocol: .tcp, port: 443)
    }

    @Test("a rule that holds at some times does not make later ones unreachable")
    func unreachable() {
        let to = "to: [{ group: internet }]"
        let deny = "{ action: deny, \(to) }"
        func allow(_ when: String) -> String { "{ action: allow, \(to), when: { \(when) } }" }
        #expect(codes("\(allow("days: [mon]")), \(deny)") == [])
        #expect(codes("\(deny), \(allow("days: [mon]"))") == ["EGR0041"])
        #expect(codes("\(allow("days: [mon-fri]")), \(allow("days: [tue]"))") == ["EGR0041"])
        #expect(codes("\(allow("days: [tue]")), \(allow("days: [mon-fri]"))") == [])
        #expect(codes("\(allow("hours: [\"22:00-06:00\"]")), \(allow("hours: [\"00:00-05:00\"]"))") == ["EGR0041"])
        #expect(
            codes(
                "\(allow("days: [fri], hours: [\"22:00-06:00\"]")), \(allow("days: [sat], hours: [\"00:00-05:00\"]"))")
                == ["EGR0041"])
        #expect(
            codes(
                "\(allow("days: [fri], hours: [\"22:00-06:00\"]")), \(allow("days: [fri], hours: [\"00:00-05:00\"]"))")
                == [])
        #expect(codes("\(allow("until: 2026-01-01")), \(allow("until: 2026-01-02"))") == [])
        #expect(codes("\(allow("until: 2026-01-02")), \(allow("until: 2026-01-01"))") == ["EGR0041"])
        #expect(codes("\(allow("days: [mon], timezone: Asia/Kathmandu")), \(allow("days: [mon]"))") == [])
    }

    @Test("rules about workloads are compared with their likes only, and open no host")
    func workloads() {
        let db = "{ endpoints: { matchLabels: { app: db } } }"
        #expect(codes("{ action: allow, to: [\(db)] }") == [])
        #expect(codes("{ action: allow, to: [\(db)] }, { action: deny, to: [{ group: internet }] }") == [])
        #expect(codes("{ action: allow, to: [\(db)] }, { action: deny }") == [])
        #expect(codes("{ action: deny }, { action: allow, to: [\(db)] }") == ["EGR0041"])
        #expect(codes("{ action: allow, to: [{ group: cluster }] }, { action: deny, to: [\(db)] }") == ["EGR0041"])
        #expect(codes("{ action: allow, to: [\(db)] }, { action: deny, to: [{ group: cluster }] }") == [])
        #expect(codes("{ action: allow, to: [\(db)] }, { action: deny, to: [\(db), { group: internet }] }") == [])
        #expect(
            codes("{ action: allow, to: [\(db)], ports: [web] }, { action: deny, to: [\(db)], ports: [web/tcp] }")
                == ["EGR0041"])
        #expect(
            codes("{ action: allow, to: [\(db)], ports: [web/tcp] }, { action: deny, to: [\(db)], ports: [web] }") == []
        )
        #expect(codes("{ action: allow, to: [\(db)], ports: [web] }, { action: deny, to: [\(db)] }") == [])
    }

    @Test("a policy in audit mode opens nothing, and is not said to")
    func auditDoubts() {
        #expect(read("{ action: allow }", spec: "  mode: audit").diagnostics == [])
        #expect(read("{ action: allow }").diagnostics.map(\.code.rawValue) == ["EGR0040"])
    }

    @Test("without a time a rule with a schedule lets nothing out and holds back")
    func unknownTime() throws {
        let result = read(
            """
            { action: deny, to: [{ cidr: 203.0.113.0/24 }], when: { days: [mon] } },
            { action: allow, to: [{ cidr: 198.51.100.0/24 }], when: { days: [mon] } },
            { action: allow, to: [{ cidr: 203.0.113.0/24 }] }
            """)
        #expect(result.diagnostics == [])
        let evaluator = PolicyEvaluator(policies: PolicySet(policies: result.policies))
        #expect(evaluator.dependsOnTime)
        let monday: Int64 = 4 * 86_400
        let tuesday = monday + 86_400
        #expect(try evaluator.decide(flow("203.0.113.1")).verdict == .deny)
        #expect(try evaluator.decide(flow("203.0.113.1"), at: monday).verdict == .deny)
        #expect(try evaluator.decide(flow("203.0.113.1"), at: tuesday).verdict == .allow)
        #expect(try evaluator.decide(flow("198.51.100.1")).verdict == .deny)
        #expect(try evaluator.decide(flow("198.51.100.1"), at: monday).verdict == .allow)
        let closed = try evaluator.decide(flow("198.51.100.1"), at: tuesday)
        #expect(closed.verdict == .deny && closed.closed == [.rule(policy: "p", index: 1)])
        #expect(
            closed.closedReasons(in: evaluator.policies, at: tuesday) == [
                "closed now: rule 2 of the policy p (workload tier), policy.yaml:6:1, opens 1970-01-12 00:00 +00:00"
            ])
        let open = try evaluator.decide(flow("198.51.100.1"), at: monday)
        #expect(open.reason(in: evaluator.policies, at: monday).hasSuffix("open until 1970-01-06 00:00 +00:00"))
    }

    @Test("a policy in audit mode changes no verdict, and its refusals are named with their clause")
    func audit() throws {
        func policy(_ name: String, mode: EgressPolicy.Mode, _ action: DefaultAction, _ rules: [EgressRule] = [])
            -> EgressPolicy
        {
            EgressPolicy(name: name, mode: mode, defaultAction: action, rules: rules)
        }
        let block = Destination.block(AddressBlock(try #require(IPPrefix("203.0.113.0/24"))))
        let enforced = policy("a", mode: .enforce, .allow)
        let audited = policy(
            "b", mode: .audit, .reject,
            [EgressRule(action: .allow, destinations: [block]), EgressRule(action: .deny, services: [.any(.udp)])])
        let both = PolicyEvaluator(policies: PolicySet(policies: [enforced, audited]))
        let alone = PolicyEvaluator(policies: PolicySet(policies: [enforced]))
        for address in ["203.0.113.1", "198.51.100.1"] {
            var decision = try both.decide(flow(address))
            decision.auditRefusal = nil
            #expect(try decision == alone.decide(flow(address)))
        }
        #expect(try both.decide(flow("203.0.113.1")).auditRefusal == nil)
        #expect(
            try both.decide(flow("198.51.100.1")).auditRefusal
                == AuditRefusal(verdict: .reject, clause: .policyDefault(policy: "b")))
        // Only policies in audit mode: nobody is isolated, and the network's default decides.
        let only = PolicyEvaluator(policies: PolicySet(policies: [audited], networkDefault: .allow))
        #expect(try only.decide(flow("198.51.100.1")).clause == .networkDefault)
        #expect(try only.decide(flow("198.51.100.1")).auditRefusal?.verdict == .reject)
        // What is refused anyway is nobody's audit.
        let denied = PolicyEvaluator(policies: PolicySet(policies: [audited]))
        #expect(try denied.decide(flow("198.51.100.1")).auditRefusal == nil)
    }

    @Test("the zones of this machine are found, and what is no zone is not")
    func systemZones() throws {
        let database = SystemTimeZones.database(in: SystemTimeZones.standardDirectory)
        guard case .rules(let zurich) = database.lookUp("Europe/Zurich") else {
            Issue.record("there is no Europe/Zurich: is tzdata installed?")
            return
        }
        #expect(zurich.offset(at: 1_785_000_000) == 7_200)
        #expect(database.names().contains("Asia/Kathmandu") && database.names().count > 300)
        for name in [
            "Europe", "Nowhere/Land", "../../../etc/passwd", "/etc/passwd", "Europe/../Europe/Zurich", "tzdata.zi",
        ] {
            guard case .unknown = database.lookUp(name) else {
                Issue.record("\(name) is a zone")
                continue
            }
        }
        guard case .unreadable = SystemTimeZones.database(in: "/nonexistent").lookUp("Europe/Zurich") else {
            Issue.record("a zone of nowhere")
            return
        }
    }
}
