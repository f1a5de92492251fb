// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretFlows
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretRun

/// The place where a run's command runs: its namespaces, its link, its policy in the kernel, and the ears that hear
/// what becomes of its traffic.
///
/// ``end(noting:)`` takes everything away again, also after a step that failed. `docs/design/run.md` has the order.
final class RunPlace {
    /// What the user should know before the command starts.
    private(set) var warnings: [String] = []
    /// What went wrong at the end; none of it concerns the command.
    private(set) var problems: [String] = []

    private let policies: PolicySet
    private let host: RunHost
    private let claim: StateDirectory.Claim
    private let policyProgram: PolicyProgram
    private var endpointProgram: EndpointProgram?
    private var isInstalled = false
    /// Whether the kernel may hold connections that the policy has admitted.
    private var hasAdmitted = true
    private let namespaces: NamespaceInit
    private var child: ChildProcess?
    private var flows: KernelFlows?
    private var policing: RunPolicing?
    /// Whether the rules were changed or gone before the run's end.
    private(set) var hasLostPolicing = false
    private var collector: FlowCollector

    private var record: RunRecord { claim.record }

    /// Makes the place: when this returns, a command started in it is policed from its first instruction on.
    ///
    /// - Parameters:
    ///   - host: The host.
    ///   - lock: The host's; not needed any more when this returns.
    ///   - policies: What the command may reach.
    ///   - user: Who the command runs as.
    ///   - resolvers: Resolvers that the user named; if none, the host's.
    ///   - exposedSockets: Control sockets that stay in the command's reach, by path.
    /// - Throws: An error that names the step. What was made is gone again.
    init(
        on host: RunHost,
        lockedBy lock: FileLock,
        policies: PolicySet,
        user: UserIdentity,
        resolvers: [IPAddress],
        exposedSockets: [String]
    ) throws {
        self.host = host
        self.policies = policies
        let evaluator = PolicyEvaluator(policies: policies)
        let (sandbox, resolution) = try Sandbox.onThisHost(
            resolvers: resolvers,
            exposedSockets: exposedSockets,
            user: user
        ) { evaluator.decide(Flow(to: $0, protocol: .udp, port: 53)).verdict == .allow }
        // Before anything large is in memory: init keeps a copy of what changes later.
        let started = try NamespaceInit.begin(sandbox.setUp)
        let namespaces = started.namespaces
        self.namespaces = namespaces
        try host.removeDeadRuns()
        // A few are on their way out with their namespaces; waiting for the kernel would double the time of a short run.
        try host.removeStrayLinks(besides: 8)
        let network = try HostNetwork(host.route)
        let mentioned = policies.mentionedBlocks + resolution.resolvers.map { IPPrefix($0) }
        var plans: [Int: AddressPlan] = [:]
        let names = Swift.Set(network.links.values)
        let claim = try host.state.claim(isTaken: { names.contains("egret\($0)") }) { slot in
            plans[slot] = AddressPlanner.plan(
                slot: slot,
                occupied: network.occupied,
                mentioned: mentioned,
                withIPv6: network.hasIPv6
            )
            return plans[slot]?.endpointAddresses
        }
        guard let claim, let plan = plans[claim.record.slot],
            let generation = Generation(rawValue: claim.record.generation)
        else {
            try host.state.removeIfEmpty()
            try namespaces.end()
            throw RunFailure(
                message: "there are no addresses left for another run",
                advice: "every private block is in use on this host, or \(AddressPlanner.slotCount) runs are alive"
            )
        }
        self.claim = claim
        policyProgram = PolicyCompiler.compile(policies, generation: generation, logGroup: claim.record.logGroup)
        collector = FlowCollector(policies: policies)
        warnings = RunPlace.warnings(resolution, resolvers)
        do {
            try make(plan, network)
            _ = try started.confirm()
        } catch {
            withExtendedLifetime(lock) { dismantle() }
            throw error
        }
        withExtendedLifetime(lock) {}
    }

