// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretNftables
import EgretPolicy
import EgretRoutes
import EgretShaping

/// Keeps the tables `egret-policy` of a kernel at what policies say about the endpoints of networks.
///
/// The thread that calls must be in the host's network namespace.
final class KernelEnforcement: Enforcement {
    /// The nfnetlink_log group of refused and audited packets: below those of runs.
    static let logGroup: UInt16 = 40_959
    /// The generations of endpoints' programs; those of runs are below.
    static let generations: ClosedRange<UInt16> = 0x8000...UInt16.max

    let dataplane: Dataplane
    private let route: NetlinkConnection
    let netfilter: NetlinkConnection
    private let bridges: BridgeKeeper
    let routes: RouteService
    let shaper: EndpointShaper
    let pools: PoolShaper
    let redirections: LinkRedirections
    /// Hears of queues and filters that come, go and change.
    private let queueEvents: NetlinkConnection
    private let limits: LimitKeeper
    let traffic: TrafficBook
    /// The bridges that let nothing pass but what policed endpoints send and are sent: those that the agent was told of,
    /// and those of the state that is in force.
    private var quarantine: [BridgePattern]
    private let lastingQuarantine: [BridgePattern]
    /// What endpoints' names need; `nil` where rules about names are not to be had.
    let names: NameService?
    let diversion: NameDiversion
    /// Puts addresses of names into the sets of budgets, by the socket of whoever keeps these; `nil` where nobody does.
    private let budgetSets: BatchSender?
    /// The numbers that programs may have.
    private let generations: ClosedRange<UInt16>
    private(set) var plan: HostPlan
    private(set) var resolved = ResolvedState()
    /// The names that price lists are about: known for endpoints whose questions come here anyway.
    var pricedNames: [DomainPattern] = []
    /// The routes and limits that are in force.
    private var demands = EndpointDemands()
    private(set) var enforced: [EnforcedEndpoint] = []
    /// The ruleset's number, without the enforcement's own transactions, when the kernel was last known to be at the plan.
    private var soundRuleset: UInt32?
    private(set) var comparisons = 0
    /// What the kernel holds, for whoever takes over when this process is gone; `nil` to have it read back.
    let record: KernelRecord?
    /// The objects that endpoints share, as they were noted last.
    var notedBases: KernelRecord.Bases?
    /// Whether the kernel's tables were last known to hold nothing but what the plan has.
    private var isTidy = false
    /// By what it was known, at the latest take-over, what the kernel held.
    private(set) var evidence = Evidence.nothing

    /// What others had changed while no agent ran, in words; found by the first take-over.
    private(set) var alterations: [String] = []

    /// By what it is known what a kernel holds.
    enum Evidence: Equatable {
        /// Nobody has looked yet.
        case nothing
        /// It was read back and compared.
        case comparison
        /// A former agent has noted it, and nobody has changed anything since; `isWhole` if it was all that there should be.
        case record(isWhole: Bool)
    }

    /// What a former agent has noted is of no use.
    private struct NotAsNoted: Error {}
    /// Whether the kernel may be otherwise than the plan: until it is taken over again.
    private(set) var isStale = true
    /// Whether the kernel was ever brought anywhere, or was to be.
    private(set) var hasBegun = false

    /// The kernel could not be brought to where it should be, and nobody has taken it over since.
    struct NotInForce: Error, CustomStringConvertible {
        var description: String { "the kernel is not where it should be; it is being mended" }
    }

    /// Connects to the kernel; nothing is changed yet.
    ///
    /// - Parameters:
    ///   - directory: Where changes of bridges are noted; it is made if need be.
    ///   - routes: The same for what routes need.
    ///   - quarantine: The bridges that let nothing pass but what policed endpoints send and are sent.
    ///   - traffic: Hears of programs that come and go, with what they counted.
    ///   - names: What names need.
    ///   - record: Where it is noted what the kernel holds.
    /// - Throws: `NetlinkError` if the kernel cannot be spoken to.
    convenience init(
        directory: String, routes: String, quarantine: [BridgePattern] = [], traffic: TrafficBook = TrafficBook(),
        names: (NameService.Setting, NameBook)? = nil, record: KernelRecord? = nil
    ) throws {
        try self.init(
            directory: directory, routes: routes, quarantine: quarantine, traffic: traffic, names: names,
            record: record, Dataplane(try NetlinkConnection.netfilter()))
    }

