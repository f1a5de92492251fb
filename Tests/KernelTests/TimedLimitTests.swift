// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretNftables
import EgretPolicy
import Testing

/// Limits that hold at some times only, on a clock that is moved.
@Suite(.serialized, .requiresRoot)
struct TimedLimitTests {
    private static let packets: UInt16 = 9_001
    private static let connections: UInt16 = 9_002
    /// 2026-11-23, a Monday.
    private static let monday: Int64 = 20_780 * 86_400

    /// Ten packets at once, and three connections, on working days.
    private static func limits() throws -> [TrafficLimit] {
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let office = Schedule(days: [.mon, .tue, .wed, .thu, .fri], hours: [hours])
        return [
            TrafficLimit(
                direction: .egress, services: [.ports(.udp, PortRange(packets))],
                packets: EventRate(count: 1, unit: .hour), schedule: office, policy: "p"),
            TrafficLimit(
                direction: .egress, services: [.ports(.udp, PortRange(connections))], connections: 3, schedule: office,
                policy: "p"),
        ]
    }

    /// The first endpoint's limits, as somebody has worked them out at a moment, moved so that it is a time now.
    private static func program(
        of pods: PodBench, at moment: Int64, workedOutAt past: Int64? = nil
    ) throws -> TableProgram {
        let endpoint = pods.pods[0].endpoint
        let member = LimitProgram.Member(
            number: 0, attachment: endpoint.attachment, addresses: endpoint.addresses, network: "n",
            limits: try limits(), groups: [:])
        let first = past ?? moment
        let made = LimitProgram(
            [member], horizon: first - 3_600...first + 14 * 86_400, logGroup: KernelBench.logGroup)
        return made.program.moved(by: MovedClock(to: moment, under: []).lead)
    }

    private static func passing(_ count: Int, _ port: UInt16, _ pods: PodBench) throws -> Int {
        try (0..<count).filter { _ in
            try pods.attempt(from: .pod(0), to: .pod(1), .init(.udp, port: port), .ipv4).arrives
        }.count
    }

    @Test("a limit holds at its times, is not there at others, and has kept its count when its time comes again")
    func times() throws {
        let pods = try PodBench(.routed, pods: 2)
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(), pods)
        let dataplane = pods.bench.dataplane
        func move(_ present: TableProgram, to next: TableProgram) throws {
            let difference = next.difference(from: present)
            #expect(difference.arrival.isEmpty && difference.departure.isEmpty)
            try dataplane.commit(
                Transaction(difference.switching.map { Transaction.Step($0, in: LimitProgram.table) }))
            #expect(try dataplane.drift(of: [next]).isEmpty)
        }
        let noon = try TimedLimitTests.program(of: pods, at: TimedLimitTests.monday + 43_200)
        try dataplane.install([], on: noon)
        #expect(try TimedLimitTests.passing(30, TimedLimitTests.packets, pods) == 10)
        #expect(try TimedLimitTests.passing(6, TimedLimitTests.connections, pods) == 3)
        for other in [TimedLimitTests.monday + 72_000, TimedLimitTests.monday - 43_200] {
            let evening = try TimedLimitTests.program(of: pods, at: other)
            try move(noon, to: evening)
            #expect(try TimedLimitTests.passing(30, TimedLimitTests.packets, pods) == 30)
            #expect(try TimedLimitTests.passing(6, TimedLimitTests.connections, pods) == 6)
            try move(evening, to: noon)
            #expect(try TimedLimitTests.passing(3, TimedLimitTests.packets, pods) == 0)
            #expect(try TimedLimitTests.passing(3, TimedLimitTests.connections, pods) == 0)
        }
    }

    @Test("beyond the times that are in the kernel a limit holds")
    func horizon() throws {
        let pods = try PodBench(.routed, pods: 2)
        try HostPlanChangeTests.enforce(HostPlanChangeTests.Rules(), pods)
        // A Sunday, and nobody has renewed the times for three weeks.
        let sunday = TimedLimitTests.monday - 43_200
        try pods.bench.dataplane.install(
            [], on: TimedLimitTests.program(of: pods, at: sunday, workedOutAt: sunday - 21 * 86_400))
        #expect(try TimedLimitTests.passing(30, TimedLimitTests.packets, pods) == 10)
        #expect(try TimedLimitTests.passing(6, TimedLimitTests.connections, pods) == 3)
    }
}
