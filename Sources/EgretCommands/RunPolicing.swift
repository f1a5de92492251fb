// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNftables
import EgretRoutes

/// Whether what polices a run is still in the kernel as it was put there.
///
/// Objects of the run's own, chains and sets of its policy and its endpoint and the table of its routes, are nobody
/// else's to touch: any word of a change there is enough. What runs share changes as others come and go: there the rules are read and compared.
final class RunPolicing {
    /// Becomes readable when somebody has changed the ruleset.
    var descriptor: Descriptor { watch.descriptor }

    /// What leads the run's connections; `nil` if the policy has no routes.
    var routes: RouteKeeper?

    /// What limits the run's connections and packets; `nil` if nothing does.
    var limits: LimitProgram?

    /// The run's policy, with the times that the kernel was given last. What the run changes itself is heard of by nobody.
    var policy: PolicyProgram

    /// The run's budgets, as they were last corrected; `nil` if it has none.
    var budgets: TableProgram?

    private let dataplane: Dataplane
    private let endpoint: EndpointProgram
    private let names: NameProgram?
    private let ownNames: [String]
    private let routesTable: Table
    private let limitsTables: [Table]
    private let watch: TableWatch

    /// Begins to listen.
    ///
    /// - Throws: An error if the kernel gives no notifications.
    init(
        _ policy: PolicyProgram, _ endpoint: EndpointProgram, _ names: NameProgram?,
        _ budgets: TableProgram?, on interface: String, slot: Int,
        _ dataplane: Dataplane, besides ports: [UInt32] = []
    ) throws {
        self.names = names
        self.budgets = budgets
        self.dataplane = dataplane
        self.policy = policy
        self.endpoint = endpoint
        ownNames = [policy.egressChain, interface, "from-\(interface)", "to-\(interface)"]
        routesTable = RouteProgram.table(slot: slot)
        limitsTables = [LimitProgram.table(slot: slot), LimitProgram.frameTable(slot: slot)]
        watch = try TableWatch(
            [BaseProgram.table, BaseProgram.frameTable, routesTable, BudgetPlan.table(slot: slot)] + limitsTables,
            besides: dataplane, andPorts: ports)
    }

    /// Whether the shared objects, and those of the endpoint, are as they were meant.
    func isThere() throws -> Bool {
        try dataplane.holds(
            [BaseProgram.program, endpoint.packets, endpoint.frames] + (names.map { [$0.program] } ?? [])
                + (budgets.map { [$0] } ?? []))
    }

    /// Whether anything of what polices the run has been changed or removed since it was put there.
    ///
    /// - Throws: An error if the kernel cannot be asked.
    func isBroken() throws -> Bool {
        let pending = try watch.pending()
        if pending.changes.contains(where: isOwn) { return true }
        if pending.someWereLost {
            let own = [policy.program] + (routes.map { [$0.program] } ?? []) + (limits?.programs ?? [])
            return try !isThere() || !dataplane.drift(of: own).isEmpty
        }
        // An element that comes into a shared map is another run's; it cannot take the place of one that is there.
        return try pending.changes.contains {
            $0.table != routesTable && !limitsTables.contains($0.table) && !$0.isAddedElement
        } && !isThere()
    }

    private func isOwn(_ change: TableChanges.Change) -> Bool {
        if change.table == routesTable { return routes != nil }
        if limitsTables.contains(change.table) { return limits != nil }
        // The kernel itself tells of a quota that is used up. What is added to a set could let more pass.
        if change.table == budgets?.table { return change.isRemoval || change.isAddedElement }
        guard let object = change.object else { return false }
        return ownNames.contains { object == $0 || object.hasPrefix($0 + "-") }
    }
}
