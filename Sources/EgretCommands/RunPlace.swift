// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretFlows
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNetworks
import EgretNftables
import EgretPolicy
import EgretRoutes
import EgretRun
import EgretShaping

/// The place where a run's command runs: its namespaces, its link, its policy in the kernel, and the ears that hear
/// what becomes of its traffic.
///
/// ``end(noting:)`` takes everything away again, also after a step that failed. `docs/design/run.md` has the order.
final class RunPlace {
    /// What the user should know before the command starts.
    private(set) var warnings: [String] = []
    /// What went wrong at the end; none of it concerns the command.
    var problems: [String] = []

    let policies: PolicySet
    let host: RunHost
    private let claim: StateDirectory.Claim
    /// The policy as the kernel has it.
    var policyProgram: PolicyProgram
    /// The first and last second, since 1970, for which the kernel has been given the times of rules, limits and budgets.
    var horizon: ClosedRange<Int64>
    /// When giving it others has failed, if it has: another attempt takes its time.
    var failedRenewal: Int64?
    /// Rings when it is time to look after what holds at some times only; `nil` if nothing does.
    var timesTimer: Timer?
    var endpointProgram: EndpointProgram?
    var isInstalled = false
    /// Whether what the command sends waits in an interface of its own.
    var hasQueue = false
    /// The index of that interface, if what the command sends waits in classes.
    private var classQueue: UInt32?
    /// Whether its link is slower than its sockets.
    var isLimited = false
    /// What limits the run's connections and packets; `nil` if nothing does.
    var limits: LimitProgram?
    /// What that is made of.
    var limited: LimitProgram.Member?
    /// The rates of each direction.
    private var rates: [TrafficDirection: RateTree] = [:]
    /// The limits of the run: it shares them with nobody, whatever they say.
    private var ownLimits: [TrafficLimit] {
        policies.limits.map { limit in
            var limit = limit
            if limit.scope != .destination { limit.scope = .endpoint }
            return limit
        }
    }
    /// Whether the kernel may hold connections that the policy has admitted.
    var hasAdmitted = true
    let namespaces: NamespaceInit
    var child: ChildProcess?
    var flows: KernelFlows?
    var policing: RunPolicing?
    /// Whether the run's queues are as they were made; `nil` if no rate is limited.
    var queueWatch: QueueWatch?
    var routes: RouteKeeper?
    var hasRoutes = false
    /// What may be reached by name, and is limited by it; `nil` if the policy is about no names.
    let names: RunNames?
    /// What became of names, once the run has ended.
    var nameReport: NameReport?
    private var nameProgram: NameProgram?
    var budgets: RunBudgets?
    /// What was used of budgets, when the run has ended.
    var budgetUses: [RunBudgets.Use] = []
    /// Whether the rules were changed or gone before the run's end.
    var hasLostPolicing = false
    var collector: FlowCollector

    var record: RunRecord { claim.record }

