// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
public import EgretPolicy
import EgretResolution

/// Finds out whether assertions hold: over every packet there can be, not over samples.
///
/// Where one does not, the answer is a flow that shows it, with what the evaluator says of it.
public struct Prover: Sendable {
    /// What the assertions are about, at the first of the moments that stand for all time.
    public let map: ReachabilityMap
    private let catalog: PolicyCatalog
    private let inventory: Inventory
    private var maps: [Int64?: ReachabilityMap]
    private let moments: [Int64?]
    /// Whether a rule about names concerns some workload.
    private let namesOpen: Bool
    /// What rules do whose blocks may hold the addresses of workloads that nobody knows these of.
    private let uncertain: Set<RuleAction>
    private var resolver: PolicyResolver

    private var groups: [DestinationGroup] { catalog.groups }

    /// Works out everything that assertions are answered from.
    ///
    /// - Parameters:
    ///   - catalog: The policies.
    ///   - inventory: The workloads.
    ///   - unixTime: Where time begins for assertions about any time, in seconds since 1970-01-01T00:00Z.
    public init(_ catalog: PolicyCatalog, inventory: Inventory, from unixTime: Int64 = 0) {
        moments = TimeCases.moments(of: catalog, from: unixTime)
        let first = moments.first ?? nil
        map = ReachabilityMap(catalog, inventory: inventory, at: first)
        maps = [first: map]
        self.catalog = catalog
        self.inventory = inventory
        uncertain = map.placeholders.isEmpty ? [] : catalog.actionsAtUncertainBlocks
        resolver = PolicyResolver(catalog, inventory: map.inventory)
        let map = map
        namesOpen = map.inventory.workloads.indices.contains { map.names(of: $0) != nil }
    }

    /// Finds out whether an assertion holds.
    ///
    /// One without a time holds if it does at every time; one that something can be reached, if it does at some time.
    public mutating func prove(_ assertion: Assertion) -> Proof {
        // Where no rule depends on the time, one moment is as good as another.
        let times = moments == [nil] ? moments : assertion.time.map { [$0] } ?? moments
        var last = Proof(assertion: assertion, holds: true)
        for time in times {
            let map = maps[time] ?? ReachabilityMap(catalog, inventory: inventory, at: time)
            if assertion.time == nil { maps[time] = map }
            last = notingPlaceholders(noting(prove(assertion, map)))
            if last.holds == (assertion.claim == .some) { return last }
        }
        return last
    }

    /// The proof with what it leaves open: where names lead, nobody knows beforehand.
    private func noting(_ proof: Proof) -> Proof {
        if case .workloads = proof.assertion.target { return proof }
        let isAbsence = proof.assertion.claim == .none || proof.assertion.claim == .only
        guard isAbsence == proof.holds, proof.note == nil, namesOpen else { return proof }
        var noted = proof
        noted.note = "rules about names are left out: they reach whatever public addresses the names have"
        return noted
    }

    /// The proof with what it takes for granted: a rule about some addresses is not about those that no file tells.
    private mutating func notingPlaceholders(_ proof: Proof) -> Proof {
        // Something that is taken not to be let out makes an absence, and something that is not refused the opposite.
        let isAbsence = proof.assertion.claim != .some && proof.assertion.claim != .every
        let actions: Set<RuleAction> = isAbsence ? [.allow, .audit, .pass] : [.deny, .reject, .pass]
        guard proof.holds, !uncertain.isDisjoint(with: actions), isAboutPlaceholders(proof.assertion) else {
            return proof
        }
        var noted = proof
        noted.note = [proof.note, Prover.placeholderNote].compactMap { $0 }.joined(separator: "; ")
        return noted
    }

    private mutating func isAboutPlaceholders(_ assertion: Assertion) -> Bool {
        if assertion.claim == .only || assertion.claim == .nothingElse { return true }
        for case .workloads(let selector) in [assertion.source, assertion.target] {
            let chosen = workloads(selector)
            if chosen.contains(where: { map.placeholders[$0] != nil }) { return true }
        }
        return false
    }

    private static let placeholderNote =
        "no file tells the addresses of some of the workloads: a rule about a block is taken not to be about them"

    private mutating func prove(_ assertion: Assertion, _ map: ReachabilityMap) -> Proof {
        let services = ServiceSet(assertion.services)
        switch assertion.claim {
        case .none:
            let hit = search(assertion, map, widened: true) { $0.intersection(services) }.hit
            return Proof(assertion: assertion, holds: hit == nil, flow: hit.map { flow($0, map.time) })
        case .only:
            let hit = othersSearch(assertion, map) { $0.intersection(services) }
            return Proof(assertion: assertion, holds: hit == nil, flow: hit.map { flow($0, map.time) })
        case .nothingElse:
            var hit = elsewhereSearch(assertion, map)
            if hit == nil, !assertion.services.isEmpty {
                hit = search(assertion, map) { $0.subtracting(services) }.hit
            }
            return Proof(assertion: assertion, holds: hit == nil, flow: hit.map { flow($0, map.time) })
        case .some: return proveSome(assertion, map, services)
        case .every: return proveEvery(assertion, map, services)
        }
    }

    private mutating func proveSome(_ assertion: Assertion, _ map: ReachabilityMap, _ services: ServiceSet) -> Proof {
        let hit = search(assertion, map) { $0.intersection(services) }.hit
        if let hit { return Proof(assertion: assertion, holds: true, flow: flow(hit, map.time)) }
        // Any of the flows is refused; the first tells by which rule.
        let refused = search(assertion, map) { services.subtracting($0) }.hit
        return Proof(
            assertion: assertion, holds: false, flow: refused.map { flow($0, map.time) },
            note: refused == nil ? Prover.nothingToAsk : nil)
    }

