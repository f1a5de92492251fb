// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretPolicy
import Testing

@testable import EgretNames

/// Which servers a question goes to, and in what order.
struct NameServersTests {
    private func servers(_ texts: [String]) throws -> [NameServer] { try texts.map { try #require(NameServer($0)) } }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func question(_ texts: [String]) throws -> PendingQuestion {
        let name = try #require(DNSName("www.example.test"))
        let question = DNSQuestion(name, .a)
        return PendingQuestion(
            client: .stream(1), question: question, clientID: 1, payloadSize: 512, flags: DNSFlags(rawValue: 0),
            endpoint: 1, incarnation: 1, generation: 1, destination: try address("192.0.2.1"),
            permission: NameTable.Permission(question: question, rules: [0]), servers: try servers(texts), end: 6_000,
            sentName: name)
    }

    /// Whom a question is sent to, in order, if some fail and all others are silent, each for so many milliseconds.
    private func asked(_ texts: [String], failing: [String] = [], silence: UInt64 = 0) throws -> [String] {
        var question = try question(texts)
        var (asked, now): ([String], UInt64) = (["\(question.server)"], 0)
        while asked.count < 100 {
            if failing.contains("\(question.server)") {
                question.failed.insert(question.server)
            } else {
                now += silence
            }
            guard question.passOn(now: now) else { return asked }
            asked.append("\(question.server)")
        }
        return asked
    }

    private static let five = (1...5).map { "192.0.2.\($0)" }
    private static let many = (1...20).map { "192.0.2.\($0)" }

    @Test("silent servers are asked in turn, three times in all, or each once as far as time allows")
    func silence() throws {
        let (one, two) = ("192.0.2.1", "192.0.2.2")
        #expect(try asked([one], silence: 2_000) == [one, one, one])
        #expect(try asked([one, two], silence: 2_000) == [one, two, one])
        #expect(try asked(NameServersTests.five, silence: 2_000) == Array(NameServersTests.five.prefix(3)))
        // Where nobody listens is known at once.
        #expect(try asked(NameServersTests.five) == NameServersTests.five)
        #expect(try asked(NameServersTests.many) == Array(NameServersTests.many.prefix(8)))
    }

    @Test("a server that has said that it cannot answer is not asked again, and the question ends with the last one")
    func failures() throws {
        let (one, two, three) = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        #expect(try asked([one], failing: [one]) == [one])
        #expect(try asked([one, one], failing: [one]) == [one])
        #expect(try asked([one, two], failing: [one, two]) == [one, two])
        #expect(try asked([one, two], failing: [one], silence: 2_000) == [one, two, two])
        #expect(try asked([one, two, three], failing: [two], silence: 2_000) == [one, two, three])
        #expect(try asked(NameServersTests.five, failing: NameServersTests.five) == NameServersTests.five)
        #expect(try asked(NameServersTests.many, failing: NameServersTests.many).count == 8)
    }

    @Test("a server that was silent comes behind the others for 30 s; then one question tries it")
    func silentServers() throws {
        let servers = try servers(["192.0.2.1", "tls://192.0.2.2", "192.0.2.3"])
        let (one, two, three) = (servers[0], servers[1], servers[2])
        var silent = SilentServers()
        #expect(silent.ordered(servers, now: 1_000) == servers)
        silent.noteSilence(of: one, since: 1_000, now: 3_000)
        #expect(silent.ordered(servers, now: 3_000) == [two, three, one])
        #expect(silent.ordered(servers, now: 32_999) == [two, three, one])
        #expect(silent.ordered([one], now: 3_000) == [one], "who is meant alone is asked")
        #expect(silent.ordered(servers, now: 33_000) == servers)
        #expect(silent.ordered(servers, now: 33_001) == [two, three, one], "another question tries it")
        silent.noteSilence(of: one, since: 33_000, now: 35_000)
        #expect(silent.ordered(servers, now: 64_999) == [two, three, one])
        #expect(silent.ordered(servers, now: 65_000) == servers)
        silent.noteAnswer(of: one, now: 65_010)
        #expect(silent.ordered(servers, now: 65_011) == servers)
        #expect(silent.ordered(servers, now: 65_012) == servers)
    }

    @Test("of several silent servers a question tries one; whoever has answered others meanwhile is not silent")
    func severalSilentServers() throws {
        let servers = try servers(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        let (one, two, three) = (servers[0], servers[1], servers[2])
        var silent = SilentServers()
        for server in [one, two] { silent.noteSilence(of: server, since: 0, now: 2_000) }
        #expect(silent.ordered(servers, now: 2_001) == [three, one, two])
        #expect(silent.ordered(servers, now: 32_000) == [one, three, two])
        #expect(silent.ordered(servers, now: 32_000) == [two, three, one])
        #expect(silent.ordered(servers, now: 32_000) == [three, one, two])
        silent.noteSilence(of: three, since: 32_000, now: 34_000)
        #expect(silent.ordered(servers, now: 34_001) == servers, "where all are silent their order holds")
        silent.noteAnswer(of: one, now: 40_000)
        silent.noteSilence(of: one, since: 39_000, now: 41_000)
        #expect(silent.ordered(servers, now: 41_001) == [one, two, three])
        silent.noteSilence(of: one, since: 40_001, now: 42_001)
        #expect(silent.ordered([one, two], now: 42_002) == [one, two])
        silent.noteAnswer(of: two, now: 42_003)
        #expect(silent.ordered(servers, now: 42_004) == [two, one, three])
    }

    @Test("who is meant is asked alone; others come after it only where whoever configured them wants that")
    func meant() throws {
        let configured = try servers(["192.0.2.1", "tls://192.0.2.2#dns.example.test", "192.0.2.3"])
        let (one, three, named) = (try address("192.0.2.1"), try address("192.0.2.3"), try address("192.0.2.9"))
        var endpoint = NameEndpoint(
            id: 1, addresses: [], rules: [], trustedServers: [one, three, named], servers: configured)
        func order(_ text: String) throws -> [String] {
            endpoint.servers(for: try address(text)).map { "\($0)" }
        }
        let all = ["192.0.2.1", "tls://192.0.2.2:853#dns.example.test", "192.0.2.3"]
        #expect(try order("192.0.2.3") == [all[2]])
        #expect(try order("192.0.2.2") == [all[1]])
        #expect(try order("192.0.2.9") == ["192.0.2.9"])
        #expect(try order("192.0.2.77") == all)
        endpoint.replaceableServers = [one, try address("192.0.2.2"), three]
        #expect(try order("192.0.2.3") == [all[2], all[0], all[1]])
        #expect(try order("192.0.2.2") == [all[1], all[0], all[2]])
        #expect(try order("192.0.2.9") == ["192.0.2.9"])
        #expect(try order("192.0.2.77") == all)
    }

    @Test("a server that a rule names by its address and port 53 is never replaced")
    func named() throws {
        let prefix = IPPrefix(try address("192.0.2.3"))
        let rule = EgressRule(
            action: .allow, destinations: [.block(AddressBlock(prefix))], services: [.ports(.udp, PortRange(53))])
        let policies = PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
        let servers = try servers(["192.0.2.1", "192.0.2.3", "tls://192.0.2.4"])
        let replaceable = policies.replaceableServers(among: servers)
        #expect(try replaceable == [address("192.0.2.1"), address("192.0.2.4")])
    }
}