    /// Makes the place: when this returns, a command started in it is policed from its first instruction on.
    ///
    /// - Parameters:
    ///   - host: The host.
    ///   - lock: The host's; not needed any more when this returns.
    ///   - policies: What the command may reach.
    ///   - user: Who the command runs as.
    ///   - resolvers: Resolvers that the user named; if none, the host's.
    ///   - nameDenial: How questions for names are answered that no rule allows.
    ///   - nameLimits: How much the command may ask, and hold.
    ///   - exposedSockets: Control sockets that stay in the command's reach, by path.
    /// - Throws: An error that names the step. What was made is gone again.
    init(
        on host: RunHost,
        lockedBy lock: FileLock,
        policies: PolicySet,
        user: UserIdentity,
        resolvers: ConfiguredServers,
        nameDenial: NameTable.Denial = .refused,
        nameLimits: NameLimits = NameLimits(),
        exposedSockets: [String]
    ) throws {
        self.host = host
        self.policies = policies
        let horizon = ScheduleHorizon.seconds(at: WallTime.now.seconds)
        self.horizon = horizon
        let evaluator = PolicyEvaluator(policies: policies)
        if !policies.dependsOnNames { try resolvers.refuseWithoutProxy() }
        let chosen = resolvers.servers.map(\.address.address)
        // A resolver that the command may ask at some time is named from its beginning on: that opens nothing.
        let moments = TimeCases.moments(of: policies.policies, from: WallTime.now.seconds)
        let (sandbox, resolution) = try Sandbox.onThisHost(
            resolvers: chosen,
            exposedSockets: exposedSockets,
            user: user,
            hasProxy: policies.dependsOnNames
        ) { resolver in
            let question = Flow(to: resolver, protocol: .udp, port: 53)
            return moments.contains { evaluator.decide(question, at: $0).verdict == .allow }
        }
        // Before anything large is in memory: init keeps a copy of what changes later.
        let started = try NamespaceInit.begin(sandbox.setUp)
        let namespaces = started.namespaces
        self.namespaces = namespaces
        try host.removeDeadRuns()
        // A few are on their way out with their namespaces; waiting for the kernel would double the time of a short run.
        try host.removeStrayLinks(besides: 8)
        let network = try HostNetwork(host.route)
        let mentioned = policies.mentionedBlocks + resolution.resolvers.map { IPPrefix($0) }
        guard let (claim, plan) = try RunPlace.takeSlot(on: host, network, mentioned: mentioned),
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
        policyProgram = PolicyCompiler.compile(
            policies, generation: generation, logGroup: claim.record.logGroup, horizon: horizon)
        do {
            names = try RunPlace.names(
                RunNames.Setting(
                    policies: policies, program: policyProgram, slot: claim.record.slot,
                    interface: claim.record.interface, endpointAddresses: plan.endpointAddresses,
                    resolvers: chosen.isEmpty ? resolution.resolvers.map { NameServer($0) } : resolvers.servers,
                    areResolversChosen: !chosen.isEmpty, trust: resolvers.trust, denial: nameDenial,
                    limits: nameLimits, now: { WallTime.now.seconds }))
        } catch {
            try? namespaces.end()
            try? host.state.forget(claim.record)
            throw error
        }
        collector = FlowCollector(
            policies: policies, namesOf: { [names] in names?.names(of: $0) ?? [] },
            nameSaid: { [names] in names?.nameSaid(from: $0, to: SocketAddress($1, port: $2)) },
            clock: { WallTime.now.seconds })
        warnings = resolution.warnings
        do {
            try make(plan, network)
            _ = try started.confirm()
        } catch {
            withExtendedLifetime(lock) { dismantle() }
            throw error
        }
        withExtendedLifetime(lock) {}
    }

    /// Claims a slot for which there are addresses that nobody has; `nil` if there is none.
    private static func takeSlot(
        on host: RunHost, _ network: HostNetwork, mentioned: [IPPrefix]
    ) throws -> (StateDirectory.Claim, AddressPlan)? {
        var plans: [Int: AddressPlan] = [:]
        let interfaces = Swift.Set(network.links.values)
        let claim = try host.state.claim(isTaken: { interfaces.contains("egret\($0)") }) { slot in
            plans[slot] = AddressPlanner.plan(
                slot: slot,
                occupied: network.occupied,
                mentioned: mentioned,
                withIPv6: network.hasIPv6
            )
            return plans[slot]?.endpointAddresses
        }
        guard let claim, let plan = plans[claim.record.slot] else { return nil }
        return (claim, plan)
    }