    /// Uses a connection to nf_tables that nobody else uses.
    init(
        directory: String, routes: String, quarantine: [BridgePattern] = [], traffic: TrafficBook = TrafficBook(),
        names: (setting: NameService.Setting, book: NameBook)? = nil, record: KernelRecord? = nil,
        generations: ClosedRange<UInt16> = KernelEnforcement.generations, _ dataplane: Dataplane
    ) throws {
        self.generations = generations
        self.record = record
        let budgetSets = names?.setting.budgets
        self.budgetSets = budgetSets
        if let record {
            dataplane.tellCommits { record.note(commits: $0) }
            budgetSets?.tellBatches { record.note(batches: $0) }
        }
        let ways = try RouteService(directory: routes)
        self.routes = ways
        self.traffic = traffic
        self.quarantine = quarantine
        lastingQuarantine = quarantine
        route = try NetlinkConnection.route()
        netfilter = try NetlinkConnection.netfilter()
        self.dataplane = dataplane
        bridges = BridgeKeeper(BridgePolicing(route), directory: directory)
        shaper = EndpointShaper(route)
        diversion = NameDiversion(route)
        self.names = names.map { names in
            var setting = names.setting
            setting.departure = { ways.departure(from: $0, to: $1, over: $2) }
            return NameService(setting, by: dataplane.batchSender, book: names.book)
        }
        pools = PoolShaper(route)
        redirections = LinkRedirections(route)
        queueEvents = try NetlinkConnection.routeEvents(
            groups: [RouteGroup.trafficControl], receiveBuffer: 1 << 18)
        limits = LimitKeeper(dataplane)
        plan = HostPlan(logGroup: KernelEnforcement.logGroup, quarantine: quarantine)
    }

    func choices(of clauses: HostRouteClauses) -> [HostRouteChoice] { routes.choices(of: clauses) }

    var commits: Int? { dataplane.commits }

    func counters() throws -> [String: CounterValue] {
        let counters = try dataplane.counters(in: HostBase.table)
        if !limits.isNeeded { return counters }
        return try counters.merging(dataplane.counters(in: LimitProgram.table)) { first, _ in first }
    }

    /// With a record: what is adopted keeps its counters, and of what goes they are read before.
    var readsCountersThatGo: Bool { record?.hasLeft ?? false }

    func rateCounts() throws -> [RateCounts] { try shaper.counts() }

    func sharedRates() throws -> [SharedRate] {
        if demands.pools.isEmpty { return [] }
        return try pools.counts().compactMap { counts in
            let share = demands.shares[counts.direction]?.first { $0.leaf == counts.number }
            return share.map { SharedRate(share: $0, counts: counts) }
        }
    }

    /// The tables that nobody else may change.
    private static let tables = HostPlan.tables + [LimitProgram.table, LimitProgram.frameTable]

    /// What the limits of endpoints come to, at the times that a plan has worked out.
    private func limitProgram(_ demands: EndpointDemands, _ plan: HostPlan) -> LimitProgram {
        let program = LimitProgram(
            demands.limited.map { member in
                var member = member
                guard let link = member.attachment.index else { return member }
                member.queueIndex = queue(of: link, .egress, demands)
                return member
            }, horizon: plan.horizon, logGroup: KernelEnforcement.logGroup)
        traffic.come(limits: program.refusals)
        return program
    }

