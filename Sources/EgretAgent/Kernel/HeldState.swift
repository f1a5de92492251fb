// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables

/// What a kernel holds already of what it should hold, by whatever it is known.
protocol HeldState {
    /// The numbers in the names of what is held: what comes beside it must have others.
    var names: KernelNames { get }
    /// The tables that are there.
    var tables: Swift.Set<Table> { get }
    /// The seconds since 1970 for which the times of rules are compiled that are compared; `nil` for those of now.
    var horizon: ClosedRange<Int64>? { get }
    /// What must be taken out of the shared maps: elements that lead to nothing that stays, and former times of rules.
    var clearance: [Transaction.Step] { get }
    /// Whether the kernel holds what was adopted, and nothing else.
    var isWhole: Bool { get }
    /// The digests of the programs that were adopted, by generation.
    var digests: [UInt16: ContentDigest] { get }

    /// The numbers of endpoints' checks that are at their interfaces already.
    func slots(of endpoints: [AgentEndpoint]) -> [ResolvedState.Link: Int]

    /// Puts what is right into a plan without endpoints.
    ///
    /// - Parameters:
    ///   - plan: The plan. Every number in the kernel rests in it.
    ///   - resolved: What should be in the kernel.
    ///   - isPoliced: Whether endpoints are known to the kernel; `nil` if they are where any policy is about any.
    ///   - queueIndex: Where an endpoint's frames wait if its rate is limited.
    /// - Returns: `false` if the shared objects are missing or otherwise than they should be; nothing can stay then.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    mutating func adopt(
        into plan: inout HostPlan, _ resolved: ResolvedState, isPoliced: Bool?,
        queueIndex: (AgentEndpoint) -> UInt32?
    ) throws(NetlinkError) -> Bool
}

extension TablePicture {
    /// What takes out of the shared sets whatever leads elsewhere than a plan.
    ///
    /// - Parameters:
    ///   - plan: The plan.
    ///   - bases: The objects that endpoints share.
    /// - Returns: The steps.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    func clearance(to plan: HostPlan, _ bases: [TableProgram]) throws(NetlinkError) -> [Transaction.Step] {
        let meant = plan.sharedElements
        var steps: [Transaction.Step] = []
        for base in bases where tables.contains(base.table) {
            for set in base.sets {
                let kept = meant[base.table]?[set.name] ?? []
                let stale = try elements(of: set.name, in: base.table).filter { !kept.contains($0) }
                if let step = removal(of: stale, from: set.name, in: base.table) { steps.append(step) }
            }
        }
        return steps
    }
}
