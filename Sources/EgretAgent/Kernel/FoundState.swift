// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables
import EgretPolicy

/// What a kernel holds already of what it should hold: programs and endpoints that are right to the last rule stay, with
/// their numbers, so that no open connection is judged anew.
///
/// Which program is whose, the kernel's own maps say: they lead an endpoint's packets to it. Whether it is right is
/// seen by compiling the policies under its number and comparing all of it.
struct FoundState: HeldState {
    private let picture: TablePicture
    private(set) var clearance: [Transaction.Step] = []
    /// Of the programs that are right, and the numbers of those that are not.
    private(set) var digests: [UInt16: ContentDigest] = [:]
    private var adopted: Swift.Set<UInt16> = []
    private var refused: Swift.Set<UInt16> = []
    private var soundChains: [Int: Bool] = [:]

    init(_ picture: TablePicture) {
        self.picture = picture
    }

    var names: KernelNames { KernelNames(picture.holdings) }

    var tables: Swift.Set<Table> { picture.tables }

    /// Times are compared by themselves.
    var horizon: ClosedRange<Int64>? { nil }

    /// What else is there is not looked at.
    var isWhole: Bool { false }

    func slots(of endpoints: [AgentEndpoint]) -> [ResolvedState.Link: Int] {
        let chains = picture.chainsByDevice(in: HostBase.frameTable)
        var found: [ResolvedState.Link: Int] = [:]
        for endpoint in endpoints {
            guard let chain = chains[endpoint.interface.rawValue], chain.hasPrefix("endpoint-") else { continue }
            found[ResolvedState.Link(endpoint)] = Int(chain.dropFirst("endpoint-".count))
        }
        return found
    }

    mutating func adopt(
        into plan: inout HostPlan, _ resolved: ResolvedState, isPoliced: Bool? = nil,
        queueIndex: (AgentEndpoint) -> UInt32? = { _ in nil }
    ) throws(NetlinkError) -> Bool {
        if picture.tables.isEmpty { return false }
        var bases = HostPlan(logGroup: plan.logGroup, quarantine: plan.quarantine)
        bases.adoptBases(Swift.Set(HostPlan.tables))
        for base in bases.bases where picture.tables.contains(base.table) {
            if try !picture.holds(base) { return false }
        }
        if try !adoptNames(into: &plan) { return false }
        plan.adoptBases(picture.tables)
        if picture.tables.contains(HostBase.table) {
            let drift = try picture.drift(of: HostOutput.program)
            if drift.isEmpty {
                bases.adoptOutput()
                plan.adoptOutput()
            } else if drift.count(where: { $0.kind == .missing }) <= HostOutput.program.sets.count {
                return false
            }
        }
        if plan.hasBase, isPoliced ?? resolved.isPoliced {
            let policies = resolved.policies
            for slot in resolved.slots {
                guard let endpoint = resolved.hostEndpoint(slot, queueIndex: queueIndex) else { continue }
                try adopt(endpoint, policies, into: &plan)
            }
            plan.generations.use(adopted)
        }
        plan.adoptBases(picture.tables)
        clearance += try picture.clearance(
            to: plan, bases.bases + (plan.hasNames ? [plan.nameBase].compactMap(\.self) : []))
        return true
    }

    /// Adopts what leads to the proxies for names, if that is there and wanted.
    ///
    /// - Returns: `false` if it is there and leads elsewhere: programs lead to it.
    private func adoptNames(into plan: inout HostPlan) throws(NetlinkError) -> Bool {
        let held = picture.holdings[HostBase.table]
        guard let hook = HostNames.hooks.first, held?.chains.contains(hook) ?? false else { return true }
        // Nobody has rules about names any more: what leads there is swept out.
        guard let base = plan.nameBase else { return true }
        if try !picture.holds(base) { return false }
        plan.adoptNames()
        return true
    }

    // MARK: - Endpoints

