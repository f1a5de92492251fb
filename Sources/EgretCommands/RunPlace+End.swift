// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretNetworks
import EgretNftables
import EgretPolicy
import EgretRoutes
import EgretRun

/// The end of the run: nothing stays of its place.
extension RunPlace {
    /// Ends everything that still runs in the place, and takes the place away.
    ///
    /// What cannot be taken away is said in ``problems``; the next run tries again.
    func end(noting output: RunOutput) -> RunReport {
        attempt("end the command's processes") { try endProcesses() }
        endNames()
        attempt("write down what was refused of names") { try logNames(output, nil) }
        attempt("read what the kernel logged") { while try note(output) {} }
        var totals: [RefusalReason: Traffic] = [:]
        var audited: UInt64 = 0
        attempt("read the counters") { (totals, audited) = try readCounters() }
        attempt("read what was used of budgets") { budgetUses = try budgets?.uses() ?? [] }
        attempt("read the open connections") {
            if !hasAdmitted { return }
            for connection in try flows?.open(host.netfilter) ?? [] { collector.note(connection) }
        }
        let mustHaveReached = hasAdmitted && flows != nil && names == nil
        let report = collector.finish(refusedTotals: totals, hasAdmitted: mustHaveReached, audited: audited)
        attempt("take the host's lock") {
            let lock = try host.state.lock()
            withExtendedLifetime(lock) { dismantle() }
        }
        return report
    }

    /// Ends the proxies, and notes what they have let out.
    private func endNames() {
        guard let names, nameReport == nil else { return }
        let (report, relayed) = names.end()
        nameReport = report
        for connections in relayed { collector.note(connections) }
    }

    private func endProcesses() throws {
        try namespaces.end(waitingFor: child.map { [$0] } ?? [])
    }

    /// What was refused, and how many packets were audited; notes whether anything was admitted.
    private func readCounters() throws -> (refused: [RefusalReason: Traffic], audited: UInt64) {
        var totals: [RefusalReason: Traffic] = [:]
        var audited: UInt64 = 0
        var hasAdmitted = false
        let own = limits.map { [$0.program.table] } ?? []
        for table in [BaseProgram.table, BaseProgram.frameTable] + own {
            for (name, value) in try host.dataplane.counters(in: table) {
                if case .refused(let reason) = meaning(of: name) {
                    totals[reason, default: Traffic()] += Traffic(packets: value.packets, bytes: value.bytes)
                } else if value.packets > 0, let clause = policyProgram.clause(named: name) {
                    hasAdmitted = true
                    if clause.effect == .audit { audited += value.packets }
                }
            }
        }
        // What goes to the proxies bears the policy's mark too, and no clause counts it.
        self.hasAdmitted = hasAdmitted || names != nil
        return (totals, audited)
    }

    /// Takes away what was made. The caller holds the lock.
    ///
    /// Sockets can outlive their process and send on. So the link goes down before the policy leaves. The link itself
    /// goes with the command's network namespace, which nothing holds any more: waiting for the kernel to take it out
    /// of use would double the time that a short command takes. What holds a namespace all the same (a socket that the
    /// command has passed to somebody) holds a link that is down; `egret gc` removes it.
    func dismantle() {
        let hasEnded = attempt("end the command's processes") { try endProcesses() }
        attempt("stop the link") { try RunLink.stop(record, host.route) }
        endNames()
        if hasRoutes || names != nil {
            attempt("remove the routes") { try RouteKeeper.remove(slot: record.slot, host.route, host.routeRules) }
        }
        if let limits {
            attempt("remove the limits") { try host.dataplane.removeTables(limits.programs.map(\.table)) }
        }
        if budgets != nil {
            attempt("remove the budgets") { try RunBudgets.remove(slot: record.slot, host.dataplane) }
        }
        let hasLeft = !isInstalled || attempt("remove the policy") { try removePolicy() }
        if hasQueue { attempt("remove the queue") { try host.removeQueue(of: record) } }
        // Sockets with data that waits for its turn, or was cut off or held back, would hold the namespace, and so the link, for
        // minutes.
        let isHeld = isLimited || policies.cutsByTime || budgetUses.contains { $0.refused > 0 }
        if !hasEnded || isHeld { attempt("remove the link") { try RunLink.remove(record, host.route) } }
        if isInstalled && hasAdmitted {
            attempt("forget the connections") {
                try flows?.deleteOpen(host.netfilter)
                // Those whose every packet is judged by the clock bear no mark.
                if policies.cutsByTime { try NetworkConnections(host.netfilter).forget(of: record.addresses) }
            }
        }
        attempt("forget the run") {
            try host.state.forget(record)
            if hasLeft { try host.state.removeIfEmpty() } else { try host.restoreIfLast() }
        }
    }

    /// Takes away what polices this run; if no other is left, all that runs share as well.
    private func removePolicy() throws {
        if try !host.isAlone(besides: record) {
            guard let endpointProgram, !hasLostPolicing else { return try host.removeRemains(of: record) }
            try host.dataplane.remove(programs(endpointProgram))
        } else {
            try host.restore()
        }
    }

    /// - Returns: Whether it went well.
    @discardableResult
    func attempt(_ what: String, _ body: () throws -> Void) -> Bool {
        do {
            try body()
            return true
        } catch {
            problems.append("cannot \(what): \(error)")
            return false
        }
    }
}
