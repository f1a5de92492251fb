// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy
import EgretRoutes
import EgretShaping

/// What the policies of endpoints ask for besides verdicts: routes and limits.
struct EndpointDemands {
    /// The endpoints whose policies have routes.
    private(set) var routes: [HostRouteDemand] = []
    /// The networks of this host, which are reached by no way.
    private(set) var localNetworks: [IPPrefix] = []
    /// The rates of endpoints, by the index of the host's end of the link that they are known by.
    private(set) var rates: [UInt32: EndpointRates] = [:]
    /// The links of endpoints that have several, whose traffic waits together.
    private var gathered = GatheredLinks()

    /// The rates that endpoints share.
    private(set) var pools: [TrafficDirection: PoolShaper.Pool] = [:]
    /// Whose the classes of these are.
    private(set) var shares: [TrafficDirection: [RateTree.Share]] = [:]
    /// The endpoints whose connections or packets are limited or marked.
    private(set) var limited: [LimitProgram.Member] = []

    /// Nothing is asked for.
    init() {}

    /// Asks the policies of endpoints.
    ///
    /// - Complexity: O(*p*) in the policies where none has routes or limits, and O(*p* + *e*) with the endpoints otherwise.
    init(_ resolved: ResolvedState, _ state: DesiredState) throws(RateTree.Conflict) {
        guard
            state.catalog.egressPolicies.contains(where: { !$0.routes.isEmpty || !$0.limits.isEmpty })
                || state.endpoints.contains(where: { !$0.limits.isEmpty })
        else { return }
        var known: [ProgramKey: Asked] = [:]
        var sharing: [PoolTree.Candidate] = []
        var links: [Int: UInt32] = [:]
        var mtu: UInt32 = 0
        gathered = GatheredLinks(resolved)
        for (endpoint, slot) in zip(resolved.endpoints, resolved.slots) where endpoint.control == nil {
            guard let key = resolved.key(slot, .egress), let policies = resolved.policies(slot, .egress) else {
                if !endpoint.limits.isEmpty {
                    rates[endpoint.interfaceIndex] = try Asked(nil, state.refusesConflicts, endpoint.limits).rates(
                        mtu: endpoint.mtu)
                }
                continue
            }
            let asked: Asked
            if endpoint.limits.isEmpty {
                if let found = known[key] { asked = found } else { asked = try Asked(policies, state.refusesConflicts) }
                known[key] = asked
            } else {
                asked = try Asked(policies, state.refusesConflicts, endpoint.limits)
            }
            if let clauses = asked.clauses {
                routes.append(
                    HostRouteDemand(
                        attachment: endpoint.attachment, addresses: endpoint.addresses, clauses: clauses))
            }
            let together = gathered.group(of: endpoint.interfaceIndex)
            if var rates = asked.rates(mtu: together?.mtu ?? endpoint.mtu) {
                rates.isGathered = together != nil
                self.rates[self.known(endpoint.interfaceIndex)] = rates
            }
            if !asked.limits.isEmpty {
                limited.append(
                    LimitProgram.Member(
                        number: slot, owner: together?.slot, linkIndex: self.known(endpoint.interfaceIndex),
                        attachment: endpoint.attachment, addresses: endpoint.addresses,
                        network: endpoint.network, limits: asked.limits, groups: asked.groups,
                        shares: asked.trees.mapValues(\.shares), isLed: asked.hasNames))
            }
            if asked.limits.contains(where: { $0.scope != .endpoint && $0.rate != nil }) {
                sharing.append(
                    PoolTree.Candidate(
                        number: slot, network: endpoint.network, limits: asked.limits, groups: asked.groups))
                links[slot] = endpoint.interfaceIndex
                mtu = max(mtu, endpoint.mtu)
            }
        }
        try share(sharing, links, mtu, state.refusesConflicts)
        if routes.isEmpty { return }
        // Of a network that is another tool's, the endpoints are known.
        let near = state.endpoints.flatMap { $0.subnets.isEmpty ? $0.addresses.map { IPPrefix($0) } : $0.subnets }
        localNetworks = Set(near).sorted { "\($0)" < "\($1)" }
    }

