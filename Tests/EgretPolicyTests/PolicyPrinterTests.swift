// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@Suite("Printed policies")
struct PolicyPrinterTests {
    @Test("random policies are read back as they were")
    func roundTrip() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            let groups = (0..<Int.random(in: 0...2, using: &generator)).map { index in
                DestinationGroup(
                    name: "group-\(index)",
                    blocks: (0..<Int.random(in: 1...4, using: &generator)).map { _ in block(&generator) },
                    feed: feed(&generator)
                )
            }
            let policies = (0..<Int.random(in: 1...3, using: &generator)).map { index in
                policy(
                    named: ["p\(index)", "1\(index)", "1e\(index)", "on.\(index)"].randomElement(using: &generator)
                        ?? "p", groups, &generator)
            }
            guard Set(policies.map(\.name)).count == policies.count else { continue }
            let text = PolicyPrinter.yaml(policies: policies, groups: groups)
            let result = readPolicies(text)
            #expect(
                result.diagnostics.filter { $0.severity == .error }.map(DiagnosticFormatter.format) == [], "\(text)")
            for (read, written) in zip(result.policies.map(withoutPlaces), policies) where read != written {
                Issue.record("\(PolicyPrinter.yaml(policies: [read]))\n\(PolicyPrinter.yaml(policies: [written]))")
            }
            #expect(result.policies.count == policies.count)
            #expect(result.groups.map(withoutPlaces) == groups)
        }
    }

    @Test("rules about names, and groups with names, are read back as they were")
    func names() throws {
        var generator = SeededGenerator(seed: 5)
        let patterns = try ["example.org", "*.example.org", "xn--bcher-kva.example", "_a.example.org", "on.example"]
            .map { try DomainPattern.parse($0) }
        func some<Value>(_ values: [Value]) -> [Value] {
            values.filter { _ in Bool.random(using: &generator) }
        }
        for _ in 0..<200 {
            let groups = [DestinationGroup(name: "wiki", blocks: [], domains: some(patterns) + [patterns[0]])]
            let applications = Bool.random(using: &generator)
            let naming = NameOptions(
                whenUnverified: Bool.random(using: &generator) ? .pin : .deny,
                quic: NameOptions.QUIC.allCases.randomElement(using: &generator) ?? .refuse,
                applications: applications ? some(ApplicationProtocol.allCases) : [],
                records: some([NameRecordType(rawValue: 16), NameRecordType(rawValue: 257)]),
                addresses: some([.builtIn(.private), .block(block(&generator)).withoutExceptions]))
            let rule = EgressRule(
                name: "r", action: Bool.random(using: &generator) ? .allow : .audit,
                destinations: applications ? [] : some([.group("wiki"), .builtIn(.internet)]),
                domains: some(patterns) + [patterns[1]], naming: naming,
                services: some([.ports(.tcp, PortRange(443)), .any(.tcp)]) + (applications ? [] : some([.any(.udp)])))
            let denial = EgressRule(action: .deny, domains: [patterns[0]])
            let servers = try ["192.0.2.53", "tcp://[2001:db8::53]:5353", "tls://192.0.2.53:853#dns.example.net"].map {
                try #require(DNSServer($0))
            }
            let policies = [EgressPolicy(name: "p", rules: [denial, rule], nameServers: some(servers))]
            let text = PolicyPrinter.yaml(policies: policies, groups: groups)
            let result = readPolicies(text)
            #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))\n\(text)")
            #expect(result.policies.map(withoutPlaces) == policies, "\(text)")
            #expect(result.groups.map(withoutPlaces) == groups)
        }
    }

    @Test("a policy prints as its author would write it")
    func text() {
        let policy = EgressPolicy(
            name: "command-line", priority: 0,
            rules: [
                EgressRule(
                    action: .allow, destinations: [.builtIn(.internet), .group("mirrors")],
                    services: [
                        .ports(.tcp, PortRange(443)), .icmp(.icmpv6, type: 128), .any(IPProtocol(rawValue: 253)),
                    ]
                ),
                EgressRule(name: "a: b", action: .deny),
            ]
        )
        #expect(
            PolicyPrinter.yaml(policies: [policy]) == """
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata:
                  name: command-line
                spec:
                  tier: workload
                  priority: 0
                  default: deny
                  egress:
                  - action: allow
                    to:
                    - group: internet
                    - group: mirrors
                    ports: [443/tcp, icmpv6/echo-request, protocol/253]
                  - name: "a: b"
                    action: deny

                """)
    }

    private func withoutPlaces(_ policy: EgressPolicy) -> EgressPolicy {
        var policy = policy
        policy.location = nil
        for index in policy.rules.indices { policy.rules[index].location = nil }
        return policy
    }

    private func withoutPlaces(_ group: DestinationGroup) -> DestinationGroup {
        var group = group
        group.location = nil
        return group
    }

    private let zones = (try? capturedZones())?.values.filter { $0.name != "UTC" }.sorted { $0.name < $1.name } ?? []

    private func schedule(_ generator: inout SeededGenerator) -> Schedule? {
        guard Int.random(in: 0..<3, using: &generator) == 0 else { return nil }
        let first = Int64.random(in: 20_000...21_000, using: &generator)
        let days = Weekday.allCases.filter { _ in Bool.random(using: &generator) }
        let start = Int64.random(in: 0..<700, using: &generator)
        let hours = [
            Schedule.Hours(start: start + 100, end: start + 101), Schedule.Hours(start: start + 300, end: start + 440),
            Schedule.Hours(start: start + 600, end: max(1, start)),
        ].shuffled(using: &generator).prefix(.random(in: 0...3, using: &generator)).compactMap { $0 }
        let from = Schedule.LocalTime(CivilDate(dayNumber: first), minute: Bool.random(using: &generator) ? 61 : nil)
        let until = Schedule.LocalTime(
            CivilDate(dayNumber: first + 9), minute: Bool.random(using: &generator) ? 0 : nil)
        return Schedule(
            days: days.isEmpty ? [.thu] : days, hours: hours, from: Bool.random(using: &generator) ? from : nil,
            until: Bool.random(using: &generator) ? until : nil,
            zone: zones.randomElement(using: &generator) ?? .utc,
            onClose: Schedule.ClosingAction.allCases.randomElement(using: &generator) ?? .cut)
    }

    private func selector(_ generator: inout SeededGenerator) -> WorkloadSelector {
        let requirements: [LabelSelector.Requirement] = [
            .init("app", .isIn, ["web"]), .init("example.org/tier", .isIn, ["1e3"]), .init("app", .isIn, ["a", "b"]),
            .init("env", .isNotIn, ["true"]), .init("x", .exists), .init("y", .doesNotExist), .init("z", .isIn, [""]),
        ]
        func labels() -> LabelSelector {
            LabelSelector(
                requirements.shuffled(using: &generator).prefix(Int.random(in: 0...3, using: &generator)).map { $0 })
        }
        var selector = WorkloadSelector(namespaceLabels: labels(), labels: labels())
        if Bool.random(using: &generator) { selector.namespaces = ["default", "1", "null"] }
        if selector == .everything || Bool.random(using: &generator) {
            selector.names = ["docker/web_1", "true", "A.b"]
        }
        return selector
    }

    private func feed(_ generator: inout SeededGenerator) -> Feed? {
        guard Bool.random(using: &generator) else { return nil }
        return Feed(
            Bool.random(using: &generator) ? .file("/etc/a list: #1.txt") : .url("https://lists.example/a?b=c&d=%20"),
            sha256: Bool.random(using: &generator) ? String(repeating: "0123456789abcdef", count: 4) : nil,
            refresh: [60, 61, 3_600, 5_400, 86_400, 2_592_000].randomElement(using: &generator) ?? 60)
    }

    private func policy(
        named name: String, _ groups: [DestinationGroup], _ generator: inout SeededGenerator
    ) -> EgressPolicy {
        let tier = EgressPolicy.Tier.allCases.randomElement(using: &generator) ?? .workload
        return EgressPolicy(
            name: name, selects: Bool.random(using: &generator) ? selector(&generator) : nil,
            mode: Bool.random(using: &generator) ? .audit : .enforce, tier: tier,
            priority: .random(in: 0...1000, using: &generator),
            defaultAction: tier == .workload ? DefaultAction.allCases.randomElement(using: &generator) : nil,
            rules: (0..<Int.random(in: 0...5, using: &generator)).map { rule($0, groups, &generator) }
        )
    }

    private func rule(_ index: Int, _ groups: [DestinationGroup], _ generator: inout SeededGenerator) -> EgressRule {
        let names = [
            nil, "n\(index)", "\(index)", "true", "a: b #\(index)", "é \"\(index)\" \\", "- x", " y", "null", "*z",
            "1e\(index)",
        ]
        let isForWorkloads = Int.random(in: 0..<3, using: &generator) == 0
        return EgressRule(
            name: names.randomElement(using: &generator).flatMap { $0 }.map {
                "\($0)" + ($0.contains("\(index)") ? "" : "\(index)")
            },
            action: RuleAction.allCases.randomElement(using: &generator) ?? .deny,
            destinations: isForWorkloads
                ? [] : (0..<Int.random(in: 0...3, using: &generator)).map { _ in destination(groups, &generator) },
            workloads: isForWorkloads ? [Bool.random(using: &generator) ? .everything : selector(&generator)] : [],
            services: (0..<Int.random(in: 0...3, using: &generator)).map { _ in service(&generator) },
            portNames: isForWorkloads ? [PortName("http"), PortName("tpc", .udp), PortName("smtp", .tcp)] : [],
            schedule: schedule(&generator)
        )
    }

    private func destination(_ groups: [DestinationGroup], _ generator: inout SeededGenerator) -> Destination {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: return .builtIn(BuiltInGroup.allCases.randomElement(using: &generator) ?? .internet)
        case 1: return groups.randomElement(using: &generator).map { .group($0.name) } ?? .block(block(&generator))
        default: return .block(block(&generator))
        }
    }

    private func block(_ generator: inout SeededGenerator) -> AddressBlock {
        let family = AddressFamily.allCases.randomElement(using: &generator) ?? .ipv4
        let raw = UInt128(generator.next()) << 64 | UInt128(generator.next())
        let address = IPAddress(family: family, rawValue: raw)
        let length = Int.random(in: 0..<family.bitWidth, using: &generator)
        guard let prefix = IPPrefix(address, length: length) else { return AddressBlock(IPPrefix(address)) }
        guard Bool.random(using: &generator), let hole = IPPrefix(address, length: length + 1) else {
            return AddressBlock(prefix)
        }
        return AddressBlock(prefix, except: [hole, IPPrefix(IPAddress(family: family, rawValue: prefix.upperBound))])
    }

    private func service(_ generator: inout SeededGenerator) -> Service {
        let withPorts: [IPProtocol] = [.tcp, .udp, .sctp, .dccp, .udplite]
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: return .any(IPProtocol(rawValue: .random(in: 0...255, using: &generator)))
        case 1:
            return .icmp(
                Bool.random(using: &generator) ? .icmp : .icmpv6, type: .random(in: 0...255, using: &generator))
        default:
            let low = UInt16.random(in: 1...60_000, using: &generator)
            let range = PortRange(low, low + UInt16.random(in: 0...5_000, using: &generator)) ?? PortRange(low)
            return .ports(withPorts.randomElement(using: &generator) ?? .tcp, range)
        }
    }
}

extension Destination {
    /// The block alone.
    fileprivate var withoutExceptions: Destination {
        if case .block(let block) = self { .block(AddressBlock(block.prefix)) } else { self }
    }
}
