// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables
import EgretPolicy

/// One change of a plan, worked out: first what is needed, which may fail, then the plan and the kernel's steps.
struct HostPlanStep {
    private(set) var difference = HostDifference()
    private let change: HostPlan.Change
    /// The endpoints that are touched, as they were and as they will be.
    private var touched: [(old: HostEndpoint?, new: HostEndpoint?)] = []
    /// By how many the endpoints of a pair change.
    private var growth: [HostProfile: Int] = [:]
    /// How many endpoints go from one pair to another.
    private var moves: [HostProfile: [HostProfile: Int]] = [:]
    /// The policies of keys that have no program yet, and of those whose program is to be another.
    private var compiled: [ProgramKey: PolicySet] = [:]
    /// Keys whose programs need other times and nothing else.
    private var renewed: Swift.Set<ProgramKey> = []
    /// The numbers of pairs that no endpoint has any more.
    private var former: [HostProfile: Int] = [:]
    private let horizon: ClosedRange<Int64>
    /// Whether what leads to the proxies for names comes with this change.
    private var beginsNames = false

    /// Works out what a change needs.
    init(_ change: HostPlan.Change, of plan: HostPlan) throws {
        self.change = change
        horizon = change.horizon ?? plan.horizon
        var slots = Swift.Set<Int>()
        for endpoint in change.endpoints where slots.insert(endpoint.slot).inserted {
            let old = plan.endpoints[endpoint.slot]
            if old != endpoint { touched.append((old, endpoint)) }
        }
        for slot in change.removed where slots.insert(slot).inserted {
            if let old = plan.endpoints[slot] { touched.append((old, nil)) }
        }
        for (old, new) in touched where old?.profile != new?.profile {
            // Nobody is left out for having no policies: the chains of the empty pair let everything through.
            if let old { growth[old.profile, default: 0] -= 1 }
            if let new { growth[new.profile, default: 0] += 1 }
            if let old, let new { moves[new.profile, default: [:]][old.profile, default: 0] += 1 }
        }
        try findPrograms(plan)
    }

    private mutating func findPrograms(_ plan: HostPlan) throws {
        for (key, policies) in change.policies {
            if let entry = plan.entries[key], !entry.policies.isSame(as: policies) { compiled[key] = policies }
        }
        for (profile, count) in growth where count > 0 && plan.profiles[profile] == nil {
            for key in profile.keys where plan.entries[key] == nil && compiled[key] == nil {
                guard let policies = change.policies[key] else { throw HostPlan.UnknownPolicies(key: key) }
                compiled[key] = policies
            }
        }
        beginsNames = !plan.hasNames && compiled.contains { $0.key.direction == .egress && $0.value.dependsOnNames }
        if beginsNames, plan.namePorts == nil { throw HostPlan.NoProxies() }
        if horizon != plan.horizon {
            renewed = plan.timed.filter { compiled[$0] == nil }
        }
        if plan.generations.available < compiled.count {
            throw GenerationAllocator.Exhausted(
                used: plan.generations.used.count, resting: plan.generations.resting.count)
        }
    }

    /// Changes the plan, and says what the kernel needs.
    mutating func run(on plan: inout HostPlan) {
        plan.horizon = horizon
        addBase(&plan)
        let replaced = compile(&plan)
        let changed = changeProfiles(&plan, replaced)
        renewTimes(&plan)
        var elements = ElementChanges()
        if beginsNames { leadOthers(plan, &elements) }
        for (old, new) in touched { move(&plan, old, new, &elements) }
        difference.switching.steps += changed.preparation + elements.steps + changed.clearance
    }

    // MARK: - What comes and goes

    private mutating func addBase(_ plan: inout HostPlan) {
        if !plan.hasBase {
            difference.arrival += [plan.packetBase, TableProgram(table: HostBase.frameTable)]
            plan.hasBase = true
        }
        let hasPorts = touched.contains { $0.new?.bridgeIndex != nil }
        if !plan.hasBridgeTable, hasPorts || !plan.quarantine.isEmpty {
            difference.arrival.append(plan.bridgeBase)
            plan.hasBridgeTable = true
        }
        if !plan.hasOutput, touched.contains(where: { $0.new?.isCgroup ?? false }) {
            difference.arrival.append(HostOutput.program)
            plan.hasOutput = true
        }
        if beginsNames, let base = plan.nameBase {
            difference.arrival.append(base)
            plan.hasNames = true
        }
    }

