// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@Suite("Flags")
struct FlagTests {
    private func rule(_ text: String, groups: Set<String> = []) -> String {
        let (rule, diagnostics) = FlagRule.parse(text, action: .allow, flag: "--allow", groups: groups)
        guard let rule else { return diagnostics.map(DiagnosticFormatter.format).joined(separator: "\n") }
        let to = (rule.destinations.map(\.description) + rule.workloads.map(\.description)).joined(separator: " ")
        let ports = rule.services.map(\.description).joined(separator: " ")
        return "\(to.isEmpty ? "*" : to)|\(ports)"
    }

    @Test(
        "a flag says a destination and ports",
        arguments: [
            ("203.0.113.10", "203.0.113.10|"), ("198.51.100.0/24", "198.51.100.0/24|"),
            ("203.0.113.10:443", "203.0.113.10|443/tcp"), ("203.0.113.10:53/udp", "203.0.113.10|53/udp"),
            ("203.0.113.10:8000-9000/udp", "203.0.113.10|8000-9000/udp"),
            ("203.0.113.10:icmp/echo-request", "203.0.113.10|icmp/echo-request"),
            ("203.0.113.10:gre", "203.0.113.10|gre"),
            ("198.51.100.0/24:80,443", "198.51.100.0/24|80/tcp 443/tcp"),
            ("198.51.100.0/24:80/tcp,443/udp,gre", "198.51.100.0/24|80/tcp 443/udp gre"),
            ("2001:db8::/32", "2001:db8::/32|"), ("2001:db8::10", "2001:db8::10|"), ("::1", "::1|"),
            ("[2001:db8::10]:443", "2001:db8::10|443/tcp"), ("[2001:db8::/32]:443", "2001:db8::/32|443/tcp"),
            ("[2001:db8::10]", "2001:db8::10|"), ("*", "*|"), ("*:443", "*|443/tcp"), ("internet", "internet|"),
            ("internet:443,80", "internet|443/tcp 80/tcp"), ("link-local:udp", "link-local|udp"),
            ("203.0.113.10:80,gre", "203.0.113.10|80/tcp gre"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1|"),
            ("cluster", "every workload|"), ("cluster:443", "every workload|443/tcp"),
        ])
    func grammar(_ text: String, _ expected: String) {
        #expect(rule(text) == expected)
    }

    @Test("an address that ends as with a port is refused, and both spellings without doubt are read")
    func trailingPort() {
        #expect(
            rule("2001:db8::1:443") == """
                --allow 2001:db8::1:443: error EGR0029: "2001:db8::1:443" reads as an address, and as an address with a \
                port; write [2001:db8::1]:443 for the port, or [2001:db8::1:443] for the address
                """)
        #expect(rule("[2001:db8::1:443]") == "2001:db8::1:443|")
        #expect(rule("[2001:db8::1]:443") == "2001:db8::1|443/tcp")
        #expect(rule("2001:db8::1:443/128") == "2001:db8::1:443|")
        #expect(rule("2001:db8::1:a443") == "2001:db8::1:a443|")
        #expect(rule("fd00::1:2") == "fd00::1:2|")
        #expect(rule("2001:db8:1:2:3:4:5:443") == "2001:db8:1:2:3:4:5:443|")
    }

