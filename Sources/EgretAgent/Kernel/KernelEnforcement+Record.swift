// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretLinux
import EgretNetworks
import EgretNftables
import EgretPolicy

extension KernelEnforcement {
    /// Notes all that the kernel holds.
    ///
    /// - Parameters:
    ///   - arrival: The programs that have come.
    ///   - digests: The digests of those that were there, by generation.
    ///   - areTimesOthers: Whether these have other times now.
    func noteAll(
        _ arrival: [TableProgram], adopted digests: [UInt16: ContentDigest] = [:], areTimesOthers: Bool = false
    ) {
        guard let record else { return }
        notedBases = nil
        guard plan.hasBase, isPoliced(resolved), let bases = currentBases() else { return record.forget() }
        let fresh = KernelEnforcement.digests(of: arrival)
        var contents = KernelRecord.Contents(bases: bases)
        contents.programs.reserveCapacity(plan.generations.used.count)
        contents.endpoints.reserveCapacity(plan.endpoints.count)
        for (key, outline) in plan.outlines {
            let number = outline.generation.rawValue
            let known = areTimesOthers && outline.hasTimes ? nil : digests[number]
            guard let digest = known ?? programDigest(of: outline, key, fresh) else { return record.forget() }
            contents.programs[number] = digest
        }
        for (slot, endpoint) in plan.endpoints {
            guard let row = currentRow(endpoint) else { return record.forget() }
            contents.endpoints[slot] = row
        }
        notedBases = bases
        record.replace(with: contents)
    }

    /// Notes what a change has come to.
    func note(_ step: Step) {
        guard let record else { return }
        guard plan.hasBase, let bases = currentBases() else { return record.forget() }
        var change = KernelRecord.Change()
        if bases != notedBases { change.bases = bases }
        notedBases = bases
        let fresh = KernelEnforcement.digests(of: step.difference.arrival)
        var keys = Swift.Set(step.policies.keys)
        if step.isRenewed { keys.formUnion(plan.outlines.lazy.filter { $0.value.hasTimes }.map(\.key)) }
        for key in keys {
            guard let outline = plan.outline(of: key) else { continue }
            let number = outline.generation.rawValue
            if record.holds(program: number), !(step.isRenewed && outline.hasTimes) { continue }
            guard let digest = programDigest(of: outline, key, fresh) else { return record.forget() }
            change.programs[number] = digest
        }
        change.gonePrograms = step.difference.retired.map(\.rawValue)
        for slot in step.affected.union(step.requeued).union(step.removed) {
            guard let endpoint = plan.endpoints[slot] else {
                change.goneEndpoints.append(slot)
                continue
            }
            guard let row = currentRow(endpoint) else { return record.forget() }
            change.endpoints[slot] = row
        }
        record.apply(change)
    }

    /// The objects that endpoints share; `nil` if they cannot be noted.
    private func currentBases() -> KernelRecord.Bases? {
        if var known = notedBases, known.hasBridgeTable == plan.hasBridgeTable, known.hasOutput == plan.hasOutput,
            known.hasNames == plan.hasNames
        {
            // The ports of names and the bridges stay the same as long as there are any, or else all is noted anew.
            known.horizon = plan.horizon
            return known
        }
        return ContentDigest(of: plan.bases).map { digest in
            KernelRecord.Bases(
                hasBridgeTable: plan.hasBridgeTable, hasOutput: plan.hasOutput, hasNames: plan.hasNames,
                horizon: plan.horizon, digest: digest)
        }
    }

    private func currentRow(_ endpoint: HostEndpoint) -> KernelRecord.Endpoint? {
        guard let profile = plan.number(egress: endpoint.egress, ingress: endpoint.ingress) else { return nil }
        let numbers = [endpoint.egress, endpoint.ingress].map { key in
            key.flatMap { plan.outline(of: $0)?.generation.rawValue } ?? 0
        }
        return KernelRecord.Endpoint(
            profile: profile, egress: numbers[0], ingress: numbers[1], queueIndex: endpoint.queueIndex,
            digest: ContentDigest(of: endpoint.attachment, endpoint.hardwareAddress, endpoint.addresses))
    }

    private func programDigest(
        of outline: PolicyProgram, _ key: ProgramKey, _ fresh: [String: ContentDigest]
    ) -> ContentDigest? {
        if let chain = outline.program.chains.first, let digest = fresh[chain.name] { return digest }
        return plan.program(of: key).flatMap { ContentDigest(of: $0.program) }
    }

    /// The digests of programs, by the first chain of each, which is named after the generation.
    private static func digests(of programs: [TableProgram]) -> [String: ContentDigest] {
        let digests = AllProcessors.map(programs) { program -> ContentDigest? in ContentDigest(of: program) }
        var found: [String: ContentDigest] = [:]
        for (program, digest) in zip(programs, digests) {
            if let chain = program.chains.first { found[chain.name] = digest }
        }
        return found
    }
}

extension KernelRecord {
    /// What a record is of: the machine's start, the namespace, and the build that this process is of. Another build may compile
    /// the same policies otherwise, or lead to programs otherwise.
    ///
    /// Where the linker has left no digest of the program, the very file counts.
    ///
    /// - Parameters:
    ///   - namespace: The kernel's cookie of the namespace.
    ///   - buildID: The digest of this process's program.
    /// - Returns: Words that are others for any other.
    /// - Throws: `LinuxError` if the kernel does not say.
    static func identity(_ namespace: UInt64, buildID: [UInt8]? = CurrentProcess.buildID) throws -> String {
        let start = "\(try NetworkStore.currentBootID()) \(namespace)"
        if let buildID { return "\(start) build \(buildID)" }
        let file = try File.status("/proc/self/exe")
        return "\(start) file \(file.device) \(file.inode) \(file.size) "
            + "\(file.modifiedSeconds).\(file.modifiedNanoseconds)"
    }
}
