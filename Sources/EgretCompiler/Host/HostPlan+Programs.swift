// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables
import EgretPolicy

extension HostPlan {
    /// The tables that a plan's objects are in.
    public static let tables = [HostBase.table, HostBase.frameTable, HostBase.bridgeTable]

    /// The objects that all endpoints share, those of them that the plan needs: without elements.
    public var bases: [TableProgram] {
        if !hasBase { return [] }
        return [packetBase, TableProgram(table: HostBase.frameTable)] + (hasBridgeTable ? [bridgeBase] : [])
            + (hasOutput ? [HostOutput.program] : [])
            + (hasNames ? [nameBase].compactMap(\.self) : [])
    }

    /// What the packet table holds before the first endpoint.
    var packetBase: TableProgram {
        var program = HostBase.program(logGroup: logGroup)
        Quarantine.quarantine(quarantine, in: &program)
        return program
    }

    /// What the bridge table holds before the first endpoint.
    var bridgeBase: TableProgram {
        var program = HostBase.bridgeProgram
        Quarantine.guarding(quarantine, in: &program)
        return program
    }

    /// All that the kernel should hold, for comparing: the base objects, the programs, the chains, and for each endpoint
    /// its checks and the elements that lead to its chains.
    public var tablePrograms: [TableProgram] {
        if !hasBase { return [] }
        var programs = bases
        for (key, entry) in entries { programs.append(entry.program(of: key, logGroup: logGroup).program) }
        return programs + sharedPrograms
    }

    /// The same with the names of programs' objects alone: for finding what is there besides.
    public var tableOutlines: [TableProgram] {
        hasBase ? bases + entries.values.map(\.outline.program) + sharedPrograms : []
    }

    /// The chains that lead to programs, the checks of endpoints, and what leads to their chains.
    private var sharedPrograms: [TableProgram] {
        var programs: [TableProgram] = []
        var chains = TableProgram(table: HostBase.table)
        for profile in profiles.keys {
            guard let program = program(of: profile) else { continue }
            chains.chains += program.chains.map { Chain($0) }
            chains.rules += program.rules
        }
        programs.append(chains)
        programs += endpoints.values.map { $0.frames(logGroup) }
        return programs + memberPrograms
    }

    /// The elements of shared maps and sets that lead to the chains of endpoints and make them known.
    private var memberPrograms: [TableProgram] {
        var programs: [TableProgram] = []
        var elements = ElementChanges()
        for endpoint in endpoints.values { elements.change(from: [], to: memberships(of: endpoint)) }
        for bridge in bridges.keys { elements.change(from: [], to: HostEndpoint.memberships(ofBridge: bridge)) }
        for table in [HostBase.table, HostBase.bridgeTable] {
            var members = TableProgram(table: table)
            members.memberships = elements.steps.compactMap { step in
                guard step.table == table, case .addElements(let set) = step.operation else { return nil }
                return set
            }
            if !members.memberships.isEmpty { programs.append(members) }
        }
        return programs
    }

    /// What brings a kernel here that holds another plan: that of `old`, or none.
    ///
    /// Looks at everything; `apply(_:)` says the same of a change and costs what it touches.
    ///
    /// - Parameter old: The plan that the kernel is at; `nil` for a kernel that holds nothing, or that is to be cleared.
    /// - Returns: What to add first, then the switch of the endpoints that change, and then what to remove.
    public func difference(from old: HostPlan?) -> HostDifference {
        var difference = HostDifference()
        let mine = Swift.Set(tablePrograms)
        let theirs = Swift.Set(old?.tablePrograms ?? [])
        var (new, gone) = (mine.subtracting(theirs), theirs.subtracting(mine))
        // Chains and elements are switched; everything else comes before and goes after.
        let isSwitched = { (program: TableProgram) in program.isOfChains || program.isOfElements }
        difference.arrival = new.filter { !isSwitched($0) && !$0.isOfFrames }.sorted(by: HostPlan.basesFirst)
        if hasBase && !(old?.hasBase ?? false) { difference.arrival.append(TableProgram(table: HostBase.frameTable)) }
        difference.departure = gone.filter { !isSwitched($0) }.sorted(by: HostPlan.basesFirst)
        new = new.filter { isSwitched($0) || $0.isOfFrames }
        gone = gone.filter(isSwitched)
        difference.switching.steps = steps(from: gone, to: new)
        let kept = Swift.Set(entries.values.map(\.outline.generation))
        difference.retired = old?.entries.values.map(\.outline.generation).filter { !kept.contains($0) } ?? []
        return difference
    }

