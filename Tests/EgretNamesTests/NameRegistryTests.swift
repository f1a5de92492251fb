// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretPolicy
import Synchronization
import Testing

@testable import EgretNames

/// Whose an address is, and what outlives a change.
struct NameRegistryTests {
    private let first = IPAddress.v4(IPv4Address(192, 0, 2, 10))
    private let second = IPAddress.v4(IPv4Address(192, 0, 2, 11))
    private let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))

    private func endpoint(_ id: Int, _ addresses: [IPAddress]) throws -> NameEndpoint {
        NameEndpoint(id: id, addresses: addresses, rules: [try .allow(0, "www.example.test")])
    }

    @Test("an address that is another endpoint's by now stays that one's, when its former owner goes or moves")
    func handedOn() throws {
        let registry = NameRegistry()
        registry.set(try endpoint(1, [first]), now: 0)
        registry.set(try endpoint(2, [first]), now: 0)
        registry.remove(1)
        #expect(registry.endpoint(at: first) == 2)
        registry.set(try endpoint(1, [second]), now: 0)
        registry.set(try endpoint(2, [second]), now: 0)
        registry.set(try endpoint(1, [first]), now: 0)
        #expect(registry.endpoint(at: second) == 2 && registry.endpoint(at: first) == 1)
        registry.remove(2)
        #expect(registry.endpoint(at: second) == nil)
    }

    @Test("other servers change nothing of what is held, nor what must be committed")
    func servers() throws {
        let registry = NameRegistry()
        let name = try #require(DNSName("www.example.test"))
        let holding = NameHolding(name: name, address: web, until: 50_000)
        #expect(registry.set(try endpoint(1, [first]), holding: [holding], now: 0).count == 1)
        registry.forgetCommits(of: 1)
        registry.setServers([NameServer(second)], trusted: [second], of: 1)
        #expect(registry.committed(of: 1, now: 0).isEmpty)
        #expect(registry.holdings(of: 1, now: 0) == [holding])
    }

    @Test("what is held ends when it ends, however often it is handed on")
    func ageing() throws {
        let name = try #require(DNSName("www.example.test"))
        var held = [NameHolding(name: name, address: web, until: 50_000)]
        for now: UInt64 in [10_000, 20_000, 49_999] {
            let registry = NameRegistry()
            let grants = registry.set(try endpoint(1, [first]), holding: held, now: now)
            #expect(grants.map(\.lifetimeMilliseconds) == [50_000 - now])
            held = registry.holdings(of: 1, now: now)
        }
        #expect(NameRegistry().set(try endpoint(1, [first]), holding: held, now: 50_000).isEmpty)
    }
}

/// What answers of one round give endpoints.
final class NameCommitTests: Sendable {
    private struct Refused: Error {}

    /// What the hooks were called for.
    private struct Calls {
        var prepared: Swift.Set<Int> = []
        var committed: [Swift.Set<Int>] = []
        var noted: Swift.Set<Int> = []
    }

    private let registry = NameRegistry()
    private let calls = Mutex(Calls())

