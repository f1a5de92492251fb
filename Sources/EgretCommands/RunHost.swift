// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretRun

/// The host as runs share it: its state directory, its tables, its switches.
final class RunHost {
    let state: StateDirectory
    let route: NetlinkConnection
    let netfilter: NetlinkConnection
    let dataplane: Dataplane

    init() throws {
        state = try StateDirectory()
        route = try NetlinkConnection.route()
        netfilter = try NetlinkConnection.netfilter()
        dataplane = Dataplane(netfilter)
    }

    /// Removes what dead runs left. The caller holds the lock.
    ///
    /// - Returns: The runs that were removed.
    @discardableResult
    func removeDeadRuns() throws -> [RunRecord] {
        let dead = try state.deadRuns()
        for record in dead {
            try RunLink.remove(record, route)
            try dataplane.removeRemains(
                prefixes: [
                    "g\(record.generation)", record.interface, "from-\(record.interface)", "to-\(record.interface)",
                ],
                addresses: record.addresses,
                in: [BaseProgram.table, BaseProgram.frameTable]
            )
            if let generation = Generation(rawValue: record.generation) {
                try KernelFlows.delete(mark: (generation.mark, Generation.mask), netfilter)
            }
            try state.forget(record)
        }
        if !dead.isEmpty, try !state.hasRuns() { try restore() }
        return dead
    }

    /// Moves the switches that are not where a run needs them, and notes how to put them back.
    func moveSwitches(_ switches: [HostSwitch]) throws {
        var ledger = state.ledger()
        let moves = ledger.prepare(switches) { path in try? Sysctl(path).read() }
        if moves.isEmpty { return }
        try state.store(ledger)
        for move in moves { try Sysctl(move.path).write(move.needed) }
    }

    /// If no run is left: deletes the tables, puts the switches back, and removes the state directory.
    func restoreIfLast() throws {
        if try state.hasRuns() { return }
        try restore()
        try state.removeIfEmpty()
    }

    private func restore() throws {
        try dataplane.removeTables([BaseProgram.table, BaseProgram.frameTable])
        for move in state.ledger().restoration(position: { path in try? Sysctl(path).read() }) {
            try Sysctl(move.path).write(move.needed)
        }
        try state.store(SwitchLedger())
    }
}

extension HostSwitch {
    /// What has to be on for a run's packets to be passed on, and their answers, and their bytes accounted.
    ///
    /// The link's own switches go with the link; only the others are noted by the ledger, which leaves out what
    /// stands right already.
    static func forwarding(link: InterfaceName, _ network: HostNetwork) -> [HostSwitch] {
        let interfaces = [link] + network.routedInterfaces
        var switches = interfaces.map { HostSwitch("net/ipv4/conf/\($0)/forwarding", needed: "1") }
        switches.append(HostSwitch("net/netfilter/nf_conntrack_acct", needed: "1"))
        if network.hasIPv6, (try? Sysctl("net/ipv6/conf/all/forwarding").read()) == "0" {
            switches += ipv6Forwarding(interfaces)
        }
        return switches
    }

    private static func ipv6Forwarding(_ interfaces: [InterfaceName]) -> [HostSwitch] {
        // Linux 6.17 forwards by the arriving interface alone.
        if (try? Sysctl("net/ipv6/conf/all/force_forwarding").read()) != nil {
            return interfaces.map { HostSwitch("net/ipv6/conf/\($0)/force_forwarding", needed: "1") }
        }
        // A router ignores router advertisements unless told to take them all the same.
        let listening = interfaces.filter { (try? Sysctl("net/ipv6/conf/\($0)/accept_ra").read()) == "1" }
        return listening.map { HostSwitch("net/ipv6/conf/\($0)/accept_ra", needed: "2") }
            + [HostSwitch("net/ipv6/conf/all/forwarding", needed: "1")]
    }
}
