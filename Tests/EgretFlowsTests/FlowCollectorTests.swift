// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretFlows
import EgretPolicy
import Synchronization
import Testing

@Suite("gathering what the kernel tells")
struct FlowCollectorTests {
    private let near = IPAddress.v4(IPv4Address(203, 0, 113, 10))
    private let far = IPAddress.v4(IPv4Address(198, 51, 100, 66))
    private let allow = DecidingClause.rule(policy: "p", index: 0)

    private var policies: PolicySet {
        let blocks = [near].map { Destination.block(AddressBlock(IPPrefix($0))) }
        let rules = [
            EgressRule(action: .allow, destinations: blocks, services: [.ports(.tcp, PortRange(80))]),
            EgressRule(action: .audit, destinations: blocks, services: [.ports(.tcp, PortRange(443))]),
        ]
        return PolicySet(
            policies: [EgressPolicy(name: "p", priority: 0, defaultAction: .deny, rules: rules)],
            groups: [],
            networkDefault: .deny
        )
    }

    private func connection(_ port: UInt16, _ sent: UInt64, _ received: UInt64) -> FlowCollector.Connection {
        FlowCollector.Connection(
            key: FlowKey(destination: near, protocol: .tcp, port: port),
            destinationIsHost: false,
            sent: Traffic(packets: 1, bytes: sent),
            received: Traffic(packets: 2, bytes: received)
        )
    }

    @Test("connections to one destination and port are one line, the largest first")
    func sums() {
        var collector = FlowCollector(policies: policies)
        collector.note(connection(80, 10, 20))
        collector.note(connection(443, 1000, 1))
        collector.note(connection(80, 5, 7))
        let report = collector.finish(refusedTotals: [:])
        #expect(report.reached.map(\.key.port) == [443, 80])
        #expect(report.reached.map(\.isAudited) == [true, false])
        #expect(report.reached.map(\.connections) == [1, 2])
        #expect(report.reached.last?.sent == Traffic(packets: 2, bytes: 15))
        #expect(report.reached.last?.received == Traffic(packets: 4, bytes: 27))
        #expect(report.reached.last?.clause == allow)
    }

    @Test("a connection that the kernel let out is a line also if the policy, asked later, would not")
    func unexplainedConnection() {
        var collector = FlowCollector(policies: policies)
        collector.note(connection(22, 10, 20))
        let report = collector.finish(refusedTotals: [:], hasAdmitted: true)
        #expect(report.reached.map(\.clause) == [nil])
        #expect(!report.lostConnections)
    }

    @Test("packets let out without any connection heard of are said to be missing")
    func unheardConnections() {
        let collector = FlowCollector(policies: policies)
        #expect(collector.finish(refusedTotals: [:], hasAdmitted: true).lostConnections)
    }

    @Test("audited packets without a log record are counted")
    func unloggedAudits() {
        var collector = FlowCollector(policies: policies)
        collector.noteAudited()
        #expect(collector.finish(refusedTotals: [:], audited: 3).unloggedAudits == 2)
    }

    @Test("packets in the counters and in no record are counted as not logged")
    func unlogged() {
        let reason = RefusalReason.clause(.policyDefault(policy: "p"), rejected: false)
        var collector = FlowCollector(policies: policies)
        for _ in 0..<3 {
            collector.noteRefused(FlowKey(destination: far, protocol: .tcp, port: 22), reason: reason, bytes: 60)
        }
        collector.noteRefused(FlowKey(destination: far, protocol: .udp, port: 53), reason: .invalid, bytes: 30)
        let report = collector.finish(
            refusedTotals: [
                reason: Traffic(packets: 10, bytes: 600), .spoofed: Traffic(), .invalid: Traffic(packets: 1, bytes: 30),
            ])
        #expect(report.unlogged == [reason: 7])
        #expect(report.refusedTotals[.spoofed] == nil)
        #expect(report.refused.map(\.logged) == [Traffic(packets: 3, bytes: 180), Traffic(packets: 1, bytes: 30)])
    }

    @Test("a port scan fills no more lines than the limit, and what is left out is counted")
    func limit() {
        let reason = RefusalReason.clause(.policyDefault(policy: "p"), rejected: false)
        var collector = FlowCollector(policies: policies)
        for number in 0..<UInt32(FlowCollector.destinationLimit + 5) {
            let address = IPAddress.v4(IPv4Address(rawValue: 0x0a00_0000 + number))
            collector.noteRefused(FlowKey(destination: address, protocol: .tcp, port: 1), reason: reason, bytes: 40)
        }
        let total = UInt64(FlowCollector.destinationLimit + 5)
        let report = collector.finish(refusedTotals: [reason: Traffic(packets: total, bytes: total * 40)])
        #expect(report.refused.count == FlowCollector.destinationLimit)
        #expect(report.omittedDestinations == 5)
        #expect(report.unlogged.isEmpty)
    }

