// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@Suite("How traffic to names passes")
struct NamedTrafficTests {
    private func traffic(
        _ services: [Service] = [], _ options: NameOptions = NameOptions(), _ action: RuleAction = .allow
    ) throws -> NamedTraffic {
        NamedTraffic(
            EgressRule(
                action: action, domains: [try DomainPattern.parse("example.org")], naming: options, services: services))
    }

    private func tcp(_ lower: UInt16, _ upper: UInt16? = nil) -> Service {
        .ports(.tcp, PortRange(lower, upper ?? lower) ?? PortRange(lower))
    }

    private func udp(_ lower: UInt16, _ upper: UInt16? = nil) -> Service {
        .ports(.udp, PortRange(lower, upper ?? lower) ?? PortRange(lower))
    }

    @Test("without ports a rule is about TCP: a name is read everywhere but where servers speak first")
    func everything() throws {
        let traffic = try traffic()
        #expect(traffic.checks(443) && traffic.checks(80) && traffic.checks(8443) && traffic.checks(65535))
        for port: UInt16 in [22, 25, 587, 143, 110, 3306, 5432, 6379] {
            #expect(!traffic.checks(port))
            #expect(traffic.pinned.contains(tcp(port)))
        }
        #expect(traffic.pinned.allSatisfy { if case .ports(.tcp, _) = $0 { true } else { false } })
        #expect(traffic.answered == [PortRange(443)])
        #expect(traffic.spoken == [.tls, .http])
        #expect(!traffic.passesUnverified)
    }

    @Test("ports that are written out are checked, or pinned if that is what they usually are")
    func ports() throws {
        let some = try traffic([tcp(443), tcp(22), udp(123), .icmp(.icmp, type: 8)])
        #expect(some.checked == [PortRange(443)])
        #expect(some.pinned == [tcp(22), udp(123), .icmp(.icmp, type: 8)])
        #expect(some.answered == [PortRange(443)])
        let range = try traffic([tcp(20, 30)])
        #expect(range.checked == [PortRange(20), PortRange(23, 24), PortRange(26, 30)].compactMap(\.self))
        #expect(range.pinned == [tcp(21), tcp(22), tcp(25)])
    }

    @Test("QUIC is pinned where the rule says so, and answered where it does not, on the ports where a name is read")
    func quic() throws {
        let refusing = try traffic([tcp(443), tcp(8443), udp(443), udp(5000)])
        #expect(refusing.answered == [PortRange(443), PortRange(8443)])
        #expect(refusing.pinned == [udp(5000)])
        let pinning = try traffic([tcp(443), tcp(8443)], NameOptions(quic: .pin))
        #expect(pinning.answered == [])
        #expect(pinning.pinned == [udp(443), udp(8443)])
        #expect(try traffic([], NameOptions(quic: .pin)).pinned.contains(udp(443)))
        #expect(try traffic([.any(.udp)]).pinned == [udp(0, 442), udp(444, 65535)])
        #expect(try traffic([tcp(22)]).answered == [], "SSH has no QUIC to fall back from")
    }

    @Test("the name in QUIC is read where the rule says so, and what is refused is still answered")
    func readDatagrams() throws {
        let checking = try traffic([tcp(443), tcp(8443), udp(443), udp(5000)], NameOptions(quic: .check))
        #expect(checking.checkedDatagrams == [PortRange(443), PortRange(8443)])
        #expect(checking.answered == checking.checkedDatagrams && checking.pinned == [udp(5000)])
        #expect(checking.checksDatagrams(443) && checking.checksDatagrams(8443))
        #expect(!checking.checksDatagrams(5000) && !checking.checksDatagrams(80))
        #expect(try traffic([], NameOptions(quic: .check)).checkedDatagrams == [PortRange(443)])
        #expect(try traffic([udp(443)], NameOptions(quic: .check)).checksDatagrams(443))
        // What is written out as UDP is pinned, also beside a port of TCP.
        let written = try traffic([tcp(8443), udp(8443)], NameOptions(quic: .check))
        #expect(written.pinned == [udp(8443)] && written.checkedDatagrams.isEmpty)
        let part = try traffic([tcp(8000, 8010), udp(8005)], NameOptions(quic: .check))
        #expect(part.checkedDatagrams == [PortRange(8000, 8004), PortRange(8006, 8010)].compactMap(\.self))
        #expect(part.checksDatagrams(8004) && !part.checksDatagrams(8005) && part.checksDatagrams(8006))
        for quic in [NameOptions.QUIC.refuse, .pin] {
            #expect(try traffic([tcp(443)], NameOptions(quic: quic)).checkedDatagrams.isEmpty)
        }
        #expect(try traffic([tcp(443)], NameOptions(quic: .check), .deny).checkedDatagrams.isEmpty)
    }