    private func make(_ plan: AddressPlan, _ network: HostNetwork) throws {
        try host.state.note(RunRules(refusals: policyProgram, of: policies), of: record)
        let link = try RunLink.create(record, plan, mtu: network.mtu, in: namespaces.network, host.route)
        let endpoint = Endpoint(
            interface: link.name,
            interfaceIndex: link.index,
            hardwareAddress: record.endpointHardwareAddress,
            addresses: plan.endpointAddresses,
            queueIndex: try limitRates(of: link, mtu: network.mtu ?? 1_500)
        )
        let program = EndpointProgram(endpoint, obeying: policyProgram, logGroup: record.logGroup)
        endpointProgram = program
        nameProgram = names.map { names in
            NameProgram(
                RunNames.doors(policyProgram), for: endpoint, to: names.proxies(at: plan.links.map(\.host)),
                generation: policyProgram.generation, slot: record.slot)
        }
        try host.dataplane.install(programs(program), on: BaseProgram.program)
        isInstalled = true
        if names != nil {
            // Before the rules of routes: whatever is led to a proxy takes no way.
            for address in plan.endpointAddresses {
                try RouteTables(slot: record.slot, host.route).addDiversion(address.family)
            }
        }
        budgets = try RunBudgets(policies, for: endpoint, slot: record.slot, horizon: horizon, host.dataplane)
        names?.fill(budgets?.namedSets ?? [])
        try verify(program)
        try makeRoutes(for: endpoint)
        try makeLimits(for: endpoint)
        try host.openForwarding(link: link.name, network, routes: routes?.interfaces ?? [])
        flows = try KernelFlows(
            logGroup: record.logGroup,
            addresses: plan.endpointAddresses,
            mark: (policyProgram.generation.mark, Generation.mask),
            hostAddresses: network.addresses + plan.links.map(\.host),
            proxyPort: names?.namesPort,
            takesUnmarked: policies.cutsByTime
        )
        warnings += try obstacles(plan, link, network)
        try startTimes()
    }

    /// Starts what answers questions about names and reads names on connections, if the policy is about names.
    private static func names(_ setting: RunNames.Setting) throws -> RunNames? {
        try setting.policies.dependsOnNames ? RunNames(setting) : nil
    }

    /// All that polices this run alone.
    func programs(_ endpoint: EndpointProgram) -> [TableProgram] {
        [policyProgram.program, endpoint.packets, endpoint.frames] + (nameProgram.map { [$0.program] } ?? [])
    }

    /// Limits the rates of a link, before anything passes it.
    ///
    /// - Returns: The index of the interface that what the command sends waits in; `nil` if that is not limited.
    private func limitRates(of link: RunLink, mtu: UInt32) throws -> UInt32? {
        do throws(RateTree.Conflict) {
            for direction in TrafficDirection.allCases {
                rates[direction] = try RateTree(ownLimits, direction, groups: policies.groups)
            }
        } catch {
            throw RunFailure(message: error.description)
        }
        func shape(_ direction: TrafficDirection) -> TrafficShape? {
            rates[direction].flatMap { TrafficShape($0, mtu: mtu) }
        }
        let shaper = LinkShaper(host.route)
        isLimited = !policies.limits.isEmpty
        if rates.values.allSatisfy({ $0.rate == nil && $0.shares.isEmpty }) { return nil }
        let watch = try QueueWatch(host.route)
        queueWatch = watch
        if let shape = shape(.ingress) {
            try shaper.limit(link.index, to: shape)
            watch.add(link.index, shape)
        }
        guard let shape = shape(.egress), let name = InterfaceName(record.queueInterface) else { return nil }
        hasQueue = true
        let queue = try shaper.makeQueue(name, record.queueHardwareAddress, shape)
        watch.add(queue, shape)
        if case .bucket = shape { return queue }
        // What knows the classes leads there.
        classQueue = queue
        return nil
    }