    @Test("amounts stop at the largest number")
    func overflow() {
        var traffic = Traffic(packets: .max - 1, bytes: .max - 1)
        traffic += Traffic(packets: 5, bytes: 5)
        #expect(traffic == Traffic(packets: .max, bytes: .max))
    }

    /// A clock that a test moves.
    private final class Clock: Sendable {
        private let state: Mutex<Int64>

        init(_ time: Int64) { state = Mutex(time) }

        var time: Int64 {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    @Test("a connection is put down to the rule that has let it out last, though that rule's time is over")
    func times() throws {
        let (morning, evening) = (
            try #require(Schedule.Hours(start: 540, end: 1_020)), try #require(Schedule.Hours(start: 1_080, end: 1_200))
        )
        let rules = [morning, evening].map { hours in
            EgressRule(
                action: .allow, destinations: [.block(AddressBlock(IPPrefix(near)))],
                services: [.ports(.tcp, PortRange(80))], schedule: Schedule(hours: [hours]))
        }
        let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
        // 2026-11-23.
        let day: Int64 = 20_780 * 86_400
        func clause(of port: UInt16, at times: [Int64]) -> DecidingClause? {
            let clock = Clock(day + times[0])
            var collector = FlowCollector(policies: policies, clock: { clock.time })
            for time in times { clock.time = day + time }
            collector.note(connection(port, 1, 1))
            return collector.finish(refusedTotals: [:]).reached.first?.clause
        }
        let (early, late) = (allow, DecidingClause.rule(policy: "p", index: 1))
        #expect(clause(of: 80, at: [36_000]) == early)
        #expect(clause(of: 80, at: [36_000, 63_000]) == early)
        #expect(clause(of: 80, at: [36_000, 66_000]) == late)
        #expect(clause(of: 80, at: [36_000, 80_000]) == late)
        #expect(clause(of: 80, at: [36_000, 5 * 86_400 + 63_000]) == early)
        #expect(clause(of: 80, at: [20_000]) == nil)
        #expect(clause(of: 80, at: [20_000, 63_000]) == early)
        #expect(clause(of: 22, at: [36_000, 63_000]) == nil)
        // The clock was set back.
        #expect(clause(of: 80, at: [36_000, 20_000]) == early)
    }

    @Test("each QUIC connection has the name that it has said itself, also where others share its server's address")
    func saidNames() throws {
        let names = [try DomainName.parse("a.example.test"), try DomainName.parse("b.example.test")]
        let rules = try ["a.example.test", "b.example.test"].map { pattern in
            EgressRule(
                action: .allow, domains: [try DomainPattern.parse(pattern)], naming: NameOptions(quic: .check),
                services: [.ports(.tcp, PortRange(443))])
        }
        let said: [UInt16: DomainName] = [40_001: names[1], 40_002: names[0]]
        let near = self.near
        var collector = FlowCollector(
            policies: PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)]),
            namesOf: { _ in Set(names) },
            nameSaid: { sourcePort, server, port in server == near && port == 443 ? said[sourcePort] : nil })
        for (sourcePort, bytes) in [(40_001, 10), (40_002, 20), (40_003, 30), (nil, 40)] as [(UInt16?, UInt64)] {
            collector.note(
                FlowCollector.Connection(
                    key: FlowKey(destination: near, protocol: .udp, port: 443), destinationIsHost: false,
                    sourcePort: sourcePort, sent: Traffic(packets: 1, bytes: bytes), received: Traffic()))
        }
        let reached = collector.finish(refusedTotals: [:]).reached
        // Of the first line nobody knows what was said.
        #expect(reached.map(\.sent.bytes) == [70, 20, 10])
        #expect(reached.map(\.name) == [nil, "a.example.test", "b.example.test"])
        #expect(reached.map(\.clause) == [nil, allow, .rule(policy: "p", index: 1)])
    }

    @Test("connections whose end the kernel could not tell are said to be lost")
    func lost() {
        var collector = FlowCollector(policies: policies)
        collector.noteLostConnections()
        #expect(collector.finish(refusedTotals: [:]).lostConnections)
    }
}
