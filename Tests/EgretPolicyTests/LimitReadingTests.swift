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

    @Test("a ceiling is the rate by the name that goes with a guarantee, and is printed as the rate")
    func ceiling() throws {
        func limits(_ most: String) throws -> EgressPolicy {
            try readLimits(
                """
                - { to: [{ group: internet }], guarantee: 5Mbit, \(most): 20Mbit }
                - { \(most): 100Mbit, burst: 64KiB, per: policy }
                """)
        }
        var (policy, written) = (try limits("ceiling"), try limits("rate"))
        let printed = try expectPrinted(policy)
        #expect(!printed.contains("ceiling"))
        #expect(policy.limits.map(\.rate) == [BitRate("20Mbit"), BitRate("100Mbit")])
        for place in policy.limits.indices {
            (policy.limits[place].location, written.limits[place].location) = (nil, nil)
        }
        #expect(policy.limits == written.limits)
    }

    @Test("a limit is for names, its own and those of its groups, and for the usual ports of what is spoken")
    func namesAndApplications() throws {
        let policy = try readLimits(
            """
            - { to: [{ domains: [example.org, "*.example.org"] }, { cidr: 198.51.100.0/24 }], rate: 2Mbit }
            - { to: [{ domains: [git.example.org] }], applications: [ssh, git], connections: 3 }
            - { applications: [smtp], newConnections: 5/min }
            - { applications: [ssh], ports: [2222], packets: 100/s }
            """)
        #expect(
            policy.limits.map(\.summary) == [
                "example.org *.example.org 198.51.100.0/24: 2Mbit", "git.example.org 22/tcp 9418/tcp: 3 connections",
                "25/tcp 587/tcp: 5/min new connections", "2222/tcp: 100/s packets",
            ])
        #expect(policy.limits.allSatisfy { !$0.isForEverything })
        #expect(policy.limits.map(\.isForAllFarEnds) == [false, false, true, true])
        try expectPrinted(policy)
        let group = DestinationGroup(
            name: "video", blocks: [], domains: [try DomainPattern.parse("*.video.example")])
        let ofGroup = TrafficLimit(
            destinations: [.group("video")], domains: [try DomainPattern.parse("example.org")], connections: 3)
        #expect(ofGroup.patterns(["video": group]).map(\.description) == ["example.org", "*.video.example"])
        #expect(ofGroup.patterns([:]).map(\.description) == ["example.org"])
    }

    @Test("names matter to a policy that has no rule about them if a limit is for some")
    func dependingOnNames() throws {
        var policy = try readLimits("- { to: [{ domains: [example.org] }], rate: 2Mbit }")
        #expect(PolicySet(policies: [policy]).dependsOnNames)
        #expect(PolicySet(policies: [policy]).countedNames.map(\.description) == ["example.org"])
        policy.mode = .audit
        #expect(!PolicySet(policies: [policy]).dependsOnNames)
        #expect(try !PolicySet(policies: [readLimits("- { rate: 2Mbit }")]).dependsOnNames)
    }

    @Test("budgets and prices are for the usual ports of what is spoken, too")
    func countedApplications() throws {
        let text = """
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec:
              default: allow
              budgets: [{ name: mail, applications: [smtp], amount: 1GB }]
            ---
            apiVersion: egret.dev/v1
            kind: PriceList
            metadata: { name: cloud }
            spec: { prices: [{ name: files, applications: [rsync, ssh], price: 0.09 USD/GB }] }
            """
        let read = PolicyFiles.read([("p.yaml", Array(text.utf8))], scope: .manifests, timeZones: testTimeZones)
        #expect(read.diagnostics == [])
        #expect(read.policies.first?.budgets.first?.services.map(\.description) == ["25/tcp", "587/tcp"])
        #expect(read.priceLists.first?.entries.first?.services.map(\.description) == ["873/tcp", "22/tcp"])
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
        "what is nearly a rate, or an amount, is answered with what is likely meant",
        arguments: [
            ("10Mbps", "did you mean 10Mbit?"), ("10Mbit/s", "did you mean 10Mbit?"),
            ("1.5gb/s", "did you mean 1500Mbit?"),
            ("10 Mb", "did you mean 10Mbit?"), ("10M", "did you mean 10Mbit?"), ("64kbps", "did you mean 64kbit?"),
            ("10MB/s", "write 80Mbit for as many bytes in a second"),
            ("10", "write a number and a unit of bits, for example 10Mbit or 1.5Gbit"),
            ("10ps", "write a number and a unit of bits, for example 10Mbit or 1.5Gbit"),
            ("1bps", "write a number and a unit of bits, for example 10Mbit or 1.5Gbit"),
            ("99Tbps", "write a number and a unit of bits, for example 10Mbit or 1.5Gbit"),
        ])
    func nearly(_ text: String, _ suggestion: String) {
        let (limit, diagnostics) = FlagLimit.rate.parse(text)
        #expect(limit == nil && diagnostics.map(\.suggestion) == [suggestion])
    }

    @Test(
        "what is nearly an amount is answered with what is likely meant",
        arguments: [
            ("5G", "did you mean 5GB?"), ("5Gi", "did you mean 5GiB?"),
            ("5GB/day", "write 5GB; in a policy, per: day says the period; a run's budget is for all of the run"),
            ("5", nil), ("0", nil), ("day", nil), ("5x", nil), ("/day", nil),
        ] as [(String, String?)])
    func nearlyAmounts(_ text: String, _ suggestion: String?) {
        let found = FlagPolicy.make(budgets: [text]).diagnostics
        #expect(found.map(\.suggestion) == [suggestion ?? "write a number and a unit, for example --budget 500MB"])
    }

    @Test(
        "a flag is a limit in a word",
        arguments: [
            (.rate, "20Mbit", "20Mbit"), (.rate, "egress=1Mbit", "1Mbit"),
            (.rate, "internet:443=2Mbit", "internet 443/tcp: 2Mbit"),
            (.connections, "198.51.100.0/24=5", "198.51.100.0/24: 5 connections"), (.connections, "0", nil),
            (.newConnections, "20/s", "20/s new connections"), (.newConnections, "20", nil),
            (.packets, "private=1000/s", "private: 1000/s packets"), (.rate, "host=1Mbit", nil),
            (.rate, "*.example.org=1Mbit", "*.example.org: 1Mbit"),
            (.connections, "destination=example.org:443=2", "example.org 443/tcp: 2 connections per destination"),
            (.rate, "*.org=1Mbit", nil), (.rate, "=1Mbit", nil), (.rate, "nobody=1Mbit", nil),
        ] as [(FlagLimit, String, String?)])
    func flags(flag: FlagLimit, text: String, summary: String?) {
        let (limit, diagnostics) = flag.parse(text)
        #expect(limit?.summary == summary)
        #expect(diagnostics.isEmpty == (summary != nil))
        #expect(diagnostics.allSatisfy { $0.location?.file == "\(flag.rawValue) \(text)" })
    }
}
