// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

@Suite("Files of cases")
struct ConformanceFileTests {
    private static let world = """
        apiVersion: v1
        kind: List
        items:
        - { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: n }, spec: {}, status: { podIPs: [{ ip: 10.0.0.1 }, { ip: "fd00::1" }] } }
        - { apiVersion: v1, kind: Pod, metadata: { name: b, namespace: n }, spec: {}, status: { podIP: 10.0.0.2 } }
        """

    private func read(_ text: String) throws -> [ConformanceCase] {
        try ConformanceFile.read(text, name: "t.txt") { _ in Array(Self.world.utf8) }
    }

    @Test("a check says something of every pair that has a family in common, and later lines override")
    func matrix() throws {
        let cases = try read(
            """
            # A comment.
            case one
            world w
            check 80/tcp
              * -> n/b denied
              n/a -> n/b allowed
              2001:db8::1 -> n/* denied
            check icmpv6/echo-request
              fd00::5 -> * denied
            """)
        let step = try #require(cases.first?.steps.first)
        #expect(cases.count == 1 && cases[0].name == "one" && cases[0].steps.count == 1)
        let tcp = step.probes.filter { $0.service.protocol == .tcp }
        #expect(tcp.count == 3)
        #expect(tcp.filter { $0.source == .workload(0) && $0.family == .ipv4 }.allSatisfy { $0.isAllowed })
        let outside = try #require(
            tcp.first { $0.source == .address(IPAddress("2001:db8::1") ?? .v4(IPv4Address(rawValue: 0))) })
        #expect(outside.target == .workload(0) && !outside.isAllowed && outside.family == .ipv6)
        #expect(step.probes.filter { $0.service.protocol == .icmpv6 }.map(\.target) == [.workload(0)])
    }

    @Test("changes make steps, each a whole state")
    func steps() throws {
        let cases = try read(
            """
            define p
              apiVersion: networking.k8s.io/v1
              kind: NetworkPolicy
              metadata: { name: p, namespace: n }
              spec: { podSelector: {} }
            case one
            world w
            check 80/tcp
            apply p
            label pod n/a role=x
            check 80/tcp
            unlabel pod n/a role
            label namespace n team=y
            delete NetworkPolicy n/p
            check 80/tcp
            case two
            world w
            check 80/tcp
            """)
        let steps = try #require(cases.first?.steps)
        #expect(steps.map(\.catalog.networkPolicies.count) == [0, 1, 0])
        #expect(steps.map { $0.inventory.workloads[0].labels } == [[:], ["role": "x"], [:]])
        #expect(steps.map { $0.inventory.namespaces["n"]?["team"] } == [nil, nil, "y"])
        #expect(cases[1].steps.first?.catalog.networkPolicies == [])
    }

    @Test(
        "what is not right is not run",
        arguments: [
            "world w", "case a\nworld", "case a\nfly n/a", "case a\nworld w\ncheck tcp",
            "case a\nworld w\ncheck 80/tcp\n  n/c -> n/a denied", "case a\nworld w\ncheck 80/tcp\n  n/a -> n/b maybe",
            "case a\nworld w\ndelete Pod n/c", "case a\napply q", "case a\nlabel pod n/a role",
            "case a\napply\n  kind: NetworkPolicy\n  spec: [\ncheck 80/tcp",
            "case a\napply\n  apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\ncheck 80/tcp",
        ])
    func wrong(_ text: String) {
        #expect(throws: ConformanceError.self) { try read(text) }
    }
}