    /// Other tools' chains that what the policy allows would not get through.
    private func obstacles(_ plan: AddressPlan, _ link: RunLink, _ network: HostNetwork) throws -> [String] {
        let packets = plan.endpointAddresses.map { address in
            PassingPacket(
                from: address, input: link.name.description, inputIndex: link.index,
                outputs: network.uplinks.union((routes?.interfaces ?? []).map(\.rawValue)))
        }
        let found = try packets.flatMap { try host.dataplane.obstacles(to: $0, at: .forward) }
        let lines = ObstacleText(interface: "egret+", what: "what the command sends on").lines(found)
        if names == nil { return lines }
        let inside = try packets.flatMap { try host.dataplane.obstacles(to: $0, at: .input) }
        var text = ObstacleText(interface: "egret+", what: "what the command asks about names, or sends to them")
        text.isInput = true
        return lines + text.lines(inside)
    }

    /// Leads the command's connections by the ways that the policy names.
    private func makeRoutes(for endpoint: Endpoint) throws {
        if policies.routes.isEmpty { return }
        hasRoutes = true
        let pairs = policies.routes.flatMap(\.ways).compactMap { way in
            way.sourceAddress.flatMap { AddressPair($0, way.lastSourceAddress ?? $0) }
        }
        let absent = (try? NetworkLinks(host.route).absentSources(pairs)) ?? []
        Console.error(absent.map { "egret: warning: routes: \($0)" })
        do {
            let keeper = try RouteKeeper(policies, for: endpoint, slot: record.slot, host.route, host.routeRules)
            if let departures = names?.departures {
                departures.know(keeper.chooser)
                keeper.chosen = { departures.know($0) }
            }
            routes = keeper
            policing?.routes = keeper
        } catch let problem as RouteProblem {
            throw RunFailure(message: problem.description, advice: "see ip link and ip route")
        }
    }

    /// Limits the command's connections and packets.
    private func makeLimits(for endpoint: Endpoint) throws {
        let member = LimitProgram.Member(
            number: record.slot, attachment: .link(endpoint.interface, index: endpoint.interfaceIndex),
            addresses: endpoint.addresses, network: "", limits: ownLimits, groups: policies.groups,
            shares: rates.mapValues(\.shares), queueIndex: classQueue, readsDatagrams: policies.readsDatagrams)
        let program = limitProgram(of: member, horizon)
        if program.isEmpty { return }
        (limits, limited) = (program, member)
        for table in program.programs { try host.dataplane.install([], on: table) }
        names?.fill(program.namedSets)
        policing?.limits = program
    }

    func limitProgram(of member: LimitProgram.Member, _ horizon: ClosedRange<Int64>) -> LimitProgram {
        LimitProgram(
            [member], in: LimitProgram.table(slot: record.slot), frameTable: LimitProgram.frameTable(slot: record.slot),
            horizon: horizon, logGroup: record.logGroup)
    }

    /// What the command is held by besides its policy. Somebody else may have changed what was there before.
    private func verify(_ program: EndpointProgram) throws {
        let policing = try RunPolicing(
            policyProgram, program, nameProgram, budgets?.program, on: record.interface, slot: record.slot,
            host.dataplane,
            besides: names?.netlinkPorts ?? [])
        self.policing = policing
        guard try policing.isThere() else {
            throw RunFailure(
                message: "the tables named egret are not as Egret makes them: something else has changed them",
                advice: "when no other egret run is alive: nft delete table inet egret; nft delete table netdev egret"
            )
        }
    }

    /// Stops the run's traffic if the rules that police it are not what they were.
    func checkPolicing() throws {
        guard try policing?.isBroken() == true else { return }
        try RunLink.stop(record, host.route)
        hasLostPolicing = true
        throw RunFailure(
            message: "somebody changed the rules that police the command; its traffic and the command were stopped",
            advice: "nft flush ruleset and restarts of the nftables service do this; the report is incomplete"
        )
    }

    /// Stops the run's traffic if its rate is not limited any more as it was.
    func checkQueues() throws {
        guard try queueWatch?.isBroken() == true else { return }
        try RunLink.stop(record, host.route)
        hasLostPolicing = true
        throw RunFailure(
            message:
                "somebody changed the queues that limit the command's rate; its traffic and the command were stopped",
            advice: "tc qdisc and tc class do this; the report is incomplete")
    }
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
