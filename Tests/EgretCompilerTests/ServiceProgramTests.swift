// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@testable import EgretCompiler

@Suite("Protocols, ports and types, cut into cases")
struct ServiceProgramTests {
    /// The program of one policy's rules over one address; effect *n* is that of rule *n*, and the next the default's.
    private func program(_ rules: EgressRule...) -> ServiceProgram {
        let policies = PolicySet(policies: [EgressPolicy(name: "p", rules: rules)])
        return ServiceProgram(active: Array(rules.indices), in: RuleSequence(policies))
    }

    /// `443-443:0`, one text for each case.
    private func cases(_ program: ServiceProgram, _ number: IPProtocol) -> [String]? {
        program.protocols[number]?.cases.map { "\($0.lower)-\($0.upper):\($0.ruling.effect)" }
    }

    private func ports(_ lower: UInt16, _ upper: UInt16, of number: IPProtocol = .tcp) -> Service {
        .ports(number, PortRange(lower, upper) ?? PortRange(lower))
    }

    @Test("no rule, and a rule for everything, have one effect throughout")
    func uniform() {
        #expect(program().uniform == 0)
        #expect(program(EgressRule(action: .allow)).uniform == 0)
        #expect(program(EgressRule(action: .allow), EgressRule(action: .deny, services: [.any(.tcp)])).uniform == 0)
    }

    @Test("the last port has no next one")
    func top() {
        let top = program(EgressRule(action: .allow, services: [ports(65535, 65535), ports(60000, 65534)]))
        #expect(cases(top, .tcp) == ["60000-65535:0"])
        let all = program(EgressRule(action: .allow, services: [ports(0, 65535)]))
        #expect(cases(all, .tcp) == ["0-65535:0"])
        #expect(all.protocols[.tcp]?.otherwise == 1)
    }

    @Test("an earlier rule cuts a later one's ports in two")
    func nested() {
        let cut = program(
            EgressRule(action: .deny, services: [ports(8080, 8080)]),
            EgressRule(action: .allow, services: [ports(8000, 9000)])
        )
        #expect(cases(cut, .tcp) == ["8000-8079:1", "8080-8080:0", "8081-9000:1"])
    }

    @Test("ports that touch or overlap in one rule are one case, in two rules two")
    func adjacent() {
        let one = program(EgressRule(action: .allow, services: [ports(80, 90), ports(91, 100), ports(85, 95)]))
        #expect(cases(one, .tcp) == ["80-100:0"])
        let two = program(
            EgressRule(action: .allow, services: [ports(80, 90)]), EgressRule(action: .deny, services: [ports(85, 95)])
        )
        #expect(cases(two, .tcp) == ["80-90:0", "91-95:1"])
    }

    @Test("what a case shares with the rest of its protocol is no case")
    func redundant() {
        let redundant = program(
            EgressRule(action: .allow, services: [.any(.udp)]),
            EgressRule(action: .deny, services: [ports(53, 53, of: .udp)])
        )
        #expect(cases(redundant, .udp) == [])
        #expect(redundant.protocols[.udp]?.otherwise == 0)
    }

    @Test("ICMP types are cases up to 255, and whole protocols have none")
    func types() {
        let types = program(
            EgressRule(
                action: .allow, services: [.icmp(.icmp, type: 255), .icmp(.icmp, type: 254), .icmp(.icmp, type: 0)]),
            EgressRule(action: .allow, services: [.any(IPProtocol(rawValue: 255))])
        )
        #expect(cases(types, .icmp) == ["0-0:0", "254-255:0"])
        #expect(cases(types, IPProtocol(rawValue: 255)) == [])
        #expect(types.protocols[.tcp] == nil)
    }
}

extension Ruling: ExpressibleByIntegerLiteral {
    /// The ruling of one clause.
    init(integerLiteral value: Int) { self = .clause(effect: value) }

    /// The clause's place; -1 where the clock decides.
    fileprivate var effect: Int {
        if case .clause(let effect, _) = self { return effect }
        return -1
    }
}
