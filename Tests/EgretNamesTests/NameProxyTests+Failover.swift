// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretNames
import EgretTesting
import Testing

/// Several servers, of which some cannot answer.
extension NameProxyTests {
    /// Nobody's server: questions to it go to those that are configured, in their order.
    private static let elsewhere = "198.51.100.9"

    private func bench(_ servers: [String], trust: ServerTrust? = nil) throws -> NameBench {
        try NameBench(
            [.allow(0, "*.example.test")], servers: try servers.map { try #require(NameServer($0)) }, trusted: [],
            trust: trust)
    }

    @Test(
        "a server that cannot answer, or does not want to, is asked once, and then the next",
        arguments: ["servfail", "refused", "network"])
    func failingServer(kind: String) throws {
        let bench = try bench([NameBench.liar, NameBench.dnsmasq])
        try bench.startDnsmasq()
        try bench.startLiar()
        let name = "\(kind).example.test"
        #expect(try bench.short(NameProxyTests.elsewhere, name) == ["203.0.113.10"])
        #expect(bench.serverOutput.split(separator: "\n").count { $0 == "asked \(kind)" } == 1)
        let code = kind == "refused" ? "REFUSED" : "SERVFAIL"
        let event = NameEvent.badAnswer(
            try #require(DNSName(name)), "\(NameBench.liar) answered \(code), and another was asked")
        #expect(bench.events.contains { $0 == event })
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.10"))
        #expect(try bench.short(NameProxyTests.elsewhere, "+tcp", name) == ["203.0.113.10"])
    }

    @Test(
        "a server that does not know EDNS is asked again without it, and at once without it from then on",
        arguments: ["formerr", "notedns"], [false, true])
    func withoutExtensions(kind: String, isOverStream: Bool) throws {
        let bench = try bench([isOverStream ? "tcp://\(NameBench.liar)" : NameBench.liar])
        try bench.startLiar()
        var asked: Int { bench.serverOutput.split(separator: "\n").count { $0 == "asked \(kind)" } }
        let name = "\(kind).example.test"
        #expect(try bench.short(NameProxyTests.elsewhere, name) == ["203.0.113.10"])
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.10"))
        #expect(asked == (isOverStream ? 0 : 2))
        #expect(try bench.short(NameProxyTests.elsewhere, name) == ["203.0.113.10"])
        // A datagram of a header alone could be anybody's: it is believed for its question and no other.
        let isCertain = kind != "formerr"
        #expect(asked == (isOverStream ? 0 : isCertain ? 3 : 4))
    }

    @Test("what is no matter of the server is its answer: wrong signatures, and what it does not do")
    func answersThatStay() throws {
        let bench = try bench([NameBench.liar, NameBench.dnsmasq])
        try bench.startDnsmasq()
        try bench.startLiar()
        #expect(try bench.dig(NameProxyTests.elsewhere, "bogus.example.test").contains("status: SERVFAIL"))
        #expect(try bench.dig(NameProxyTests.elsewhere, "notimp.example.test").contains("status: NOTIMP"))
    }

    @Test("when all fail the client gets the last one's answer, and who is configured twice is asked once")
    func allFailing() throws {
        let bench = try bench([NameBench.liar, "udp://203.0.113.66:53"])
        try bench.startLiar()
        let output = try bench.dig(NameProxyTests.elsewhere, "refused.example.test")
        #expect(output.contains("status: REFUSED"), "\(output)")
        #expect(bench.serverOutput.split(separator: "\n").count { $0 == "asked refused" } == 1)
    }

    @Test("a silent server gives way after two seconds; where nobody listens, or no way leads to, at once")
    func absentServers() throws {
        func resolve(_ servers: [String], _ start: (NameBench) throws -> Void = { _ in }) throws -> Duration {
            let bench = try bench(servers)
            try bench.startDnsmasq()
            try start(bench)
            let began = ContinuousClock.now
            #expect(try bench.short(NameProxyTests.elsewhere, "silent.example.test") == ["203.0.113.10"], "\(servers)")
            return ContinuousClock.now - began
        }
        _ = try runProgram(["ip", "route", "add", "unreachable", "203.0.114.9/32"])
        defer { _ = try? runProgram(["ip", "route", "del", "unreachable", "203.0.114.9/32"]) }
        #expect(try resolve([NameBench.unbound, NameBench.dnsmasq]) < .seconds(1.5))
        #expect(try resolve(["tcp://\(NameBench.unbound)", NameBench.dnsmasq]) < .seconds(1.5))
        #expect(try resolve(["203.0.114.9", NameBench.dnsmasq]) < .seconds(1.5))
        // More than a question is sent to silent ones.
        #expect(
            try resolve([NameBench.unbound, NameBench.knot, "203.0.113.10", "203.0.113.11", NameBench.dnsmasq])
                < .seconds(1.5))
        let silence = try resolve([NameBench.liar, NameBench.dnsmasq]) { try $0.startLiar() }
        #expect((Duration.seconds(1.9)...Duration.seconds(5)).contains(silence))
    }

    @Test("after a silence the next questions do not wait for the same server, but where it is meant")
    func rememberedSilence() throws {
        let servers = try [NameBench.liar, NameBench.dnsmasq].map { try #require(NameServer($0)) }
        let bench = try NameBench([.allow(0, "*.example.test")], servers: servers, trusted: [NameBench.liar])
        try bench.startDnsmasq()
        try bench.startLiar()
        func resolve(_ server: String, _ name: String) throws {
            #expect(try bench.short(server, name) == ["203.0.113.10"], "\(name)")
        }
        var asked: [Substring] { bench.serverOutput.split(separator: "\n").filter { $0.hasPrefix("asked") } }
        try resolve(NameProxyTests.elsewhere, "silent.example.test")
        // Once, and once more as if it were lost.
        #expect(asked == ["asked silent", "asked silent"])
        try resolve(NameProxyTests.elsewhere, "silent.example.test")
        try resolve(NameProxyTests.elsewhere, "www.example.test")
        #expect(asked.count == 2)
        // The client asks it itself, and nobody else is asked instead.
        try resolve(NameBench.liar, "meant.example.test")
        #expect(asked == ["asked silent", "asked silent", "asked meant"])
    }

    @Test("a server over TLS that cannot be asked is told of, also where another answers")
    func failingEncrypted() throws {
        let certificates = try NameBench.Certificates()
        let bench = try bench(
            ["tls://203.0.113.54#dns.example.test", NameBench.dnsmasq],
            trust: try ServerTrust(authorities: certificates.authority))
        try bench.startDnsmasq()
        #expect(try bench.short(NameProxyTests.elsewhere, "www.example.test") == ["203.0.113.10"])
        #expect(bench.events.contains { if case .serverFailed = $0 { true } else { false } })
    }

    @Test("a question that the rules do not allow any more goes to no other server")
    func changedRules() throws {
        let servers = try [NameBench.liar, NameBench.dnsmasq].map { try #require(NameServer($0)) }
        let bench = try NameBench([.allow(0, "*.example.test")], servers: servers, trusted: [])
        try bench.startLiar()
        try bench.startDnsmasq()
        let question = try RunningProgram([
            "ip", "netns", "exec", NameBench.client, "dig", "@" + NameProxyTests.elsewhere, "+tries=1", "+time=8",
            "silent.example.test",
        ])
        // The first server is asked by now, and has two seconds.
        _ = try runProgram(["sleep", "1"])
        bench.proxy.registry.set(
            NameEndpoint(id: 1, addresses: NameBench.clientAddresses, rules: [], servers: servers),
            now: BootClock.milliseconds)
        let output = question.wait(timeout: .seconds(30)).standardOutput
        #expect(output.contains("status: SERVFAIL"), "\(output)")
        #expect(!bench.serverOutput.lowercased().contains("query[a] silent.example.test"))
    }

    @Test("the server that a client has asked itself is not replaced, unless whoever configured both wants that")
    func meantServer() throws {
        let servers = try [NameBench.liar, NameBench.dnsmasq].map { try #require(NameServer($0)) }
        let liar = try #require(IPAddress(NameBench.liar))
        let rules = [try NameRule.allow(0, "*.example.test")]
        let bench = try NameBench(rules, servers: servers, trusted: [NameBench.liar])
        try bench.startDnsmasq()
        try bench.startLiar()
        #expect(try bench.dig(NameBench.liar, "servfail.example.test").contains("status: SERVFAIL"))
        bench.proxy.registry.set(
            NameEndpoint(
                id: 1, addresses: NameBench.clientAddresses, rules: rules, trustedServers: [liar], servers: servers,
                replaceableServers: [liar]),
            now: BootClock.milliseconds)
        #expect(try bench.short(NameBench.liar, "servfail.example.test") == ["203.0.113.10"])
    }
}
