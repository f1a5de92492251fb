// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// `egret explain` as its users meet it. It needs no privileges.
@Suite("egret explain")
struct ExplainTests {
    private func explain(_ arguments: String...) throws -> ProgramOutput {
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
}
