// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables
public import EgretPolicy

/// A plan can begin with what a kernel holds already: whoever has seen that it is right adopts it piece by piece, and
/// only the rest is made anew.
extension HostPlan {
    /// The program that policies have under a number: what the kernel must hold for ``adopt(_:as:with:)``.
    ///
    /// - Parameters:
    ///   - policies: The policies.
    ///   - key: Their key.
    ///   - generation: The number.
    /// - Returns: The program.
    public func program(of policies: PolicySet, as key: ProgramKey, generation: Generation) -> PolicyProgram {
        PolicyCompiler.compile(
            policies, for: .endpoint(key.direction), generation: generation, logGroup: logGroup, horizon: horizon)
    }

    /// Adopts a program that the kernel holds. ``generations`` is to be told, once for all programs.
    ///
    /// - Parameters:
    ///   - program: The program, from ``program(of:as:generation:)``.
    ///   - key: Its key, which has none yet.
    ///   - policies: Its policies.
    public mutating func adopt(_ program: PolicyProgram, as key: ProgramKey, with policies: PolicySet) {
        entries[key] = Entry(program, of: policies, horizon: horizon)
        if program.hasTimes { timed.insert(key) }
        hasBase = true
    }

    /// The chains that lead endpoints with a pair of adopted programs to them, under a number.
    ///
    /// - Returns: `nil` if one of the keys has no program.
    public func chains(number: Int, egress: ProgramKey?, ingress: ProgramKey?) -> TableProgram? {
        let programs = [egress, ingress].map { key in key.map { entries[$0]?.outline } }
        if programs.contains(where: { $0 == .some(.none) }) { return nil }
        let profile = HostProfileProgram(
            number: number, egress: programs[0].flatMap(\.self), ingress: programs[1].flatMap(\.self),
            hasNames: hasNames)
        var program = TableProgram(table: HostBase.table)
        program.chains = profile.chains.map { Chain($0) }
        program.rules = profile.rules
        return program
    }

    /// The number that the chains of an adopted pair carry.
    public func number(egress: ProgramKey?, ingress: ProgramKey?) -> Int? {
        profiles[HostProfile(egress: egress, ingress: ingress)]?.number
    }

    /// Adopts an endpoint: its elements and the checks on its frames, and the chains of its pair of programs.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint.
    ///   - number: The number of its pair's chains; the same for all endpoints with the pair.
    public mutating func adopt(_ endpoint: HostEndpoint, number: Int) {
        let profile = endpoint.profile
        profiles[profile, default: Profile(number: number)].users += 1
        for key in profile.keys { entries[key]?.profiles.insert(profile) }
        endpoints[endpoint.slot] = endpoint
        if let bridge = endpoint.bridgeIndex {
            bridges[bridge, default: 0] += 1
            hasBridgeTable = true
        }
        hasBase = true
        nextProfile = max(nextProfile, number + 1)
    }

    /// Notes that the objects that endpoints share are in the kernel.
    ///
    /// - Parameter tables: Which of ``tables`` are there.
    public mutating func adoptBases(_ tables: Swift.Set<Table>) {
        hasBase = tables.contains(HostBase.table) && tables.contains(HostBase.frameTable)
        hasBridgeTable = tables.contains(HostBase.bridgeTable)
    }

    /// Notes that the hook for processes of the host's own network is in the kernel, as it should be.
    public mutating func adoptOutput() { hasOutput = true }
    /// What leads to the proxies for names, without elements; `nil` if it is not known where they listen.
    public var nameBase: TableProgram? { namePorts.map { HostNames.program($0) } }

    /// Notes that the kernel has what leads to the proxies for names, as ``nameBase`` says.
    public mutating func adoptNames() { hasNames = namePorts != nil }

}

extension HostPlan {
    /// The elements that lead an endpoint's packets to its chains and make it known, its bridge's included.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint.
    ///   - number: The number of the chains.
    /// - Returns: Sets of nothing but elements, for comparing, with their tables.
    public func elements(of endpoint: HostEndpoint, number: Int) -> [(table: Table, set: EgretNftables.Set)] {
        let bridge = endpoint.bridgeIndex.map { HostEndpoint.memberships(ofBridge: $0) } ?? []
        return (memberships(of: endpoint, profile: number) + bridge).map { ($0.table, $0.set) }
    }
}

extension HostEndpoint {
    /// The checks on its frames.
    ///
    /// - Parameter logGroup: The nfnetlink_log group that refused packets go to.
    /// - Returns: The program of its chain.
    public func frameProgram(logGroup: UInt16) -> TableProgram { frames(logGroup) }
}