    /// Commits an address for each of four endpoints, the last of which has other rules by now.
    private func commit(
        unprepared: Int? = nil, refused: Int? = nil, unnoted: Int? = nil
    ) throws -> [AnswerLot: Withheld] {
        let name = try #require(DNSName("www.example.test"))
        var gifts: [AnswerLot: AnswerGifts] = [:]
        for id in 1...4 {
            let address = IPAddress.v4(IPv4Address(192, 0, 2, UInt8(id)))
            let endpoint = NameEndpoint(id: id, addresses: [address], rules: [try .allow(0, "www.example.test")])
            registry.set(endpoint, now: 0)
            let generation = try #require(registry.update(id) { $0.generation })
            if id == 4 { registry.set(endpoint, now: 0) }
            let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))
            gifts[AnswerLot(endpoint: id, generation: generation)] = AnswerGifts(
                grants: [NameGrant(rule: 0, name: name, address: web, lifetimeMilliseconds: 60_000, isRenewal: false)],
                notes: [NameHolding(name: name, address: web, until: 60_000)])
        }
        let hooks = NameProxy.Hooks(
            commit: { [self] lots in
                calls.withLock { $0.committed.append(Swift.Set(lots.map(\.endpoint))) }
                return refused.map { [$0: Refused()] } ?? [:]
            },
            prepare: { [self] id, _ in
                calls.withLock { _ = $0.prepared.insert(id) }
                if id == unprepared { throw Refused() }
            },
            note: { [self] id, _ in
                calls.withLock { _ = $0.noted.insert(id) }
                if id == unnoted { throw Refused() }
            })
        return registry.commit(gifts, now: 0, by: hooks)
    }

    private func failed(_ withheld: [AnswerLot: Withheld]) -> [Int] {
        withheld.filter { if case .failed = $0.value { true } else { false } }.map(\.key.endpoint)
    }

    private func outdated(_ withheld: [AnswerLot: Withheld]) -> [Int] {
        withheld.filter { if case .outdated = $0.value { true } else { false } }.map(\.key.endpoint)
    }

    @Test("the kernel is given all at once, but for what other rules have given")
    func together() throws {
        let withheld = try commit()
        #expect(failed(withheld).isEmpty && outdated(withheld) == [4])
        let seen = calls.withLock(\.self)
        #expect(seen.committed == [[1, 2, 3]] && seen.prepared == [1, 2, 3] && seen.noted == [1, 2, 3])
    }

    @Test("what was judged before something of the endpoint's was taken back is not committed any more")
    func takenBack() throws {
        let (name, address) = (try #require(DNSName("www.example.test")), IPAddress.v4(IPv4Address(203, 0, 113, 10)))
        let holding = NameHolding(name: name, address: address, until: 60_000)
        let rules = [try NameRule.allow(0, "*.example.test")]
        for id in [1, 2] {
            let own = IPAddress.v4(IPv4Address(192, 0, 2, UInt8(id)))
            _ = registry.set(NameEndpoint(id: id, addresses: [own], rules: rules), holding: [holding], now: 0)
        }
        let lots = try [1, 2].map { id in
            AnswerLot(endpoint: id, generation: try #require(registry.update(id) { $0.generation }))
        }
        #expect(registry.withdraw([], of: 2, now: 0).isEmpty)
        #expect(registry.withdraw([holding], of: 1, now: 0).map(\.address) == [address])
        let other = NameHolding(name: try #require(DNSName("b.example.test")), address: address, until: 60_000)
        let gifts = Dictionary(uniqueKeysWithValues: lots.map { ($0, AnswerGifts(notes: [other])) })
        let withheld = registry.commit(gifts, now: 0, by: NameProxy.Hooks(commit: { _ in [:] }))
        #expect(outdated(withheld) == [1] && failed(withheld).isEmpty)
    }

    @Test("what cannot be counted is not opened, and what the kernel refuses is not noted; others' is")
    func faults() throws {
        let unprepared = try commit(unprepared: 1)
        #expect(failed(unprepared) == [1] && calls.withLock(\.committed) == [[2, 3]])
        calls.withLock { $0 = Calls() }
        let refused = try commit(refused: 2)
        #expect(failed(refused) == [2] && calls.withLock(\.noted) == [1, 3])
        calls.withLock { $0 = Calls() }
        let unnoted = try commit(unnoted: 3)
        #expect(failed(unnoted) == [3] && calls.withLock(\.committed) == [[1, 2, 3]])
    }
}

/// How servers are written.
struct NameServerTests {
    @Test(
        "a server is an address, or a transport, an address, a port and a name",
        arguments: [
            ("192.0.2.53", "192.0.2.53"), ("2001:db8::53", "2001:db8::53"), ("udp://192.0.2.53", "192.0.2.53"),
            ("udp://192.0.2.53:5353", "udp://192.0.2.53:5353"), ("tcp://192.0.2.53", "tcp://192.0.2.53:53"),
            ("tcp://[2001:db8::53]:54", "tcp://[2001:db8::53]:54"), ("tls://2001:db8::53", "tls://[2001:db8::53]:853"),
            ("tls://192.0.2.53", "tls://192.0.2.53:853"), ("tls://192.0.2.53:8853", "tls://192.0.2.53:8853"),
            ("tls://192.0.2.53#DNS.example.Net", "tls://192.0.2.53:853#dns.example.net"),
            ("tls://[2001:db8::53]#dns.example.net", "tls://[2001:db8::53]:853#dns.example.net"),
        ])
    func reading(text: String, expected: String) throws {
        let server = try #require(NameServer(text))
        #expect(server.description == expected && NameServer(server.description) == server)
    }

    @Test(
        "what is no server is refused",
        arguments: [
            "", "dns.example.net", "192.0.2.53:53", "https://192.0.2.53", "tls://", "tls://dns.example.net",
            "tls://#a.b",
            "tls://192.0.2.53:0", "tls://192.0.2.53:65536", "tls://192.0.2.53:", "tls://192.0.2.53#",
            "tls://[192.0.2.53]",
            "udp://192.0.2.53#dns.example.net", "tls://192.0.2.53:+53", "tls://192.0.2.53#..", "tls://[2001:db8::53",
        ])
    func refusing(text: String) {
        #expect(NameServer(text) == nil)
    }

    @Test("a question to a configured server goes there as the configuration says, not as the client would")
    func configured() throws {
        let server = try #require(NameServer("tls://192.0.2.53#dns.example.net"))
        let plain = try #require(NameServer("192.0.2.54"))
        let policies = PolicySet(policies: [])
        #expect(policies.trustedServers(besides: [server, plain]) == [plain.address.address])
    }
}