    /// Compiles what is needed. Returns the keys whose program is another than before.
    private mutating func compile(_ plan: inout HostPlan) -> Swift.Set<ProgramKey> {
        var replaced: Swift.Set<ProgramKey> = []
        for (key, policies) in compiled {
            // There is a number for each: that has been seen to.
            guard let generation = try? plan.generations.take() else { continue }
            let program = PolicyCompiler.compile(
                policies, for: .endpoint(key.direction), generation: generation, logGroup: plan.logGroup,
                horizon: horizon)
            difference.arrival.append(program.program)
            if let old = plan.entries[key]?.outline {
                depart(old, &plan)
                replaced.insert(key)
                plan.entries[key]?.put(program, of: policies, horizon: horizon)
            } else {
                plan.entries[key] = HostPlan.Entry(program, of: policies, horizon: horizon)
            }
            if program.hasTimes { plan.timed.insert(key) } else { plan.timed.remove(key) }
        }
        return replaced
    }

    private mutating func depart(_ program: PolicyProgram, _ plan: inout HostPlan) {
        difference.departure.append(program.program)
        difference.retired.append(program.generation)
        plan.generations.retire(program.generation)
    }

    /// Windows that come and go with the calendar: the program and its number stay, so that no connection is judged anew.
    private mutating func renewTimes(_ plan: inout HostPlan) {
        for key in renewed {
            guard let entry = plan.entries[key] else { continue }
            let former = entry.program(of: key, logGroup: plan.logGroup)
            let program = PolicyCompiler.compile(
                entry.policies, for: .endpoint(key.direction), generation: former.generation, logGroup: plan.logGroup,
                horizon: horizon)
            difference.switching.steps += program.program.renewal(ofTimesOf: former.program)
            plan.entries[key]?.put(program, of: entry.policies, horizon: horizon)
        }
    }

    // MARK: - Pairs of programs

    /// Gives pairs of programs their chains. Returns the steps before and after endpoints move.
    private mutating func changeProfiles(
        _ plan: inout HostPlan, _ replaced: Swift.Set<ProgramKey>
    ) -> (preparation: [Transaction.Step], clearance: [Transaction.Step]) {
        var preparation: [Transaction.Step] = []
        var gone: [HostProfile: Int] = [:]
        var come: [HostProfile] = []
        for (profile, count) in growth {
            guard let present = plan.profiles[profile] else {
                if count > 0 { come.append(profile) }
                continue
            }
            plan.profiles[profile]?.users += count
            if present.users + count == 0 { gone[profile] = present.number }
        }
        former = gone
        for profile in gone.keys { plan.profiles[profile] = nil }
        var rewritten = Swift.Set(replaced.compactMap { plan.entries[$0]?.profiles }.joined()).subtracting(gone.keys)
        for profile in come {
            let number: Int
            // Endpoints that leave a pair all together take its chains along: rewriting two chains is all it costs.
            let from = moves[profile]?.filter { gone[$0.key] != nil }.max { $0.value < $1.value }?.key
            if let from, let inherited = gone.removeValue(forKey: from) {
                number = inherited
                rewritten.insert(profile)
                release(from, &plan)
            } else {
                number = plan.freeProfiles.popLast() ?? plan.nextProfile
                plan.nextProfile = max(plan.nextProfile, number + 1)
                for name in HostPlanStep.chains(number, hasNames: plan.hasNames && !beginsNames) {
                    preparation.append(Transaction.Step(.createChain(Chain(name)), in: HostBase.table))
                }
                rewritten.insert(profile)
            }
            plan.profiles[profile] = HostPlan.Profile(number: number, users: growth[profile] ?? 0)
            for key in profile.keys { plan.entries[key]?.profiles.insert(profile) }
        }
        if beginsNames {
            for (profile, present) in plan.profiles {
                let name = HostProfileProgram.namesChain(present.number)
                preparation.append(Transaction.Step(.createChain(Chain(name)), in: HostBase.table))
                rewritten.insert(profile)
            }
        }
        for profile in rewritten {
            guard let program = plan.program(of: profile) else { continue }
            for name in program.chains { preparation.append(Transaction.Step(.flushChain(name), in: HostBase.table)) }
            preparation += program.rules.map { Transaction.Step(.addRule($0), in: HostBase.table) }
        }
        var clearance: [Transaction.Step] = []
        for (profile, number) in gone {
            release(profile, &plan)
            plan.freeProfiles.append(number)
            let names = HostPlanStep.chains(number, hasNames: plan.hasNames && !beginsNames)
            clearance += names.map { Transaction.Step(.flushChain($0), in: HostBase.table) }
            clearance += names.map { Transaction.Step(.deleteChain($0), in: HostBase.table) }
        }
        dropUnused(&plan)
        return (preparation, clearance)
    }