    private mutating func proveEvery(_ assertion: Assertion, _ map: ReachabilityMap, _ services: ServiceSet) -> Proof {
        let wantsAll = !assertion.services.isEmpty
        let (hit, hasLooked) = search(assertion, map) { allowed in
            wantsAll ? services.subtracting(allowed) : allowed.isEmpty ? services : nil
        }
        if hit == nil && !hasLooked { return Proof(assertion: assertion, holds: false, note: Prover.nothingToAsk) }
        return Proof(assertion: assertion, holds: hit == nil, flow: hit.map { flow($0, map.time) })
    }

    private static let nothingToAsk = "the two ends have no addresses of one family, or are the same workload"

    // MARK: - Searching

    private mutating func search(
        _ assertion: Assertion, _ map: ReachabilityMap, widened: Bool = false,
        _ test: @escaping (ServiceSet) -> ServiceSet?
    ) -> (hit: ConnectionSearch.Hit?, hasLooked: Bool) {
        var search = ConnectionSearch(map, test: test)
        let hit: ConnectionSearch.Hit?
        switch (assertion.source, assertion.target) {
        case (.workloads(let source), .workloads(let target)):
            hit = search.find(from: workloads(source), to: workloads(target))
        case (.workloads(let source), let target):
            guard let party = AddressParty(target, groups: groups) else { return (nil, false) }
            hit = search.find(from: workloads(source), to: widened ? party.withEmbedded : party)
        case (let source, .workloads(let target)):
            guard let party = AddressParty(source, groups: groups) else { return (nil, false) }
            hit = search.find(from: party, to: workloads(target))
        default: return (nil, false)
        }
        return (hit, search.hasLooked)
    }

    /// Looks at everything but the assertion's source.
    private mutating func othersSearch(
        _ assertion: Assertion, _ map: ReachabilityMap, _ test: @escaping (ServiceSet) -> ServiceSet?
    ) -> ConnectionSearch.Hit? {
        var search = ConnectionSearch(map, test: test)
        let all = Array(map.inventory.workloads.indices)
        switch (assertion.source, assertion.target) {
        case (.workloads(let source), .workloads(let target)):
            let targets = workloads(target)
            return search.find(from: others(source), to: targets) ?? search.find(from: .outside, to: targets)
        case (.workloads(let source), let target):
            guard let party = AddressParty(target, groups: groups) else { return nil }
            return search.find(from: others(source), to: party.withEmbedded)
        case (.outside, .workloads(let target)):
            return search.find(from: all, to: workloads(target))
        case (let source, .workloads(let target)):
            guard let party = AddressParty(source, groups: groups) else { return nil }
            return search.find(from: party.complement, to: workloads(target))
        default: return nil
        }
    }

    /// Looks at everything but the assertion's target.
    private mutating func elsewhereSearch(_ assertion: Assertion, _ map: ReachabilityMap) -> ConnectionSearch.Hit? {
        var search = ConnectionSearch(map) { $0 }
        let all = Array(map.inventory.workloads.indices)
        guard case .workloads(let selector) = assertion.source else {
            guard case .workloads(let target) = assertion.target,
                let party = AddressParty(assertion.source, groups: groups)
            else { return nil }
            return search.find(from: party, to: others(target))
        }
        let sources = workloads(selector)
        switch assertion.target {
        case .workloads(let target):
            return search.find(from: sources, to: others(target)) ?? search.find(from: sources, to: .outside)
                ?? search.findHost(from: sources)
        case .outside: return search.find(from: sources, to: all)
        case .builtIn(.host): return search.find(from: sources, to: all) ?? search.find(from: sources, to: .outside)
        case let target:
            guard let party = AddressParty(target, groups: groups)?.complement else { return nil }
            return search.find(from: sources, to: party) ?? search.findHost(from: sources, with: party)
        }
    }

    private mutating func workloads(_ selector: WorkloadSelector) -> [Int] {
        resolver.workloads(chosenBy: selector)
    }

    private mutating func others(_ selector: WorkloadSelector) -> [Int] {
        let chosen = Set(workloads(selector))
        return map.inventory.workloads.indices.filter { !chosen.contains($0) }
    }

    // MARK: - What the evaluator says

    private mutating func flow(_ hit: ConnectionSearch.Hit, _ time: Int64?) -> ProofFlow {
        // Services are never empty where something was found.
        let service = hit.services.example(preferring: hit.targetAddress.family) ?? ConnectionService(.tcp, port: 443)
        var opinions: [ProofFlow.Opinion] = []
        if let source = hit.source.workload {
            opinions += opinion(of: source, .egress, hit.targetAddress, hit.isHost, service, time)
        }
        if let target = hit.target.workload, let address = hit.sourceAddress {
            opinions += opinion(of: target, .ingress, address, false, service, time)
        }
        return ProofFlow(
            source: hit.source, target: hit.target, targetIsHost: hit.isHost, service: service, time: time,
            opinions: opinions)
    }

    private mutating func opinion(
        of workload: Int, _ direction: TrafficDirection, _ peer: IPAddress, _ isHost: Bool,
        _ service: ConnectionService, _ time: Int64?
    ) -> [ProofFlow.Opinion] {
        if map.inventory.workloads[workload].usesHostNetwork { return [] }
        let policies = resolver.policies(of: workload, direction)
        let decision = PolicyEvaluator(policies: policies).decide(
            Flow(
                to: peer, isHost: isHost, protocol: service.protocol, port: service.port, icmpType: service.icmpType),
            at: time)
        return [
            ProofFlow.Opinion(
                direction: direction, decision: decision, reason: decision.reason(in: policies, at: time),
                location: policies.location(of: decision.clause))
        ]
    }
}