    /// Works out what endpoints share.
    private mutating func share(
        _ candidates: [PoolTree.Candidate], _ links: [Int: UInt32], _ mtu: UInt32, _ refusesConflicts: Bool
    ) throws(RateTree.Conflict) {
        if candidates.isEmpty { return }
        for direction in TrafficDirection.allCases {
            let shared =
                refusesConflicts
                ? try PoolTree(candidates, direction)
                : (try? PoolTree(candidates, direction)) ?? PoolTree(joining: candidates, direction)
            pools[direction] = PoolShaper.Pool(shared, links: links, mtu: mtu)
            shares[direction] = shared.shares
            for place in limited.indices {
                let member = limited[place]
                guard let shares = shared.members[member.number], let link = member.attachment.index else { continue }
                if let part = member.shares[direction]?.first {
                    if refusesConflicts { throw EndpointDemands.conflict(part) }
                    let slowest = RateTree(slowestOf: member.limits, direction)
                    rates[known(link)]?.hold(direction, to: TrafficShape(slowest, mtu: mtu))
                }
                limited[place].shares[direction] = shares
                rates[known(link)]?.pooled.insert(direction)
            }
        }
    }

    /// The link that the endpoint of a link is known by.
    func known(_ link: UInt32) -> UInt32 { gathered.group(of: link)?.first ?? link }

    /// The links to which what is sent waits elsewhere before: with others', or with other links' of the same endpoint.
    var linksThatAreLed: Swift.Set<UInt32> {
        (pools[.ingress]?.links ?? []).union(gathered.links.filter { rates[known($0)]?.ingress != nil })
    }

    /// Whether what an endpoint is sent waits with what is sent to other links of its.
    func isGathered(_ link: UInt32) -> Bool { rates[known(link)].map { $0.isGathered && $0.ingress != nil } ?? false }

    private static func conflict(_ part: RateTree.Share) -> RateTree.Conflict {
        RateTree.Conflict(
            description:
                "the limit \(part.limit.name ?? part.limit.summary) is for a part of the traffic of an endpoint "
                + "that shares a rate with others: write one of the two otherwise")
    }

    /// What the policies of one key ask for.
    private struct Asked {
        let clauses: HostRouteClauses?
        let limits: [TrafficLimit]
        let groups: [String: DestinationGroup]
        /// Whether they have limits, and names in these, in budgets or in rules: then questions are led to the proxy.
        let hasNames: Bool

        let trees: [TrafficDirection: RateTree]

        /// Asks a policy set, and what an endpoint brings with it.
        init(
            _ policies: PolicySet?, _ refusesConflicts: Bool, _ own: [TrafficLimit] = []
        ) throws(RateTree.Conflict) {
            clauses = policies.flatMap { HostRouteClauses($0) }
            limits = (policies?.limits ?? []) + own
            groups = policies?.groups ?? [:]
            hasNames = !limits.isEmpty && policies.map(\.dependsOnNames) ?? false
            var trees: [TrafficDirection: RateTree] = [:]
            for direction in TrafficDirection.allCases {
                // By labels, endpoints come under policies that nobody has seen together: the slowest rate holds then.
                trees[direction] =
                    refusesConflicts
                    ? try RateTree(limits, direction, groups: groups)
                    : (try? RateTree(limits, direction, groups: groups)) ?? RateTree(slowestOf: limits, direction)
            }
            self.trees = trees
        }

        func rates(mtu: UInt32) -> EndpointRates? {
            func shape(_ direction: TrafficDirection) -> TrafficShape? {
                trees[direction].flatMap { TrafficShape($0, mtu: mtu) }
            }
            let rates = EndpointRates(egress: shape(.egress), ingress: shape(.ingress))
            return rates == EndpointRates() ? nil : rates
        }
    }
}

extension EndpointRates {
    /// Sets the rate of a direction.
    fileprivate mutating func hold(_ direction: TrafficDirection, to shape: TrafficShape?) {
        switch direction {
        case .egress: egress = shape
        case .ingress: ingress = shape
        }
    }
}
