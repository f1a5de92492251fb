// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables
import EgretPolicy

/// What a former agent has noted of the kernel, where nobody has committed anything since it knew the kernel to be as it noted.
///
/// A program is right if the policies compile under its number to the bytes that were noted. No rule is read back: the
/// kernel changes none by itself. What it does by itself is to take an interface's chain away with the interface; so the chains
/// at interfaces are asked for.
struct RecordedState: HeldState {
    private let left: KernelRecord.Left
    private let dataplane: Dataplane
    /// The chains at interfaces, by the interface's name.
    private let chains: [String: String]
    let names: KernelNames
    private(set) var clearance: [Transaction.Step] = []
    private(set) var isWhole = false
    private(set) var digests: [UInt16: ContentDigest] = [:]

    /// Looks at what the kernel may have done by itself. There is no such state if a table is not there.
    ///
    /// - Parameters:
    ///   - left: What was noted.
    ///   - dataplane: The kernel, whose ruleset has the number for which it was noted.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    init?(_ left: KernelRecord.Left, _ dataplane: Dataplane) throws(NetlinkError) {
        let present = Swift.Set(try dataplane.allTables())
        guard present.isSuperset(of: left.contents.bases.tables) else { return nil }
        var chains: [String: String] = [:]
        for chain in try dataplane.chains(in: HostBase.frameTable) {
            if let device = chain.base?.device { chains[device] = chain.name }
        }
        self.left = left
        self.dataplane = dataplane
        self.chains = chains
        var names = KernelNames(
            generations: Swift.Set(left.contents.programs.keys),
            nextProfile: (left.contents.endpoints.values.lazy.map(\.profile).max() ?? -1) + 1,
            nextSlot: (left.contents.endpoints.keys.max() ?? -1) + 1)
        // What somebody else has put into the tables is not noted, and may be called like what is to come.
        if !left.isTidy { names.add(KernelNames(try dataplane.holdings(of: HostPlan.tables))) }
        self.names = names
    }

    var tables: Swift.Set<Table> { left.contents.bases.tables }

    var horizon: ClosedRange<Int64>? { left.contents.bases.horizon }

    func slots(of endpoints: [AgentEndpoint]) -> [ResolvedState.Link: Int] {
        let slots = Dictionary(
            left.contents.endpoints.map { ($0.value.digest, $0.key) }, uniquingKeysWith: { first, _ in first })
        var found: [ResolvedState.Link: Int] = [:]
        for endpoint in endpoints {
            let digest = ContentDigest(of: endpoint.attachment, endpoint.hardwareAddress, endpoint.addresses)
            guard let slot = slots[digest] else { continue }
            if let interface = endpoint.attachment.interface, chains[interface.rawValue] != "endpoint-\(slot)" {
                continue
            }
            found[ResolvedState.Link(endpoint)] = slot
        }
        return found
    }

    mutating func adopt(
        into plan: inout HostPlan, _ resolved: ResolvedState, isPoliced: Bool?,
        queueIndex: (AgentEndpoint) -> UInt32?
    ) throws(NetlinkError) -> Bool {
        let bases = left.contents.bases
        guard isPoliced ?? resolved.isPoliced else { return false }
        plan.adoptBases(bases.tables)
        if bases.hasOutput { plan.adoptOutput() }
        if bases.hasNames { plan.adoptNames() }
        guard plan.hasNames == bases.hasNames, ContentDigest(of: plan.bases) == bases.digest else { return false }
        adoptPrograms(resolved, into: &plan)
        for slot in resolved.slots {
            guard let row = left.contents.endpoints[slot],
                let endpoint = resolved.hostEndpoint(slot, queueIndex: queueIndex)
            else { continue }
            adopt(endpoint, row, into: &plan)
        }
        plan.generations.use(Swift.Set(digests.keys))
        plan.adoptBases(bases.tables)
        isWhole =
            left.isTidy && digests.count == left.contents.programs.count
            && plan.endpoints.count == left.contents.endpoints.count
        if !isWhole {
            clearance = try dataplane.picture(of: HostPlan.tables).clearance(to: plan, plan.bases)
        }
        return true
    }

    private func adopt(_ endpoint: HostEndpoint, _ row: KernelRecord.Endpoint, into plan: inout HostPlan) {
        guard row.queueIndex == endpoint.queueIndex else { return }
        for (key, number) in [(endpoint.egress, row.egress), (endpoint.ingress, row.ingress)] {
            guard let key else {
                if number != 0 { return }
                continue
            }
            if plan.outline(of: key)?.generation.rawValue != number { return }
        }
        if let other = plan.number(egress: endpoint.egress, ingress: endpoint.ingress), other != row.profile { return }
        plan.adopt(endpoint, number: row.profile)
    }

    // MARK: - Programs

    /// A program that may be what was noted.
    private struct Candidate: Sendable {
        var key: ProgramKey
        var policies: PolicySet
        var generation: Generation
        var noted: ContentDigest
    }

    /// So many programs are compiled before those that are right are kept, without their rules.
    private static let portion = 512

    /// Puts the programs into a plan that come to what was noted.
    private mutating func adoptPrograms(_ resolved: ResolvedState, into plan: inout HostPlan) {
        let all = candidates(resolved)
        // It has no programs yet: what compiling needs of it stays the same.
        let compiler = plan
        for first in stride(from: 0, to: all.count, by: RecordedState.portion) {
            let some = Array(all[first..<min(first + RecordedState.portion, all.count)])
            let compiled = AllProcessors.map(some, inPortionsOf: 16) { candidate -> PolicyProgram? in
                let program = compiler.program(
                    of: candidate.policies, as: candidate.key, generation: candidate.generation)
                return ContentDigest(of: program.program) == candidate.noted ? program : nil
            }
            for (candidate, program) in zip(some, compiled) {
                guard let program else { continue }
                plan.adopt(program, as: candidate.key, with: candidate.policies)
                digests[candidate.generation.rawValue] = candidate.noted
            }
        }
    }

    /// The programs that endpoints are to have and are noted to have, each once.
    private func candidates(_ resolved: ResolvedState) -> [Candidate] {
        let policies = resolved.policies
        var keys: Swift.Set<ProgramKey> = []
        var numbers: Swift.Set<UInt16> = []
        var found: [Candidate] = []
        for slot in resolved.slots {
            guard let row = left.contents.endpoints[slot], let endpoint = resolved.hostEndpoint(slot) else { continue }
            for (key, number) in [(endpoint.egress, row.egress), (endpoint.ingress, row.ingress)] {
                // Programs with names: as where all is read back, their sets have what others have resolved.
                guard let key, !keys.contains(key), !numbers.contains(number), let policies = policies[key],
                    let generation = Generation(rawValue: number), let noted = left.contents.programs[number],
                    policies.nameClauses.isEmpty
                else { continue }
                keys.insert(key)
                numbers.insert(number)
                found.append(Candidate(key: key, policies: policies, generation: generation, noted: noted))
            }
        }
        return found
    }
}