    private static func basesFirst(_ left: TableProgram, _ right: TableProgram) -> Bool {
        let rank = { (program: TableProgram) in program.chains.contains { $0.base != nil } ? 0 : 1 }
        return rank(left) < rank(right)
    }

    private func steps(from gone: Swift.Set<TableProgram>, to new: Swift.Set<TableProgram>) -> [Transaction.Step] {
        var (preparation, clearance): ([Transaction.Step], [Transaction.Step]) = ([], [])
        let before = Swift.Set(gone.filter(\.isOfChains).flatMap(\.chains).map(\.name))
        let after = new.filter(\.isOfChains)
        for chain in after.flatMap(\.chains) {
            let operation: EgretNftables.Operation =
                before.contains(chain.name) ? .flushChain(chain.name) : .createChain(chain)
            preparation.append(Transaction.Step(operation, in: HostBase.table))
        }
        preparation += after.flatMap(\.rules).map { Transaction.Step(.addRule($0), in: HostBase.table) }
        for frames in new where frames.isOfFrames {
            preparation += frames.installation.map { Transaction.Step($0, in: frames.table) }
        }
        for chain in before.subtracting(after.flatMap(\.chains).map(\.name)).sorted() {
            clearance.append(Transaction.Step(.flushChain(chain), in: HostBase.table))
            clearance.append(Transaction.Step(.deleteChain(chain), in: HostBase.table))
        }
        var elements = ElementChanges()
        let members = { (programs: Swift.Set<TableProgram>) in
            programs.filter(\.isOfElements).flatMap { program in
                program.memberships.map { Membership($0, in: program.table) }
            }
        }
        elements.change(from: members(gone), to: members(new))
        return preparation + elements.steps + clearance
    }

    func program(of profile: HostProfile) -> HostProfileProgram? {
        profiles[profile].map { present in
            HostProfileProgram(
                number: present.number, egress: profile.egress.flatMap { entries[$0]?.outline },
                ingress: profile.ingress.flatMap { entries[$0]?.outline }, hasNames: hasNames)
        }
    }

    /// The elements of shared maps and sets that the plan's endpoints have, by table and set.
    public var sharedElements: [Table: [String: Swift.Set<SetElement>]] {
        (hasBase ? bases + memberPrograms : []).sharedElements
    }

    private func memberships(of endpoint: HostEndpoint) -> [Membership] {
        profiles[endpoint.profile].map { memberships(of: endpoint, profile: $0.number) } ?? []
    }

    /// What leads packets to the chains that decide about an endpoint's traffic, and what makes it known.
    func memberships(of endpoint: HostEndpoint, profile number: Int, hasNames: Bool? = nil) -> [Membership] {
        endpoint.memberships(profile: number) + (quarantine.isEmpty ? [] : Quarantine.memberships(of: endpoint))
            + (hasNames ?? self.hasNames ? endpoint.nameMemberships(profile: number) : [])
    }
}

extension TableProgram {
    fileprivate var isOfElements: Bool { !memberships.isEmpty && chains.isEmpty }
    fileprivate var isOfFrames: Bool { table == HostBase.frameTable }
    /// Whether these are the chains that endpoints share: programs have counters too.
    fileprivate var isOfChains: Bool { table == HostBase.table && counters.isEmpty && sets.isEmpty && !chains.isEmpty }
}

extension PolicyProgram {
    /// Whether a rule holds at some times only.
    public var hasTimes: Bool { program.sets.contains { $0.keyType == .time } }
}

extension PolicySet {
    /// Whether the other decides the same way by the same clauses: groups that no rule names do not matter, nor do routes,
    /// limits and budgets, which no program has. But a program leads questions to the proxy if a limit or a budget is about names.
    func isSame(as other: PolicySet) -> Bool {
        guard networkDefault == other.networkDefault,
            policies.elementsEqual(other.policies, by: { $0.decides(like: $1) }),
            countedNames.isEmpty == other.countedNames.isEmpty || dependsOnNames == other.dependsOnNames
        else { return false }
        for policy in policies {
            for rule in policy.rules {
                for case .group(let name) in rule.destinations where groups[name] != other.groups[name] { return false }
            }
        }
        return true
    }
}

extension EgressPolicy {
    fileprivate func decides(like other: EgressPolicy) -> Bool {
        if routes == other.routes && limits == other.limits && budgets == other.budgets { return self == other }
        var (mine, theirs) = (self, other)
        (mine.routes, theirs.routes) = ([], [])
        (mine.limits, theirs.limits) = ([], [])
        (mine.budgets, theirs.budgets) = ([], [])
        return mine == theirs
    }
}
