// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretPolicy
import Testing

@testable import EgretCommands

@Suite("the report for people")
struct ReportTextTests {
    private let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))
    private let attacker = IPAddress.v4(IPv4Address(198, 51, 100, 66))
    private let other = IPAddress.v6(IPv6Address(rawValue: 0x2001_0db8_0113_0000_0000_0000_0000_0011))

    private var policies: PolicySet {
        let rules = [
            EgressRule(
                name: "web", action: .audit, destinations: [.block(AddressBlock(IPPrefix(web)))],
                services: [.ports(.tcp, PortRange(443))])
        ]
        let never = EgressRule(action: .deny, destinations: [.block(AddressBlock(IPPrefix(attacker)))])
        return PolicySet(
            policies: [
                EgressPolicy(name: "never", tier: .admin, priority: 0, defaultAction: nil, rules: [never]),
                EgressPolicy(name: "jobs", priority: 10, defaultAction: .deny, rules: rules),
            ],
            groups: [],
            networkDefault: .deny
        )
    }

    private func report() -> RunReport {
        let byDefault = RefusalReason.clause(.policyDefault(policy: "jobs"), rejected: false)
        let byRule = RefusalReason.clause(.rule(policy: "never", index: 0), rejected: false)
        var collector = FlowCollector(policies: policies)
        for bytes: UInt64 in [1_500, 500] {
            collector.note(
                FlowCollector.Connection(
                    key: FlowKey(destination: web, protocol: .tcp, port: 443), destinationIsHost: false,
                    sent: Traffic(packets: 9, bytes: bytes), received: Traffic(packets: 1_200, bytes: 1_499_999)))
        }
        collector.noteRefused(FlowKey(destination: other, protocol: .udp, port: 53), reason: byDefault, bytes: 70)
        collector.noteRefused(FlowKey(destination: attacker, protocol: .tcp, port: 4444), reason: byRule, bytes: 60)
        collector.noteRefused(FlowKey(destination: web, protocol: .icmp, icmpType: 8), reason: byDefault, bytes: 84)
        return collector.finish(
            refusedTotals: [
                byDefault: Traffic(packets: 5, bytes: 400), byRule: Traffic(packets: 1, bytes: 60),
                .spoofed: Traffic(packets: 1, bytes: 40),
            ])
    }

    @Test("without colour it is plain aligned text")
    func plain() {
        let lines = ReportText(report(), policies: policies, style: Style(isColoured: false))
            .lines(ending: "curl ended with exit code 0 after 1.2 s")
        #expect(
            lines.joined(separator: "\n") == """
                egret: curl ended with exit code 0 after 1.2 s
                reached
                  DESTINATION   PORT     RULE                CONNS     SENT           RECEIVED
                  203.0.113.10  443/tcp  jobs/web (audited)      2  18 pkts  2.0 kB  2400 pkts  3.0 MB
                refused
                  DESTINATION       PORT      RULE          VERDICT  PACKETS  BYTES
                  198.51.100.66     4444/tcp  never/rule 1  deny           1   60 B
                  203.0.113.10      icmp/8    jobs/default  deny           1   84 B
                  2001:db8:113::11  53/udp    jobs/default  deny           1   70 B
                  3 more packets were refused (jobs/default) and counted, but no record of them came: the log is limited
                  1 more packet was refused (source is not its own) and counted, but no record of it came: the log is limited
                to let these through, add:
                  --allow 203.0.113.10:icmp/8 --allow '[2001:db8:113::11]:53/udp'
                  refused by never/rule 1: no flag overrides it
                """)
    }

    @Test("colour only wraps the same text")
    func coloured() {
        func text(_ isColoured: Bool) -> String {
            ReportText(report(), policies: policies, style: Style(isColoured: isColoured)).lines(ending: "x")
                .joined(separator: "\n")
        }
        let stripped = text(true).replacing(/\u{1b}\[[0-9]+m/, with: "")
        #expect(stripped == text(false))
        #expect(text(true) != text(false))
    }

    @Test("nothing happened is said in words")
    func empty() {
        let lines = ReportText(RunReport(), policies: policies, style: Style(isColoured: false)).lines(ending: "x")
        #expect(lines == ["egret: x", "  no traffic left or tried to"])
    }

    @Test("one packet is one packet, and its digit stands below the others")
    func singular() {
        var report = RunReport()
        var collector = FlowCollector(policies: policies)
        for (port, packets): (UInt16, UInt64) in [(80, 1), (443, 12)] {
            collector.note(
                FlowCollector.Connection(
                    key: FlowKey(destination: web, protocol: .tcp, port: port), destinationIsHost: false,
                    sent: Traffic(packets: packets, bytes: 100 * packets), received: Traffic(packets: 1, bytes: 50)))
        }
        report = collector.finish(refusedTotals: [:])
        let lines = ReportText(report, policies: policies, style: Style(isColoured: false)).lines(ending: "x")
        #expect(lines.filter { $0.hasSuffix("12 pkts  1.2 kB    1 pkt   50 B") }.count == 1, "\(lines)")
        #expect(lines.filter { $0.hasSuffix(" 1 pkt    100 B    1 pkt   50 B") }.count == 1, "\(lines)")
    }

    @Test("twelve flags are shown, the rest is counted, and JSON has all")
    func manySuggestions() throws {
        func lines(_ count: UInt16) -> (text: [String], flags: [String]) {
            var collector = FlowCollector(policies: policies)
            let reason = RefusalReason.clause(.policyDefault(policy: "jobs"), rejected: false)
            for port in 1...count {
                collector.noteRefused(FlowKey(destination: web, protocol: .tcp, port: port), reason: reason, bytes: 60)
            }
            let report = collector.finish(refusedTotals: [reason: Traffic(packets: UInt64(count), bytes: 60)])
            let document = ReportDocument(
                report, policies: policies, command: [], ending: ReportDocument.Ending(exitCode: 0, seconds: 0))
            return (
                ReportText(report, policies: policies, style: Style(isColoured: false)).lines(ending: "x"),
                document.suggestedFlags
            )
        }
        let twelve = lines(12)
        #expect(!twelve.text.contains { $0.contains("more flag") })
        #expect(twelve.text.last?.split(separator: "--allow").count == 13)
        let thirty = lines(30)
        #expect(thirty.flags.count == 30)
        #expect(thirty.text.contains { $0.hasPrefix("  … and 18 more flags; --report json has them all") })
        #expect(lines(13).text.contains { $0.hasPrefix("  … and 1 more flag;") })
    }

    @Test("what the user's own flag refused is said so")
    func ownDenial() {
        let (policy, _) = FlagPolicy.make(allow: ["internet"], deny: ["198.51.100.66"])
        let set = PolicySet(policies: [policy].compactMap(\.self), groups: [], networkDefault: .deny)
        var collector = FlowCollector(policies: set)
        let reason = RefusalReason.clause(.rule(policy: "command-line", index: 0), rejected: false)
        collector.noteRefused(FlowKey(destination: attacker, protocol: .tcp, port: 1), reason: reason, bytes: 60)
        let lines = ReportText(collector.finish(refusedTotals: [:]), policies: set, style: Style(isColoured: false))
            .lines(ending: "x")
        #expect(lines.last == "  refused by your own --deny 198.51.100.66: no other flag overrides it")
    }

    @Test("a flag is suggested only where it would help")
    func suggestions() {
        let suggestions = Suggestions(report(), policies: policies)
        #expect(suggestions.flags == ["--allow 203.0.113.10:icmp/8", "--allow '[2001:db8:113::11]:53/udp'"])
        #expect(suggestions.obstacles == [.rule(policy: "never", index: 0)])
    }
}

