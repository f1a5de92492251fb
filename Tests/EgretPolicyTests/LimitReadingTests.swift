// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import Testing

/// Reads a policy with these limits, expecting no diagnostics.
func readLimits(_ limits: String) throws -> EgressPolicy {
    let read = readPolicies(
        """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: p }
        spec:
          default: allow
          limits:
        \(limits.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
        """)
    #expect(read.diagnostics == [])
    return try #require(read.policies.first)
}

/// Expects that a policy's limits are read back as they were, and returns what was printed of it.
@discardableResult
func expectPrinted(_ policy: EgressPolicy) throws -> String {
    let printed = PolicyPrinter.yaml(policies: [policy])
    var again = try #require(readPolicies(printed).policies.first, "\(printed)")
    var first = policy
    for place in first.limits.indices { first.limits[place].location = nil }
    for place in again.limits.indices { again.limits[place].location = nil }
    #expect(again.limits == first.limits, "\(printed)")
    return printed
}

@Suite("limits")
struct LimitReadingTests {
    @Test(
        "how often something may happen has a time that it is for",
        arguments: [
            ("20/s", 20, .second), ("600/min", 600, .minute), ("1/h", 1, .hour), ("20", nil, nil), ("0/s", nil, nil),
            ("20/second", nil, nil), ("-1/s", nil, nil), ("1.5/s", nil, nil), ("99999999999/s", nil, nil),
            ("٣/s", nil, nil), ("/s", nil, nil), ("20/", nil, nil), ("1/s/s", nil, nil),
        ] as [(String, UInt32?, EventRate.Unit?)])
    func events(text: String, count: UInt32?, unit: EventRate.Unit?) {
        let rate = EventRate(text)
        #expect(rate?.count == count && rate?.unit == unit)
        if let rate { #expect(rate.description == text) }
    }

    @Test(
        "code points have names",
        arguments: [
            ("ef", 46, "ef"), ("EF", 46, "ef"), ("af21", 18, "af21"), ("cs1", 8, "cs1"), ("0", 0, "cs0"),
            ("le", 1, "le"), ("63", 63, "63"), ("64", nil, nil), ("af44", nil, nil), ("+1", nil, nil), ("", nil, nil),
        ] as [(String, UInt8?, String?)])
    func marks(text: String, value: UInt8?, name: String?) {
        #expect(TrafficClassMark(text)?.rawValue == value)
        #expect(TrafficClassMark(text)?.description == name)
    }

    @Test("limits are read, and what is printed of them is read back")
    func printing() throws {
        let policy = try readLimits(
            """
            - { name: total, rate: 20Mbit, burst: 64KiB }
            - { to: [{ group: internet }, { cidr: 10.0.0.0/8, except: [10.1.0.0/16] }], ports: [443/tcp], rate: 5Mbit,
                guarantee: 1Mbit, weight: 300, priority: 1 }
            - { connections: 200, newConnections: 20/s, packets: 600/min, per: policy, direction: egress }
            - { ports: [53], dscp: ef, per: network }
            """)
        #expect(
            policy.limits.map(\.summary) == [
                "20Mbit", "internet 10.0.0.0/8 except 10.1.0.0/16 443/tcp: 5Mbit, at least 1Mbit",
                "200 connections, 20/s new connections, 600/min packets per policy", "53/tcp: dscp ef per network",
            ])
        #expect(policy.limits[1].weight == 300 && policy.limits[1].priority == 1)
        try expectPrinted(policy)
    }

    @Test("a limit holds at some times, which are told of, and read back as they were")
    func times() throws {
        let policy = try readLimits(
            """
            - { rate: 20Mbit }
            - { rate: 5Mbit, when: { days: [mon-fri], hours: ["08:00-12:00", "13:00-18:00"], timezone: Europe/Zurich } }
            - { to: [{ group: internet }], connections: 3, per: policy, when: { until: "2026-12-24T18:00" } }
            """)
        #expect(policy.hasTimedLimits && !policy.hasSchedules)
        #expect(policy.limits.map(\.isTotal) == [true, false, false])
        #expect(policy.limits.map(\.isForEverything) == [true, true, false])
        #expect(
            policy.limits.map(\.summary) == [
                "20Mbit", "5Mbit only mon-fri 08:00-12:00, 13:00-18:00 (Europe/Zurich)",
                "internet: 3 connections per policy only until 2026-12-24T18:00 (UTC)",
            ])
        // What holds at some times is no part of what always holds.
        #expect(TrafficLimit.tightest(policy.limits, .egress)?.0 == BitRate("20Mbit"))
        let printed = PolicyPrinter.yaml(policies: [policy])
        #expect(!printed.contains("onClose"))
        let again = try #require(readPolicies(printed).policies.first, "\(printed)")
        #expect(again.limits.map(\.schedule) == policy.limits.map(\.schedule), "\(printed)")
        #expect(again.limits.map(\.summary) == policy.limits.map(\.summary), "\(printed)")
    }

    @Test(
        "a flag is a limit in a word",
        arguments: [
            (.rate, "20Mbit", "20Mbit"), (.rate, "egress=1Mbit", "1Mbit"),
            (.rate, "internet:443=2Mbit", "internet 443/tcp: 2Mbit"),
            (.connections, "198.51.100.0/24=5", "198.51.100.0/24: 5 connections"), (.connections, "0", nil),
            (.newConnections, "20/s", "20/s new connections"), (.newConnections, "20", nil),
            (.packets, "private=1000/s", "private: 1000/s packets"), (.rate, "host=1Mbit", nil),
            (.rate, "*.example.org=1Mbit", nil), (.rate, "=1Mbit", nil), (.rate, "nobody=1Mbit", nil),
        ] as [(FlagLimit, String, String?)])
    func flags(flag: FlagLimit, text: String, summary: String?) {
        let (limit, diagnostics) = flag.parse(text)
        #expect(limit?.summary == summary)
        #expect(diagnostics.isEmpty == (summary != nil))
        #expect(diagnostics.allSatisfy { $0.location?.file == "\(flag.rawValue) \(text)" })
    }
}
