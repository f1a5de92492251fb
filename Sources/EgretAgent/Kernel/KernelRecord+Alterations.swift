// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy

extension KernelRecord.Contents {
    /// What others have changed since this was noted, in words: what is still meant to be as it was noted, and is not.
    ///
    /// What the kernel takes away by itself, as with an interface, is not told, nor is what nobody can tell from what is meant
    /// otherwise by now: programs with names or times.
    ///
    /// - Parameters:
    ///   - tables: The tables that are there.
    ///   - isSound: Whether what all endpoints share is as it should be.
    ///   - plan: What was found right, with the horizon of the times that are compared.
    ///   - resolved: What should be in the kernel, under the numbers that the kernel has.
    ///   - queueIndex: Where an endpoint's frames wait if its rate is limited.
    /// - Returns: The words, in the order of the endpoints; none if nobody has changed anything that can be told.
    func alterations(
        in tables: Swift.Set<Table>, isSound: Bool, _ plan: HostPlan, _ resolved: ResolvedState,
        queueIndex: (AgentEndpoint) -> UInt32?
    ) -> [String] {
        let gone = bases.tables.subtracting(tables)
        if !gone.isEmpty { return gone.sorted().map { "table \($0) is missing" } }
        if !isSound { return isShared(by: plan) ? ["what all endpoints share is otherwise"] : [] }
        let policies = resolved.policies
        var compared: [ProgramKey: [UInt16: Bool]] = [:]
        func isMeant(_ key: ProgramKey?, _ number: UInt16) -> Bool {
            guard let key else { return number == 0 }
            if let known = compared[key]?[number] { return known }
            let isMeant = policies[key].map { isProgram(number, of: $0, as: key, in: plan) } ?? false
            compared[key, default: [:]][number] = isMeant
            return isMeant
        }
        return resolved.slots.compactMap { slot -> String? in
            guard let row = endpoints[slot], plan.endpoints[slot] == nil, let present = resolved.endpoint(slot),
                let endpoint = resolved.hostEndpoint(slot, queueIndex: queueIndex),
                row.queueIndex == endpoint.queueIndex,
                row.digest == ContentDigest(of: endpoint.attachment, endpoint.hardwareAddress, endpoint.addresses),
                isMeant(endpoint.egress, row.egress), isMeant(endpoint.ingress, row.ingress)
            else { return nil }
            return "the rules of \(present.workload.id) are otherwise"
        }
    }

    /// Whether a plan means the objects that endpoints share to be as they were noted.
    private func isShared(by plan: HostPlan) -> Bool {
        var plan = plan
        plan.adoptBases(bases.tables)
        if bases.hasOutput { plan.adoptOutput() }
        if bases.hasNames { plan.adoptNames() }
        return ContentDigest(of: plan.bases) == bases.digest
    }

    /// Whether policies come to the program that was noted under a number.
    private func isProgram(_ number: UInt16, of policies: PolicySet, as key: ProgramKey, in plan: HostPlan) -> Bool {
        guard let generation = Generation(rawValue: number), let noted = programs[number], policies.nameClauses.isEmpty
        else { return false }
        return ContentDigest(of: plan.program(of: policies, as: key, generation: generation).program) == noted
    }
}