    private func make(_ plan: AddressPlan, _ network: HostNetwork) throws {
        let link = try RunLink.create(record, plan, mtu: network.mtu, in: namespaces.network, host.route)
        let endpoint = Endpoint(
            interface: link.name,
            interfaceIndex: link.index,
            hardwareAddress: record.endpointHardwareAddress,
            addresses: plan.endpointAddresses
        )
        let program = EndpointProgram(endpoint, obeying: policyProgram, logGroup: record.logGroup)
        endpointProgram = program
        try host.dataplane.install([policyProgram.program, program.packets, program.frames], on: BaseProgram.program)
        isInstalled = true
        try verify(program)
        try host.openForwarding(link: link.name, network)
        flows = try KernelFlows(
            logGroup: record.logGroup,
            addresses: plan.endpointAddresses,
            mark: (policyProgram.generation.mark, Generation.mask),
            hostAddresses: network.addresses + plan.links.map(\.host)
        )
        warnings += try obstacles(plan, link, network)
    }

    /// Other tools' chains that what the policy allows would not get through.
    private func obstacles(_ plan: AddressPlan, _ link: RunLink, _ network: HostNetwork) throws -> [String] {
        let packets = plan.endpointAddresses.map { address in
            PassingPacket(
                from: address, input: link.name.description, inputIndex: link.index,
                outputs: network.uplinks)
        }
        let found = try packets.flatMap { try host.dataplane.obstacles(to: $0, at: .forward) }
        return ObstacleText(interface: "egret+", what: "what the command sends on").lines(found)
    }

    /// What the command is held by besides its policy. Somebody else may have changed what was there before.
    private func verify(_ program: EndpointProgram) throws {
        let policing = try RunPolicing(policyProgram, program, on: record.interface, host.dataplane)
        self.policing = policing
        guard try policing.isThere() else {
            throw RunFailure(
                message: "the tables named egret are not as Egret makes them: something else has changed them",
                advice: "when no other egret run is alive: nft delete table inet egret; nft delete table netdev egret"
            )
        }
    }

    /// Stops the run's traffic if the rules that police it are not what they were.
    private func checkPolicing() throws {
        guard try policing?.isBroken() == true else { return }
        try RunLink.stop(record, host.route)
        hasLostPolicing = true
        throw RunFailure(
            message: "somebody changed the rules that police the command; its traffic and the command were stopped",
            advice: "nft flush ruleset and restarts of the nftables service do this; the report is incomplete"
        )
    }

    private static func warnings(_ resolution: Sandbox.NameResolution, _ chosen: [IPAddress]) -> [String] {
        if resolution.isUnchanged { return ["/etc/resolv.conf leads nowhere; names do not resolve"] }
        if !resolution.resolvers.isEmpty { return [] }
        // A resolver on the host's loopback is out of reach whatever the policy says.
        let loopback = [IPPrefix("127.0.0.0/8"), IPPrefix("::1/128")].compactMap(\.self)
        if let refused = resolution.leftOut.first(where: { address in !loopback.contains { $0.contains(address) } }) {
            return [
                "names do not resolve: no rule lets queries to \(refused) out; add --allow \(flag(refused))"
            ]
        }
        guard let first = resolution.leftOut.first else {
            return ["names do not resolve: /etc/resolv.conf names no resolver; name one with --dns"]
        }
        return ["names do not resolve: the resolver \(first) is on the host's loopback; name another with --dns"]
    }

    private static func flag(_ resolver: IPAddress) -> String {
        quotedForShell(FlowKey(destination: resolver, protocol: .udp, port: 53).flagText)
    }

    /// Starts the command.
    func start(_ command: SandboxedCommand) throws -> ChildProcess {
        let child = try ChildProcess.spawn(
            joining: namespaces.processes,
            command.operations(joining: namespaces, filter: SeccompFilter.egress().program())
        )
        self.child = child
        return child
    }

    /// What to wait for while the command runs, and what to do with it.
    func sources(noting output: RunOutput) -> [(descriptor: Descriptor, serve: () throws -> Void)] {
        let changes = policing.map { policing in
            [(policing.descriptor, { [unowned self] in try self.checkPolicing() })]
        }
        return (changes ?? [])
            + (flows?.descriptors ?? []).map { descriptor in
                (descriptor, { [unowned self] in _ = try self.note(output) })
            }
    }

