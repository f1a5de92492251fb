// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

/// The times of limits are in the kernel some days ahead, and others take their place as the days pass.
@Suite("keeping limits that hold at some times only", .serialized, .requiresRoot)
struct TimedLimitTakeOverTests {
    private static let day: Int64 = 86_400

    private func run(_ command: String) throws -> String {
        let output = try RunningProgram(["sh", "-c", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
        return output.standardOutput
    }

    /// Everything but elements and whose the table is, with the numbers that the kernel has given.
    private func rules() throws -> String {
        try run("nft -a -t list table inet egret-limits | grep -vE '^(table|.flags)'")
    }

    /// What the sets of times hold.
    private func times() throws -> [[SetElement]] {
        let table = LimitProgram.table
        let picture = try Dataplane(try NetlinkConnection.netfilter()).picture(of: [table])
        let names = picture.holdings[table]?.sets.filter { $0.hasPrefix("when-") } ?? []
        return try names.map { try picture.elements(of: $0, in: table) }
    }

    private func enforcement(_ directory: TemporaryDirectory) throws -> KernelEnforcement {
        try KernelEnforcement(
            directory: directory.path + "/bridges", routes: directory.path + "/routes",
            Dataplane(try NetlinkConnection.netfilter()))
    }

    private func state() throws -> DesiredState {
        let address = try #require(IPAddress("10.9.0.2"))
        let endpoint = AgentEndpoint(
            workload: Workload(Workload.ID(name: "w", kind: "Endpoint"), addresses: [address]), network: "net0",
            namespace: "ns", interface: try #require(InterfaceName("timed0")),
            interfaceIndex: UInt32(try #require(Interface.index(named: "timed0"))), bridge: nil,
            hardwareAddress: MACAddress(locallyAdministered: 1), addresses: [address])
        let office = Schedule(
            days: [.mon, .tue, .wed, .thu, .fri], hours: [try #require(Schedule.Hours(start: 540, end: 1_020))])
        let policy = EgressPolicy(
            name: "p", selects: .everything, rules: [EgressRule(action: .allow)],
            limits: [TrafficLimit(connections: 5, packets: EventRate("100/s"), schedule: office)])
        return DesiredState(
            catalog: PolicyCatalog(egressPolicies: [policy], networkDefault: .allow), endpoints: [endpoint])
    }

    @Test("the times are renewed in place, and whoever takes the tables over keeps what has counted")
    func renewal() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            _ = try run("ip link set lo up; ip link add timed0 type ifb")
            let directory = try TemporaryDirectory()
            let state = try self.state()
            let time: Int64 = 1_795_392_000
            var rules = ""
            var times: [[SetElement]] = []
            do {
                let first = try enforcement(directory)
                _ = try first.take(to: state, at: time)
                #expect(first.timesHoldUntil == time + 14 * TimedLimitTakeOverTests.day)
                rules = try self.rules()
                times = try self.times()
                #expect(times.count == 1)
                _ = try first.apply(state, at: time + 8 * TimedLimitTakeOverTests.day)
                #expect(first.timesHoldUntil == time + 22 * TimedLimitTakeOverTests.day)
                #expect(try first.drift() == [])
            }
            #expect(try self.rules() == rules)
            #expect(try self.times() != times)
            times = try self.times()
            let next = try enforcement(directory)
            _ = try next.take(to: state, at: time + 20 * TimedLimitTakeOverTests.day)
            #expect(next.timesHoldUntil == time + 34 * TimedLimitTakeOverTests.day)
            #expect(try next.drift() == [])
            #expect(try self.rules() == rules)
            #expect(try self.times() != times)
        }
    }
}
