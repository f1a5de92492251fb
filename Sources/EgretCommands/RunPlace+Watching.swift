// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretRoutes
import EgretRun
import EgretShaping

/// What happens while the command runs.
extension RunPlace {
    /// Starts the command.
    func start(_ command: SandboxedCommand) throws -> ChildProcess {
        let child = try ChildProcess.spawn(
            joining: namespaces.processes,
            command.operations(joining: namespaces, filter: SeccompFilter.egress().program())
        )
        self.child = child
        // Each connection by name takes descriptors. The command has started with the limit that Egret had.
        if names != nil { try? CurrentProcess.raiseOpenFileLimit() }
        return child
    }

    /// What to wait for while the command runs, and what to do with it.
    func sources(noting output: RunOutput) -> [(descriptor: Descriptor, serve: () throws -> Void)] {
        let changes = policing.map { policing in
            [(policing.descriptor, { [unowned self] in try self.checkPolicing() })]
        }
        let namesLog = nameLogTimer(output).map { timer in
            [(timer.descriptor, { [unowned self] in try self.logNames(output, timer) })]
        }
        let checks = routes.map { routes in
            [(routes.descriptor, { [unowned self] in try self.keep(routes, telling: output) })]
        }
        let queues = queueWatch.map { watch in
            [(watch.descriptor, { [unowned self] in try self.checkQueues() })]
        }
        let corrections = budgetTimer().map { timer in
            [(timer.descriptor, { [unowned self] in try self.correctBudgets(timer) })]
        }
        var all: [(descriptor: Descriptor, serve: () throws -> Void)] =
            (changes ?? []) + (queues ?? []) + (corrections ?? []) + (checks ?? []) + (namesLog ?? [])
            + (flows?.descriptors ?? []).map { descriptor in
                (descriptor, { [unowned self] in _ = try self.note(output) })
            }
        if let timer = timesTimer {
            all.append((timer.descriptor, { [unowned self] in try self.keepTimes(timer) }))
        }
        return all
    }

    // MARK: - Times

    func startTimes() throws {
        guard policies.hasSchedules || policies.hasTimedLimits || budgets?.hasTimes == true else { return }
        let timer = try Timer()
        try timer.set(after: timesPeriod)
        timesTimer = timer
    }

    /// The kernel knows the times of the next days by itself. The proxies must be told that one is over.
    private var timesPeriod: Duration { names?.cutsByTime == true ? .seconds(1) : .seconds(60) }

    private func keepTimes(_ timer: Timer) throws {
        if let names, names.cutsByTime { names.endClosed() }
        let time = WallTime.now.seconds
        let isPaused = failedRenewal.map { abs(time - $0) < 60 } ?? false
        if ScheduleHorizon.isDue(horizon, at: time) && !isPaused {
            do {
                try renewTimes(at: time)
                failedRenewal = nil
            } catch {
                // What the kernel has will do for some days, and then nothing opens.
                if failedRenewal == nil {
                    Console.error(["egret: warning: cannot renew the times of rules: \(error); it is tried again"])
                }
                failedRenewal = time
            }
        }
        try timer.set(after: timesPeriod)
    }

    /// Gives the kernel the times of the next days in place of those that it has, in one transaction. Nothing else changes:
    /// connections stay as they were judged, and limits keep what they have counted.
    private func renewTimes(at time: Int64) throws {
        let horizon = ScheduleHorizon.seconds(at: time)
        let policy = PolicyCompiler.compile(
            policies, generation: policyProgram.generation, logGroup: record.logGroup, horizon: horizon)
        let further = limited.map { limitProgram(of: $0, horizon) }
        var changes = Transaction(policy.program.renewal(ofTimesOf: policyProgram.program))
        if let further, let limits {
            changes.steps += further.program.renewal(ofTimesOf: limits.program)
            changes.steps += further.frames.renewal(ofTimesOf: limits.frames)
        }
        let furtherBudgets = budgets?.program(within: horizon)
        if let furtherBudgets, let budgets { changes.steps += furtherBudgets.renewal(ofTimesOf: budgets.program) }
        if !changes.steps.isEmpty { try host.dataplane.commit(changes) }
        self.horizon = horizon
        policyProgram = policy
        policing?.policy = policy
        if let further {
            limits = further
            policing?.limits = further
        }
        if let furtherBudgets {
            budgets?.hold(furtherBudgets)
            policing?.budgets = furtherBudgets
        }
    }

    /// Rings when it is time to correct budgets for one another; `nil` if none needs it.
    private func budgetTimer() -> Timer? {
        guard budgets?.needCorrection == true, let timer = try? Timer() else { return nil }
        try? timer.set(after: RunPlace.budgetPeriod)
        return timer
    }

    private static let budgetPeriod = Duration.seconds(1)

    private func correctBudgets(_ timer: Timer) throws {
        // Without it budgets hold back more, never less: the next one comes in a second.
        try? budgets?.correct()
        policing?.budgets = budgets?.program
        try timer.set(after: RunPlace.budgetPeriod)
    }

    /// Rings when it is time to write down what was refused of names; `nil` if nobody wants that written.
    private func nameLogTimer(_ output: RunOutput) -> Timer? {
        guard names != nil, output.hasLog, let timer = try? Timer() else { return nil }
        try? timer.set(after: RunPlace.nameLogPeriod)
        return timer
    }

    private static let nameLogPeriod = Duration.milliseconds(100)

    func logNames(_ output: RunOutput, _ timer: Timer?) throws {
        for entry in names?.takeLogEntries() ?? [] { output.log(entry) }
        try timer?.set(after: RunPlace.nameLogPeriod)
    }

    /// Looks after the ways of routes.
    private func keep(_ routes: RouteKeeper, telling output: RunOutput) throws {
        output.tell(try routes.serve())
        guard routes.hasNewInterfaces, let link = InterfaceName(record.interface) else { return }
        do {
            let lock = try host.state.lock()
            defer { withExtendedLifetime(lock) {} }
            try host.openForwarding(of: [link], try HostNetwork(host.route), routes: routes.interfaces)
            routes.hasNewInterfaces = false
        } catch let error as LinuxError {
            // It has gone again in this moment.
            if error.errno != .noEntry { throw error }
        }
    }

    /// - Returns: Whether there may be more.
    func note(_ output: RunOutput) throws -> Bool {
        guard let events = try flows?.pending() else { return false }
        for record in events.records {
            guard let meaning = meaning(of: record.prefix) else { continue }
            output.log(record, meaning, ClauseText(policies))
            switch meaning {
            case .audited: collector.noteAudited()
            case .refused(let reason):
                collector.noteRefused(
                    record.key, isHost: record.destinationIsHost, reason: reason, bytes: record.bytes)
            }
        }
        for connection in events.connections { collector.note(connection) }
        if events.lostConnections { collector.noteLostConnections() }
        return events.mayHaveMore
    }

    /// What a log record's prefix, which is also a counter's name, stands for.
    func meaning(of name: String) -> LogMeaning? {
        if let clause = policyProgram.clause(named: name) {
            switch clause.effect {
            case .allow: return nil
            case .audit: return .audited(clause.clause)
            case .deny: return .refused(.clause(clause.clause, rejected: false))
            case .reject: return .refused(.clause(clause.clause, rejected: true))
            }
        }
        if let refusal = limits?.refusals[name] { return .refused(.limit(refusal.words)) }
        guard let counters = endpointProgram?.counters else { return nil }
        switch name {
        case counters.spoofed: return .refused(.spoofed)
        case counters.invalid: return .refused(.invalid)
        case counters.inbound: return .refused(.inbound)
        default: return nil
        }
    }
}
