// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretEvaluator
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretPolicy
import Testing

/// What becomes of connections that are open when policies change.
struct ConnectionJudgeTests {
    private let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))
    private let inside = IPAddress.v4(IPv4Address(10, 0, 0, 5))

    private func allowing(_ pattern: String, _ naming: NameOptions = NameOptions()) throws -> EgressRule {
        EgressRule(action: .allow, domains: [try DomainPattern.parse(pattern)], naming: naming)
    }

    /// Whether policies of these rules let a connection go on of which the registry knows nothing any more.
    private func goesOn(_ attempt: ConnectionAttempt, _ rules: [EgressRule]) -> Bool {
        let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
        return ConnectionJudge(policies, registry: NameRegistry()).decide(1, open: attempt).verdict == .allow
    }

    private func attempt(_ address: IPAddress, _ speech: ConnectionAttempt.Speech) -> ConnectionAttempt {
        ConnectionAttempt(
            source: SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: 40_000),
            destination: SocketAddress(address, port: 443), speech: speech, rules: [0])
    }

    @Test("rules that come before its own do not end a connection, and those that deny its name do")
    func renumbered() throws {
        let attempt = attempt(web, .name(SpokenName("A.example.test", .tls)))
        let denying = EgressRule(action: .deny, domains: [try DomainPattern.parse("a.example.test")])
        #expect(try goesOn(attempt, [allowing("a.example.test")]))
        #expect(try goesOn(attempt, [allowing("b.example.test"), allowing("a.example.test")]))
        #expect(try goesOn(attempt, [allowing("b.example.test"), allowing("*.example.test")]))
        #expect(try !goesOn(attempt, [allowing("b.example.test")]))
        #expect(try !goesOn(attempt, [denying, allowing("*.example.test")]))
        #expect(!goesOn(attempt, []))
    }

    @Test("a flow of datagrams goes on by the rules that let its name out now, whatever their numbers")
    func renewedFlows() throws {
        let reading = NameOptions(quic: .check)
        func rules(_ attempt: ConnectionAttempt, _ rules: [EgressRule]) -> [Int]? {
            let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
            return ConnectionJudge(policies, registry: NameRegistry()).renewed(1, attempt)?.rules
        }
        var flow = attempt(web, .name(SpokenName("A.example.test", .tls)))
        flow.transport = .udp
        #expect(try rules(flow, [allowing("a.example.test", reading)]) == [0])
        #expect(try rules(flow, [allowing("b.example.test", reading), allowing("*.example.test", reading)]) == [1])
        #expect(try rules(flow, [allowing("b.example.test", reading)]) == nil)
        #expect(try rules(flow, [allowing("a.example.test")]) == nil, "QUIC is refused by now")
        flow.speech = .nothing(.otherProtocol)
        flow.names = [try DomainName.parse("a.example.test")]
        let lenient = NameOptions(whenUnverified: .pin, quic: .check)
        #expect(try rules(flow, [allowing("b.example.test", lenient), allowing("a.example.test", lenient)]) == [1])
        #expect(try rules(flow, [allowing("a.example.test", reading)]) == nil)
    }

    @Test("a connection to a server has the code point of the last limit that is about what goes there")
    func codePoints() throws {
        let near = Destination.block(AddressBlock(try #require(IPPrefix("203.0.113.0/24"))))
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        func mark(_ text: String) throws -> TrafficClassMark { try #require(TrafficClassMark(text)) }
        let limits = [
            TrafficLimit(dscp: try mark("af11")),
            TrafficLimit(destinations: [near], services: [.ports(.tcp, PortRange(443))], dscp: try mark("ef")),
            TrafficLimit(direction: .ingress, dscp: try mark("cs1")),
            TrafficLimit(services: [.any(.udp)], dscp: try mark("cs2")),
            TrafficLimit(
                services: [.ports(.tcp, PortRange(80))], dscp: try mark("cs3"), schedule: Schedule(hours: [hours])),
        ]
        let policies = PolicySet(policies: [
            EgressPolicy(name: "p", defaultAction: .deny, rules: [try allowing("a.example.test")], limits: limits)
        ])
        func codePoint(_ address: IPAddress, _ port: UInt16, hour: Int64 = 0) -> UInt8? {
            ConnectionJudge(policies, registry: NameRegistry(), time: { hour * 3_600 })
                .codePoint(to: SocketAddress(address, port: port), of: 1)
        }
        #expect(codePoint(web, 443) == 46 && codePoint(web, 8_443) == 10 && codePoint(inside, 443) == 10)
        #expect(codePoint(web, 80, hour: 8) == 10 && codePoint(web, 80, hour: 9) == 24)
        let plain = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [])])
        let judge = ConnectionJudge(plain, registry: NameRegistry())
        #expect(judge.codePoint(to: SocketAddress(web, port: 443), of: 1) == nil)
    }

    @Test("a connection has the code point of a limit for a name if the endpoint has resolved the name to its address")
    func codePointsOfNames() throws {
        let group = DestinationGroup(name: "video", blocks: [], domains: [try DomainPattern.parse("v.example.test")])
        let limits = [
            TrafficLimit(domains: [try DomainPattern.parse("a.example.test")], dscp: TrafficClassMark("ef")),
            TrafficLimit(destinations: [.group("video")], dscp: TrafficClassMark("cs1")),
        ]
        let policies = PolicySet(
            policies: [
                EgressPolicy(
                    name: "p", defaultAction: .deny, rules: [try allowing("*.example.test")], limits: limits)
            ], groups: [group])
        func codePoint(_ names: String...) throws -> UInt8? {
            let registry = NameRegistry()
            let until = BootClock.milliseconds + 60_000
            let held = try names.map { text in
                NameHolding(name: try #require(DNSName(text)), address: web, until: until)
            }
            let endpoint = NameEndpoint(id: 1, addresses: [], rules: NameRule.rules(of: policies))
            _ = registry.set(endpoint, holding: held, now: BootClock.milliseconds)
            return ConnectionJudge(policies, registry: registry).codePoint(
                to: SocketAddress(web, port: 443), of: 1)
        }
        #expect(try codePoint("a.example.test") == 46)
        #expect(try codePoint("b.example.test") == nil)
        #expect(try codePoint("b.example.test", "a.example.test") == 46)
        #expect(try codePoint("v.example.test") == 8)
        #expect(try codePoint() == nil)
    }

    @Test("a connection without a name goes on by the names that held its address, though they have expired")
    func unnamed() throws {
        var attempt = attempt(web, .nothing(.otherProtocol))
        let pinning = NameOptions(whenUnverified: .pin)
        #expect(try !goesOn(attempt, [allowing("a.example.test", pinning)]))
        attempt.names = [try DomainName.parse("a.example.test")]
        #expect(try goesOn(attempt, [allowing("a.example.test", pinning)]))
        #expect(try goesOn(attempt, [allowing("b.example.test"), allowing("a.example.test", pinning)]))
        #expect(try !goesOn(attempt, [allowing("a.example.test")]))
        #expect(try !goesOn(attempt, [allowing("b.example.test", pinning)]))
    }

    @Test("a connection goes on as long as its rule's time, and was let through at another")
    func times() throws {
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let attempt = attempt(web, .name(SpokenName("a.example.test", .tls)))
        let (noon, evening): (Int64, Int64) = (20_780 * 86_400 + 43_200, 20_780 * 86_400 + 72_000)
        for closing in Schedule.ClosingAction.allCases {
            var rule = try allowing("a.example.test")
            rule.schedule = Schedule(hours: [hours], onClose: closing)
            let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [rule])])
            func judge(_ time: Int64) -> ConnectionJudge {
                ConnectionJudge(policies, registry: NameRegistry(), time: { time })
            }
            #expect(judge(noon).decide(1, open: attempt).verdict == .allow)
            #expect(judge(evening).decide(1, open: attempt).verdict != .allow)
            #expect(judge(evening).decide(1, attempt).verdict != .allow)
            #expect(judge(evening).decide(1, attempt, at: noon).clause == .rule(policy: "p", index: 0))
            #expect(judge(noon).decide(1, attempt, at: nil).verdict != .allow)
            #expect(judge(noon).cutsByTime == (closing == .cut))
        }
    }

    @Test("an open connection goes on as its rule drains, until the time of another comes that cuts")
    func drains() throws {
        let attempt = attempt(web, .name(SpokenName("a.example.test", .tls)))
        let office = Schedule(hours: [try #require(Schedule.Hours(start: 540, end: 1_020))])
        let late = Schedule(hours: [try #require(Schedule.Hours(start: 1_200, end: 1_260))])
        let (noon, evening, night): (Int64, Int64, Int64) = (43_200, 68_400, 73_000)
        var (drained, cut) = (try allowing("a.example.test"), try allowing("b.example.test"))
        drained.schedule = Schedule(hours: office.hours, onClose: .drain)
        cut.schedule = office
        let denying = EgressRule(
            action: .deny, destinations: [.block(AddressBlock(IPPrefix(web)))], schedule: late)
        let rules = [denying, drained, cut]
        let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
        func goesOn(_ attempt: ConnectionAttempt, _ time: Int64, since beginning: Int64?) -> Bool {
            let judge = ConnectionJudge(policies, registry: NameRegistry(), time: { time })
            return judge.decide(1, open: attempt, since: beginning).verdict == .allow
        }
        #expect(goesOn(attempt, evening, since: noon))
        #expect(!goesOn(attempt, evening, since: nil))
        #expect(!goesOn(attempt, evening, since: evening))
        #expect(!goesOn(attempt, night, since: noon))
        let other = self.attempt(web, .name(SpokenName("b.example.test", .tls)))
        #expect(goesOn(other, noon, since: noon))
        #expect(!goesOn(other, evening, since: noon))
    }

    @Test("an address that is not public needs a rule that still permits it")
    func privateAddress() throws {
        let attempt = attempt(inside, .name(SpokenName("a.example.test", .tls)))
        let permitting = NameOptions(addresses: [.block(AddressBlock(IPPrefix(inside)))])
        #expect(try goesOn(attempt, [allowing("a.example.test", permitting)]))
        #expect(try !goesOn(attempt, [allowing("a.example.test")]))
    }
}