    private mutating func adopt(
        _ endpoint: HostEndpoint, _ policies: [ProgramKey: PolicySet], into plan: inout HostPlan
    ) throws(NetlinkError) {
        guard let number = try number(of: endpoint, plan) else { return }
        let generations = try programs(of: number)
        for (key, generation) in [(endpoint.egress, generations.egress), (endpoint.ingress, generations.ingress)] {
            guard let key else { continue }
            if plan.outline(of: key) == nil {
                guard let generation, let policies = policies[key] else { return }
                try adopt(generation, as: key, policies, into: &plan)
            }
            if plan.outline(of: key)?.generation != generation { return }
        }
        if let other = plan.number(egress: endpoint.egress, ingress: endpoint.ingress), other != number { return }
        guard let chains = plan.chains(number: number, egress: endpoint.egress, ingress: endpoint.ingress) else {
            return
        }
        if soundChains[number] == nil { soundChains[number] = try picture.holds(chains) }
        guard soundChains[number] ?? false, try picture.holds(endpoint.frameProgram(logGroup: plan.logGroup)) else {
            return
        }
        for (table, set) in plan.elements(of: endpoint, number: number) {
            if try !holds(set, in: table) { return }
        }
        plan.adopt(endpoint, number: number)
    }

    private func holds(_ set: EgretNftables.Set, in table: Table) throws(NetlinkError) -> Bool {
        guard case .elements(let elements) = set.contents else { return false }
        return try picture.holds(elements, in: set.name, of: table)
    }

    /// The number of the chains that an endpoint's packets are led to.
    private func number(of endpoint: HostEndpoint, _ plan: HostPlan) throws(NetlinkError) -> Int? {
        for (table, set) in plan.elements(of: endpoint, number: 0) {
            guard case .elements(let elements) = set.contents else { continue }
            for element in elements where element.verdict == .jump("from-0") {
                guard let present = try picture.element(like: element, of: set.name, in: table),
                    case .jump(let chain)? = present.verdict, chain.hasPrefix("from-")
                else { return nil }
                return Int(chain.dropFirst("from-".count))
            }
        }
        return nil
    }

    // MARK: - Programs

    /// The numbers of the programs that shared chains lead to: `g32768` is an egress program, `g32769-reply` is where what
    /// an endpoint answers meets its ingress program.
    private func programs(of number: Int) throws(NetlinkError) -> (egress: Generation?, ingress: Generation?) {
        var found: (egress: Generation?, ingress: Generation?)
        for name in try picture.targets(of: "from-\(number)", in: HostBase.table) where name.hasPrefix("g") {
            let parts = name.dropFirst().split(separator: "-", maxSplits: 1)
            guard let text = parts.first, let value = UInt16(text) else { continue }
            if parts.count == 1 { found.egress = Generation(rawValue: value) }
            if parts.count == 2, parts[1] == "reply" { found.ingress = Generation(rawValue: value) }
        }
        return found
    }

    private mutating func adopt(
        _ generation: Generation, as key: ProgramKey, _ policies: PolicySet, into plan: inout HostPlan
    ) throws(NetlinkError) {
        if refused.contains(generation.rawValue) || adopted.contains(generation.rawValue) { return }
        // Its sets have what others have resolved, who may be gone: a new program's begin with what is known of those here.
        if !policies.nameClauses.isEmpty {
            refused.insert(generation.rawValue)
            return
        }
        let program = plan.program(of: policies, as: key, generation: generation)
        // Times come and go with the calendar: they are compared by themselves.
        guard try picture.holds(picture.withPresentTimes(program.program)) else {
            refused.insert(generation.rawValue)
            return
        }
        clearance += try picture.renewal(ofTimesOf: program.program)
        plan.adopt(program, as: key, with: policies)
        adopted.insert(generation.rawValue)
        digests[generation.rawValue] = ContentDigest(of: program.program)
    }
}
