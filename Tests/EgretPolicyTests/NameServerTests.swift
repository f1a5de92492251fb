// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("Servers that policies name")
struct NameServerTests {
    @Test("a policy names servers by address, protocol, port and the name in their certificate, each once")
    func reading() throws {
        let result = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec:
              dns: [192.0.2.53, "2001:db8::53", tcp://192.0.2.53:5353, tls://192.0.2.53#dns.example.net, udp://192.0.2.53]
            """)
        #expect(!result.hasErrors, "\(result.diagnostics)")
        #expect(
            result.policies.first?.nameServers.map(\.description) == [
                "192.0.2.53", "2001:db8::53", "tcp://192.0.2.53:5353", "tls://192.0.2.53:853#dns.example.net",
            ])
    }

    @Test("of several policies the first that decides and names servers says who is asked")
    func order() throws {
        let servers = try (1...4).map { try #require(DNSServer("192.0.2.\($0)")) }
        func policy(_ name: String, _ priority: Int, _ mode: EgressPolicy.Mode, _ servers: [DNSServer]) -> EgressPolicy
        {
            EgressPolicy(name: name, mode: mode, priority: priority, rules: [], nameServers: servers)
        }
        let policies = [
            policy("a", 30, .enforce, [servers[3]]), policy("b", 20, .enforce, [servers[1], servers[2]]),
            policy("c", 5, .enforce, []), policy("d", 1, .audit, [servers[0]]),
        ]
        #expect(PolicySet(policies: policies).nameServers == [servers[1], servers[2]])
        #expect(PolicySet(policies: [policies[2], policies[3]]).nameServers.isEmpty)
    }
}