    private static func chains(_ number: Int, hasNames: Bool) -> [String] {
        HostProfileProgram(number: number, egress: nil, ingress: nil, hasNames: hasNames).chains
    }

    private func release(_ profile: HostProfile, _ plan: inout HostPlan) {
        for key in profile.keys { plan.entries[key]?.profiles.remove(profile) }
    }

    private mutating func dropUnused(_ plan: inout HostPlan) {
        for key in Swift.Set(growth.keys.flatMap(\.keys)) {
            guard let entry = plan.entries[key], entry.profiles.isEmpty else { continue }
            depart(entry.outline, &plan)
            plan.entries[key] = nil
            plan.timed.remove(key)
        }
    }

    // MARK: - Endpoints

    /// Gives endpoints that stay as they are what leads to the proxies for names.
    private func leadOthers(_ plan: HostPlan, _ elements: inout ElementChanges) {
        let moved = Swift.Set(touched.compactMap { ($0.old ?? $0.new)?.slot })
        for (slot, endpoint) in plan.endpoints where !moved.contains(slot) {
            guard let number = plan.profiles[endpoint.profile]?.number else { continue }
            elements.change(from: [], to: endpoint.nameMemberships(profile: number))
        }
    }

    private mutating func move(
        _ plan: inout HostPlan, _ old: HostEndpoint?, _ new: HostEndpoint?, _ elements: inout ElementChanges
    ) {
        let number = new.flatMap { plan.profiles[$0.profile]?.number }
        let formerNumber = old.flatMap { former[$0.profile] ?? plan.profiles[$0.profile]?.number }
        let hadNames = plan.hasNames && !beginsNames
        let before =
            old.flatMap { old in formerNumber.map { plan.memberships(of: old, profile: $0, hasNames: hadNames) } } ?? []
        let after = new.flatMap { new in number.map { plan.memberships(of: new, profile: $0) } } ?? []
        elements.change(from: before, to: after)
        if let bridge = new?.bridgeIndex { count(bridge, 1, &plan, &elements) }
        if let bridge = old?.bridgeIndex { count(bridge, -1, &plan, &elements) }
        let (oldFrames, newFrames) = (old?.frames(plan.logGroup), new?.frames(plan.logGroup))
        if let new { plan.endpoints[new.slot] = new } else if let old { plan.endpoints[old.slot] = nil }
        guard oldFrames != newFrames else { return }
        let table = HostBase.frameTable
        switch (oldFrames, newFrames) {
        case (let oldFrames?, let newFrames?) where oldFrames.chains == newFrames.chains:
            for chain in newFrames.chains { difference.switching.append(.flushChain(chain.name), in: table) }
            for rule in newFrames.rules { difference.switching.append(.addRule(rule), in: table) }
        case (let oldFrames?, let newFrames?):
            for operation in oldFrames.removal + newFrames.installation {
                difference.switching.append(operation, in: table)
            }
        case (nil, let newFrames?):
            for operation in newFrames.installation { difference.switching.append(operation, in: table) }
        case (let oldFrames?, nil): difference.departure.append(oldFrames)
        case (nil, nil): break
        }
    }

    private func count(_ bridge: UInt32, _ step: Int, _ plan: inout HostPlan, _ elements: inout ElementChanges) {
        let users = plan.bridges[bridge] ?? 0
        plan.bridges[bridge] = users + step == 0 ? nil : users + step
        let leads = HostEndpoint.memberships(ofBridge: bridge)
        if users == 0 { elements.change(from: [], to: leads) }
        if users + step == 0 { elements.change(from: leads, to: []) }
    }
}