    @Test("applications say which protocols are spoken, and on which ports")
    func applications() throws {
        let ssh = try traffic([], NameOptions(applications: [.ssh]))
        #expect(ssh.pinned == [tcp(22)] && ssh.checked.isEmpty && ssh.answered.isEmpty)
        let elsewhere = try traffic([tcp(2222)], NameOptions(applications: [.ssh]))
        #expect(elsewhere.pinned == [tcp(2222)])
        let tls = try traffic([], NameOptions(applications: [.tls]))
        #expect(tls.checks(22) && tls.pinned.isEmpty && tls.spoken == [.tls])
        let both = try traffic([tcp(443), tcp(22)], NameOptions(applications: [.tls, .ssh]))
        #expect(both.checked == [PortRange(443)] && both.pinned == [tcp(22)])
        let http = try traffic([tcp(80)], NameOptions(applications: [.http]))
        #expect(http.spoken == [.http] && http.answered.isEmpty)
    }

    @Test("a rule that holds back lets nothing pass")
    func denial() throws {
        let traffic = try traffic([], NameOptions(), .deny)
        #expect(traffic.checked.isEmpty && traffic.pinned.isEmpty && traffic.answered.isEmpty)
    }

    @Test("a pattern covers another if it covers every name of it")
    func covering() throws {
        func covers(_ outer: String, _ inner: String) throws -> Bool {
            try DomainPattern.parse(outer).covers(try DomainPattern.parse(inner))
        }
        #expect(try covers("*.example.org", "*.example.org"))
        #expect(try covers("*.example.org", "*.a.example.org"))
        #expect(try covers("*.example.org", "a.example.org"))
        #expect(try covers("example.org", "example.org"))
        #expect(try !covers("*.example.org", "example.org"))
        #expect(try !covers("example.org", "*.example.org"))
        #expect(try !covers("*.a.example.org", "*.example.org"))
        #expect(try !covers("*.example.org", "*.xexample.org"))
    }

    @Test("the rules about names are those that can decide, in the order of asking")
    func clauses() throws {
        let names = try ["a", "b", "c", "d", "e"].map { try DomainPattern.parse("\($0).example.org") }
        func policy(_ name: String, _ tier: EgressPolicy.Tier, _ rules: EgressRule...) -> EgressPolicy {
            EgressPolicy(name: name, tier: tier, defaultAction: tier == .workload ? .deny : nil, rules: rules)
        }
        let workload = policy(
            "w", .workload, EgressRule(action: .deny, domains: [names[1]]),
            EgressRule(action: .allow, domains: [names[2]]), EgressRule(action: .deny),
            EgressRule(action: .allow, domains: [names[3]]))
        let admin = policy("a", .admin, EgressRule(action: .allow, domains: [names[0]]))
        let baseline = policy("b", .baseline, EgressRule(action: .allow, domains: [names[4]]))
        let set = PolicySet(policies: [baseline, workload, admin])
        #expect(set.nameClauses.map(\.patterns) == [[names[0]], [names[1]], [names[2]]])
        #expect(set.nameClauses.map(\.denies) == [false, true, false])
        #expect(PolicySet(policies: [baseline, admin]).nameClauses.map(\.patterns) == [[names[0]], [names[4]]])
        let open = policy("w", .workload, EgressRule(action: .pass))
        #expect(PolicySet(policies: [baseline, open]).nameClauses.map(\.patterns) == [[names[4]]])
        let closed = policy("w", .workload, EgressRule(action: .allow, services: [.any(.tcp)]))
        #expect(PolicySet(policies: [baseline, closed]).nameClauses.isEmpty, "the baseline tier is not asked")
    }
}