    /// Changes the tables of limits, while no answer goes out: those for names know then what was resolved.
    private func changeLimits(
        _ demands: EndpointDemands, _ plan: HostPlan, _ change: (LimitProgram) throws -> Void
    ) throws {
        let wanted = limitProgram(demands, plan)
        guard let names else { return try change(wanted) }
        try names.changeLimits(to: wanted, of: demands.limited) {
            try change(wanted)
            return limits.emptied
        }
    }

    var timesHoldUntil: Int64? { plan.hasTimes || limits.hasTimes ? plan.horizon.upperBound : nil }

    // MARK: - Changing the kernel

    func take(to state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint] {
        var noted: KernelRecord.Contents?
        if let left = record?.takeLeft() {
            // Under another number somebody has committed something since, in whatever table.
            if try dataplane.rulesetGeneration() != left.ruleset { noted = left.contents }
            do {
                return try take(to: state, at: time, believing: left)
            } catch is NotAsNoted {
                // It is read back instead.
            } catch is GenerationAllocator.Exhausted {
                // The same: there may be less to do.
            }
            readLast()
        }
        do {
            return try take(to: state, at: time, believing: nil, comparedWith: noted)
        } catch is GenerationAllocator.Exhausted {
            return try take(to: state, at: time, believing: nil, anew: true)
        }
    }

    /// What the kernel holds: by what was noted, if nobody has committed anything since, and read back otherwise.
    private func heldState(_ left: KernelRecord.Left?) throws -> any HeldState {
        guard let left else {
            evidence = .comparison
            return FoundState(try dataplane.picture(of: HostPlan.tables))
        }
        guard let noted = try RecordedState(left, dataplane) else { throw NotAsNoted() }
        // Limits are compared by themselves, and may be made anew.
        if let limited = try? dataplane.counters(in: LimitProgram.table) { traffic.note(limited) }
        return noted
    }