    @Test("groups of files are known to flags")
    func groups() {
        #expect(rule("mirrors:443", groups: ["mirrors"]) == "mirrors|443/tcp")
        let incomplete = PolicyReader.Result(isIncomplete: true)
        #expect(FlagPolicy.make(allow: ["mirrors:443"], files: incomplete).diagnostics == [])
        #expect(FlagPolicy.make(allow: ["Mirrors:443"], files: incomplete).diagnostics.count == 1)
        let faulty = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: mirrors }
            spec: { cidrs: [300.1.1.1], oops: 1 }
            """)
        #expect(faulty.hasErrors)
        #expect(FlagPolicy.make(allow: ["mirrors:443"], files: faulty).diagnostics == [])
        #expect(rule("mirors:443", groups: ["mirrors"]).contains("did you mean \"mirrors\"?"))
    }

    @Test(
        "mistakes say what to write",
        arguments: [
            ("*.org", "org is a public suffix"), ("*.co.uk:443", "is a public suffix"),
            ("**.example.org", "*.example.org covers every depth"), ("a..example.org", "an empty label"),
            ("*.example.*", "a * elsewhere"), ("example.org:99999", "out of range"),
            ("example.org:", "leave the colon out"),
            ("localhost:80", "use the group host"), ("127.1", "if you mean 127.0.0.1, write that"),
            ("0x7f.1", "if you mean 127.0.0.1, write that"), ("2130706433", "if you mean 127.0.0.1, write that"),
            ("010.0.0.1", "write 10.0.0.1 if the numbers are decimal"), ("256.0.0.1", "256 is more than 255"),
            ("10.0.0.1/8", "write 10.0.0.0/8 for the block, or 10.0.0.1/32"), ("10.0.0.0/33", "a length from 0 to 32"),
            ("10.0.0.0/255.0.0.0", "write 10.0.0.0/8"), ("https://203.0.113.10/x", "write 203.0.113.10:443"),
            ("203.0.113.10:", "leave the colon out"), (":443", "write *:443 for everywhere"),
            ("2001:db8::zz:443", "is not an IPv6 address"), ("[2001:db8::10", "not closed"),
            ("[2001:db8::]/32:443", "write [2001:db8::/32]:443"), ("[10.0.0.1]:443", "write 10.0.0.1:443"),
            ("[::1]443", "write a colon and a port"), ("internt", "did you mean \"internet\"?"),
            ("internet:99999", "out of range"), ("internet:0", "port 0"), ("internet:9-1", "write 1-9/tcp"),
            ("internet:80,443/udp", "write 80/udp,443/udp if you mean that"), ("internet:tpc", "did you mean tcp?"),
            ("", "is empty"), ("a b", "white space"),
            ("2001:db8:1:2:3:4:5:6:443", "write [2001:db8:1:2:3:4:5:6]:443"), ("fe80::1%eth0", "write fe80::1"),
            ("10.0.*.*", "write 10.0.0.0/16"), ("10.0.0.1-10.0.0.9", "ranges are written as CIDRs"),
            ("internet:https", "write 443/tcp"), ("internet:443/TCP", "did you mean 443/tcp?"),
            ("internet:tcp/443", "write 443/tcp"), ("1.2.3", "if you mean 1.2.0.3, write that"),
        ])
    func mistakes(_ text: String, _ expected: String) {
        #expect(rule(text).contains(expected), "\(rule(text))")
        #expect(rule(text).hasPrefix("--allow"))
    }

    @Test("a name with a dot, or the names below it, with ports or without")
    func names() throws {
        func read(_ text: String, _ action: RuleAction = .allow) -> EgressRule? {
            FlagRule.parse(text, action: action, flag: "--x").rule
        }
        let wikipedia = try DomainPattern.parse("wikipedia.org")
        #expect(read("wikipedia.org")?.domains == [wikipedia])
        #expect(read("Wikipedia.ORG.")?.domains == [wikipedia])
        #expect(read("wikipedia.org")?.isEverywhere == false)
        let wide = read("*.wikimedia.org:443,80/tcp")
        #expect(wide == nil, "some of the ports have no protocol")
        #expect(read("*.wikimedia.org:443")?.domains.map(\.description) == ["*.wikimedia.org"])
        #expect(read("*.wikimedia.org:443")?.services == [.ports(.tcp, PortRange(443))])
        #expect(read("bücher.example:443/udp")?.domains.map(\.description) == ["xn--bcher-kva.example"])
        #expect(read("ads.example.org", .deny)?.domains.count == 1)
        let denied = FlagRule.parse("ads.example.org:443", action: .deny, flag: "--deny")
        #expect(denied.rule == nil)
        #expect(denied.diagnostics.first?.suggestion == "write --deny ads.example.org")
        #expect(read("wikipedia.org:443")?.location?.description == "--x wikipedia.org:443")
        let groups = FlagRule.parse("my-group", action: .allow, flag: "--allow", groups: ["my-group"]).rule
        #expect(groups?.destinations == [.group("my-group")])
    }

    @Test("a group with names is not denied by port")
    func groupsWithNames() throws {
        let files = readPolicies(
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: wiki }
            spec: { domains: [wikipedia.org] }
            """)
        #expect(!files.hasErrors)
        #expect(FlagPolicy.make(allow: ["wiki:443"], files: files).policy?.rules.count == 1)
        #expect(FlagPolicy.make(deny: ["wiki"], files: files).diagnostics == [])
        #expect(
            FlagPolicy.make(deny: ["wiki:443"], files: files).diagnostics.map(\.code)
                == [DiagnosticCode.notSupportedYet])
    }

    @Test("rules that hold back stand first, each kind in the order given")
    func order() {
        let (policy, diagnostics) = FlagPolicy.make(
            allow: ["198.51.100.0/24", "203.0.113.10:443"], deny: ["198.51.100.66"], reject: ["203.0.113.11"],
            audit: ["203.0.113.12"]
        )
        #expect(diagnostics.isEmpty)
        #expect(policy?.rules.map(\.action) == [.deny, .reject, .audit, .allow, .allow])
        #expect(policy?.name == "command-line")
        #expect(policy?.priority == 0)
        #expect(policy?.defaultAction == .deny)
        #expect(policy?.rules.first?.location?.description == "--deny 198.51.100.66")
    }

    @Test("the default is the flag's, else the strictest of the files, else deny")
    func defaults() {
        func file(_ actions: DefaultAction...) -> PolicyReader.Result {
            PolicyReader.Result(
                policies: actions.enumerated().map { EgressPolicy(name: "p\($0)", defaultAction: $1, rules: []) }
            )
        }
        #expect(FlagPolicy.make(allow: ["internet"]).policy?.defaultAction == .deny)
        #expect(FlagPolicy.make(allow: ["internet"], default: .reject).policy?.defaultAction == .reject)
        #expect(FlagPolicy.make(allow: ["internet"], files: file(.allow, .audit)).policy?.defaultAction == .audit)
        #expect(
            FlagPolicy.make(allow: ["internet"], default: .allow, files: file(.deny)).policy?.defaultAction == .allow)
        #expect(FlagPolicy.make(files: file(.allow)).policy == nil)
        #expect(FlagPolicy.make().policy?.rules == [])
    }

    @Test("a policy of a file cannot have the name of the flags' policy")
    func reserved() {
        let files = PolicyReader.Result(policies: [EgressPolicy(name: "command-line", rules: [])])
        #expect(
            FlagPolicy.make(allow: ["internet"], files: files).diagnostics.map(\.code) == [DiagnosticCode.reservedName])
    }

    @Test("any mistake leaves no policy, and all are reported")
    func everything() {
        let (policy, diagnostics) = FlagPolicy.make(allow: ["internet", "*.org", "1.2.3"], deny: ["nowhere"])
        #expect(policy == nil)
        #expect(diagnostics.count == 3)
    }

    @Test("doubts about flags are warnings")
    func doubts() {
        let (policy, diagnostics) = FlagPolicy.make(allow: ["*:443", "10.0.0.0"], deny: ["10.0.0.0/8"])
        #expect(policy != nil)
        #expect(
            diagnostics.map(\.code) == [
                DiagnosticCode.missingLength, DiagnosticCode.opensEverything, DiagnosticCode.unreachableRule,
            ])
    }

    @Test("whatever the value, there is a rule or an error")
    func anyText() {
        var generator = SeededGenerator(seed: 5)
        let parts = [
            "203.0.113.10", "2001:db8::", "::", ":", "/", "24", "128", "[", "]", "*", ",", "-", "443", "tcp", "icmp",
            "icmp/8",
            "internet", ".", "%", "0x", "é", " ", "://", "https", "99999999999999999999", "\u{0}", "255.255.255.0", "e",
        ]
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...6, using: &generator))
                .map { _ in parts.randomElement(using: &generator) ?? "" }
                .joined()
            let (rule, diagnostics) = FlagRule.parse(text, action: .deny, flag: "--deny")
            #expect((rule == nil) == diagnostics.contains { $0.severity == .error }, "\(text)")
        }
    }
}
