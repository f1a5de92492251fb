// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// What the commands that need no privileges say of names.
@Suite("Names in explain, map and prove")
struct NameCommandTests {
    private func egret(_ arguments: String...) throws -> ProgramOutput { try egret(arguments) }

    private func egret(_ arguments: [String]) throws -> ProgramOutput {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
        return try runProgram([path] + arguments)
    }

    @Test("a name is explained with its own port, by the rule about it")
    func explain() throws {
        let output = try egret(
            "explain", "--allow", "*.wikimedia.org:443", "--deny", "ads.wikimedia.org", "--deny", "198.51.100.0/24",
            "--to", "upload.wikimedia.org:443", "--to", "ads.wikimedia.org:443", "--to", "Upload.Wikimedia.org.:22")
        #expect(
            output.standardOutput == """
                upload.wikimedia.org 443/tcp: allow
                  allowed by --allow *.wikimedia.org:443
                  without that: denied by the default of the command line: no rule matched
                  the connection must say the name in TLS or HTTP
                  at 198.51.100.0-198.51.100.255: denied by --deny 198.51.100.0/24
                ads.wikimedia.org 443/tcp: deny
                  denied by --deny ads.wikimedia.org
                  without that: allowed by --allow *.wikimedia.org:443
                  the name is not resolved
                upload.wikimedia.org 22/tcp: deny
                  denied by the default of the command line: no rule matched

                """)
        #expect(output.standardError == "")
    }

    @Test("a rule that only pins says so, and QUIC says how it may pass")
    func pins() throws {
        let output = try egret(
            "explain", "--allow", "git.example.org:22,443", "--to", "git.example.org", "--port", "22", "--port",
            "443/udp"
        ).standardOutput
        #expect(output.contains("by address alone: any address that the name was resolved to"))
        #expect(output.contains("git.example.org 443/udp: reject"))
        #expect(output.contains("quic: check lets it pass by the name it says, quic: pin by its address"))
    }

    @Test("a rule that reads QUIC's names allows it, and says what it must say")
    func checksQUIC() throws {
        let directory = try TemporaryDirectory()
        let policy = directory.path + "/policy.yaml"
        try """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: quic }
        spec:
          egress: [{ action: allow, to: [{ domains: [example.org] }], ports: [443/tcp], quic: check }]
        """.write(toFile: policy, atomically: true, encoding: .utf8)
        let output = try egret(
            "explain", "--policy", policy, "--to", "example.org", "--port", "443/udp", "--port", "80/udp"
        ).standardOutput
        #expect(output.contains("example.org 443/udp: allow"), "\(output)")
        #expect(output.contains("the first packets must say the name in QUIC"), "\(output)")
        #expect(output.contains("example.org 80/udp: deny"), "\(output)")
        let map = try egret("map", "-f", policy, "-o", "csv").standardOutput
        #expect(map.contains("default/command,example.org,,") && map.contains("443/udp"), "\(map)")
    }

    @Test("a name that no rule is about, and one that is denied where addresses are open, say what that means")
    func others() throws {
        let output = try egret(
            "explain", "--allow", "internet", "--deny", "evil.example.org", "--to", "evil.example.org:443", "--to",
            "good.example.org:443", "-o", "json"
        ).standardOutput
        #expect(output.contains("packets to its addresses are allowed by --allow internet"))
        #expect(output.contains("no rule is about the name"))
    }

    @Test(
        "what is no name says so",
        arguments: [
            ("*.example.org:443", "explain answers for one of them"),
            ("203.0.113.10:443", "not an address or a domain"),
            ("203.0.113.10:443", "an address has its port apart: --to 203.0.113.10 --port 443"),
            ("[2001:db8::1]:443", "an address has its port apart: --to 2001:db8::1 --port 443"),
            ("2001:db8::1/64", "write for example 203.0.113.10 or wikipedia.org"),
            ("a..example.org:443", "an empty label"), ("example.org:https", "write 443/tcp"),
        ])
    func mistakes(_ text: String, _ expected: String) throws {
        let output = try egret("explain", "--allow", "internet", "--to", text, "--port", "443")
        #expect(output.status == 2)
        #expect(output.standardError.contains(expected), "\(output.standardError)")
    }

    @Test("limits of names that cannot be held to are refused by both commands that have them, all at once")
    func limits() throws {
        let commands: [([String], Int32)] = [(["run", "--allow", "example.org"], 125), (["agent"], 64)]
        for (command, status) in commands {
            let flags = ["--dns-limit", "labels=0", "--dns-limit", "new-names=60"]
            let output = try egret(command + flags + (command == ["agent"] ? [] : ["--", "true"]))
            #expect(output.status == status, "\(output.standardError)")
            #expect(output.standardError.contains("--dns-limit labels=0: it may be from 1 to 127\n"))
            #expect(output.standardError.contains("--dns-limit new-names=60: write for example new-names=60/min\n"))
        }
    }

    @Test("a name without a port needs --port")
    func noPort() throws {
        let output = try egret("explain", "--allow", "example.org", "--to", "example.org")
        #expect(!output.succeeded && output.standardError.contains("write for example --port 443/tcp"))
    }

    @Test("a map has a row for each name, a difference tells of them, and a proof says that it leaves them out")
    func map() throws {
        let directory = try TemporaryDirectory()
        let (one, two) = (directory.path + "/one.yaml", directory.path + "/two.yaml")
        let head = "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: p }\nspec:\n  egress:\n"
        let allow = "  - { action: allow, to: [{ domains: [\"*.example.org\", git.example.net] }], ports: [443, 22] }\n"
        let deny = "  - { action: deny, to: [{ domains: [ads.example.org] }] }\n"
        try (head + allow).write(toFile: one, atomically: true, encoding: .utf8)
        try (head + deny + allow).write(toFile: two, atomically: true, encoding: .utf8)
        let map = try egret("map", "-f", two, "-o", "csv").standardOutput
        #expect(map.contains("default/command,*.example.org,,22/tcp 443/tcp\r\n"))
        #expect(map.contains("default/command,git.example.net,,22/tcp 443/tcp\r\n"))
        #expect(!map.contains("ads.example.org"))
        let document = try egret("map", "-f", two, "-o", "json").standardOutput
        #expect(document.contains("\"domains\" : [") || document.contains("\"domains\": ["))
        let difference = try egret("map", "--diff", one, two, "-o", "csv", "--exit-code")
        #expect(
            difference.standardOutput
                == "from,to,family,gained,lost\r\ndefault/command,ads.example.org,,,22/tcp 443/tcp\r\n")
        #expect(difference.status == 1)
        let proof = try egret("prove", "-f", two, "no default/command reaches 203.0.113.0/24").standardOutput
        #expect(proof.contains("holds") && proof.contains("rules about names are left out"))
        let validation = try egret("validate", "-f", two)
        #expect(validation.succeeded && validation.standardError == "", "\(validation.standardError)")
    }
}
