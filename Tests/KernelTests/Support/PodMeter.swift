// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import Testing

/// Counters before and behind the hooks, for UDP to two ports, towards the second endpoint of a ``PodBench``.
struct PodMeter {
    static let always: UInt16 = 9001
    static let never: UInt16 = 9002

    private let host: Dataplane
    private let target: Dataplane
    private static let hostTable = Table(family: .inet, name: "meter")
    private static let targetTable = Table(family: .netdev, name: "meter")

    init(_ pods: PodBench) throws {
        host = pods.bench.dataplane
        target = try pods.pods[1].namespace.onOwnThread { Dataplane(try .netfilter()) }
        let arrival = BaseChain(kind: .filter, hook: .prerouting, priority: -400)
        let departure = BaseChain(kind: .filter, hook: .ingress, priority: 0, device: "eth0")
        for (dataplane, table, base) in [
            (host, PodMeter.hostTable, arrival), (target, PodMeter.targetTable, departure),
        ] {
            var program = TableProgram(table: table)
            program.counters = [Counter("always"), Counter("never")]
            program.chains = [Chain("count", base: base)]
            for (name, port) in [("always", PodMeter.always), ("never", PodMeter.never)] {
                program.rules.append(
                    Rule(
                        in: "count",
                        [.equal(.transportProtocol, 17), .equal(.destinationPort, UInt128(port)), .counter(name)]))
            }
            try dataplane.install([program], on: TableProgram(table: table))
        }
    }

    /// What the endpoint has received.
    func read() throws -> (always: UInt64, never: UInt64) { try counts(target, PodMeter.targetTable) }

    /// What has come to the host.
    func arrived() throws -> (always: UInt64, never: UInt64) { try counts(host, PodMeter.hostTable) }

    private func counts(_ dataplane: Dataplane, _ table: Table) throws -> (always: UInt64, never: UInt64) {
        let values = try dataplane.counters(in: table).mapValues(\.packets)
        return (values["always"] ?? 0, values["never"] ?? 0)
    }
}
