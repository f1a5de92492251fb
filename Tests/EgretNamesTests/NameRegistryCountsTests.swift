// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretPolicy
import Testing

@testable import EgretNames

/// What counts for an endpoint whose number another one has had.
struct NameRegistryCountsTests {
    private let first = IPAddress.v4(IPv4Address(192, 0, 2, 10))
    private let second = IPAddress.v4(IPv4Address(192, 0, 2, 11))

    /// An endpoint that may have one connection.
    private func endpoint(_ address: IPAddress) throws -> NameEndpoint {
        var limits = NameLimits()
        limits.connections = 1
        return NameEndpoint(
            id: 1, addresses: [address], rules: [try .allow(0, "www.example.test")], limits: limits)
    }

    @Test("what an endpoint has begun counts for it after a change of rules, and not for the next one with its number")
    func counts() throws {
        let registry = NameRegistry()
        registry.set(try endpoint(first), now: 0)
        let former = try #require(registry.connectionBegan(of: 1))
        registry.set(try endpoint(first), now: 0)
        #expect(registry.connectionBegan(of: 1) == nil)
        registry.remove(1)
        #expect(registry.connectionBegan(of: 1) == nil)
        registry.set(try endpoint(first), now: 0)
        let next = try #require(registry.connectionBegan(of: 1))
        #expect(next != former)
        // The former endpoint's last question and connection are over only now.
        registry.questionEnded(of: 1, former)
        registry.connectionEnded(of: 1, former)
        #expect(registry.update(1) { $0.pending } == 0)
        #expect(registry.connectionBegan(of: 1) == nil)
        registry.connectionEnded(of: 1, next)
        #expect(registry.connectionBegan(of: 1) == next)
    }

    @Test("a change of rules gives no new names; another endpoint with the number, or with other limits, has its own")
    func budgets() throws {
        let registry = NameRegistry()
        var limits = NameLimits.reading(["new-names=1/min", "new-names-burst=2"]).limits
        func enter(_ patterns: String...) throws {
            let rule = NameRule(number: 0, patterns: try patterns.map { try DomainPattern.parse($0) })
            registry.set(NameEndpoint(id: 1, addresses: [first], rules: [rule], limits: limits), now: 0)
        }
        func mayAsk(_ text: String) throws -> Bool {
            let question = DNSQuestion(try #require(DNSName(text)), .a)
            let judgment = registry.update(1) { $0.table.ask(question, now: 0) }
            if case .forward = judgment { return true }
            return false
        }
        try enter("*.example.com")
        #expect(try mayAsk("a.example.com") && mayAsk("b.example.com") && !mayAsk("c.example.com"))
        try enter("*.example.com", "*.example.org")
        #expect(try !mayAsk("c.example.com") && !mayAsk("c.example.org") && mayAsk("a.example.com"))
        registry.remove(1)
        try enter("*.example.com")
        #expect(try mayAsk("c.example.com"))
        #expect(try mayAsk("d.example.com") && !mayAsk("e.example.com"))
        limits.newNameBurst = 3
        try enter("*.example.com")
        #expect(try mayAsk("e.example.com"))
    }

    @Test("a connection is its endpoint's as long as that has the number and the address")
    func stays() throws {
        let registry = NameRegistry()
        registry.set(try endpoint(first), now: 0)
        let incarnation = try #require(registry.connectionBegan(of: 1))
        #expect(registry.isStill(1, incarnation, at: first) && !registry.isStill(1, incarnation, at: second))
        registry.set(try endpoint(second), now: 0)
        #expect(registry.isStill(1, incarnation, at: second) && !registry.isStill(1, incarnation, at: first))
        registry.remove(1)
        registry.set(try endpoint(second), now: 0)
        #expect(!registry.isStill(1, incarnation, at: second))
    }
}