@Suite("words for shells and screens")
struct WordTests {
    @Test(
        "a word is quoted when a shell would read it otherwise",
        arguments: [
            ("203.0.113.10:443", "203.0.113.10:443"), ("[2001:db8::1]:53", "'[2001:db8::1]:53'"), ("", "''"),
            ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$(x)", "'$(x)'"), ("é", "'é'"),
        ])
    func quoting(_ text: String, _ quoted: String) {
        #expect(quotedForShell(text) == quoted)
    }

    @Test(
        "control characters are made visible",
        arguments: [
            ("\u{1b}[31mred", "\\u{1b}[31mred"), ("a\nb", "a\\u{a}b"), ("\u{202e}x", "\\u{202e}x"),
            ("\u{9b}2J", "\\u{9b}2J"), ("plain é", "plain é"),
        ])
    func controls(_ text: String, _ visible: String) {
        #expect(text.withVisibleControls == visible)
    }

    @Test(
        "bytes are counted in thousands",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_549, "1.5 kB"), (9_999, "10 kB"), (999_499, "999 kB"),
            (999_500, "1.0 MB"), (20_000_000, "20 MB"), (3_000_000_000_000_000, "3000 TB"),
        ] as [(UInt64, String)])
    func bytes(_ count: UInt64, _ text: String) {
        #expect(formatted(bytes: count) == text)
    }
}
