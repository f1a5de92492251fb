// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretPolicy
import EgretRoutes

extension KernelEnforcement {
    /// Starts what names need, if any policy has rules about names or limits or budgets for some, and tells the plan where it
    /// listens.
    ///
    /// - Throws: An error if it cannot be had.
    func startNames(for state: DesiredState, _ plan: inout HostPlan) throws {
        guard let names else { return }
        pricedNames = state.catalog.pricedNames
        if state.catalog.hasNames {
            try names.start()
            if state.catalog.readsDatagrams { names.readDatagrams() }
            try diversion.make()
        }
        // Once the plan leads anywhere, it goes on leading there.
        if plan.namePorts == nil { plan.namePorts = names.ports }
    }

    /// What the proxies are to know of endpoints.
    ///
    /// - Parameters:
    ///   - slots: The endpoints that may be otherwise than before.
    ///   - resolved: What they obey now.
    ///   - plan: The programs.
    ///   - isWhole: Whether all others that the proxies know are gone.
    /// - Returns: What they do not know yet.
    func naming(
        of slots: Swift.Set<Int>, _ resolved: ResolvedState, _ plan: HostPlan, isWhole: Bool
    ) -> NameChange {
        guard let names, names.isRunning else { return NameChange() }
        var change = NameChange()
        for slot in slots.sorted() {
            guard let endpoint = resolved.endpoint(slot), let key = resolved.key(slot, .egress),
                let program = plan.outline(of: key), program.leadingChain != nil,
                let policies = resolved.policies(slot, .egress)
            else {
                change.removed.append(slot)
                continue
            }
            change.members.append(
                NameMember(
                    slot: slot, link: endpoint.linkKey, addresses: endpoint.addresses, generation: program.generation,
                    policies: policies, pricedNames: pricedNames))
        }
        if isWhole { change.removed += names.slots.subtracting(slots).sorted() }
        return names.reduced(change, isWhole: isWhole)
    }
}

extension NameService? {
    /// As `NameService.change(_:_:)`; without the service, the body alone.
    func change<Result>(_ change: NameChange, _ body: (() -> Void) throws -> Result) rethrows -> Result {
        guard let self else { return try body({}) }
        return try self.change(change, body)
    }
}

extension PolicyCatalog {
    /// Whether any policy has rules about names, or limits or budgets for some.
    var hasNames: Bool {
        let groups = Dictionary(groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return egressPolicies.contains { policy in
            policy.rules.contains { !PolicySet.patterns(of: $0, in: groups).isEmpty }
                || policy.limits.contains { !$0.patterns(groups).isEmpty }
                || policy.budgets.contains { !$0.patterns(groups).isEmpty }
        }
            || clusterPolicies.contains { $0.egress.contains { $0.peers.contains(where: \.hasNames) } }
    }

    /// The names that price lists are about.
    var pricedNames: [DomainPattern] {
        if priceLists.isEmpty { return [] }
        let groups = Dictionary(groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return priceLists.flatMap(\.entries).flatMap { $0.patterns(groups) }
    }

    /// Whether any rule wants the names in QUIC read.
    var readsDatagrams: Bool {
        egressPolicies.contains { $0.rules.contains { $0.naming.quic == .check } }
    }
}

extension ClusterPolicy.Peer {
    /// Whether it is names.
    var hasNames: Bool {
        if case .domainNames = self { true } else { false }
    }
}
