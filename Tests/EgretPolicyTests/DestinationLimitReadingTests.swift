// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing

@Suite("limits for each destination")
struct DestinationLimitReadingTests {
    @Test("they are read, and what is printed of them is read back")
    func printing() throws {
        let policy = try readLimits(
            """
            - { connections: 5, per: destination }
            - { to: [{ group: internet }], ports: [443/tcp], newConnections: 20/min, per: destination, direction: egress }
            - { name: clients, packets: 1000/s, connections: 10, per: destination, direction: ingress }
            """)
        #expect(policy.limits.allSatisfy { $0.scope == .destination })
        #expect(
            policy.limits.map(\.summary) == [
                "5 connections per destination", "internet 443/tcp: 20/min new connections per destination",
                "10 connections, 1000/s packets per destination",
            ])
        let printed = try expectPrinted(policy)
        #expect(printed.contains("per: destination"))
    }

    @Test(
        "a flag says it before everything else, but for rates",
        arguments: [
            (.connections, "destination=5", "5 connections per destination", nil),
            (.newConnections, "destination=private=2/s", "private: 2/s new connections per destination", nil),
            (.packets, "destination=ingress=9/s", "9/s packets per destination", .ingress),
            (.rate, "destination=1Mbit", nil, nil), (.connections, "destination=", nil, nil),
            (.connections, "destination=destination=3", nil, nil), (.connections, "internet=destination=3", nil, nil),
        ] as [(FlagLimit, String, String?, TrafficDirection?)])
    func flags(flag: FlagLimit, text: String, summary: String?, direction: TrafficDirection?) {
        let (limit, diagnostics) = flag.parse(text)
        #expect(limit?.summary == summary && limit?.direction == direction)
        #expect(limit == nil || limit?.scope == .destination)
        #expect(diagnostics.isEmpty == (summary != nil))
        #expect(diagnostics.allSatisfy { $0.location?.file == "\(flag.rawValue) \(text)" })
    }

    @Test(
        "a group with the name of a word of flags is not passed over: what could be either is refused",
        arguments: [
            ("destination=5", "destination", false), ("egress=5", "egress", false),
            ("destination=ingress=5", "ingress", false), ("destination=5", "other", true),
            ("destination=destination=5", "destination", true), ("destination:443=5", "destination", true),
            ("egress=5", "destination", true), ("5", "destination", true),
        ] as [(String, String, Bool)])
    func hiddenGroups(text: String, group: String, isClear: Bool) {
        let (limit, diagnostics) = FlagLimit.connections.parse(text, groups: [group])
        #expect((limit != nil) == isClear && diagnostics.isEmpty == isClear)
        #expect(diagnostics.allSatisfy { $0.message.contains("group \(group)") })
    }
}
