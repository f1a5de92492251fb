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
                    blocks: (0..<Int.random(in: 1...4, using: &generator)).map { _ in block(&generator) }
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

    private func policy(
        named name: String, _ groups: [DestinationGroup], _ generator: inout SeededGenerator
    ) -> EgressPolicy {
        let tier = EgressPolicy.Tier.allCases.randomElement(using: &generator) ?? .workload
        return EgressPolicy(
            name: name, tier: tier, priority: .random(in: 0...1000, using: &generator),
            defaultAction: tier == .workload ? DefaultAction.allCases.randomElement(using: &generator) : nil,
            rules: (0..<Int.random(in: 0...5, using: &generator)).map { rule($0, groups, &generator) }
        )
    }

    private func rule(_ index: Int, _ groups: [DestinationGroup], _ generator: inout SeededGenerator) -> EgressRule {
        let names = [
            nil, "n\(index)", "\(index)", "true", "a: b #\(index)", "é \"\(index)\" \\", "- x", " y", "null", "*z",
            "1e3",
        ]
        return EgressRule(
            name: names.randomElement(using: &generator).flatMap { $0 }.map {
                "\($0)" + ($0.contains("\(index)") ? "" : "\(index)")
            },
            action: RuleAction.allCases.randomElement(using: &generator) ?? .deny,
            destinations: (0..<Int.random(in: 0...3, using: &generator)).map { _ in destination(groups, &generator) },
            services: (0..<Int.random(in: 0...3, using: &generator)).map { _ in service(&generator) }
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