    /// Takes over what the kernel holds.
    ///
    /// - Parameters:
    ///   - state: What is wanted.
    ///   - time: Now, in seconds since 1970.
    ///   - left: What a former agent has noted; `nil` to read it back.
    ///   - noted: What it has noted, where somebody may have changed that since: what has become of it is told.
    ///   - anew: Whether nothing of it stays, and its programs' numbers may be given again at once, where no
    ///     connection carries them: for when what is not right holds so many numbers that there are none to put beside them.
    /// - Returns: All endpoints.
    /// - Throws: An error of the kernel's; `GenerationAllocator.Exhausted` if there are too few numbers; ``NotAsNoted``, where
    ///   nothing has changed.
    private func take(
        to state: DesiredState, at time: Int64, believing left: KernelRecord.Left?,
        comparedWith noted: KernelRecord.Contents? = nil, anew: Bool = false
    ) throws -> [EnforcedEndpoint] {
        isStale = true
        record?.doubt()
        hasBegun = true
        quarantine = quarantine(of: state)
        let ruleset = try foreignGeneration()
        // The kernel's own number: what it was when the former agent noted that all was sound.
        if let left, try dataplane.rulesetGeneration() != left.ruleset { throw NotAsNoted() }
        try dataplane.claim(KernelEnforcement.tables)
        var found = try heldState(left)
        let held = found.names
        let carried = Swift.Set(try NetworkConnections(netfilter).marks().map(KernelEnforcement.generation))
        let former = held.generations.union(plan.generations.resting).union(plan.generations.used)
        var next = HostPlan(
            logGroup: KernelEnforcement.logGroup,
            generations: GenerationAllocator(range: generations, resting: anew ? carried : former.union(carried)),
            horizon: found.horizon ?? ScheduleHorizon.seconds(at: time), quarantine: quarantine,
            firstProfile: held.nextProfile)
        names?.know(neighboursOf: state)
        try startNames(for: state, &next)
        let known = found.slots(of: state.endpoints)
        var fresh = ResolvedState(nextSlot: held.nextSlot, known: known)
        _ = fresh.update(to: state)
        let wanted = try EndpointDemands(fresh, state)
        shaper.doubt()
        pools.doubt()
        redirections.doubt()
        try prepareQueues(wanted, among: fresh)
        let isPoliced = isPoliced(fresh)
        let isSound = try !anew && found.adopt(into: &next, fresh, isPoliced: isPoliced) { queue(of: $0, wanted) }
        if left != nil {
            if !isSound { throw NotAsNoted() }
            evidence = .record(isWhole: found.isWhole)
        }
        if let noted, isPoliced {
            alterations = noted.alterations(in: found.tables, isSound: isSound, next, fresh) { queue(of: $0, wanted) }
        }
        let adopted = Swift.Set(next.outlines.values.map(\.generation))
        let kept = known.filter { next.endpoints[$0.value] != nil }
        if kept.count < known.count {
            // What is not right comes beside what is there: under another number.
            fresh = ResolvedState(nextSlot: held.nextSlot, known: kept)
            _ = fresh.update(to: state)
        }
        var change = HostPlan.Change()
        change.policies = fresh.policies
        change.endpoints =
            isPoliced ? fresh.slots.compactMap { fresh.hostEndpoint($0) { queue(of: $0, wanted) } } : []
        let isRenewed = ScheduleHorizon.isDue(next.horizon, at: time)
        if isRenewed { change.horizon = ScheduleHorizon.seconds(at: time) }
        let difference = try next.apply(change)
        try bridges.prepare(for: isPoliced ? state.endpoints : [], among: state.endpoints, isThorough: true)
        try routes.take(wanted.routes, localNetworks: wanted.localNetworks)
        self.names?.endConnections(besides: routes.marks)
        try changeLimits(wanted, next) { try limits.take($0) }
        announce(change.policies, of: next, adopted: adopted)
        let naming = naming(of: isPoliced ? Swift.Set(fresh.slots) : [], fresh, next, isWhole: true)
        if !isPoliced {
            self.names.change(naming) { _ in }
        } else if isSound {
            try complete(found, to: next, difference, naming)
        } else {
            try self.names.change(naming) { fill in
                try self.names?.fillLimits(for: naming)
                try replaceAll(found.tables, difference)
                fill()
            }
        }
        (plan, resolved, demands) = (next, fresh, wanted)
        if anew { try forgetConnections(carrying: next.generations.used.intersection(former)) }
        let enforced = try finish(nil)
        traffic.keep(Swift.Set(plan.generations.used))
        noteAll(difference.arrival, adopted: found.digests, areTimesOthers: isRenewed)
        isTidy = true
        try settle(ruleset, isSound: true)
        return enforced
    }

    /// Forgets what began while all was replaced, under a number that was given again: the former program may have judged
    /// it. Whoever began it asks again.
    private func forgetConnections(carrying numbers: Swift.Set<UInt16>) throws {
        try NetworkConnections(netfilter).forgetMarked { mark in
            numbers.contains(KernelEnforcement.generation(ofMark: mark))
        }
    }

    /// What is there is sound: what it lacks of a plan comes beside it, and what is not of the plan goes.
    private func complete(
        _ found: any HeldState, to next: HostPlan, _ difference: HostDifference, _ naming: NameChange
    ) throws {
        let (bases, tables) = (next.bases, found.tables)
        let arrival = difference.arrival.filter { program in
            !bases.contains(program) || program == HostOutput.program || program == next.nameBase
                || !tables.contains(program.table)
        }
        var switching = difference.switching
        switching.steps = found.clearance + switching.steps
        try self.names.change(naming) { fill in
            try self.names?.fillLimits(for: naming)
            try dataplane.apply(
                arrival: arrival, switching: switching, departure: difference.departure, beforeSwitch: fill,
                beforeDeparture: { found.isWhole ? readLast(of: difference.departure) : readLast() })
        }
        if !found.isWhole { try dataplane.sweep(HostPlan.tables, keeping: next.tableOutlines) }
    }

