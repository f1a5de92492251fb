// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// `egret explain` as its users meet it. It needs no privileges.
@Suite("egret explain")
struct ExplainTests {
    private func explain(_ arguments: String...) throws -> ProgramOutput { try explain(arguments) }

    private func explain(_ arguments: [String]) throws -> ProgramOutput {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
        return try runProgram([path, "explain"] + arguments)
    }

    @Test("every address is explained with every port")
    func several() throws {
        let output = try explain(
            "--allow", "203.0.113.10:443", "--deny", "203.0.113.11", "--to", "203.0.113.10", "--to", "203.0.113.11",
            "--port", "443", "--port", "80/tcp")
        #expect(
            output.standardOutput == """
                203.0.113.10 443/tcp: allow
                  allowed by --allow 203.0.113.10:443
                  without that: denied by the default of the command line: no rule matched
                203.0.113.11 443/tcp: deny
                  denied by --deny 203.0.113.11
                  without that: denied by the default of the command line: no rule matched
                203.0.113.10 80/tcp: deny
                  denied by the default of the command line: no rule matched
                203.0.113.11 80/tcp: deny
                  denied by --deny 203.0.113.11
                  without that: denied by the default of the command line: no rule matched

                """)
        #expect(output.standardError == "")
    }

    @Test("one flow is a mapping, several are a list, and the clause's kind is named")
    func documents() throws {
        let one = try explain("--allow", "internet", "--to", "203.0.113.10", "--port", "443", "-o", "yaml")
        #expect(one.standardOutput.hasPrefix("audited: false\ndecidedBy:\n  kind: flag\n"))
        let two = try explain("--to", "203.0.113.10", "--to", "::1", "--port", "443", "-o", "yaml")
        #expect(two.standardOutput.hasPrefix("- audited: false\n  decidedBy:\n    kind: policy-default\n"))
        let wide = try explain("--to", "203.0.113.10", "--to", "::1", "--port", "443", "-o", "wide").standardOutput
        #expect(wide.split(separator: "\n").count == 3)
        #expect(wide.hasPrefix("  DESTINATION"))
    }

    @Test("an allowed flow is told which routes lead it, by the ways that carry its family; a refused one takes none")
    func routes() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/policy.yaml"
        try """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: p }
        spec:
          egress: [{ action: allow, ports: [443/tcp] }]
          routes:
          - to: [{ cidr: 203.0.113.0/24 }, { cidr: "2001:db8::/32" }]
            via:
            - { gateway: 192.0.2.1, interface: eth1 }
            - { interface: wg0 }
            - { gateway: "fe80::1", sourceAddress: "2001:db8::7" }
            fallback: next
          - via: { sourceAddress: 192.0.2.7, fallback: main }
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let arguments = ["--policy", file, "--port", "443", "--port", "80", "--to"]
        let four = try explain(arguments + ["203.0.113.10"]).standardOutput
        #expect(
            four.replacing(file, with: "F") == """
                203.0.113.10 443/tcp: allow
                  allowed by rule 1 of the policy p (workload tier), F:5:12
                  without that: denied by the default of the policy p, F:1:1: no rule matched
                  route: by gateway 192.0.2.1 on eth1, else by interface wg0, else as the next route says (F:7:5)
                  route: with source address 192.0.2.7, else by the main routing table (F:13:5)
                203.0.113.10 80/tcp: deny
                  denied by the default of the policy p, F:1:1: no rule matched

                """)
        let six = try explain(arguments + ["2001:db8::10", "-o", "json"]).standardOutput
        #expect(six.contains("\"by interface wg0, else by gateway fe80::1 with source address 2001:db8::7, else as"))
        #expect(!six.contains("192.0.2.1 on"))
    }

    @Test("an address and a port that make no flow are mistakes, told with all others")
    func mistakes() throws {
        let output = try explain(
            "--allow", "300.1.1.1", "--to", "2001:db8::1", "--port", "icmp/echo-request", "--port", "tcp", "--port",
            "1-2", "--port", "icmpv6", "--port", "no")
        let codes = output.standardError.split(separator: "\n").map { $0.split(separator: ":")[0] }
        #expect(
            codes == [
                "--allow 300.1.1.1", "--port icmp/echo-request", "--port tcp", "--port 1-2", "--port icmpv6",
                "--port no",
            ], "\(output.standardError)")
        #expect(output.standardError.contains("icmp is not part of IPv6; write --port icmpv6/echo-request"))
        #expect(output.standardOutput == "")
    }

    /// A policy file with these documents' specs, and what explain says with some arguments.
    private func explain(_ documents: [(name: String, spec: String)], _ arguments: [String]) throws
        -> (status: Int32, standardOutput: String, standardError: String)
    {
        let directory = try TemporaryDirectory()
        let text = documents.map {
            "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: \($0.name) }\nspec:\n\($0.spec)\n"
        }
        let path = directory.path + "/p.yaml"
        try write(text.joined(separator: "---\n"), to: path)
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let egret = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
        let output = try runProgram(
            [egret, "explain", "-f", path, "--to", "203.0.113.10", "--port", "443"] + arguments)
        return (
            status: output.status, standardOutput: output.standardOutput.replacing(directory.path + "/", with: ""),
            standardError: output.standardError.replacing(directory.path + "/", with: "")
        )
    }

    @Test("a rule with a time is explained for the time asked about, with the zone's clocks")
    func times() throws {
        let spec = """
              egress:
              - action: allow
                to: [{ cidr: 203.0.113.0/24 }]
                when: { days: [sun], hours: ["02:30-03:30"], timezone: Europe/Zurich }
            """
        let documents = [(name: "p", spec: spec)]
        // 02:30 does not exist on that day: the moment of the change, 03:00 +02:00.
        let spring = try explain(documents, ["--at", "2026-03-29T02:30[Europe/Zurich]"])
        #expect(
            spring.standardOutput == """
                203.0.113.10 443/tcp: allow
                  allowed by rule 1 of the policy p (workload tier), p.yaml:6:5, open until 2026-03-29 03:30 +02:00
                  without that: denied by the default of the policy p, p.yaml:1:1: no rule matched

                """, "\(spring.standardOutput)\(spring.standardError)")
        let before = try explain(documents, ["--at", "2026-03-29T00:59Z"])
        #expect(
            before.standardOutput == """
                203.0.113.10 443/tcp: deny
                  denied by the default of the policy p, p.yaml:1:1: no rule matched
                  closed now: rule 1 of the policy p (workload tier), p.yaml:6:5, opens 2026-03-29 03:00 +02:00

                """, "\(before.standardOutput)\(before.standardError)")
        let json = try explain(documents, ["--at", "2026-10-25T01:30", "-o", "json"]).standardOutput
        #expect(json.contains("\"at\" : \"2026-10-25T01:30:00Z\""), "\(json)")
        #expect(json.contains("\"verdict\" : \"allow\""))
        for same in [
            "2026-10-25T01:30Z", "2026-10-25T02:30:00+01:00", "2026-10-24T21:30-04:00", "2026-10-25T01:30:00Z",
        ] {
            #expect(try explain(documents, ["--at", same, "-o", "json"]).standardOutput == json, "\(same)")
        }
        let seconds = try explain(documents, ["--at", "2026-10-25T02:30:59+01:00", "-o", "json"]).standardOutput
        #expect(seconds.contains("\"at\" : \"2026-10-25T01:30:59Z\""), "\(seconds)")
        for text in ["2026-10-25T01:30+25:00", "2026-10-25T01:30+1", "2026-02-30T01:30Z", "2026-10-25T24:30Z"] {
            #expect(try explain(documents, ["--at", text]).status == 2, "\(text)")
        }
        let wrong = try explain(documents, ["--at", "2026-10-25T01:30[Europe/Zurch]"])
        #expect(wrong.status == 2)
        #expect(wrong.standardError.contains("did you mean \"Europe/Zurich\"?"))
    }

    @Test("policies apply by the command's labels, and those that do not are named")
    func labels() throws {
        let documents = [
            (
                name: "build",
                spec:
                    "  selects: { matchLabels: { app: build } }\n  egress: [{ action: allow, to: [{ cidr: 203.0.113.0/24 }] }]"
            )
        ]
        let chosen = try explain(documents, ["--label", "app=build"])
        #expect(chosen.standardOutput.hasPrefix("203.0.113.10 443/tcp: allow\n"))
        #expect(chosen.standardError == "")
        let other = try explain(documents, ["--label", "app=web"])
        #expect(other.standardOutput.hasPrefix("203.0.113.10 443/tcp: deny\n"))
        #expect(
            other.standardError == """
                egret: the policy build does not apply: it selects workloads with app=build, and the command has app=web; give \
                it labels with --label

                """)
        #expect(try explain(documents, ["--label", "app"]).status == 2)
    }

    @Test("what a policy in audit mode would have refused stands beside the verdict")
    func audit() throws {
        let documents = [
            (name: "now", spec: "  default: allow"), (name: "soon", spec: "  mode: audit\n  default: reject"),
        ]
        let output = try explain(documents, [])
        #expect(
            output.standardOutput == """
                203.0.113.10 443/tcp: allow
                  allowed by the default of the policy now, p.yaml:1:1: no rule matched
                  in audit mode: would be rejected by the default of the policy soon, p.yaml:7:1: no rule matched, were it enforced

                """, "\(output.standardOutput)")
        let json = try explain(documents, ["-o", "json"]).standardOutput
        #expect(json.contains("\"auditVerdict\" : \"reject\""))
    }
}
