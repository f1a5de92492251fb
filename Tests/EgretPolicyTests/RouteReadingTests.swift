// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@Suite("Routes in policies")
struct RouteReadingTests {
    private static let text = """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata:
          name: p
        spec:
          tier: workload
          priority: 100
          default: deny
          egress: []
          routes:
          - to:
            - cidr: 198.51.100.0/24
            ports: [443/tcp]
            via:
            - { gateway: 192.0.2.1, check: { icmp: 192.0.2.1, interval: 2000ms, timeout: 1000ms, failures: 2, successes: 3 } }
            - { interface: wg0, check: { http: "http://192.0.2.9:80/health?a=b", interval: 5000ms, timeout: 1000ms, failures: 2, successes: 3 } }
            - { sourceAddress: 192.0.2.7 }
            - { sourceAddress: 192.0.2.7-192.0.2.9 }
            - { sourceAddress: 192.0.2.7-192.0.2.9, sourceAddressPer: connection }
            fallback: next
          - via:
            - { gateway: "2001:db8::1", interface: eth1, check: { http: "http://[2001:db8::9]:8080/", interval: 2000ms, timeout: 1000ms, failures: 2, successes: 3 } }
            fallback: drop

        """

    @Test("what is read prints as it was written")
    func roundTrip() {
        let result = readPolicies(RouteReadingTests.text)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        #expect(PolicyPrinter.yaml(policies: result.policies) == RouteReadingTests.text)
    }

    @Test("one source address is one, whoever gets it")
    func sourceUse() {
        let result = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { routes: [{ via: { sourceAddress: 192.0.2.7, sourceAddressPer: connection } },
                             { via: { sourceAddress: 192.0.2.7-192.0.2.9, sourceAddressPer: endpoint } }] }
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        let ways = result.policies.flatMap(\.routes).flatMap(\.ways)
        #expect(ways.map(\.isSourcePerConnection) == [false, false])
        #expect(ways.map(\.sourceWords) == ["192.0.2.7", "192.0.2.7-192.0.2.9"])
    }

    @Test("a source address that nobody could answer is refused, alone and in a run")
    func unansweredSources() {
        for source in ["0.0.0.0", "127.0.0.1", "126.0.0.1-128.0.0.1", "::1", "ff02::1"] {
            let result = readPolicies(
                """
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: p }
                spec: { routes: [{ via: { sourceAddress: "\(source)" } }] }
                """)
            #expect(result.diagnostics.map(\.code) == [DiagnosticCode.address], "\(source)")
        }
    }

    @Test("an http check needs no port and no path")
    func http() throws {
        let result = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { routes: [{ via: { interface: wg0, check: { http: http://192.0.2.9 } } },
                             { via: { interface: wg0, check: { http: "HTTP://[2001:db8::9]?q" } } }] }
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        let probes = result.policies.flatMap(\.routes).flatMap(\.ways).map(\.check?.probe)
        let addresses = try ["192.0.2.9", "2001:db8::9"].map { try #require(IPAddress($0)) }
        #expect(
            probes == [.http(addresses[0], port: 80, path: "/"), .http(addresses[1], port: 80, path: "/?q")])
    }

    @Test("one way needs no list, and what is left out is drop, two seconds, two failures and three successes")
    func defaults() throws {
        let result = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { routes: [{ via: { gateway: 192.0.2.1, check: { tcp: "[2001:db8::1]:443" } } },
                             { via: { gateway: 192.0.2.1, check: { tcp: "192.0.2.9:443" } } }] }
            """)
        // The first mixes families.
        #expect(result.diagnostics.map(\.code) == [DiagnosticCode.contradiction])
        let routes = result.policies.flatMap(\.routes)
        let address = try #require(IPAddress("192.0.2.9"))
        #expect(routes.map(\.fallback) == [.drop])
        #expect(
            routes.first?.ways.first?.check
                == RouteCheck(probe: .tcp(address, port: 443), interval: 2000, timeout: 1000))
    }
}
