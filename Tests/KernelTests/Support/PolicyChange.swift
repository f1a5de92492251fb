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
import Synchronization
import Testing

/// Packets sent over and over by a task of its own.
struct Flood {
    private final class Switch: Sendable {
        let isOff = Atomic(false)
        let hasBegun = Atomic(false)
    }

    private let off: Switch
    private let task: Task<Int, any Error>

    init(_ packets: [[UInt8]], from endpoint: BenchEndpoint) {
        self.init(
            packets.map { packet in
                PacketBuilder.frame(
                    from: endpoint.value.hardwareAddress, to: endpoint.gatewayHardware, packet: packet)
            }, on: endpoint.socket)
    }

    init(_ frames: [[UInt8]], on socket: PacketSocket) {
        let off = Switch()
        self.off = off
        task = Task.detached {
            var sent = 0
            var pause = Poll()
            while !off.isOff.load(ordering: .relaxed) {
                for frame in frames { try socket.send(frame) }
                off.hasBegun.store(true, ordering: .relaxed)
                sent += frames.count
                // Leave room for the other tests.
                _ = try pause.wait(timeout: .milliseconds(1))
            }
            return sent
        }
    }

    /// Waits for the first packets.
    func begin() async throws {
        while !off.hasBegun.load(ordering: .relaxed) { try await Task.sleep(for: .milliseconds(1)) }
    }

    /// Stops, and says how many packets were sent.
    func end() async throws -> Int {
        off.isOff.store(true, ordering: .relaxed)
        return try await task.value
    }
}

extension KernelBench {
    /// Moves the first endpoint to other policies, as a daemon would.
    func change(to policies: PolicySet, generation: UInt16) throws {
        let policy = PolicyCompiler.compile(
            policies, generation: try #require(Generation(rawValue: generation)), logGroup: KernelBench.logGroup)
        try dataplane.replace(
            try #require(current),
            with: policy.program,
            switching: EndpointProgram.switching(endpoint.value, to: policy, logGroup: KernelBench.logGroup)
        )
        current = policy.program
    }
}

/// Counters on both sides of Egret's hook, for two destinations.
struct WireMeter {
    private let host: Dataplane
    private let outside: Dataplane
    private static let hostTable = Table(family: .inet, name: "meter")
    private static let outsideTable = Table(family: .netdev, name: "meter")

    init(_ bench: KernelBench) throws {
        host = bench.dataplane
        outside = try bench.outside.onOwnThread { Dataplane(try .netfilter()) }
        let arrival = BaseChain(kind: .filter, hook: .prerouting, priority: -400)
        let departure = BaseChain(kind: .filter, hook: .ingress, priority: 0, device: "out0")
        for (dataplane, table, base) in [
            (host, WireMeter.hostTable, arrival), (outside, WireMeter.outsideTable, departure),
        ] {
            var program = TableProgram(table: table)
            program.counters = [Counter("always"), Counter("never")]
            program.chains = [Chain("count", base: base)]
            for (name, text) in [("always", "203.0.113.10"), ("never", "203.0.113.66")] {
                let family: Statement =
                    table.family == .netdev ? .equal(.etherType, 0x0800) : .equal(.networkProtocol, 2)
                program.rules.append(
                    Rule(in: "count", [family, .equal(.ipv4Destination, address(text).rawValue), .counter(name)]))
            }
            try dataplane.install([program], on: TableProgram(table: table))
        }
    }

    /// What has left the host.
    func read() throws -> (always: UInt64, never: UInt64) { try counts(outside, WireMeter.outsideTable) }

    /// What has come to the host.
    func arrived() throws -> (always: UInt64, never: UInt64) { try counts(host, WireMeter.hostTable) }

    private func counts(_ dataplane: Dataplane, _ table: Table) throws -> (always: UInt64, never: UInt64) {
        let values = try dataplane.counters(in: table).mapValues(\.packets)
        return (values["always"] ?? 0, values["never"] ?? 0)
    }
}