    /// Nothing to take over, or what is there is of another version, or broken: all of it in one transaction. Who was policed
    /// before waits until it is done.
    private func replaceAll(_ tables: Swift.Set<Table>, _ difference: HostDifference) throws(NetlinkError) {
        var whole = Transaction()
        for table in HostPlan.tables where tables.contains(table) { whole.append(.deleteTable, in: table) }
        for table in Swift.Set(difference.arrival.map(\.table)).sorted() {
            whole.append(dataplane.addition(of: table), in: table)
        }
        for program in difference.arrival {
            for operation in program.installation { whole.append(operation, in: program.table) }
        }
        whole.steps += difference.switching.steps
        let isPoliced = tables.contains(HostBase.table)
        let hold = isPoliced ? HostHold.program(for: difference.switching) : TableProgram(table: HostBase.table)
        for operation in hold.installation { whole.append(operation, in: hold.table) }
        readLast()
        try dataplane.commit(whole)
        try dataplane.remove([hold])
    }

    func apply(_ state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint] {
        if isStale || quarantine != quarantine(of: state) { return try take(to: state, at: time) }
        isStale = true
        record?.doubt()
        let wasPoliced = isPoliced(resolved)
        let areOthers = resolved.endpoints != state.endpoints
        if areOthers { names?.know(neighboursOf: state) }
        let ruleset = try foreignGeneration()
        let formerPrices = pricedNames
        try startNames(for: state, &plan)
        let step = try advance(&resolved, &plan, to: state, at: time) { try prepareQueues($0, among: $1) }
        let (difference, isPoliced) = (step.difference, isPoliced(resolved))
        // Somebody may have made tables of these names meanwhile.
        if isPoliced, !wasPoliced { try dataplane.claim(KernelEnforcement.tables) }
        if areOthers || isPoliced != wasPoliced {
            try bridges.prepare(for: isPoliced ? state.endpoints : [], among: state.endpoints, isThorough: false)
        }
        // Routes first: no connection begins under a policy and by another way than the policy's.
        if !step.demands.routes.isEmpty || !demands.routes.isEmpty {
            try routes.lead(step.demands.routes, localNetworks: step.demands.localNetworks)
            names?.endConnections(besides: routes.marks)
        }
        if !step.demands.limited.isEmpty || limits.isNeeded {
            try changeLimits(step.demands, plan) { try limits.change(to: $0) }
        }
        announce(step.policies, of: plan)
        let others = pricedNames == formerPrices ? step.affected : Swift.Set(resolved.slots)
        let naming = naming(of: others.union(step.removed), resolved, plan, isWhole: !isPoliced)
        try names.change(naming) { fill in
            try names?.fillLimits(for: naming)
            try dataplane.apply(
                arrival: difference.arrival, switching: difference.switching, departure: difference.departure,
                beforeSwitch: fill, beforeDeparture: { readLast(of: difference.departure) })
        }
        traffic.retire(difference.retired.map(\.rawValue))
        demands = step.demands
        let enforced = try finish(areOthers ? nil : step.affected)
        if isPoliced == wasPoliced { note(step) } else { noteAll(difference.arrival) }
        try settle(ruleset, isSound: ruleset == soundRuleset)
        return enforced
    }

    private func quarantine(of state: DesiredState) -> [BridgePattern] {
        lastingQuarantine + state.quarantine.subtracting(lastingQuarantine).sorted()
    }

    /// Whether endpoints are known to the kernel: beside a quarantined bridge all are.
    func isPoliced(_ resolved: ResolvedState) -> Bool {
        resolved.isPoliced || !quarantine.isEmpty || resolved.endpoints.contains { !$0.limits.isEmpty }
    }

    // MARK: - Whether anybody has changed anything

    /// The ruleset's number without the enforcement's own transactions, and without the addresses that answers bring into the
    /// sets of budgets: these are of another table, and no reason to look at this one's.
    func foreignGeneration() throws(NetlinkError) -> UInt32 { try dataplane.foreignGeneration(besides: budgetSets) }