    /// - Returns: Whether there may be more.
    private func note(_ output: RunOutput) throws -> Bool {
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
    private func meaning(of name: String) -> LogMeaning? {
        if let clause = policyProgram.clause(named: name) {
            switch clause.effect {
            case .allow: return nil
            case .audit: return .audited(clause.clause)
            case .deny: return .refused(.clause(clause.clause, rejected: false))
            case .reject: return .refused(.clause(clause.clause, rejected: true))
            }
        }
        guard let counters = endpointProgram?.counters else { return nil }
        switch name {
        case counters.spoofed: return .refused(.spoofed)
        case counters.invalid: return .refused(.invalid)
        case counters.inbound: return .refused(.inbound)
        default: return nil
        }
    }

    // MARK: - The end

    /// Ends everything that still runs in the place, and takes the place away.
    ///
    /// What cannot be taken away is said in ``problems``; the next run tries again.
    func end(noting output: RunOutput) -> RunReport {
        attempt("end the command's processes") { try endProcesses() }
        attempt("read what the kernel logged") { while try note(output) {} }
        var totals: [RefusalReason: Traffic] = [:]
        var audited: UInt64 = 0
        attempt("read the counters") { (totals, audited) = try readCounters() }
        attempt("read the open connections") {
            if !hasAdmitted { return }
            for connection in try flows?.open(host.netfilter) ?? [] { collector.note(connection) }
        }
        let report = collector.finish(refusedTotals: totals, hasAdmitted: hasAdmitted && flows != nil, audited: audited)
        attempt("take the host's lock") {
            let lock = try host.state.lock()
            withExtendedLifetime(lock) { dismantle() }
        }
        return report
    }

    private func endProcesses() throws {
        try namespaces.end(waitingFor: child.map { [$0] } ?? [])
    }

    /// What was refused, and how many packets were audited; notes whether anything was admitted.
    private func readCounters() throws -> (refused: [RefusalReason: Traffic], audited: UInt64) {
        var totals: [RefusalReason: Traffic] = [:]
        var audited: UInt64 = 0
        var hasAdmitted = false
        for table in [BaseProgram.table, BaseProgram.frameTable] {
            for (name, value) in try host.dataplane.counters(in: table) {
                if case .refused(let reason) = meaning(of: name) {
                    totals[reason, default: Traffic()] += Traffic(packets: value.packets, bytes: value.bytes)
                } else if value.packets > 0, let clause = policyProgram.clause(named: name) {
                    hasAdmitted = true
                    if clause.effect == .audit { audited += value.packets }
                }
            }
        }
        self.hasAdmitted = hasAdmitted
        return (totals, audited)
    }

    /// Takes away what was made. The caller holds the lock.
    ///
    /// Sockets can outlive their process and send on. So the link goes down before the policy leaves. The link itself
    /// goes with the command's network namespace, which nothing holds any more: waiting for the kernel to take it out
    /// of use would double the time that a short command takes. What holds a namespace all the same (a socket that the
    /// command has passed to somebody) holds a link that is down; `egret gc` removes it.
    private func dismantle() {
        let hasEnded = attempt("end the command's processes") { try endProcesses() }
        attempt("stop the link") { try RunLink.stop(record, host.route) }
        let hasLeft = !isInstalled || attempt("remove the policy") { try removePolicy() }
        if !hasEnded { attempt("remove the link") { try RunLink.remove(record, host.route) } }
        if isInstalled && hasAdmitted {
            attempt("forget the connections") { try flows?.deleteOpen(host.netfilter) }
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
            try host.dataplane.remove([policyProgram.program, endpointProgram.packets, endpointProgram.frames])
        } else {
            try host.restore()
        }
    }

    /// - Returns: Whether it went well.
    @discardableResult
    private func attempt(_ what: String, _ body: () throws -> Void) -> Bool {
        do {
            try body()
            return true
        } catch {
            problems.append("cannot \(what): \(error)")
            return false
        }
    }
}

/// What a log record says happened.
enum LogMeaning {
    case audited(DecidingClause)
    case refused(RefusalReason)
}

extension PolicySet {
    /// Every block that the policies and groups write out.
    fileprivate var mentionedBlocks: [IPPrefix] {
        let inRules = policies.flatMap(\.rules).flatMap(\.destinations).compactMap { destination -> IPPrefix? in
            guard case .block(let block) = destination else { return nil }
            return block.prefix
        }
        return inRules + groups.values.flatMap(\.blocks).map(\.prefix)
    }
}