    /// Notes that the kernel is as it should be, if nobody else has committed anything since a moment.
    private func settle(_ ruleset: UInt32, isSound: Bool) throws {
        soundRuleset = try isSound && foreignGeneration() == ruleset ? ruleset : nil
        if let soundRuleset { record?.vouch(for: soundRuleset, isTidy: isTidy) }
    }

    /// What a new state comes to.
    struct Step {
        /// What the kernel needs.
        var difference: HostDifference
        /// The endpoints whose programs, routes or limits may be others.
        var affected: Swift.Set<Int>
        /// The endpoints whose frames may wait elsewhere.
        var requeued: Swift.Set<Int>
        /// Whether the times of rules are others.
        var isRenewed: Bool
        /// The routes and limits of all endpoints.
        var demands: EndpointDemands
        /// The numbers of endpoints that are gone.
        var removed: [Int]
        /// The policies that are new, or say something else.
        var policies: [ProgramKey: PolicySet]
    }

    /// Works out what a new state comes to. `prepare` is called before endpoints are led to where their frames wait.
    func advance(
        _ resolved: inout ResolvedState, _ plan: inout HostPlan, to state: DesiredState, at time: Int64,
        _ prepare: (EndpointDemands, ResolvedState) throws -> Void = { _, _ in }
    ) throws -> Step {
        let wasPoliced = isPoliced(resolved)
        let found = resolved.update(to: state)
        let wanted = try EndpointDemands(resolved, state)
        try prepare(wanted, resolved)
        var change = HostPlan.Change()
        change.policies = found.policies
        var requeued: Swift.Set<Int> = []
        if isPoliced(resolved) {
            // As soon as there is a policy for one, the frames of all are checked: an address in a policy must be
            // nobody else's.
            var slots = wasPoliced ? found.touched : Swift.Set(resolved.slots)
            if !wanted.rates.isEmpty || !demands.rates.isEmpty {
                for (endpoint, slot) in zip(resolved.endpoints, resolved.slots)
                where plan.endpoints[slot]?.queueIndex != queue(of: endpoint, wanted) { requeued.insert(slot) }
                slots.formUnion(requeued)
            }
            change.endpoints = slots.compactMap { resolved.hostEndpoint($0) { queue(of: $0, wanted) } }
            change.removed = found.removed
        } else {
            change.removed = Array(plan.endpoints.keys)
        }
        if ScheduleHorizon.isDue(plan.horizon, at: time) { change.horizon = ScheduleHorizon.seconds(at: time) }
        let difference = try plan.apply(change)
        let affected = found.keys.reduce(into: found.touched) { $0.formUnion(resolved.slots(with: $1)) }
        return Step(
            difference: difference, affected: affected, requeued: requeued, isRenewed: change.horizon != nil,
            demands: wanted, removed: found.removed, policies: found.policies)
    }

    /// Notes that the kernel is at the plan.
    ///
    /// - Parameter affected: The endpoints that may be otherwise than before; `nil` for all of them.
    /// - Returns: All endpoints.
    /// - Throws: An error of the kernel's about what is to be put back.
    private func finish(_ affected: Swift.Set<Int>?) throws -> [EnforcedEndpoint] {
        let isPoliced = isPoliced(resolved)
        if !isPoliced {
            readLast()
            // Nobody is left to police: the host is as if there had never been an agent.
            try dataplane.removeTables(HostPlan.tables)
            if plan.hasNames {
                names?.end()
                try diversion.remove()
            }
            plan = HostPlan(logGroup: KernelEnforcement.logGroup, generations: plan.generations)
            plan.namePorts = names?.ports
        }
        if affected == nil || !isPoliced { try bridges.release(except: isPoliced ? resolved.endpoints : []) }
        try redirections.release(except: ways(demands), among: KernelEnforcement.links(resolved))
        try shaper.release(except: demands.rates) { pause in
            var poll = Poll()
            _ = try? poll.wait(timeout: pause)
        }
        try pools.release(except: demands.pools)
        if affected == nil || resolved.endpoints.contains(where: { $0.control != nil }) { tellOwners() }
        if let affected, enforced.count == resolved.slots.count {
            for (place, slot) in resolved.slots.enumerated() where affected.contains(slot) {
                enforced[place] = enforcedEndpoint(slot, resolved, plan) ?? enforced[place]
            }
        } else {
            enforced = resolved.slots.compactMap { enforcedEndpoint($0, resolved, plan) }
        }
        isStale = false
        return enforced
    }

    /// Says whose packets and frames are whose from now on.
    private func tellOwners() {
        let (endpoints, slots) = (resolved.endpoints, resolved.slots)
        var groups: [UInt16: String] = [:]
        for (endpoint, slot) in zip(endpoints, slots) where endpoint.control != nil {
            guard let key = resolved.key(slot, .egress), let program = plan.outline(of: key) else { continue }
            let name = endpoint.workload.id.description
            groups[program.generation.rawValue] = groups[program.generation.rawValue].map { "\($0), \(name)" } ?? name
        }
        traffic.know { [groups] in
            var owners = TrafficOwners(
                zip(endpoints, slots).lazy.map { endpoint, slot in
                    (endpoint.workload.id.description, endpoint.addresses, "endpoint-\(slot)")
                })
            owners.groups = groups
            return owners
        }
    }

    func enforcedEndpoint(_ slot: Int, _ resolved: ResolvedState, _ plan: HostPlan) -> EnforcedEndpoint? {
        resolved.endpoint(slot).map { endpoint in
            let policies = resolved.policies(slot, .egress)
            let program = resolved.key(slot, .egress).flatMap { plan.outline(of: $0) }
            return EnforcedEndpoint(
                endpoint: endpoint, egress: resolved.policyNames(slot, .egress),
                ingress: resolved.policyNames(slot, .ingress),
                egressGeneration: program?.generation.rawValue,
                ingressGeneration: resolved.key(slot, .ingress).flatMap { plan.outline(of: $0)?.generation.rawValue },
                routes: policies.flatMap { HostRouteClauses($0) }, limits: (policies?.limits ?? []) + endpoint.limits,
                budgets: EndpointBudget.all(of: policies),
                hasNames: endpoint.control == nil
                    ? program?.leadingChain != nil : !(program?.names.isEmpty ?? true))
        }
    }

    func drift() throws -> [String] {
        // Equal numbers mean that nobody has committed anything since the kernel was as it should be.
        let ruleset = try foreignGeneration()
        var found: [String] = []
        if ruleset != soundRuleset || limits.isNeeded { comparisons += 1 }
        if ruleset != soundRuleset {
            let comparison = try dataplane.comparison(of: plan.tablePrograms)
            found = comparison.drift.map(\.description)
            if found.isEmpty {
                soundRuleset = ruleset
                // Whoever has committed something may have left objects that no program has.
                isTidy = !comparison.holdsMore
                if !isStale { record?.vouch(for: ruleset, isTidy: isTidy) }
            }
        }
        if plan.hasNames { found += try diversion.drift() }
        return try found + bridges.drift() + routes.drift() + shaper.drift() + pools.drift() + redirections.drift()
            + limits.drift()
    }

    func hearsOfQueues() throws -> Bool {
        let pending = try queueEvents.pendingEvents()
        let isOthers = pending.someWereLost || pending.messages.contains { $0.portID != route.portID }
        return isOthers && !(demands.rates.isEmpty && demands.pools.isEmpty)
    }

    func holdsPolicies() throws -> Bool {
        try !dataplane.holdings(of: HostPlan.tables).isEmpty
    }

    func tidy() throws {
        let resting = Swift.Set(plan.generations.resting)
        if resting.isEmpty { return }
        let carried = try NetworkConnections(netfilter).marks().map(KernelEnforcement.generation)
        plan.generations.release(resting.subtracting(carried))
    }

    private static func generation(ofMark mark: UInt32) -> UInt16 { UInt16(truncatingIfNeeded: mark >> 16) }
}
